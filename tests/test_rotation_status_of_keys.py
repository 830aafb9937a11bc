"""Where the rotation of a key stands: as far as its issuer tells, with as few questions as possible."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from envelope import Aws
from envelope.testing import FakeClock
from envelope_secrets.rotation.api_key import ApiKey
from envelope_secrets.rotation.diagnosis import RotationAction, RotationDiagnosis, Verdict
from envelope_secrets.rotation.iam_access_key import IamAccessKey
from envelope_secrets.rotation.in_process import StepProgress, rotate
from envelope_secrets.rotation.repairing import repair_rotation
from envelope_secrets.rotation.rotator import Rotator
from envelope_secrets.rotation.status import rotation_status
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.testing import Stopped
from envelope_secrets.writing import new_secret
from tests.iam_for_tests import USER, FakeIam, serving
from tests.key_issuer_for_tests import HttpIssuer, KeyIssuer, issuing
from tests.local_secrets_for_tests import local_store

NAME = "prod/key"
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> LocalSecretStore:
    return local_store(tmp_path / "secrets.db")


@pytest.fixture(name="issuer")
def _issuer() -> Iterator[tuple[KeyIssuer, ApiKey]]:
    issuer = KeyIssuer()
    with issuing(issuer) as port:
        yield issuer, ApiKey(HttpIssuer(port))


@pytest.fixture(name="iam")
def _iam() -> Iterator[tuple[FakeIam, Aws]]:
    fake = FakeIam()
    with serving(fake) as aws:
        yield fake, aws


def stopped_after(store: LocalSecretStore, target: Rotator, step: str) -> None:
    """A rotation of which no more than this step was done."""

    def stop(progress: StepProgress) -> None:
        if progress.action is not None and progress.step.value == step:
            raise Stopped

    with pytest.raises(Stopped):
        rotate(store, NAME, target, progress=stop)


def status(store: LocalSecretStore, target: Rotator, clock: FakeClock | None = None) -> RotationDiagnosis:
    clock = clock or FakeClock()
    return rotation_status(store, NAME, target, min_age_s=0, clock=clock, sleep=clock.advance)


def told(diagnosis: RotationDiagnosis) -> dict[str, str]:
    return {answer.source.name: answer.answer.name for answer in diagnosis.answers}


@pytest.mark.parametrize("step", STEPS[:3])
def test_after_each_step_both_keys_work_and_the_rotation_is_finished(
    store: LocalSecretStore, issuer: tuple[KeyIssuer, ApiKey], step: str
) -> None:
    keys, target = issuer
    made = keys.make("made by hand")[1]
    store.create(new_secret(NAME, {"key_id": made["id"], "secret": made["secret"]}))
    stopped_after(store, target, step)
    found = status(store, target)
    assert (told(found), found.verdict) == ({"PENDING": "ACCEPTED", "CURRENT": "ACCEPTED"}, Verdict.HALF_WAY)
    assert repair_rotation(store, found, target).result is not None
    assert status(store, target).is_well
    assert told(status(store, target)) == {"CURRENT": "ACCEPTED", "PREVIOUS": "ACCEPTED"}


def test_a_pending_key_that_somebody_has_deleted_is_waited_for_and_then_dropped(
    store: LocalSecretStore, issuer: tuple[KeyIssuer, ApiKey]
) -> None:
    keys, target = issuer
    made = keys.make("made by hand")[1]
    store.create(new_secret(NAME, {"key_id": made["id"], "secret": made["secret"]}))
    stopped_after(store, target, "createSecret")
    keys.keys.pop(store.read(NAME, stage="AWSPENDING").json["key_id"])
    clock = FakeClock()
    began = clock()
    found = status(store, target, clock)
    assert clock() - began == 10, "it might be new"
    assert found.proposed is RotationAction.DROP_PENDING
    repair_rotation(store, found, target)
    began = clock()
    assert status(store, target, clock).is_well
    assert clock() == began


def test_where_no_key_works_any_more_the_issuer_makes_one(
    store: LocalSecretStore, issuer: tuple[KeyIssuer, ApiKey]
) -> None:
    keys, target = issuer
    store.create(new_secret(NAME, {"key_id": "gone", "secret": "x"}))
    found = status(store, target)
    assert (found.verdict, found.proposed) == (Verdict.RECOVERABLE, RotationAction.ROTATE)
    repair_rotation(store, found, target)
    assert status(store, target).is_well
    assert len(keys.keys) == 1


def test_an_access_key_is_asked_about_with_itself(store: LocalSecretStore, iam: tuple[FakeIam, Aws]) -> None:
    fake, aws = iam
    target = IamAccessKey(USER, aws=aws)
    key_id = fake.make()
    store.create(new_secret(NAME, {"AccessKeyId": key_id, "SecretAccessKey": fake.keys[key_id]}))
    assert told(status(store, target)) == {"CURRENT": "ACCEPTED"}
    stopped_after(store, target, "setSecret")
    found = status(store, target)
    assert (found.verdict, found.proposed) == (Verdict.HALF_WAY, RotationAction.ROTATE)
    del fake.keys[key_id]
    found = status(store, target)
    assert (found.verdict, found.proposed) == (Verdict.IN_FORCE, RotationAction.PROMOTE_PENDING)
    assert json.dumps([answer.detail for answer in found.answers]).count("AWS does not know the access key") == 1
    repair_rotation(store, found, target)
    assert status(store, target).answers[0].works
