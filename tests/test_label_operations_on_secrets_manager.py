"""The same operations through boto3 on a strict Secrets Manager: its own refusals, lost replies and old reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from envelope.errors import AwsAccessDenied, AwsUnavailable, InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.errors import SecretConflict, SecretNotFound, SecretRefused
from envelope_secrets.policies import PolicyControl
from envelope_secrets.rotation_control import RotationControl
from envelope_secrets.stage_operations import RepairAction, StageOperations
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, Finding
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.testing import FaultySecretsManager
from envelope_secrets.writing import create, new_secret, new_version, put, put_if_current

C, P, V = AWSCURRENT, AWSPENDING, AWSPREVIOUS
V1, V2, V3, V4 = (str(number) * 32 for number in range(1, 5))
ID = "prod/db"
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:rotate"
MOVE = "UpdateSecretVersionStage"
READER = "arn:aws:iam::444455556666:role/reader"


class Service:
    """A secret that was changed once, and a third value that waits: V1 is previous, V2 current, V3 pending."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.fake = FaultySecretsManager(clock=self.clock)
        self.store = SecretsManagerStore(self.fake.aws("eu-west-1"))
        self.operations = StageOperations(self.store, pause=self.clock.advance)
        create(self.store, new_secret(ID, "one", token=V1))
        self.put("two", V2, C)
        self.put("three", V3, P)
        self.fake.clear_calls()

    def put(self, value: str, token: str, stage: str) -> None:
        self.clock.advance(60)
        put(self.store, ID, new_version(value, token=token, stages=[stage]))

    def stages(self) -> dict[str, list[str]]:
        versions = self.store.versions(ID, include_deprecated=True)
        return {
            version.version_id: list(version.stages) for version in sorted(versions, key=lambda one: one.version_id)
        }


@pytest.fixture
def service() -> Service:
    return Service()


def test_labels_move_as_the_service_moves_them(service: Service) -> None:
    service.operations.promote(ID, V3)
    assert service.stages() == {V1: [], V2: [V], V3: [C, P]}
    service.operations.rollback(ID)
    assert service.stages() == {V1: [], V2: [C], V3: [P, V]}
    service.operations.drop_pending(ID)
    service.operations.promote(ID, V1)
    assert service.stages() == {V1: [C], V2: [V], V3: []}
    assert service.store.read(ID).text == "one"


def test_l01_an_unknown_version_is_not_found(service: Service) -> None:
    with pytest.raises(SecretNotFound):
        service.operations.promote(ID, V4)
    with pytest.raises(SecretNotFound):
        service.operations.promote("prod/other", V1)
    assert service.stages() == {V1: [V], V2: [C], V3: [P]}


def test_l03_a_version_that_a_rotation_has_announced_is_not_promoted(service: Service) -> None:
    service.fake.register_function(FUNCTION, lambda event, context: None)
    service.operations.drop_pending(ID)
    started = RotationControl(service.store).configure(ID, FUNCTION, immediately=True)
    with pytest.raises(SecretNotFound, match="has no value yet"):
        service.operations.promote(ID, started.version_id)
    repair = service.operations.repair(ID)
    assert repair.findings == (Finding.EMPTY_PENDING, Finding.ORPHANED_PENDING)
    assert repair.actions == (RepairAction.DROP_PENDING, RepairAction.PROMOTE_NEWEST)
    service.operations.repair(ID, action="drop-pending")
    assert RotationControl(service.store).status(ID).pending_version is None


MOVES: list[Callable[[StageOperations], Any]] = [
    lambda operations: operations.promote(ID, V3),
    lambda operations: operations.rollback(ID),
    lambda operations: operations.drop_pending(ID),
    lambda operations: operations.move(ID, "blue", to=V1, from_=None),
    lambda operations: operations.repair(ID, action="promote-pending"),
]


@pytest.mark.parametrize("move", MOVES)
def test_l10_a_lost_reply_is_settled_by_a_look(move: Callable[[StageOperations], Any]) -> None:
    plain, lossy = Service(), Service()
    move(plain.operations)
    lossy.fake.lose_replies(MOVE)
    move(lossy.operations)
    assert lossy.stages() == plain.stages()
    assert lossy.fake.count(MOVE) == 1


