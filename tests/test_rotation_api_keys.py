"""Keys that a REST API issues: two in turn, stopped at every call, with other people's keys beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from envelope.errors import AwsUnavailable, EnvelopeError, InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.errors import SecretKeyUnavailable
from envelope_secrets.rotation.api_key import ApiKey
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    OutOfTime,
    PrivilegeMissing,
    RotationRefused,
    TargetError,
    TargetUnreachable,
)
from envelope_secrets.rotation.handler import rotation_handler
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.two_keys import (
    Creation,
    HeldKeys,
    KeyNames,
    ListedKey,
    NewKey,
    plan_creation,
    stale_keys,
)
from envelope_secrets.stages import StageMove
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import NewSecret, NewVersion, SecretStore
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.testing import FaultySecretsManager
from envelope_secrets.value import Secret
from envelope_secrets.writing import new_secret
from tests.bad_ends import LEAKED, LOST, NO_LOGIN, problems_of_keys
from tests.crash_points import CrashPoints, rehearse
from tests.key_issuer_for_tests import HttpIssuer, KeyIssuer, issuing
from tests.local_secrets_for_tests import local_store
from tests.rotation_stops import (
    LOCAL,
    SAMPLES,
    STORES,
    Stops,
    repeated,
    stopping,
    stopping_store,
    store_of,
    store_problems,
)
from tests.thoroughness import POINTS, Recorder

NAME = "prod/api-key"
SERVICE_METHODS = ("create", "list", "delete", "check")
T1, T2, T3, T4 = (f"{number:032d}" for number in (1, 2, 3, 4))
EACH = {LOCAL: 2}
"""How many points a kind of store takes the next of; all, if it is not here."""


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[KeyIssuer, int]]:
    issuer = KeyIssuer()
    with issuing(issuer) as port:
        yield issuer, port


@pytest.fixture
def issuer(server: tuple[KeyIssuer, int]) -> KeyIssuer:
    KeyIssuer.__init__(server[0])
    return server[0]


@pytest.fixture
def service(server: tuple[KeyIssuer, int], issuer: KeyIssuer) -> HttpIssuer:
    return HttpIssuer(server[1])


@pytest.fixture
def store(tmp_path: Path) -> LocalSecretStore:
    return local_store(tmp_path / "secrets.db")


def first_value(issuer: KeyIssuer, **others: Any) -> dict[str, Any]:
    """That of a key which somebody made by hand."""
    made = issuer.make("made by hand")[1]
    return {"key_id": made["id"], "secret": made["secret"], **others}


def with_secret(store: SecretStore, value: dict[str, Any], name: str = NAME) -> None:
    store.create(new_secret(name, value, token=T1))


def rotation_of(
    store: SecretStore, token: str = T2, *, left_s: float = 60.0, clock: FakeClock | None = None
) -> Rotation:
    """What a rotator sees of a rotation; time moves by its pauses alone."""
    clock = FakeClock() if clock is None else clock
    deadline = Deadline(left_s, clock=clock.now, sleep=clock.advance)
    return Rotation(store.describe(NAME).arn, token, store, deadline, store.read(NAME))


def pending_of(value: dict[str, Any], token: str = T2) -> Secret:
    return Secret(json.dumps(value), name=NAME, arn="arn", version_id=token, stages=("AWSPENDING",))


def works(issuer: KeyIssuer, store: SecretStore, stage: str = "AWSCURRENT", name: str = NAME) -> bool:
    value = store.read(name, stage=stage).json
    return issuer.works(value["key_id"], value["secret"])


def id_of(store: SecretStore, stage: str = "AWSCURRENT", name: str = NAME) -> str:
    key_id: str = store.read(name, stage=stage).json["key_id"]
    return key_id


# --- a clean rotation -----------------------------------------------------------------------------------------------


def test_the_next_key_becomes_current_while_the_one_before_works(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer, url="https://api.example"))
    result = rotate(store, NAME, ApiKey(service), token=T2)
    assert result.version_id == T2
    assert store.read(NAME).json["url"] == "https://api.example", "other fields are carried over"
    assert works(issuer, store)
    assert works(issuer, store, "AWSPREVIOUS")
    assert len(issuer.keys) == 2


def test_a_key_is_removed_by_the_rotation_after_the_one_that_took_its_last_label(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    seen = []
    for _ in range(5):
        rotate(store, NAME, ApiKey(service))
        seen.append(len(issuer.keys))
        assert works(issuer, store)
        assert works(issuer, store, "AWSPREVIOUS")
    assert seen == [2, 3, 3, 3, 3]
    assert "K0001" not in issuer.keys, "one that was made by hand is known by the version that held it"


def test_the_first_value_of_a_secret_comes_from_a_rotation(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    store.create(NewSecret(NAME))
    rotate(store, NAME, ApiKey(service))
    assert works(issuer, store)


def test_the_field_of_the_id_has_another_name(issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore) -> None:
    store.create(NewSecret(NAME))
    rotation = Rotation(store.describe(NAME).arn, T1, store, Deadline(60.0), None)
    value = ApiKey(service, id_field="client_id").new_value(rotation)
    assert value == {"secret": "secret-part-1", "client_id": "K0001"}


def test_the_name_of_a_key_tells_the_secret_and_the_version(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    rotate(store, NAME, ApiKey(service, prefix="billing"), token=T2)
    name = issuer.keys[id_of(store)][0]
    assert name.startswith("billing-")
    assert name.endswith(f".{T2}.1")


def test_keys_of_others_are_not_touched(issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore) -> None:
    with_secret(store, first_value(issuer))
    issuer.keys["K-other"] = ("somebody's", "secret")
    issuer.keys["K-secret"] = (KeyNames.of("envelope", "arn:of:another:secret", T2).name(1), "secret")
    for _ in range(4):
        rotate(store, NAME, ApiKey(service))
    assert {"K-other", "K-secret"} <= issuer.keys.keys()


def test_a_key_that_a_version_with_a_label_of_the_users_own_holds_is_kept(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    store.move_stage(NAME, StageMove("PINNED", T1, None))
    for _ in range(4):
        rotate(store, NAME, ApiKey(service, most_keys=3))
    assert works(issuer, store, "PINNED")


# --- the limit of keys ----------------------------------------------------------------------------------------------


def test_where_two_keys_are_allowed_the_previous_one_makes_room(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    issuer.most_keys = 2
    with_secret(store, first_value(issuer))
    for _ in range(3):
        rotate(store, NAME, ApiKey(service, most_keys=2))
        assert works(issuer, store)
        assert works(issuer, store, "AWSPREVIOUS"), "until the next rotation begins"
        assert len(issuer.keys) == 2


def test_where_there_is_no_room_nothing_is_touched(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    issuer.make("somebody's")
    with pytest.raises(RotationRefused, match=r"there are 2 keys, and 2 are allowed: there is no room") as caught:
        rotate(store, NAME, ApiKey(service, most_keys=2))
    assert "remove a key that no version of this secret holds" in caught.value.hint
    assert (len(issuer.keys), issuer.deleted) == (2, 0)
    assert works(issuer, store)


NAMES = KeyNames.of("envelope", "arn", T2)
OLD = KeyNames.of("envelope", "arn", T1)
NOBODY: frozenset[str] = frozenset()


def held(labelled: str = "", previous: str = "", unlabelled: str = "") -> HeldKeys:
    return HeldKeys(frozenset(labelled.split()), frozenset(previous.split()), frozenset(unlabelled.split()))


CURRENT, PREVIOUS, BY_HAND = ListedKey("c", OLD.name(1)), ListedKey("p", "by hand"), ListedKey("h", "by hand")
TRIED_1, TRIED_2 = ListedKey("t1", NAMES.name(9)), ListedKey("t2", NAMES.name(10))


@pytest.mark.parametrize(
    ("keys", "most_keys", "removed", "attempt"),
    [
        ([CURRENT], None, (), 1),
        ([CURRENT, PREVIOUS], None, (), 1),
        ([CURRENT, PREVIOUS], 3, (), 1),
        ([CURRENT, PREVIOUS], 2, ("p",), 1),
        ([CURRENT, PREVIOUS, BY_HAND], 2, ("h", "p"), 1),
        ([CURRENT, PREVIOUS, BY_HAND], 3, ("h",), 1),
        ([CURRENT, TRIED_1], None, (), 10),
        ([CURRENT, TRIED_1], 2, ("t1",), 10),
        ([CURRENT, PREVIOUS, TRIED_1], 3, ("t1",), 10),
        ([CURRENT, PREVIOUS, TRIED_1], 2, ("t1", "p"), 10),
        ([CURRENT, TRIED_2, TRIED_1], None, ("t1",), 11),
        ([CURRENT, ListedKey("x", OLD.name(2))], None, ("x",), 1),
        ([CURRENT, ListedKey("x", f"{NAMES.name(1)}x"), ListedKey("y", f"{NAMES.stem}")], None, ("x",), 1),
    ],
)
def test_what_makes_room_in_which_order(
    keys: list[ListedKey], most_keys: int | None, removed: tuple[str, ...], attempt: int
) -> None:
    creation = plan_creation(keys, NAMES, held("c", "p", "h"), most_keys)
    assert (creation.remove, creation.name) == (removed, NAMES.name(attempt))


def test_a_key_of_this_very_rotation_that_a_version_holds_by_now_makes_no_room() -> None:
    stored = [CURRENT, TRIED_1]
    assert plan_creation(stored, NAMES, held("c t1"), 3) == Creation((), NAMES.name(1))
    with pytest.raises(RotationRefused, match="no room"):
        plan_creation(stored, NAMES, held("c t1"), 2)


def test_a_key_that_two_versions_hold_is_kept_for_the_one_with_a_label() -> None:
    assert stale_keys([CURRENT], NAMES, held("c", "c", "c")) == ()
    assert stale_keys([CURRENT], NAMES, held("", "", "c")) == ("c",)
    with pytest.raises(RotationRefused):
        plan_creation([CURRENT, BY_HAND], NAMES, held("c", "c"), 2)


# --- interrupted and repeated calls ---------------------------------------------------------------------------------


def problems_of_both_keys(issuer: KeyIssuer, store: SecretStore, name: str) -> list[str]:
    """What is wrong with the keys of the two versions with a label."""
    found = [] if works(issuer, store, name=name) else [NO_LOGIN]
    return found + ([] if works(issuer, store, "AWSPREVIOUS", name) else ["AWSPREVIOUS does not log in"])


def problems_of_all_keys(issuer: KeyIssuer, store: SecretStore, name: str, *, before: str) -> list[str]:
    """One more rotation after it, there are those two and the one that has just lost its label."""
    held = {id_of(store, name=name), id_of(store, "AWSPREVIOUS", name)}
    return problems_of_both_keys(issuer, store, name) + problems_of_keys(held, issuer.keys.keys(), spare={before})


def test_the_judge_sees_keys_that_do_not_work_or_that_leaked(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    rotate(store, NAME, ApiKey(service))
    assert problems_of_all_keys(issuer, store, NAME, before="") == []
    spare = issuer.make("lost its label")[1]["id"]
    assert problems_of_all_keys(issuer, store, NAME, before=spare) == []
    assert problems_of_all_keys(issuer, store, NAME, before="") == [LEAKED]
    del issuer.keys[spare], issuer.keys[id_of(store)]
    assert problems_of_all_keys(issuer, store, NAME, before="") == [NO_LOGIN, LOST]


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("most_keys", [None, 2])
def test_a_rotation_that_dies_at_any_call_leaves_a_working_key_and_no_leak(
    issuer: KeyIssuer, service: HttpIssuer, tmp_path: Path, kind: str, most_keys: int | None, record_property: Recorder
) -> None:
    store, stops, numbers = store_of(kind, tmp_path), Stops(), count(1)
    target = ApiKey(stopping(service, stops, SERVICE_METHODS), most_keys=most_keys)
    watched = stopping_store(store, stops)

    def run(points: CrashPoints) -> list[str]:
        KeyIssuer.__init__(issuer, most_keys)
        name, found = f"prod/{next(numbers)}", []
        with_secret(store, first_value(issuer), name)
        rotate(store, name, target, token=T2)

        def look() -> None:
            found.extend([] if works(issuer, store, name=name) else [NO_LOGIN])

        stops.points = points
        repeated(lambda: rotate(watched, name, target, token=T3), look)
        stops.points = CrashPoints()
        found.extend(problems_of_both_keys(issuer, store, name) + store_problems(store, name, values=3))
        before = id_of(store, "AWSPREVIOUS", name)
        rotate(store, name, target, token=T4)
        return found + problems_of_all_keys(issuer, store, name, before=before)

    outcome = rehearse(run, each=EACH.get(kind), sample=SAMPLES[kind])
    record_property(POINTS, f"API key, at most {most_keys}, {kind}: {outcome}")
    assert outcome.points >= 50
    assert not outcome.bad


def test_a_function_that_dies_at_any_call_is_repeated_with_the_same_token(
    issuer: KeyIssuer, service: HttpIssuer, record_property: Recorder
) -> None:
    most_keys = 2
    stops, numbers = Stops(), count(1)
    fake = FaultySecretsManager(requires_rotation_token=True)
    store = SecretsManagerStore(fake.aws())
    target = ApiKey(stopping(service, stops, SERVICE_METHODS), most_keys=most_keys)
    handler = rotation_handler(target, store=stopping_store(store, stops))

    def run(points: CrashPoints) -> list[str]:
        KeyIssuer.__init__(issuer, most_keys)
        name = f"prod/{next(numbers)}"
        with_secret(store, first_value(issuer), name)
        assert fake.rotate(name, handler, token=T2).succeeded
        stops.points = points
        ended = fake.rotate(name, handler, token=T3, attempts=4)
        stops.points = CrashPoints()
        found = [] if ended.succeeded and store.read(name).version_id == T3 else [f"failed: {ended.error}"]
        found += problems_of_both_keys(issuer, store, name) + store_problems(store, name, values=3)
        before = id_of(store, "AWSPREVIOUS", name)
        fake.rotate(name, handler, token=T4)
        return found + problems_of_all_keys(issuer, store, name, before=before)

    outcome = rehearse(run, sample=5)
    record_property(POINTS, f"API key, by a function: {outcome}")
    assert outcome.points >= 50
    assert not outcome.bad


def test_what_an_interrupted_call_has_made_is_removed_once_another_is_stored(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    target = ApiKey(service)
    target.new_value(rotation_of(store))  # its answer is lost
    value = target.new_value(rotation_of(store))
    assert sorted(issuer.keys) == ["K0001", "K0002", "K0003"]
    assert isinstance(value, dict)
    target.apply(rotation_of(store), pending_of(value))
    assert sorted(issuer.keys) == ["K0001", "K0003"]


def test_calls_that_are_interrupted_for_ever_leave_two_keys_at_most(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    for _ in range(10):
        ApiKey(service).new_value(rotation_of(store))
    assert sorted(issuer.keys) == ["K0001", "K0010", "K0011"]


def test_two_deliveries_at_once_end_with_one_key_that_works(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    target = ApiKey(service)
    first = target.new_value(rotation_of(store))
    target.new_value(rotation_of(store))  # the other delivery, which is too late to store its own
    assert isinstance(first, dict)
    pending = pending_of(first)
    target.apply(rotation_of(store), pending)
    target.verify(rotation_of(store), pending)
    assert sorted(issuer.keys) == ["K0001", first["key_id"]]


def test_the_keys_of_what_is_known_to_be_current_and_pending_stay_though_the_store_is_late(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    target = ApiKey(service)
    value = target.new_value(rotation_of(store))
    assert isinstance(value, dict)
    rotation = rotation_of(store)
    late = Rotation(rotation.secret_id, T2, store, rotation.deadline, pending_of(value, T3))
    target.retire(late, pending_of(value))
    assert value["key_id"] in issuer.keys


# --- values that cannot be read -------------------------------------------------------------------------------------


class Unreadable:
    """A store some of whose versions cannot be read."""

    def __init__(self, store: LocalSecretStore, errors: dict[str, EnvelopeError]) -> None:
        self.describe, self.versions = store.describe, store.versions
        self._read, self._errors = store.read, errors

    def read(self, secret_id: str, *, stage: str | None = "AWSCURRENT", version_id: str | None = None) -> Secret:
        if version_id in self._errors:
            raise self._errors[version_id]
        return self._read(secret_id, stage=stage, version_id=version_id)


def test_no_key_is_removed_while_a_version_with_a_label_cannot_be_read(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    rotate(store, NAME, ApiKey(service), token=T2)
    for error in (
        SecretKeyUnavailable("no key"),
        AwsUnavailable("no answer", operation="secretsmanager:GetSecretValue", code="Timeout"),
    ):
        rotation = rotation_of(store, T3)
        broken: Any = Unreadable(store, {T1: error})
        with pytest.raises(type(error)):
            ApiKey(service).new_value(Rotation(rotation.secret_id, T3, broken, rotation.deadline, rotation.current))
    assert issuer.deleted == 0


def test_an_old_version_that_cannot_be_read_is_passed_over(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    rotate(store, NAME, ApiKey(service), token=T2)
    rotate(store, NAME, ApiKey(service), token=T3)
    rotation = rotation_of(store, "4" * 32)
    broken: Any = Unreadable(store, {T1: SecretKeyUnavailable("no key")})
    ApiKey(service).new_value(Rotation(rotation.secret_id, rotation.token, broken, rotation.deadline, rotation.current))
    assert "K0001" in issuer.keys, "made by hand, so that nothing but that version tells whose it is"


@pytest.mark.parametrize("value", ["no JSON", b"binary", '{"key_id": 7}', '{"key_id": ""}', "{}"])
def test_a_current_value_that_names_no_key_is_said_in_the_log(
    issuer: KeyIssuer,
    service: HttpIssuer,
    store: LocalSecretStore,
    value: str | bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.create(NewSecret(NAME, NewVersion(value, T1)))
    rotate(store, NAME, ApiKey(service))
    assert works(issuer, store)
    assert f"version {T1} of" in caplog.text
    assert "has no field key_id: its key will never be removed" in caplog.text


def test_a_pending_value_that_this_rotation_has_not_made_is_refused_before_any_call(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    target = ApiKey(HttpIssuer(1))
    for step in (target.apply, target.verify):
        with pytest.raises(RotationRefused, match=f"the pending version {T2} has no field key_id"):
            step(rotation_of(store), pending_of({"secret": "canary"}))


# --- trying the key -------------------------------------------------------------------------------------------------


def test_a_key_that_the_service_does_not_know_yet_is_tried_again(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    value = first_value(issuer)
    with_secret(store, value)
    clock = FakeClock()
    before_s = clock.now()
    issuer.refusals = [401, 401, 401]
    ApiKey(service).verify(rotation_of(store, clock=clock), pending_of(value))
    assert clock.now() - before_s == 3


def test_a_key_that_stays_unknown_fails_the_step_with_advice(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    value = first_value(issuer)
    with_secret(store, value)
    issuer.refusals = [401] * 99
    with pytest.raises(LoginRefused) as caught:
        ApiKey(service, propagation_s=5).verify(rotation_of(store), pending_of(value))
    assert len(issuer.refusals) == 99 - 6
    assert caught.value.hint.startswith("if the service does not list K0001 any more, take AWSPENDING away")


@pytest.mark.parametrize(("status", "kind"), [(423, AccountLocked), (403, PrivilegeMissing), (500, TargetError)])
def test_whatever_is_no_unknown_key_is_not_tried_again(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore, status: int, kind: type[Exception]
) -> None:
    value = first_value(issuer)
    with_secret(store, value)
    issuer.refusals = [status] * 9
    with pytest.raises(kind):
        ApiKey(service).verify(rotation_of(store), pending_of(value))
    assert len(issuer.refusals) == 8


def test_a_test_of_the_configuration_changes_nothing(issuer: KeyIssuer, service: HttpIssuer) -> None:
    fake = FaultySecretsManager()
    store = SecretsManagerStore(fake.aws())
    with_secret(store, first_value(issuer))
    assert fake.rotate(NAME, rotation_handler(ApiKey(service), store=store), immediately=False).succeeded
    assert (issuer.made, issuer.deleted) == (1, 0)


# --- failures -------------------------------------------------------------------------------------------------------


def test_no_key_is_made_with_too_little_time_left(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    with pytest.raises(OutOfTime, match="making a key may take 5 s"):
        ApiKey(service).new_value(rotation_of(store, left_s=5.5))
    assert issuer.made == 1


def test_a_service_that_cannot_be_reached_says_so(store: LocalSecretStore, issuer: KeyIssuer) -> None:
    with_secret(store, first_value(issuer))
    with pytest.raises(TargetUnreachable):
        rotate(store, NAME, ApiKey(HttpIssuer(1)))


def test_an_administrator_without_the_right_says_so(
    server: tuple[KeyIssuer, int], issuer: KeyIssuer, store: LocalSecretStore
) -> None:
    with_secret(store, first_value(issuer))
    with pytest.raises(PrivilegeMissing):
        rotate(store, NAME, ApiKey(HttpIssuer(server[1], admin="nobody's")))


class Careless:
    """A service whose client raises what it likes, with keys in the text, and returns what it likes."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def create(self, rotation: Rotation, name: str) -> Any:
        return self._answer("create")

    def list(self, rotation: Rotation) -> Any:
        return self._answer("list")

    def delete(self, rotation: Rotation, key_id: str) -> None:
        self._answer("delete")

    def check(self, rotation: Rotation, fields: object) -> None:
        self._answer("check")

    def _answer(self, method: str) -> Any:
        answer = self.answers.get(method, [])
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"list": RuntimeError("canary")}, "listing the keys failed: RuntimeError"),
        ({"create": KeyError("canary")}, "making a key failed: KeyError"),
        ({"delete": OSError("canary")}, "deleting a key failed: OSError"),
    ],
)
def test_the_exceptions_of_a_client_are_named_and_not_quoted(
    answers: dict[str, Any], said: str, store: LocalSecretStore, issuer: KeyIssuer
) -> None:
    with_secret(store, first_value(issuer))
    left_over = ListedKey("x", KeyNames.of("envelope", store.describe(NAME).arn, T3).name(1))
    answers = {"list": [left_over] * ("delete" in answers), **answers}
    with pytest.raises(TargetError) as caught:
        ApiKey(Careless(**answers)).new_value(rotation_of(store))
    assert str(caught.value) == said
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"list": ["K1"]}, "list must return values of ListedKey, not str"),
        ({"create": "canary"}, "create must return a NewKey, not str"),
    ],
)
def test_what_a_service_returns_is_looked_at(
    answers: dict[str, Any], said: str, store: LocalSecretStore, issuer: KeyIssuer
) -> None:
    with_secret(store, first_value(issuer))
    with pytest.raises(InvalidArgument) as caught:
        ApiKey(Careless(**answers)).new_value(rotation_of(store))
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"service": object()}, "service must be an ApiKeyService, and has no create"),
        ({"id_field": ""}, "id_field must be the name of a field"),
        ({"id_field": 7}, "id_field must be the name of a field"),
        ({"prefix": "has space"}, "prefix must be 1 to 32 letters"),
        ({"prefix": None}, "prefix must be 1 to 32 letters"),
        ({"prefix": "x" * 33}, "prefix must be 1 to 32 letters"),
        ({"most_keys": 1}, "most_keys must be 2 to 10,000, not 1"),
        ({"propagation_s": 0}, "propagation_s must be more than 0"),
        ({"creation_s": "5"}, "creation_s must be a number of seconds, not str"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        ApiKey(**{"service": Careless(), **options})
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("", {}), "the id of a new key must be text that is not empty"),
        ((7, {}), "the id of a new key must be text that is not empty"),
        (("K", "canary"), "the fields of a new key must be a mapping, not str"),
    ],
)
def test_a_new_key_is_checked(arguments: Any, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        NewKey(*arguments)
    assert str(caught.value) == said


def test_no_repr_shows_a_key_or_how_to_reach_the_service() -> None:
    assert repr(NewKey("K1", {"secret": "canary"})) == "NewKey(key_id='K1')"
    assert "canary" not in repr(ApiKey(HttpIssuer(1, admin="canary")))
    assert "service" not in repr(ApiKey(HttpIssuer(1)))


def test_no_log_shows_a_key(
    issuer: KeyIssuer, service: HttpIssuer, store: LocalSecretStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with_secret(store, first_value(issuer))
    for _ in range(3):
        rotate(store, NAME, ApiKey(service))
    assert "is deleted" in caplog.text
    assert "secret-part" not in caplog.text
