"""`ParameterStore`: what is sent, what an answer becomes, and what Parameter Store does not have."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from envelope import AwsAccessDenied, AwsError, AwsUnavailable, EnvelopeError, InvalidArgument
from envelope_secrets.errors import (
    NotSupported,
    SecretConflict,
    SecretKeyUnavailable,
    SecretNotFound,
    SecretRefused,
)
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, StageMove
from envelope_secrets.stores.parameters import ParameterStore
from envelope_secrets.stores.protocol import (
    HasPolicies,
    HasTrees,
    NewSecret,
    NewVersion,
    Replicates,
    Rotates,
    SecretStore,
    SecretVersion,
    VersionPlace,
)
from envelope_secrets.value import Secret
from tests.scripted_service import Asked, Refused, ScriptedService

ARN = "arn:aws:ssm:eu-west-1:111122223333:parameter/app/db"
TOKEN = "11111111-1111-4111-8111-111111111111"
DB = {
    "Name": "/app/db",
    "Type": "SecureString",
    "Value": "hunter2",
    "Version": 3,
    "LastModifiedDate": 1_700_000_000,
    "ARN": ARN,
}
DATE = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.fixture
def service() -> ScriptedService:
    service = ScriptedService("ssm")
    service.on("GetParameter", {"Parameter": DB})
    return service


@pytest.fixture
def store(service: ScriptedService) -> ParameterStore:
    return ParameterStore(region="eu-west-1", client_for_region=service.client_for_region)


def entry(version: int, *labels: str, **more: Any) -> dict[str, Any]:
    told = {"Name": "/app/db", "Type": "SecureString", "Version": version, "LastModifiedDate": version * 1_000.0}
    return told | {"Value": "ciphertext", "Labels": [*labels]} | more


# --- reading


def test_a_read_decrypts_the_newest_version(service: ScriptedService, store: ParameterStore) -> None:
    secret = store.read("/app/db")
    assert service.asked == [Asked("eu-west-1", "GetParameter", {"Name": "/app/db", "WithDecryption": True})]
    assert (secret.text, secret.name, secret.arn, secret.version_id) == ("hunter2", "/app/db", ARN, "3")
    assert (secret.stages, secret.created) == ((AWSCURRENT,), DATE)


@pytest.mark.parametrize(
    ("secret_id", "how", "asked", "stages"),
    [
        ("/app/db:3", {}, "/app/db:3", ()),
        ("/app/db:blue", {}, "/app/db:blue", ("blue",)),
        ("/app/db", {"stage": "blue"}, "/app/db:blue", ("blue",)),
        ("/app/db:blue", {"stage": "blue"}, "/app/db:blue", ("blue",)),
        ("/app/db", {"stage": None, "version_id": "3"}, "/app/db:3", ()),
        (ARN, {}, ARN, (AWSCURRENT,)),
        (f"{ARN}:3", {}, f"{ARN}:3", ()),
        (ARN, {"stage": "blue"}, f"{ARN}:blue", ("blue",)),
    ],
)
def test_a_version_is_selected_in_the_name_or_beside_it(
    secret_id: str,
    how: dict[str, Any],
    asked: str,
    stages: tuple[str, ...],
    service: ScriptedService,
    store: ParameterStore,
) -> None:
    assert store.read(secret_id, **how).stages == stages
    assert service.last()["Name"] == asked


def test_an_arn_is_asked_for_in_its_region(service: ScriptedService, store: ParameterStore) -> None:
    elsewhere = ARN.replace("eu-west-1", "us-east-1")
    service.on("GetParameter", {"Parameter": DB | {"ARN": elsewhere}})
    assert store.read(elsewhere).arn == elsewhere
    assert service.regions() == ["us-east-1"]


def test_a_version_and_a_label_have_to_agree(service: ScriptedService, store: ParameterStore) -> None:
    newest = {"Parameter": DB | {"Version": 4}}
    service.on("GetParameter", lambda asked: {"Parameter": DB} if ":" in asked.request["Name"] else newest)
    assert store.read("/app/db", stage="blue", version_id="3").version_id == "3"
    assert [asked.request["Name"] for asked in service.asked] == ["/app/db:3", "/app/db:blue"]
    with pytest.raises(SecretConflict, match="version 3 of /app/db does not have the staging label AWSCURRENT"):
        store.read("/app/db", stage=AWSCURRENT, version_id="3")


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        ({}, "holds no Version"),
        (DB | {"Value": ""}, "holds no Value"),
        (DB | {"Name": "/app/other", "ARN": ARN + "2"}, "is about another parameter"),
        (DB | {"Version": 4}, "holds another version"),
        ({key: value for key, value in DB.items() if key != "Version"}, "holds no Version"),
        ({key: value for key, value in DB.items() if key != "ARN"}, "holds no ARN"),
    ],
)
def test_an_answer_that_is_none_is_an_error(
    parameter: dict[str, Any], text: str, service: ScriptedService, store: ParameterStore
) -> None:
    service.on("GetParameter", {"Parameter": parameter})
    with pytest.raises(AwsError, match=text) as caught:
        store.read("/app/db:3")
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


# --- secrets of Secrets Manager

SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf"
SOURCE = {
    "ARN": SECRET_ARN,
    "name": "db",
    "versionId": TOKEN,
    "secretString": "hunter2",
    "versionStages": ["AWSCURRENT", "AWSPENDING"],
}
REFERENCE = "/aws/reference/secretsmanager/db"
REFERRED = {"Name": REFERENCE, "Type": "SecureString", "Value": "hunter2", "Version": 0, "ARN": SECRET_ARN}


def test_a_secret_of_secrets_manager_keeps_its_version_and_labels(
    service: ScriptedService, store: ParameterStore
) -> None:
    service.on("GetParameter", {"Parameter": REFERRED | {"SourceResult": json.dumps(SOURCE)}})
    secret = store.read(REFERENCE)
    assert (secret.text, secret.version_id, secret.arn) == ("hunter2", TOKEN, SECRET_ARN)
    assert secret.stages == ("AWSCURRENT", "AWSPENDING")
    assert service.last()["Name"] == REFERENCE
    assert store.read(REFERENCE, stage=AWSPENDING, version_id=TOKEN).version_id == TOKEN
    assert service.last()["Name"] == f"{REFERENCE}:{TOKEN}"
    with pytest.raises(SecretConflict, match="does not have the staging label AWSPREVIOUS"):
        store.read(REFERENCE, stage="AWSPREVIOUS", version_id=TOKEN)


@pytest.mark.parametrize("source", ["", "no JSON: hunter2", "[]", '{"versionId": 1, "versionStages": "x", "ARN": 2}'])
def test_a_secret_whose_source_is_not_told_is_read_all_the_same(
    source: str, service: ScriptedService, store: ParameterStore
) -> None:
    """As by moto, which also answers by the name of the secret."""
    service.on("GetParameter", {"Parameter": REFERRED | {"Name": "db", "SourceResult": source}})
    secret = store.read(REFERENCE)
    assert (secret.text, secret.version_id, secret.arn, secret.stages) == ("hunter2", "0", SECRET_ARN, (AWSCURRENT,))


def test_a_secret_of_secrets_manager_is_not_written_from_here(store: ParameterStore) -> None:
    with pytest.raises(NotSupported, match="anything but reading of /aws/reference/secretsmanager/db") as caught:
        store.put(REFERENCE, NewVersion("x", TOKEN))
    assert "SecretsManagerStore" in caught.value.hint


# --- many


def parameter(name: str, **more: Any) -> dict[str, Any]:
    return DB | {"Name": name, "Value": f"value of {name}", "ARN": f"arn:{name}"} | more


def texts(outcomes: Any) -> dict[str, str | type[EnvelopeError]]:
    return {name: it.text if isinstance(it, Secret) else type(it) for name, it in outcomes.items()}


def test_many_go_in_batches_of_ten(service: ScriptedService, store: ParameterStore) -> None:
    service.on("GetParameters", lambda asked: {"Parameters": [parameter(name) for name in asked.request["Names"]]})
    names = [f"/app/{number}" for number in range(12)]
    assert texts(store.read_many(names)) == {name: f"value of {name}" for name in names}
    assert [len(asked.request["Names"]) for asked in service.asked] == [10, 2]
    assert service.last()["WithDecryption"] is True


def test_what_is_invalid_is_not_found(service: ScriptedService, store: ParameterStore) -> None:
    service.on("GetParameters", {"Parameters": [parameter("/a")], "InvalidParameters": ["/b", "/a:blue"]})
    outcomes = store.read_many(["/a", "/b"])
    assert texts(outcomes) == {"/a": "value of /a", "/b": SecretNotFound}
    assert "on /b failed: there is no such parameter, version or label" in str(outcomes["/b"])
    assert service.operations() == ["GetParameters"]


def test_selected_versions_are_told_apart(service: ScriptedService, store: ParameterStore) -> None:
    found = [
        parameter("/a", Version=7),
        parameter("/a", Version=2, Selector=":2", Value="two"),
        parameter("/a", Version=5, Selector=":blue", Value="five"),
        parameter("/stranger"),
    ]
    service.on("GetParameters", {"Parameters": found})
    service.on("GetParameter", lambda asked: {"Parameter": parameter("/a", Version=7)})
    outcomes = store.read_many(["/a:2", "/a", "/a:blue"])
    assert texts(outcomes) == {"/a:2": "two", "/a": "value of /a", "/a:blue": "five"}
    assert [outcome.stages for outcome in outcomes.values() if isinstance(outcome, Secret)] == [
        (),
        (AWSCURRENT,),
        ("blue",),
    ]


def test_an_answer_that_does_not_say_which_version_it_is_is_read_again(
    service: ScriptedService, store: ParameterStore
) -> None:
    """As by moto."""
    service.on("GetParameters", {"Parameters": [parameter("/a", Version=7), parameter("/a", Version=2)]})
    service.on(
        "GetParameter",
        lambda asked: {"Parameter": parameter("/a", Version=2 if ":" in asked.request["Name"] else 7)},
    )
    outcomes = store.read_many(["/a", "/a:2"])
    assert [outcome.version_id for outcome in outcomes.values() if isinstance(outcome, Secret)] == ["7", "2"]


def test_a_batch_that_is_refused_is_read_one_by_one(service: ScriptedService, store: ParameterStore) -> None:
    """One member that the caller may not read lets the whole call fail."""
    service.on("GetParameters", Refused("AccessDeniedException"))
    denied = Refused("AccessDeniedException")
    service.on(
        "GetParameter", lambda asked: denied if asked.request["Name"] == "/b" else {"Parameter": parameter("/a")}
    )
    assert texts(store.read_many(["/a", "/b"])) == {"/a": "value of /a", "/b": AwsAccessDenied}


def test_a_service_that_is_throttled_is_not_asked_ten_times_more(
    service: ScriptedService, store: ParameterStore
) -> None:
    service.on("GetParameters", Refused("ThrottlingException"))
    assert texts(store.read_many(["/a", "/b"])) == {"/a": AwsUnavailable, "/b": AwsUnavailable}
    assert service.operations() == ["GetParameters"]


def test_parameters_of_two_regions_are_two_batches(service: ScriptedService, store: ParameterStore) -> None:
    elsewhere = ARN.replace("eu-west-1", "us-east-1")
    service.on(
        "GetParameters",
        lambda asked: {"Parameters": [parameter("/app/db", ARN=elsewhere), parameter("/b"), parameter("/c", ARN=ARN)]},
    )
    outcomes = store.read_many(["/b", elsewhere, ARN])
    assert list(texts(outcomes).values()) == ["value of /b", "value of /app/db", "value of /c"]
    assert service.regions() == ["eu-west-1", "us-east-1"]


# --- trees


def test_a_tree_is_everything_below_a_path(service: ScriptedService, store: ParameterStore) -> None:
    service.on(
        "GetParametersByPath",
        {"Parameters": [parameter("/app/a")], "NextToken": "one"},
        {"Parameters": [], "NextToken": "two"},
        {"Parameters": [parameter("/app/b/c"), parameter("/application/x")]},
    )
    tree = store.read_tree("/app/")
    assert {name: secret.text for name, secret in tree.items()} == {
        "/app/a": "value of /app/a",
        "/app/b/c": "value of /app/b/c",
    }
    assert service.last() == {
        "Path": "/app",
        "Recursive": True,
        "WithDecryption": True,
        "MaxResults": 10,
        "NextToken": "two",
    }


def test_the_root_is_a_tree_too(service: ScriptedService, store: ParameterStore) -> None:
    service.on("GetParametersByPath", {"Parameters": [parameter("/a"), parameter("a")]})
    assert list(store.read_tree("/")) == ["/a"]
    assert service.last()["Path"] == "/"


# --- what is known


@pytest.fixture
def history(service: ScriptedService) -> ScriptedService:
    service.on(
        "GetParameterHistory",
        lambda asked: (
            {"Parameters": [entry(3, Description="the database", KeyId="alias/app", Tier="Standard")]}
            if asked.request.get("NextToken")
            else {"Parameters": [entry(1), entry(2, "blue", "green")], "NextToken": "more"}
        ),
    )
    return service


def test_a_description_has_the_labels_of_all_versions(history: ScriptedService, store: ParameterStore) -> None:
    history.on("ListTagsForResource", {"TagList": [{"Key": "team", "Value": "a"}]})
    told = store.describe("/app/db")
    assert (told.name, told.arn, told.description, told.kms_key_id) == ("/app/db", ARN, "the database", "alias/app")
    assert told.labels.by_version == {"1": set(), "2": {"blue", "green"}, "3": {AWSCURRENT}}
    assert (told.tags, told.deleted) == ({"team": "a"}, None)
    assert (told.created, told.changed) == (at(1_000), at(3_000))
    assert history.operations() == ["GetParameter"] + ["GetParameterHistory"] * 2 + ["ListTagsForResource"]
    assert history.asked[0].request == {"Name": "/app/db", "WithDecryption": False}
    assert history.asked[1].request == {"Name": "/app/db", "WithDecryption": False, "MaxResults": 50}
    assert history.last() == {"ResourceType": "Parameter", "ResourceId": "/app/db"}


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_the_date_of_a_first_version_that_is_gone_is_not_known(service: ScriptedService, store: ParameterStore) -> None:
    service.on("GetParameterHistory", {"Parameters": [entry(7), entry(8)]})
    service.on("ListTagsForResource", {})
    assert store.describe("/app/db").created is None


def test_versions_are_the_newest_and_those_with_labels(history: ScriptedService, store: ParameterStore) -> None:
    newest, labelled = SecretVersion("3", (AWSCURRENT,), at(3_000)), SecretVersion("2", ("blue", "green"), at(2_000))
    assert store.versions("/app/db") == (newest, labelled)
    oldest = SecretVersion("1", (), at(1_000))
    assert store.versions("/app/db", include_deprecated=True) == (newest, labelled, oldest)


def test_a_history_without_versions_is_no_parameter(service: ScriptedService, store: ParameterStore) -> None:
    service.on("GetParameterHistory", {"Parameters": []})
    with pytest.raises(SecretNotFound, match="/app/db has no versions"):
        store.versions("/app/db")


def test_a_list_is_filtered_by_a_prefix_that_is_one(service: ScriptedService, store: ParameterStore) -> None:
    told = {"Version": 3, "KeyId": "alias/app", "LastModifiedDate": 3_000, "Description": "d", "ARN": ARN}
    service.on(
        "DescribeParameters",
        {"Parameters": [], "NextToken": "more"},
        {"Parameters": [told | {"Name": "/app/db"}, told | {"Name": "/other"}]},
    )
    (found,) = store.list(prefix="/app", include_deleted=True)
    assert (found.name, found.arn, found.description, found.kms_key_id) == ("/app/db", ARN, "d", "alias/app")
    assert found.labels.by_version == {"3": {AWSCURRENT}}
    assert (found.changed, found.created) == (at(3_000), None)
    assert service.last() == {
        "MaxResults": 50,
        "ParameterFilters": [{"Key": "Name", "Option": "BeginsWith", "Values": ["/app"]}],
        "NextToken": "more",
    }
    service.on("DescribeParameters", {"Parameters": []})
    assert list(store.list()) == []
    assert service.last() == {"MaxResults": 50}


# --- writing


def of_options(service: ScriptedService, **options: Any) -> ParameterStore:
    return ParameterStore(region="eu-west-1", client_for_region=service.client_for_region, **options)


def version(value: str | bytes = "hunter2", *stages: str) -> NewVersion:
    return NewVersion(value, TOKEN, stages or (AWSCURRENT,))


CREATED: dict[str, tuple[dict[str, Any], NewSecret, dict[str, Any]]] = {
    "as it comes": ({}, NewSecret("/app/db", version()), {"Type": "SecureString"}),
    "with everything": (
        {"kms_key_id": "alias/app"},
        NewSecret("/app/db", version(), description="the database", tags={"team": "a"}),
        {
            "Type": "SecureString",
            "KeyId": "alias/app",
            "Description": "the database",
            "Tags": [{"Key": "team", "Value": "a"}],
        },
    ),
    "with a key of its own": (
        {"kms_key_id": "alias/app"},
        NewSecret("/app/db", version(), kms_key_id="alias/own"),
        {"Type": "SecureString", "KeyId": "alias/own"},
    ),
    "not secure": ({"secure": False, "kms_key_id": "alias/app"}, NewSecret("/app/db", version()), {"Type": "String"}),
}


@pytest.mark.parametrize("name", CREATED)
def test_a_parameter_is_created_so(name: str, service: ScriptedService) -> None:
    options, secret, sent = CREATED[name]
    service.on("PutParameter", {"Version": 1, "Tier": "Standard"})
    place = of_options(service, **options).create(secret)
    assert place == VersionPlace("", "/app/db", "1", (AWSCURRENT,))
    assert service.last() == {"Name": "/app/db", "Value": "hunter2", "Overwrite": False} | sent


def test_a_new_version_keeps_type_and_key(history: ScriptedService, store: ParameterStore) -> None:
    history.on("PutParameter", {"Version": 4})
    assert store.put("/app/db", version()).version_id == "4"
    assert history.last() == {
        "Name": "/app/db",
        "Value": "hunter2",
        "Type": "SecureString",
        "KeyId": "alias/app",
        "Overwrite": True,
    }
    of_options(history, kms_key_id="alias/new").put("/app/db", version())
    assert history.last()["KeyId"] == "alias/new"


def test_a_plain_parameter_stays_plain(service: ScriptedService, store: ParameterStore) -> None:
    service.on("GetParameterHistory", {"Parameters": [entry(1, Type="StringList")]})
    service.on("PutParameter", {"Version": 2})
    place = of_options(service, kms_key_id="alias/app").put(ARN, version())
    assert place == VersionPlace(ARN, ARN, "2", (AWSCURRENT,))
    assert service.last() == {"Name": ARN, "Value": "hunter2", "Type": "StringList", "Overwrite": True}


def test_labels_are_put_on_the_new_version(history: ScriptedService, store: ParameterStore) -> None:
    history.on("PutParameter", {"Version": 4})
    history.on("LabelParameterVersion", {"InvalidLabels": [], "ParameterVersion": 4})
    assert store.put("/app/db", version("x", AWSCURRENT, "red", "blue")).stages == (AWSCURRENT, "blue", "red")
    assert history.last() == {"Name": "/app/db", "ParameterVersion": 4, "Labels": ["red", "blue"]}
    history.on("LabelParameterVersion", {"InvalidLabels": ["red"]})
    with pytest.raises(InvalidArgument, match="Parameter Store does not take a label of /app/db"):
        store.put("/app/db", version("x", AWSCURRENT, "red"))


TIERS = {
    "4,096 bytes": ("é" * 2_048, "", False, None),
    "4,097 bytes": ("x" * 4_097, "", True, "Advanced"),
    "8,192 bytes": ("x" * 8_192, "", True, "Advanced"),
    "few bytes of an advanced one": ("x", "Advanced", False, "Advanced"),
    "8,192 bytes of an advanced one": ("x" * 8_192, "Advanced", False, "Advanced"),
}


@pytest.mark.parametrize("name", TIERS)
def test_the_tier_is_what_the_size_needs_and_never_less_than_before(name: str, service: ScriptedService) -> None:
    value, before, advanced, asked = TIERS[name]
    service.on("GetParameterHistory", {"Parameters": [entry(1, Tier=before)] if before else [entry(1)]})
    service.on("PutParameter", {"Version": 2})
    of_options(service, advanced=advanced).put("/app/db", version(value))
    assert service.last().get("Tier") == asked


@pytest.mark.parametrize(("size", "advanced"), [(4_097, False), (8_193, True)])
def test_a_value_that_is_too_large_is_refused_before_it_is_sent(
    size: int, advanced: bool, service: ScriptedService
) -> None:
    with pytest.raises(InvalidArgument, match=rf"the value has {size:,} bytes; a parameter holds 4,096") as caught:
        of_options(service, advanced=advanced).create(NewSecret("/app/db", version("x" * size)))
    assert "Secrets Manager holds 65,536 bytes" in caught.value.hint
    assert service.asked == []


# --- labels


MOVES: dict[str, tuple[StageMove, str, int]] = {
    "from another version": (StageMove("blue", "3", "2"), "LabelParameterVersion", 3),
    "from nowhere": (StageMove("red", "3", None), "LabelParameterVersion", 3),
    "to where it is": (StageMove("blue", "2", None), "LabelParameterVersion", 2),
    "away": (StageMove("blue", None, "2"), "UnlabelParameterVersion", 2),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_label_moves(name: str, history: ScriptedService, store: ParameterStore) -> None:
    move, operation, number = MOVES[name]
    history.on(operation, {})
    store.move_stage("/app/db", move)
    assert history.operations()[-1] == operation
    assert history.last() == {"Name": "/app/db", "ParameterVersion": number, "Labels": [move.stage]}


@pytest.mark.parametrize(
    ("move", "kind", "text"),
    [
        (StageMove("blue", "3", "1"), SecretConflict, "the label blue of /app/db is on version 2"),
        (StageMove("blue", "3", None), SecretConflict, "the label blue of /app/db is on version 2"),
        (StageMove("red", "3", "2"), SecretConflict, "the label red of /app/db is on no version"),
        (StageMove("red", None, "2"), SecretConflict, "is on no version"),
        (StageMove("blue", "9", "2"), SecretNotFound, "/app/db has no version 9"),
        (StageMove("blue", "x", "2"), SecretNotFound, "/app/db has no version x"),
        (StageMove(AWSCURRENT, "2", "3"), NotSupported, "a way to set AWSCURRENT"),
        (StageMove("2nd", "2", None), InvalidArgument, "'2nd' is no label of Parameter Store"),
        (StageMove("ssm-x", "2", None), InvalidArgument, "is no label of Parameter Store"),
    ],
)
def test_a_label_that_is_elsewhere_does_not_move(
    move: StageMove, kind: type[EnvelopeError], text: str, history: ScriptedService, store: ParameterStore
) -> None:
    with pytest.raises(kind, match=text):
        store.move_stage("/app/db", move)
    assert not {"LabelParameterVersion", "UnlabelParameterVersion"} & set(history.operations())


def test_a_label_that_goes_elsewhere_meanwhile_is_a_conflict(history: ScriptedService, store: ParameterStore) -> None:
    history.on("UnlabelParameterVersion", {"InvalidLabels": ["blue"], "RemovedLabels": []})
    with pytest.raises(SecretConflict, match="the label blue of /app/db is on another version by now"):
        store.move_stage("/app/db", StageMove("blue", None, "2"))


def test_a_deletion_is_for_good_and_says_so(service: ScriptedService, store: ParameterStore) -> None:
    with pytest.raises(NotSupported, match="Parameter Store does not have a recovery window") as caught:
        store.delete("/app/db")
    assert "recovery_window_days=None" in caught.value.hint
    assert service.asked == []
    service.on("DeleteParameter", {})
    assert store.delete("/app/db", recovery_window_days=None) is None
    assert service.last() == {"Name": "/app/db"}


def test_tags_are_set_and_taken(service: ScriptedService, store: ParameterStore) -> None:
    service.on("AddTagsToResource", {})
    store.tag("/app/db", {"team": "a"})
    about = {"ResourceType": "Parameter", "ResourceId": "/app/db"}
    assert service.last() == about | {"Tags": [{"Key": "team", "Value": "a"}]}
    service.on("RemoveTagsFromResource", {})
    store.untag("/app/db", ["team"])
    assert service.last() == about | {"TagKeys": ["team"]}


# --- what is not there, and what is wrong

Call = Callable[[ParameterStore], object]

NOT_THERE: dict[str, tuple[Call, str]] = {
    "restoring": (lambda store: store.restore("/app/db"), "a way to restore /app/db"),
    "an update": (lambda store: store.update("/app/db", description="x"), "a change of the description of /app/db"),
    "an update of nothing": (lambda store: store.update("/app/db"), "a change of the settings of /app/db"),
    "a binary value": (lambda store: store.put("/app/db", version(b"\0")), "a binary value"),
    "a pending version": (lambda store: store.put("/app/db", version("x", AWSPENDING)), "a way to set AWSPENDING"),
    "a version that is not current": (
        lambda store: store.create(NewSecret("/app/db", version("x", "blue"))),
        "a new version that is not current",
    ),
    "no value": (lambda store: store.create(NewSecret("/app/db")), "a parameter without a value"),
    "replicas": (
        lambda store: store.create(NewSecret("/app/db", version(), replica_regions={"us-east-1": ""})),
        "replicas",
    ),
}


@pytest.mark.parametrize("name", NOT_THERE)
def test_what_is_not_there_is_not_supported(name: str, history: ScriptedService, store: ParameterStore) -> None:
    call, text = NOT_THERE[name]
    with pytest.raises(NotSupported, match=f"Parameter Store does not have {text}") as caught:
        call(store)
    assert caught.value.hint
    assert set(history.operations()) <= {"GetParameterHistory"}


WRONG: dict[str, tuple[Call, str]] = {
    "a name with a space": (lambda store: store.read("a b"), "that is no name of a parameter"),
    "a name of nothing": (lambda store: store.read("/app//db"), "that is no name of a parameter"),
    "a name that ends early": (lambda store: store.read("/app/db:"), "that is no name of a parameter"),
    "a reference to nothing": (lambda store: store.read("/aws/reference/secretsmanager/"), "that is no name"),
    "an ARN of another service": (lambda store: store.read(SECRET_ARN), "that is no name of a parameter"),
    "two versions": (lambda store: store.read("/app/db:3", version_id="4"), "/app/db:3 selects one version"),
    "a version that is a label": (lambda store: store.read("/app/db", version_id="blue"), "version .* is a number"),
    "a label that is a version": (lambda store: store.read("/app/db", stage="3"), "3 is no label"),
    "a description of one version": (lambda store: store.describe("/app/db:3"), "the call is about all of them"),
    "one name of many that is no text": (lambda store: store.read_many(["/a", 7]), "not int"),  # type: ignore[list-item]
    "neither": (lambda store: store.read("/a", stage=None), "neither stage nor version_id"),
    "a flag": (lambda store: store.versions("/a", include_deprecated=1), "include_deprecated must be"),  # type: ignore[arg-type]
    "a flag of the list": (lambda store: store.list(include_deleted=1), "include_deleted must be"),  # type: ignore[arg-type]
    "a prefix": (lambda store: store.list(prefix=1), "prefix must be text"),  # type: ignore[arg-type]
    "a path that is no text": (lambda store: store.read_tree(None), "path must be text, not NoneType"),  # type: ignore[arg-type]
    "a path from nowhere": (lambda store: store.read_tree("app"), "path must be a level of the hierarchy"),
    "a path with a gap": (lambda store: store.read_tree("/app//x"), "path must be a level of the hierarchy"),
    "an odd name": (lambda store: store.create(NewSecret("/app/db:x", version())), "a parameter has to be of letters"),
    "a long name": (lambda store: store.create(NewSecret("x" * 1_012, version())), "has 1,012 characters"),
    "a deep name": (lambda store: store.create(NewSecret("/x" * 16, version())), "has 16 levels; 15 are allowed"),
    "AWS's own name": (lambda store: store.create(NewSecret("/aws/x", version())), "begins with aws or ssm"),
    "no secret": (lambda store: store.create("x"), "secret must be a NewSecret"),  # type: ignore[arg-type]
    "no version": (lambda store: store.put("/app/db", "x"), "version must be a NewVersion"),  # type: ignore[arg-type]
    "no move": (lambda store: store.move_stage("/app/db", "x"), "move must be a StageMove"),  # type: ignore[arg-type]
    "no tags": (lambda store: store.tag("/app/db", []), "tags must map names to values"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_refused_before_the_call(
    name: str, service: ScriptedService, store: ParameterStore
) -> None:
    call, text = WRONG[name]
    with pytest.raises(InvalidArgument, match=text) as caught:
        call(store)
    assert service.asked == []
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kms_key_id": ""}, "kms_key_id has 0 characters; 1 to 2,048 are allowed"),
        ({"secure": "no"}, "secure must be True or False, not str"),
        ({"advanced": 1}, "advanced must be True or False, not int"),
        ({"aws": 1}, "aws must be an Aws, not int"),
    ],
)
def test_options_are_checked_where_they_are_given(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        ParameterStore(**options)


REFUSALS: list[tuple[str, type[EnvelopeError], str]] = [
    ("ParameterNotFound", SecretNotFound, "there is no such parameter"),
    ("ParameterVersionNotFound", SecretNotFound, "no such version or label"),
    ("InvalidResourceId", SecretNotFound, "there is no such parameter"),
    ("ParameterAlreadyExists", SecretConflict, "the name is in use already"),
    ("HierarchyTypeMismatchException", SecretConflict, "the parameter is of another type"),
    ("InvalidKeyId", SecretKeyUnavailable, "the KMS key of the parameter cannot be used"),
    ("ParameterLimitExceeded", SecretRefused, "as many parameters as it may"),
    ("ParameterMaxVersionLimitExceeded", SecretRefused, "the oldest of 100 versions has a label"),
    ("ParameterVersionLabelLimitExceeded", SecretRefused, "a version has 10 labels at most"),
    ("HierarchyLevelLimitExceededException", SecretRefused, "a name has 15 levels at most"),
    ("PoliciesLimitExceededException", SecretRefused, "too many policies"),
    ("TooManyTagsError", SecretRefused, "too many tags"),
    ("ParameterPatternMismatchException", SecretRefused, "does not match the parameter's own pattern"),
    ("ValidationException", InvalidArgument, "does not take the arguments"),
    ("UnsupportedParameterType", InvalidArgument, "does not take the arguments"),
    ("AccessDeniedException", AwsAccessDenied, "access denied"),
    ("ThrottlingException", AwsUnavailable, "throttled"),
    ("TooManyUpdates", AwsUnavailable, "somebody else changes it at this moment"),
    ("InternalServerError", AwsUnavailable, "an error inside the service"),
    ("InvalidNextToken", AwsError, "the list changed"),
]


@pytest.mark.parametrize(("code", "kind", "what"), REFUSALS)
def test_a_refusal_becomes_an_error(
    code: str, kind: type[EnvelopeError], what: str, service: ScriptedService, store: ParameterStore
) -> None:
    service.on("GetParameter", Refused(code, "Value 'hunter2' at 'value' failed to satisfy constraint"))
    with pytest.raises(kind, match=what) as caught:
        store.read("/app/db")
    assert type(caught.value) is kind
    assert str(caught.value).startswith("ssm:GetParameter on /app/db failed: ")
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__} {caught.value.__context__}"
    assert caught.value.hint


def test_it_is_a_store_with_trees_and_nothing_more(store: ParameterStore) -> None:
    for protocol in (SecretStore, HasTrees):
        assert isinstance(store, protocol)
        for name, method in inspect.getmembers(protocol, inspect.isfunction):
            if not name.startswith("_"):
                wanted = inspect.signature(method)
                assert inspect.signature(getattr(ParameterStore, name)).parameters == wanted.parameters, name
    assert not any(isinstance(store, protocol) for protocol in (Rotates, HasPolicies, Replicates))


def test_its_repr_says_where_it_reads() -> None:
    assert repr(ParameterStore()) == "ParameterStore()"
    assert repr(ParameterStore(region="eu-west-1", kms_key_id="alias/app")) == "ParameterStore(region='eu-west-1')"
