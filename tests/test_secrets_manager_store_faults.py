"""`SecretsManagerStore` on the strict fake while things go wrong: lost replies, denials, keys, lag, replicas."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from envelope import AwsAccessDenied, AwsUnavailable
from envelope.testing import FakeClock, FakeKms
from envelope_secrets.errors import SecretConflict, SecretKeyUnavailable, SecretNotFound
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StageMove
from envelope_secrets.stores.protocol import NewSecret, NewVersion
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.testing import FaultySecretsManager, Stopped
from envelope_secrets.value import Secret

HOME, THERE = "eu-west-1", "us-east-1"
FUNCTION = f"arn:aws:lambda:{HOME}:111122223333:function:rotate"


def token() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def kms(clock: FakeClock) -> FakeKms:
    return FakeKms(clock=clock)


@pytest.fixture
def fake(clock: FakeClock, kms: FakeKms) -> FaultySecretsManager:
    return FaultySecretsManager(clock=clock, kms=kms)


@pytest.fixture
def store(fake: FaultySecretsManager) -> SecretsManagerStore:
    return store_of(fake)


def store_of(fake: FaultySecretsManager, *replicas: str, max_attempts: int = 1) -> SecretsManagerStore:
    clients = fake.client_for(max_attempts=max_attempts)
    return SecretsManagerStore(region=HOME, replica_regions=replicas, client_for_region=clients)


def created(store: SecretsManagerStore, value: str = "one", **options: Any) -> str:
    return store.create(NewSecret("prod/db", NewVersion(value, token()), **options)).version_id


# --- lost replies


def test_a_create_whose_reply_was_lost_is_repeated_by_botocore_and_done_once(fake: FaultySecretsManager) -> None:
    store = store_of(fake, max_attempts=2)
    fake.lose_replies("CreateSecret")
    version_id = created(store)
    assert store.read("prod/db").version_id == version_id
    assert fake.count("CreateSecret") == 2
    assert len(store.versions("prod/db")) == 1


def test_a_secret_without_a_value_has_no_token_to_be_known_by(fake: FaultySecretsManager) -> None:
    fake.lose_replies("CreateSecret")
    store = store_of(fake, max_attempts=2)
    with pytest.raises(SecretConflict, match="the name is in use already"):
        store.create(NewSecret("prod/db"))
    assert store.describe("prod/db").labels.by_version == {}


def test_a_put_whose_reply_was_lost_can_be_repeated_by_the_caller(
    fake: FaultySecretsManager, store: SecretsManagerStore
) -> None:
    created(store)
    version = NewVersion("two", token())
    fake.lose_replies("PutSecretValue")
    with pytest.raises(AwsUnavailable, match="no answer in time"):
        store.put("prod/db", version)
    assert store.put("prod/db", version).version_id == version.token
    assert [found.stages for found in store.versions("prod/db")] == [(AWSCURRENT,), (AWSPREVIOUS,)]


def test_a_move_whose_reply_was_lost_is_a_conflict_that_has_succeeded(fake: FaultySecretsManager) -> None:
    """The second attempt names a version that the label has left: the caller looks again."""
    store = store_of(fake, max_attempts=2)
    first = created(store)
    second = store.put("prod/db", NewVersion("two", token(), (AWSPENDING,))).version_id
    fake.lose_replies("UpdateSecretVersionStage")
    with pytest.raises(SecretConflict, match="the staging label is not where the call supposes it"):
        store.move_stage("prod/db", StageMove(AWSCURRENT, second, first))
    assert store.read("prod/db").version_id == second


def test_a_process_that_dies_in_a_call_is_not_an_error_of_ours(
    fake: FaultySecretsManager, store: SecretsManagerStore
) -> None:
    fake.stop_after(0)
    with pytest.raises(Stopped):
        store.read("prod/db")


# --- denials and keys


def test_a_denial_names_what_is_missing(fake: FaultySecretsManager, store: SecretsManagerStore) -> None:
    created(store)
    fake.deny("GetSecretValue")
    with pytest.raises(AwsAccessDenied, match="secretsmanager:GetSecretValue on prod/db failed") as caught:
        store.read("prod/db")
    assert "secretsmanager:GetSecretValue on prod/db" in caught.value.hint


def test_a_caller_without_the_permission_for_batches_reads_one_by_one(
    fake: FaultySecretsManager, store: SecretsManagerStore
) -> None:
    created(store)
    fake.fail_next("BatchGetSecretValue", code="AccessDeniedException")
    outcomes = store.read_many(["prod/db", "none"])
    assert isinstance(outcomes["prod/db"], Secret)
    assert isinstance(outcomes["none"], SecretNotFound)
    assert (fake.count("BatchGetSecretValue"), fake.count("GetSecretValue")) == (1, 2)


def test_one_denied_secret_does_not_spoil_a_batch(fake: FaultySecretsManager, store: SecretsManagerStore) -> None:
    created(store)
    store.create(NewSecret("closed", NewVersion("x", token())))
    fake.deny("GetSecretValue", secret="closed")
    outcomes = store.read_many(["prod/db", "closed"])
    assert isinstance(outcomes["prod/db"], Secret)
    assert isinstance(outcomes["closed"], AwsAccessDenied)


def test_a_disabled_key_makes_the_secret_unreadable_for_a_while(
    kms: FakeKms, fake: FaultySecretsManager, store: SecretsManagerStore
) -> None:
    key = kms.client(HOME).create_key()["KeyMetadata"]["Arn"]
    created(store, kms_key_id=key)
    assert store.describe("prod/db").kms_key_id == key
    kms.client(HOME).disable_key(KeyId=key)
    with pytest.raises(SecretKeyUnavailable) as caught:
        store.read("prod/db")
    assert caught.value.can_retry
    with pytest.raises(SecretKeyUnavailable):
        store.put("prod/db", NewVersion("two", token()))
    kms.client(HOME).enable_key(KeyId=key)
    assert store.read("prod/db").text == "one"


def test_a_key_that_the_caller_may_not_use_is_named(
    kms: FakeKms, fake: FaultySecretsManager, store: SecretsManagerStore
) -> None:
    key = kms.client(HOME).create_key()["KeyMetadata"]["Arn"]
    created(store, kms_key_id=key)
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "kms:*", "Resource": "*"}]}
    kms.put_identity_policy("arn:aws:iam::111122223333:role/application", nothing)
    with pytest.raises(AwsAccessDenied) as caught:
        store.read("prod/db")
    assert "kms:Decrypt" in caught.value.hint


# --- late, and elsewhere


def test_a_version_that_is_not_visible_yet_is_not_found(fake: FaultySecretsManager, store: SecretsManagerStore) -> None:
    created(store)
    fake.delay_reads("prod/db", reads=2)
    store.put("prod/db", NewVersion("two", token(), (AWSPENDING,)))
    for _ in range(2):
        with pytest.raises(SecretNotFound, match="no version with that id or staging label has a value"):
            store.read("prod/db", stage=AWSPENDING)
    assert store.read("prod/db", stage=AWSPENDING).text == "two"


def test_k18_a_replica_takes_over_as_soon_as_it_has_what_was_seen(clock: FakeClock, fake: FaultySecretsManager) -> None:
    store = store_of(fake, THERE)
    created(store)
    store.replicate("prod/db", {THERE: ""})
    clock.advance(60)
    fake.delay_replication(30)
    store.put("prod/db", NewVersion("two", token()))
    assert store.read("prod/db").text == "two"
    with fake.outage(HOME):
        with pytest.raises(AwsUnavailable) as caught:
            store.read("prod/db")
        assert "us-east-1: the replica lags" in caught.value.hint
        clock.advance(31)
        assert store.read("prod/db").text == "two"
    assert store.read("prod/db").arn.split(":")[3] == HOME


def test_an_announced_version_has_no_value(fake: FaultySecretsManager, store: SecretsManagerStore) -> None:
    created(store)
    fake.register_function(FUNCTION, lambda event, context: None)
    announced = store.rotate("prod/db", token=token(), lambda_arn=FUNCTION, schedule="rate(30 days)", window="2h")
    pending, current = store.versions("prod/db")
    assert (pending.version_id, pending.stages, pending.has_value) == (announced.version_id, (AWSPENDING,), False)
    assert (current.stages, current.has_value) == ((AWSCURRENT,), True)
    with pytest.raises(SecretNotFound):
        store.read("prod/db", stage=AWSPENDING)
    status = store.describe("prod/db").rotation
    assert (status.enabled, status.lambda_arn, status.schedule, status.window) == (
        True,
        FUNCTION,
        "rate(30 days)",
        "2h",
    )
    with pytest.raises(SecretConflict, match="a rotation of the secret is not complete"):
        store.rotate("prod/db", token=token())
    assert store.cancel_rotation("prod/db").version_id == announced.version_id
    assert store.describe("prod/db").rotation.enabled is False


def test_a_throttled_service_is_unavailable(fake: FaultySecretsManager, store: SecretsManagerStore) -> None:
    created(store)
    fake.throttle(calls_per_s=1, burst=1)
    store.read("prod/db")
    with pytest.raises(AwsUnavailable, match="throttled") as caught:
        store.read("prod/db")
    assert caught.value.can_retry
