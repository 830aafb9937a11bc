"""The client on the strict fake of AWS Secrets Manager: the scenarios that are about what the service does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from envelope import AwsAccessDenied, AwsUnavailable, EnvelopeError
from envelope.testing import FakeKms
from envelope_secrets import (
    CacheLimits,
    SecretConflict,
    SecretDeleted,
    SecretEvent,
    SecretKeyUnavailable,
    SecretNotFound,
    SecretsClient,
    SecretsManagerStore,
)
from envelope_secrets.testing import FaultySecretsManager

HOME, AWAY = "eu-west-1", "eu-west-2"


class Aws:
    """A fake of AWS with one secret, an operator's client, and an application's client whose time is the fake's."""

    def __init__(self, *, kms: FakeKms | None = None, replica_regions: tuple[str, ...] = ()) -> None:
        self.fake = FaultySecretsManager() if kms is None else FaultySecretsManager(kms=kms, clock=kms.clock)
        self.operator = self.fake.client()
        self.first = self.operator.create_secret(Name="db", SecretString="secret 1")
        self.background: list[Callable[[], None]] = []
        self.events: list[SecretEvent] = []
        self.store = SecretsManagerStore(self.fake.aws(), region=HOME, replica_regions=replica_regions)
        self.client = SecretsClient(
            self.store,
            clock=self.clock,
            random=lambda: 0.0,
            start_thread=self.background.append,
            on_event=self.events.append,
        )
        self.fake.clear_calls()

    def clock(self) -> float:
        return self.fake.clock()

    def put(self, value: str, *stages: str) -> str:
        return self.operator.put_secret_value(
            SecretId="db", SecretString=value, VersionStages=list(stages or ("AWSCURRENT",))
        )["VersionId"]

    def renew(self, after_s: float = 301) -> None:
        """Let some time pass, use the secret once, and let its renewal run."""
        self.fake.clock.advance(after_s)
        self.client.get("db")
        while self.background:
            self.background.pop(0)()


@pytest.fixture
def aws() -> Aws:
    return Aws()


def test_k01_a_cold_read_is_one_call_with_an_explicit_stage(aws: Aws) -> None:
    secret = aws.client.get("db")
    assert (secret.text, secret.arn, secret.version_id) == ("secret 1", aws.first["ARN"], aws.first["VersionId"])
    assert (aws.fake.count(), aws.fake.count("GetSecretValue")) == (1, 1)
    assert dict(aws.fake.calls[0].parameters) == {"SecretId": "db", "VersionStage": "AWSCURRENT"}


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServiceError", "ExpiredTokenException"])
def test_k03_throttling_faults_of_the_service_and_expired_credentials_are_outages(aws: Aws, code: str) -> None:
    aws.client.get("db")
    aws.fake.fail_next("GetSecretValue", code=code)
    aws.renew()
    assert aws.client.get("db").text == "secret 1"
    assert [event.kind for event in aws.events] == ["read", "outage"]


def test_k03_an_outage_of_the_whole_region_is_bridged_up_to_the_hard_age(aws: Aws) -> None:
    aws.client.get("db")
    with aws.fake.outage():
        for _ in range(40):
            aws.renew(350)
        aws.fake.clock.advance(14_400 - 40 * 350)
        with pytest.raises(AwsUnavailable):
            aws.client.get("db")
    aws.fake.clock.advance(2)
    assert aws.client.get("db").text == "secret 1"


def test_k03_a_disabled_key_is_an_outage() -> None:
    kms = FakeKms()
    key_id = kms.client().create_key()["KeyMetadata"]["KeyId"]
    aws = Aws(kms=kms)
    aws.operator.update_secret(SecretId="db", KmsKeyId=key_id, SecretString="secret 2")
    assert aws.client.get("db").text == "secret 2"
    kms.client().disable_key(KeyId=key_id)
    aws.renew()
    assert aws.client.get("db").text == "secret 2"
    with pytest.raises(SecretKeyUnavailable):
        aws.client.refresh("db")
    assert {event.kind for event in aws.events[1:]} == {"outage"}


def test_k04_a_denied_call_ends_the_life_of_a_value(aws: Aws) -> None:
    aws.client.get("db")
    aws.fake.deny("GetSecretValue")
    aws.renew()
    with pytest.raises(AwsAccessDenied):
        aws.client.get("db")


def test_k04_a_deleted_secret_is_noticed_and_a_restored_one_too(aws: Aws) -> None:
    aws.client.get("db")
    aws.operator.delete_secret(SecretId="db")
    aws.renew()
    with pytest.raises(SecretDeleted):
        aws.client.get("db")
    aws.client.restore("db")
    assert aws.client.get("db").text == "secret 1"


def test_k06_k09_the_label_is_followed_forth_and_back(aws: Aws) -> None:
    aws.client.get("db")
    second = aws.put("secret 2")
    aws.renew()
    assert aws.client.get("db").version_id == second
    aws.client.stages.rollback("db")
    assert aws.client.get("db").text == "secret 1"