@pytest.mark.parametrize("move", MOVES)
def test_l10_a_lost_reply_whose_call_botocore_repeats_is_settled_too(
    move: Callable[[StageOperations], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    plain, lossy = Service(), Service()
    move(plain.operations)
    twice = SecretsManagerStore(lossy.fake.aws("eu-west-1", max_attempts=2))
    lossy.fake.lose_replies(MOVE)
    move(StageOperations(twice, pause=lossy.clock.advance))
    assert lossy.stages() == plain.stages()
    assert lossy.fake.count(MOVE) == 2


@pytest.mark.parametrize("move", MOVES)
def test_l10_a_look_that_is_too_old_is_waited_for(move: Callable[[StageOperations], Any]) -> None:
    plain, slow = Service(), Service()
    move(plain.operations)
    slow.fake.delay_reads(ID, seconds=0.5)
    slow.fake.lose_replies(MOVE)
    move(slow.operations)
    slow.clock.advance(1)
    assert slow.stages() == plain.stages()


def test_l06_a_value_that_somebody_put_meanwhile_is_not_demoted(service: Service) -> None:
    service.fake.delay_reads(ID, seconds=0.1)  # the promotion is planned from what was before
    service.put("the operator's", V4, C)
    with pytest.raises(SecretConflict, match=f"AWSCURRENT is on version {V4}, not on version {V2}"):
        service.operations.promote(ID, V3)
    assert service.stages() == {V1: [], V2: [V], V3: [P], V4: [C]}


def test_l08_a_stuck_rotation_is_repaired_and_the_next_one_starts(service: Service) -> None:
    service.fake.register_function(FUNCTION, lambda event, context: None)
    rotation = RotationControl(service.store)
    with pytest.raises(SecretConflict):
        rotation.configure(ID, FUNCTION, immediately=True)
    assert service.operations.repair(ID).findings == (Finding.STUCK_PENDING,)
    service.operations.repair(ID, action="promote-pending")
    assert rotation.status(ID).findings == ()
    rotation.configure(ID, FUNCTION, immediately=True)
    assert rotation.status(ID).enabled is True


def test_l10_a_started_rotation_whose_reply_is_lost_is_a_success(service: Service) -> None:
    service.fake.register_function(FUNCTION, lambda event, context: None)
    service.operations.drop_pending(ID)
    service.fake.lose_replies("RotateSecret")
    started = RotationControl(service.store).configure(ID, FUNCTION, immediately=True, token=V4)
    assert (started.version_id, started.stages) == (V4, (P,))
    assert service.fake.count("RotateSecret") == 1


def test_l11_the_twenty_first_label_is_refused_once(service: Service) -> None:
    for number in range(17):
        service.operations.move(ID, f"label{number}", to=V1, from_=None)
    service.fake.clear_calls()
    with pytest.raises(SecretRefused):
        service.operations.move(ID, "one too many", to=V1, from_=None)
    with pytest.raises(SecretRefused):
        put_if_current(service.store, ID, new_version("x", token=V4), V2)
    assert (service.fake.count(MOVE), service.fake.count("PutSecretValue")) == (1, 1)


def test_a_denied_move_names_the_action(service: Service) -> None:
    service.fake.deny(MOVE)
    with pytest.raises(AwsAccessDenied) as caught:
        service.operations.promote(ID, V3)
    assert "UpdateSecretVersionStage" in f"{caught.value} {caught.value.hint}"
    assert service.fake.count(MOVE) == 1


def test_a_value_is_swapped_in_for_the_one_that_was_seen(service: Service) -> None:
    seen = service.store.read(ID)
    put_if_current(service.store, ID, new_version({"a": 1}, token=V4), seen.version_id)
    assert service.stages() == {V1: [], V2: [V], V3: [P], V4: [C]}
    with pytest.raises(SecretConflict):
        put_if_current(service.store, ID, new_version({"a": 2}), seen.version_id)
    assert service.store.read(ID).json["a"] == 1
    assert sum(bool(stages) for stages in service.stages().values()) == 3


def test_nothing_is_stored_for_what_cannot_be_a_version(service: Service) -> None:
    with pytest.raises(InvalidArgument, match="version_id must have 32 to 64 characters"):
        put_if_current(service.store, ID, new_version("x", token=V4), "x")
    assert service.fake.count("PutSecretValue") == 0


@pytest.mark.parametrize("operation", ["PutSecretValue", MOVE])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_swap_with_lost_replies_is_finished_by_the_same_call(service: Service, operation: str, lost: int) -> None:
    service.fake.lose_replies(operation, times=lost)
    version = new_version("four", token=V4)
    for _ in range(lost + 1):
        try:
            put_if_current(service.store, ID, version, V2, pause=service.clock.advance)
            break
        except AwsUnavailable:
            continue
    assert service.stages() == {V1: [], V2: [V], V3: [P], V4: [C]}


def test_readers_of_another_account_are_allowed_and_revoked(service: Service) -> None:
    policies = PolicyControl(service.store)
    with pytest.raises(SecretRefused, match="no other account can use that"):
        policies.allow_read(ID, [READER])
    service.store.update(ID, kms_key_id="arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")
    access = policies.allow_read(ID, [READER])
    assert json.loads(policies.get(ID) or "") == json.loads(access.policy)
    other = SecretsManagerStore(service.fake.aws("eu-west-1", principal=READER))
    assert other.read(service.store.describe(ID).arn).text == "two"
    assert policies.revoke_read(ID) is None
    assert policies.get(ID) is None
    with pytest.raises(AwsAccessDenied):
        other.read(service.store.describe(ID).arn)


def test_a_policy_for_everybody_is_refused_by_the_service(service: Service) -> None:
    everybody = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"},
    }
    policies = PolicyControl(service.store)
    assert policies.validate(everybody)
    with pytest.raises(SecretRefused):
        policies.put(ID, everybody)
    assert policies.get(ID) is None
