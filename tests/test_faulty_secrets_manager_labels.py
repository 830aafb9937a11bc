"""The labels of the fake Secrets Manager over boto3: the transitions seen in the service, row by row, and the moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from envelope_secrets.testing import FaultySecretsManager
from tests.fake_secrets_for_tests import (
    FUNCTION,
    NAME,
    PENDING,
    UNKNOWN,
    V1,
    V2,
    V3,
    created,
    labels,
    move,
    put,
    refused,
    token,
)


@pytest.fixture(name="fake")
def _fake() -> FaultySecretsManager:
    fake = FaultySecretsManager()
    fake.register_function(FUNCTION, lambda event, context: None)
    return fake


def current_and_pending(client: Any) -> None:
    """Give v1:V v2:C,P."""
    put(client, 2, "P")
    move(client, "C", from_=1, to=2)


def two(client: Any) -> None:
    """Give v1:V v2:C."""
    put(client, 2)


def rotate(client: Any, number: int, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.rotate_secret(
        SecretId=NAME, ClientRequestToken=token(number), RotationLambdaARN=FUNCTION, **options
    )
    return answer


def nothing(client: Any) -> None:
    """Leave v1:C."""


def labelled(client: Any) -> None:
    put(client, 2, "one", "two", "three")


def old_pending(client: Any) -> None:
    two(client)
    put(client, 3, "P")


Change = Callable[[Any], Any]

TRANSITIONS = [
    (nothing, "v1:C", nothing, "v1:C"),
    (nothing, "v1:C", lambda c: put(c, 2), "v1:V v2:C"),
    (nothing, "v1:C", lambda c: put(c, 2, "P"), "v1:C v2:P"),
    (two, "v1:V v2:C", lambda c: put(c, 3, "P"), "v1:V v2:C v3:P"),
    (lambda c: put(c, 2, "P"), "v1:C v2:P", lambda c: move(c, "C", from_=1, to=2), "v1:V v2:C,P"),
    (current_and_pending, "v1:V v2:C,P", lambda c: put(c, 3, "P"), "v1:V v2:C v3:P"),
    (current_and_pending, "v1:V v2:C,P", lambda c: put(c, 3), "v1:- v2:V v3:C"),
    (old_pending, "v1:V v2:C v3:P", lambda c: move(c, "C", from_=2, to=3), "v1:- v2:V v3:C,P"),
    (lambda c: put(c, 2, "P"), "v1:C v2:P", lambda c: move(c, "P", from_=2), "v1:C v2:-"),
    (labelled, "v1:C v2:one,three,two", lambda c: put(c, 3, "one", "two", "four"), "v1:C v2:three v3:four,one,two"),
    (nothing, "v1:C", lambda c: rotate(c, 2), "v1:C v2:P?"),
]


@pytest.mark.parametrize(
    ("prepare", "before", "change", "after"), TRANSITIONS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_call_changes_the_labels_as_the_service_was_seen_to_do(
    fake: FaultySecretsManager, prepare: Change, before: str, change: Change, after: str
) -> None:
    client = created(fake)
    prepare(client)
    assert labels(client) == before
    change(client)
    assert labels(client) == after


def test_the_first_version_is_current_whatever_is_asked_for(fake: FaultySecretsManager) -> None:
    client = created(fake, value=None)
    assert labels(client) == ""
    assert put(client, 1, "P")["VersionStages"] == ["AWSCURRENT", "AWSPENDING"]
    assert labels(client) == "v1:C,P"


def test_a_custom_label_stays_on_the_version_that_loses_awscurrent(fake: FaultySecretsManager) -> None:
    client = created(fake)
    put(client, 2, "C", "green")
    move(client, "C", from_=2, to=1)
    assert labels(client) == "v1:C v2:V,green"
    put(client, 3)
    assert labels(client) == "v1:V v2:green v3:C"


def test_a_rollback_swaps_current_and_previous(fake: FaultySecretsManager) -> None:
    client = created(fake)
    put(client, 2)
    move(client, "C", from_=2, to=1)
    assert labels(client) == "v1:C v2:V"
    assert client.get_secret_value(SecretId=NAME)["SecretString"] == "one"


def test_a_move_must_name_the_version_that_the_label_leaves(fake: FaultySecretsManager) -> None:
    client = created(fake)
    put(client, 2, "P")
    text = (
        f"The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version "
        f"{V1}, so you must explicitly reference that version in RemoveFromVersionId."
    )
    with refused("InvalidParameterException", text):
        move(client, "C", to=2)
    with refused("InvalidParameterException", V1):
        move(client, "C", from_=2, to=2)
    with refused("InvalidParameterException", "on no version"):
        move(client, "green", from_=1, to=2)
    assert labels(client) == "v1:C v2:P"


def test_a_custom_label_needs_the_version_it_leaves_too(fake: FaultySecretsManager) -> None:
    client = created(fake)
    put(client, 2, "green")
    with refused("InvalidParameterException", "green is currently attached"):
        move(client, "green", to=1)
    move(client, "blue", to=1)
    move(client, "blue", to=1)
    move(client, "green", from_=2, to=1)
    assert labels(client) == "v1:C,blue,green v2:-"


def test_awscurrent_cannot_be_taken_away(fake: FaultySecretsManager) -> None:
    client = created(fake)
    with refused("InvalidParameterException", "can't be completely removed"):
        move(client, "C", from_=1)


def test_a_move_from_nowhere_to_nowhere_is_refused(fake: FaultySecretsManager) -> None:
    client = created(fake)
    with refused("InvalidParameterException", "must be given"):
        move(client, "green")


def test_a_label_cannot_move_to_a_version_that_is_not_there_or_has_no_value(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotate(client, 2)
    for number in (2, 99):
        with refused("ResourceNotFoundException", token(number)):
            move(client, "C", from_=1, to=number)


def test_the_first_value_of_a_secret_can_come_from_a_rotation(fake: FaultySecretsManager) -> None:
    client = created(fake, value=None)
    rotate(client, 1)
    assert labels(client) == "v1:P?"
    put(client, 1, "P")
    assert labels(client) == "v1:P"
    with refused("ResourceNotFoundException", "staging label: AWSCURRENT"):
        client.get_secret_value(SecretId=NAME)
    move(client, "C", to=1)
    assert labels(client) == "v1:C,P"


def test_an_announced_version_cannot_be_read_in_any_way(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotate(client, 2)
    for selector in ({"VersionId": V2}, {"VersionStage": PENDING}, {"VersionId": V2, "VersionStage": PENDING}):
        with refused("ResourceNotFoundException", "can't find the specified secret value for"):
            client.get_secret_value(SecretId=NAME, **selector)


def test_an_announced_version_that_loses_its_label_is_gone(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotate(client, 2)
    move(client, "P", from_=2)
    assert labels(client) == "v1:C"
    put(client, 2, "P")
    assert labels(client) == "v1:C v2:P"


def test_putting_the_value_of_an_announced_version_by_default_makes_it_current(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotate(client, 2)
    put(client, 2)
    assert labels(client) == "v1:V v2:C,P"


def test_a_deprecated_version_is_hidden_and_readable_by_its_id(fake: FaultySecretsManager) -> None:
    client = created(fake)
    put(client, 2)
    put(client, 3)
    listed = client.list_secret_version_ids(SecretId=NAME)["Versions"]
    assert [version["VersionId"] for version in listed] == [V3, V2]
    deprecated = client.list_secret_version_ids(SecretId=NAME, IncludeDeprecated=True)["Versions"][-1]
    assert deprecated["VersionId"] == V1
    assert "VersionStages" not in deprecated
    assert V1 not in client.describe_secret(SecretId=NAME)["VersionIdsToStages"]
    told = client.get_secret_value(SecretId=NAME, VersionId=V1)
    assert (told["SecretString"], "VersionStages" in told) == ("one", False)


def test_version_and_label_that_disagree_are_refused(fake: FaultySecretsManager) -> None:
    client = created(fake)
    put(client, 2)
    with refused("InvalidRequestException", "VersionStage that is not associated to the provided VersionId"):
        client.get_secret_value(SecretId=NAME, VersionId=V1, VersionStage="AWSCURRENT")
    told = client.get_secret_value(SecretId=NAME, VersionId=V1, VersionStage="AWSPREVIOUS")
    assert (told["VersionId"], told["VersionStages"]) == (V1, ["AWSPREVIOUS"])
    with refused("ResourceNotFoundException", f"VersionId: {UNKNOWN}"):
        client.get_secret_value(SecretId=NAME, VersionId=UNKNOWN)
    with refused("ResourceNotFoundException", "staging label: AWSPENDING"):
        client.get_secret_value(SecretId=NAME, VersionStage=PENDING)


def test_a_secret_has_twenty_labels_at_most(fake: FaultySecretsManager) -> None:
    client = created(fake)
    put(client, 2, *[f"label-{number}" for number in range(19)])
    with refused("LimitExceededException", "20"):
        put(client, 3, "one-more")
    with refused("LimitExceededException", "20"):
        move(client, "one-more", to=1)
    with refused("LimitExceededException", "20"):
        rotate(client, 3)
    assert "v3" not in labels(client)


def test_a_hundred_versions_are_kept_and_the_oldest_without_a_label_goes(fake: FaultySecretsManager) -> None:
    client = created(fake)
    for number in range(2, 101):
        put(client, number)
        fake.clock.advance(900)
    put(client, 101)
    listed = client.list_secret_version_ids(SecretId=NAME, IncludeDeprecated=True)["Versions"]
    assert len(listed) == 100
    with refused("ResourceNotFoundException"):
        client.get_secret_value(SecretId=NAME, VersionId=V1)
    assert client.get_secret_value(SecretId=NAME, VersionId=V2)["SecretString"] == "value-2"


def test_versions_of_the_last_day_are_kept_and_count_against_the_limit(fake: FaultySecretsManager) -> None:
    client = created(fake)
    for number in range(2, 101):
        put(client, number)
    with refused("LimitExceededException", "24 hours"):
        put(client, 101)
    with refused("LimitExceededException", "24 hours"):
        client.update_secret(SecretId=NAME, ClientRequestToken=token(101), SecretString="one more")
    fake.clock.advance(86_400)
    with refused("LimitExceededException", "24 hours"):
        put(client, 101)
    fake.clock.advance(1)
    put(client, 101)
    assert client.get_secret_value(SecretId=NAME)["SecretString"] == "value-101"