def test_k07_k08_through_a_rotation_the_pending_version_and_then_the_promoted_one_are_found(aws: Aws) -> None:
    old = aws.client.get("db")
    pending = aws.put("secret 2", "AWSPENDING")
    assert aws.client.refresh("db", replacing=old).version_id == old.version_id
    assert aws.client.refresh("db", stage="AWSPENDING").version_id == pending
    aws.client.stages.promote("db", pending)
    assert aws.client.refresh("db", replacing=old).version_id == pending
    assert aws.client.get("db").stages[0] == "AWSCURRENT"


def test_k11_a_version_id_and_a_stage_that_disagree_are_a_conflict_and_nothing_is_kept(aws: Aws) -> None:
    aws.put("secret 2")
    with pytest.raises(SecretConflict):
        aws.client.get("db", version_id=aws.first["VersionId"], stage="AWSCURRENT")
    assert aws.client.stats().secrets == 0
    assert aws.client.get("db", version_id=aws.first["VersionId"]).stages == ("AWSPREVIOUS",)


def test_k12_bytes_and_the_longest_text_come_as_they_are(aws: Aws) -> None:
    aws.client.create("binary", bytes(range(256)))
    aws.client.create("long", "x" * 65_536)
    assert aws.client.get("binary").binary == bytes(range(256))
    assert len(aws.client.get("long").text) == 65_536


def test_k13_a_recreated_secret_has_another_arn_and_the_old_one_finds_nothing(aws: Aws) -> None:
    old = aws.client.get("db")
    assert aws.client.get(old.arn[:-7]).arn == aws.client.get(old.arn).arn == old.arn
    aws.client.delete("db", recovery_window_days=None)
    aws.client.create("db", "another")
    assert aws.client.get("db").text == "another"
    with pytest.raises(SecretNotFound):
        aws.client.get(old.arn)


def test_k17_names_arns_and_partial_arns_come_in_batches_with_an_error_for_each_that_fails(aws: Aws) -> None:
    arns = [aws.operator.create_secret(Name=f"s{n:02d}", SecretString="x" * 60_000)["ARN"] for n in range(42)]
    aws.fake.deny("GetSecretValue", secret="s05")
    aws.operator.delete_secret(SecretId="s06")
    ids = ["db", *arns[:20], *(arn[:-7] for arn in arns[20:40]), "s40", "none"]
    batch = aws.client.get_many(ids)
    assert {one: type(error) for one, error in batch.errors.items()} == {
        arns[5]: AwsAccessDenied,
        arns[6]: SecretDeleted,
        "none": SecretNotFound,
    }
    assert set(batch) | set(batch.errors) == set(ids)
    assert aws.fake.count("BatchGetSecretValue") == 3


def test_k18_an_outage_of_the_primary_region_is_bridged_by_a_replica_that_never_goes_back() -> None:
    aws = Aws(replica_regions=(AWAY,))
    aws.operator.replicate_secret_to_regions(SecretId="db", AddReplicaRegions=[{"Region": AWAY}])
    aws.fake.delay_replication(3_600)
    second = aws.put("secret 2")
    assert aws.client.get("db").version_id == second
    with aws.fake.outage(HOME):
        aws.renew()
        assert aws.client.get("db").version_id == second, "the replica has only heard of the first one"
        with pytest.raises(EnvelopeError):
            aws.client.refresh("db")
        aws.fake.clock.advance(3_600)
        assert aws.client.refresh("db").version_id == second
    assert aws.fake.count("GetSecretValue", region=AWAY) > 0


def test_k22_a_day_of_steady_use_costs_a_call_for_each_soft_age(aws: Aws) -> None:
    aws.client.get("db")
    for _ in range(24 * 60):
        aws.renew(60)
    assert aws.fake.count() == aws.fake.count("GetSecretValue") == 1 + 24 * 3_600 // 300


def test_k24_a_rotation_that_has_announced_its_version_leaves_it_out_of_the_key_ring(aws: Aws) -> None:
    aws.put("secret 2")
    aws.fake.register_function("arn:aws:lambda:eu-west-1:111122223333:function:rotate", lambda event, context: None)
    aws.client.rotation.configure(
        "db", "arn:aws:lambda:eu-west-1:111122223333:function:rotate", window=None, immediately=True
    )
    ring = aws.client.key_ring("db")
    assert [one.text for one in ring] == ["secret 2", "secret 1"]
    assert ring.pending is None
    token = next(
        version_id
        for version_id, stages in aws.client.describe("db").labels.by_version.items()
        if "AWSPENDING" in stages
    )
    aws.client.put("db", "secret 3", token=token, stages=["AWSPENDING"])
    assert [one.text for one in aws.client.key_ring("db")] == ["secret 2", "secret 1", "secret 3"]


def test_reads_that_lag_bring_an_older_version_only_as_long_as_they_lag(aws: Aws) -> None:
    aws.client.get("db")
    aws.fake.delay_reads("db", reads=2)
    aws.client.put("db", "secret 2")
    versions = []
    for _ in range(4):
        aws.client.invalidate("db")
        versions.append(aws.client.get("db").text)
    assert versions[-1] == "secret 2"


def test_the_limits_are_the_client_s_own(aws: Aws) -> None:
    client = SecretsClient(aws.store, limits=CacheLimits(soft_age_s=1, hard_age_s=2), clock=aws.clock)
    client.get("db")
    aws.fake.clock.advance(2)
    aws.fake.deny("GetSecretValue")
    with pytest.raises(AwsAccessDenied):
        client.get("db")
