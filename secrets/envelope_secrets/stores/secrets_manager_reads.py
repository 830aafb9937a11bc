"""How SecretsManagerStore reads values: from the primary region or a replica, one by one or in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from envelope.aws.service_refusal import ServiceRefusal
from envelope.errors import AwsUnavailable, EnvelopeError
from envelope_secrets.stages import AWSCURRENT
from envelope_secrets.stores.answers import Answer
from envelope_secrets.stores.batched_reads import Outcome, read_in_batches
from envelope_secrets.stores.replica_reads import SeenVersions, read_replicas
from envelope_secrets.stores.secret_ids import in_region, names_secret, region_of
from envelope_secrets.stores.secrets_manager_answers import secret_in, secret_read
from envelope_secrets.stores.service_calls import ServiceCalls
from envelope_secrets.value import Secret

__all__ = ["SecretReads"]

BATCH_SECRETS = 20
"""Service model: SecretIdListType."""


@dataclass(frozen=True, slots=True)
class SecretReads:
    """Reads of values; `seen` is remembered only where there are replicas."""

    calls: ServiceCalls
    replica_regions: tuple[str, ...]
    seen: SeenVersions = field(default_factory=SeenVersions)

    def read(self, secret_id: str, stage: str | None, version_id: str | None) -> Secret:
        """The value of one version, if need be from a replica."""
        try:
            secret = self._read_at(region_of(secret_id), secret_id, stage, version_id)
        except AwsUnavailable as outage:
            if not self.replica_regions:
                raise
            failed = outage
        else:
            return self._saw(secret_id, stage, secret)
        return self._read_replicas(secret_id, stage, version_id, failed)

    def read_many(self, secret_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """The current value of each, or its error; the ids of one region go together."""
        outcomes: dict[str, Outcome] = {}
        home = {secret_id: region_of(secret_id) or self.calls.region for secret_id in secret_ids}
        for region in dict.fromkeys(home.values()):
            of_region = [secret_id for secret_id in secret_ids if home[secret_id] == region]
            outcomes |= read_in_batches(of_region, BATCH_SECRETS, self._read_batch, self._read_current)
        return {secret_id: self._settled(secret_id, outcomes[secret_id]) for secret_id in secret_ids}

    def _read_at(self, region: str | None, secret_id: str, stage: str | None, version_id: str | None) -> Secret:
        answer = self.calls.call(
            "GetSecretValue",
            secret_id,
            region=region,
            SecretId=secret_id,
            VersionStage=stage,
            VersionId=version_id,
        )
        return secret_read(answer, secret_id, stage=stage, version_id=version_id)

    def _read_current(self, secret_id: str) -> Secret:
        return self._read_at(region_of(secret_id), secret_id, AWSCURRENT, None)

    def _read_batch(self, secret_ids: Sequence[str]) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        pages = self.calls.pages(
            "BatchGetSecretValue",
            f"{len(secret_ids)} secrets",
            region=next(filter(None, map(region_of, secret_ids)), None),
            SecretIdList=list(secret_ids),
        )
        for page in pages:
            for part in page.parts("SecretValues"):
                found |= _named(part, secret_ids)
            for part in page.parts("Errors"):
                found |= self._failed(part, secret_ids)
        return found

    def _failed(self, part: Answer, secret_ids: Sequence[str]) -> dict[str, Outcome]:
        """The error of one secret of a batch."""
        told = part.text("SecretId")
        refusal = ServiceRefusal(part.text("ErrorCode"), part.optional_text("Message"))
        return {
            secret_id: self.calls.error_of("BatchGetSecretValue", secret_id, refusal)
            for secret_id in secret_ids
            if secret_id == told or names_secret(secret_id, told, "")
        }

    def _settled(self, secret_id: str, outcome: Outcome) -> Outcome:
        """Remember a value; look for it in the replicas if the primary region does not answer."""
        if isinstance(outcome, Secret):
            return self._saw(secret_id, AWSCURRENT, outcome)
        if not isinstance(outcome, AwsUnavailable) or not self.replica_regions:
            return outcome
        try:
            return self._read_replicas(secret_id, AWSCURRENT, None, outcome)
        except EnvelopeError as error:
            return error

    def _read_replicas(
        self, secret_id: str, stage: str | None, version_id: str | None, outage: AwsUnavailable
    ) -> Secret:
        def read_at(region: str, stage: str | None, version_id: str | None) -> Secret:
            return self._read_at(region, in_region(secret_id, region), stage, version_id)

        secret = read_replicas(
            self.replica_regions,
            read_at,
            stage=stage,
            version_id=version_id,
            last=None if stage is None else self.seen.last(secret_id, stage),
            outage=outage,
        )
        return self._saw(secret_id, stage, secret)

    def _saw(self, secret_id: str, stage: str | None, secret: Secret) -> Secret:
        if self.replica_regions and stage is not None:
            self.seen.saw(secret_id, stage, secret.version_id)
        return secret


def _named(part: Answer, secret_ids: Sequence[str]) -> dict[str, Secret]:
    """The value of one secret of a batch, for each of the ids that name it."""
    secret = secret_in(part)
    if AWSCURRENT not in secret.stages:
        part.refuse(f"holds a version without the staging label {AWSCURRENT}")
    return {secret_id: secret for secret_id in secret_ids if names_secret(secret_id, secret.arn, secret.name)}
