"""K18: replicas are read while the primary region does not answer, and never take a reader back in time."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from envelope import AwsUnavailable
from envelope.aws.in_process import NoAnswer
from envelope.process_state import reset_all
from envelope_secrets.errors import SecretNotFound
from envelope_secrets.stages import AWSPENDING
from envelope_secrets.stores.replica_reads import SeenVersions
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.value import Secret
from tests.scripted_service import Asked, Refused, ScriptedService

HOME, THERE, FAR = "eu-west-1", "us-east-1", "ap-southeast-2"
V1, V2, V3 = (f"{number}1111111-1111-4111-8111-111111111111" for number in (1, 2, 3))
NOT_FOUND = Refused("ResourceNotFoundException", "can't find the specified secret value")


class Regions:
    """A secret in three regions; each has its own labels, and may not answer."""

    def __init__(self) -> None:
        self.service = ScriptedService("secretsmanager")
        self.service.on("GetSecretValue", self._answer)
        self.service.on("BatchGetSecretValue", self._batch)
        self.down: set[str] = set()
        self.labels: dict[str, dict[str, str]] = {HOME: {"AWSCURRENT": V1}, THERE: {"AWSCURRENT": V1}, FAR: {}}
        self.known: dict[str, set[str]] = {HOME: {V1}, THERE: {V1}, FAR: set()}
        self.after_read: list[tuple[str, dict[str, str], set[str]]] = []

    def put(self, version_id: str, *regions: str) -> None:
        """A new current version, as far as it has come."""
        for region in regions:
            labels = self.labels[region]
            labels["AWSPREVIOUS"], labels["AWSCURRENT"] = labels.get("AWSCURRENT", ""), version_id
            self.known[region].add(version_id)

    def store(self, *replicas: str) -> SecretsManagerStore:
        return SecretsManagerStore(
            region=HOME, replica_regions=replicas, client_for_region=self.service.client_for_region
        )

    def _answer(self, asked: Asked) -> Any:
        request, region = asked.request, asked.region
        if region in self.down:
            return NoAnswer("connection")
        assert f":{region}:" in request["SecretId"] or not request["SecretId"].startswith("arn:")
        version_id = request.get("VersionId") or self.labels[region].get(request["VersionStage"])
        answer = self._told(region, version_id) if version_id in self.known[region] else NOT_FOUND
        for there, labels, known in self.after_read:
            self.labels[there], self.known[there] = labels, known
        return answer

    def _batch(self, asked: Asked) -> Any:
        if asked.region in self.down:
            return NoAnswer("connection")
        return {"SecretValues": [self._told(asked.region, self.labels[asked.region]["AWSCURRENT"])]}

    def _told(self, region: str, version_id: str) -> dict[str, Any]:
        return {
            "ARN": f"arn:aws:secretsmanager:{region}:111122223333:secret:prod/db-AbCdEf",
            "Name": "prod/db",
            "VersionId": version_id,
            "SecretString": f"value {version_id[0]}",
            "VersionStages": [stage for stage, holder in self.labels[region].items() if holder == version_id],
        }


@pytest.fixture
def regions() -> Regions:
    return Regions()


def test_k18_replicas_are_not_asked_while_the_primary_region_answers(regions: Regions) -> None:
    store = regions.store(THERE)
    assert store.read("prod/db").text == "value 1"
    assert regions.service.regions() == [HOME]
    assert store.replica_regions == (THERE,)


def test_k18_a_decision_of_the_primary_region_is_not_appealed(regions: Regions) -> None:
    regions.service.on("GetSecretValue", Refused("ResourceNotFoundException"))
    with pytest.raises(SecretNotFound):
        regions.store(THERE).read("prod/db")
    assert regions.service.regions() == [HOME]


def test_k18_a_replica_is_read_while_the_primary_region_is_down(regions: Regions) -> None:
    store = regions.store(THERE)
    store.read("prod/db")
    regions.down.add(HOME)
    assert store.read("prod/db").arn.split(":")[3] == THERE
    assert regions.service.regions() == [HOME, HOME, THERE]


def test_k18_a_store_without_replicas_says_that_the_service_is_down(regions: Regions) -> None:
    regions.down.add(HOME)
    with pytest.raises(AwsUnavailable, match="the endpoint is not reachable"):
        regions.store().read("prod/db")
    assert isinstance(regions.store().read_many(["prod/db"])["prod/db"], AwsUnavailable)


def test_k18_an_arn_is_asked_for_in_the_replicas_region_by_the_replicas_arn(regions: Regions) -> None:
    regions.down.add(HOME)
    arn = f"arn:aws:secretsmanager:{HOME}:111122223333:secret:prod/db-AbCdEf"
    assert regions.store(THERE).read(arn).arn == arn.replace(HOME, THERE)


def test_k18_a_replica_that_lags_is_not_believed(regions: Regions) -> None:
    store = regions.store(THERE)
    regions.put(V2, HOME)
    assert store.read("prod/db").version_id == V2
    regions.down.add(HOME)
    with pytest.raises(AwsUnavailable, match="not reachable") as caught:
        store.read("prod/db")
    assert caught.value.hint.endswith("; no replica helps (us-east-1: the replica lags)")
    assert caught.value.can_retry
    regions.put(V2, THERE)
    assert store.read("prod/db").version_id == V2


def test_k18_a_replica_that_has_seen_the_label_move_is_believed(regions: Regions) -> None:
    """Also if it moved back: a rollback is a move of the label."""
    store = regions.store(THERE)
    regions.put(V2, HOME, THERE)
    assert store.read("prod/db").version_id == V2
    regions.down.add(HOME)
    regions.put(V3, THERE)
    assert store.read("prod/db").version_id == V3
    regions.put(V1, THERE)
    assert store.read("prod/db").version_id == V1


def test_k18_what_was_seen_in_a_replica_is_remembered_too(regions: Regions) -> None:
    store = regions.store(THERE, FAR)
    regions.put(V1, FAR)
    regions.down.add(HOME)
    regions.put(V2, THERE)
    assert store.read("prod/db").version_id == V2
    regions.down.add(THERE)
    with pytest.raises(AwsUnavailable) as caught:
        store.read("prod/db")
    assert "(us-east-1: EndpointConnectionError, ap-southeast-2: the replica lags)" in caught.value.hint


def test_k18_the_next_replica_is_asked(regions: Regions) -> None:
    regions.put(V2, HOME, FAR)
    store = regions.store(THERE, FAR)
    store.read("prod/db")
    regions.down.add(HOME)
    assert store.read("prod/db").arn.split(":")[3] == FAR


def test_k18_a_version_that_arrives_with_its_label_between_the_two_looks_is_taken(regions: Regions) -> None:
    store = regions.store(THERE)
    regions.put(V2, HOME)
    store.read("prod/db")
    regions.down.add(HOME)
    regions.after_read = [(THERE, {"AWSPREVIOUS": V1, "AWSCURRENT": V2}, {V1, V2})]
    assert store.read("prod/db").version_id == V2


def test_k18_a_version_by_its_id_is_the_same_everywhere(regions: Regions) -> None:
    store = regions.store(THERE)
    regions.put(V2, HOME)
    store.read("prod/db")
    regions.down.add(HOME)
    assert store.read("prod/db", stage=None, version_id=V1).text == "value 1"
    with pytest.raises(AwsUnavailable, match="not reachable") as caught:
        store.read("prod/db", stage=None, version_id=V2)
    assert "us-east-1: ResourceNotFoundException" in caught.value.hint


def test_k18_labels_are_remembered_apart(regions: Regions) -> None:
    store = regions.store(THERE)
    regions.put(V2, HOME)
    store.read("prod/db")
    regions.down.add(HOME)
    regions.labels[THERE][AWSPENDING] = V1
    assert store.read("prod/db", stage=AWSPENDING).version_id == V1


def test_k18_many_secrets_are_read_from_replicas_too(regions: Regions) -> None:
    store = regions.store(THERE)
    regions.put(V2, HOME)
    assert isinstance(store.read_many(["prod/db"])["prod/db"], Secret)
    regions.down.add(HOME)
    outcome = store.read_many(["prod/db"])["prod/db"]
    assert isinstance(outcome, AwsUnavailable)
    assert outcome.hint.endswith("(us-east-1: the replica lags)")
    regions.put(V2, THERE)
    secret = store.read_many(["prod/db"])["prod/db"]
    assert isinstance(secret, Secret)
    assert secret.version_id == V2


def test_k18_many_errors_that_are_decisions_stay_as_they_are(regions: Regions) -> None:
    regions.service.on("BatchGetSecretValue", {})
    regions.service.on("GetSecretValue", Refused("ResourceNotFoundException"))
    assert isinstance(regions.store(THERE).read_many(["prod/db"])["prod/db"], SecretNotFound)
    assert set(regions.service.regions()) == {HOME}


# --- the memory


def test_the_oldest_sight_is_forgotten_first() -> None:
    seen = SeenVersions(most=2)
    for secret_id, version_id in (("a", V1), ("b", V1), ("a", V2), ("c", V1)):
        seen.saw(secret_id, "AWSCURRENT", version_id)
    assert [seen.last(secret_id, "AWSCURRENT") for secret_id in "abc"] == [V2, None, V1]
    assert V1 not in repr(seen)


def test_the_memory_of_a_process_without_replicas_stays_empty(regions: Regions) -> None:
    store = regions.store()
    store.read("prod/db")
    assert store._reads.seen.last("prod/db", "AWSCURRENT") is None


def test_a_forked_child_has_a_lock_of_its_own_and_the_same_memory() -> None:
    seen = SeenVersions()
    seen.saw("a", "AWSCURRENT", V1)
    held = seen._lock
    with held:
        reset_all()
        done = threading.Thread(target=seen.saw, args=("b", "AWSCURRENT", V2), daemon=True)
        done.start()
        done.join(timeout=10)
    assert not done.is_alive()
    assert (seen.last("a", "AWSCURRENT"), seen.last("b", "AWSCURRENT")) == (V1, V2)
