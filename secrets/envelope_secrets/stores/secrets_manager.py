"""SecretsManagerStore: the secrets of AWS Secrets Manager.

Source: AWS Secrets Manager API reference and service model 2017-10-17.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from envelope.arguments import check_flag
from envelope.aws.session import Aws
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets import limits
from envelope_secrets.schedules import window_problem
from envelope_secrets.stages import AWSCURRENT, StageMove
from envelope_secrets.stores.answers import Answer
from envelope_secrets.stores.protocol import (
    NewSecret,
    NewVersion,
    PolicyFinding,
    Replica,
    SecretDescription,
    SecretVersion,
    VersionPlace,
)
from envelope_secrets.stores.request_checks import (
    MAX_KEY_ID_CHARACTERS,
    check_move,
    check_new_secret,
    check_new_version,
    check_read,
    check_region_names,
    check_regions,
    check_rules,
    check_secret_id,
    check_some,
    check_tag_names,
    check_text,
    check_version_ids,
    sorted_ids,
)
from envelope_secrets.stores.secret_ids import region_of
from envelope_secrets.stores.secrets_manager_answers import (
    description_in,
    finding_in,
    listed_in,
    place_in,
    replicas_in,
    versions_in,
)
from envelope_secrets.stores.secrets_manager_reads import SecretReads
from envelope_secrets.stores.secrets_manager_requests import (
    binary_of,
    pairs_of,
    regions_of,
    rotation_token_of,
    secret_refused,
    text_of,
)
from envelope_secrets.stores.service_calls import ServiceCalls, aws_for
from envelope_secrets.value import Secret

__all__ = ["SecretsManagerStore"]

SERVICE = "secretsmanager"
PAGE_ENTRIES = 100
"""Service model: MaxResultsType."""
MAX_ARN_CHARACTERS = 2_048
"""Service model: RotationLambdaARNType."""


class SecretsManagerStore:
    """The secrets of AWS Secrets Manager: a `SecretStore` that rotates, has policies and replicates. Safe for threads.

    Every read asks by an explicit staging label, or by the version id alone. A write carries its token, so that a call
    which botocore repeats, or which the caller repeats, is done once. An ARN is asked for in the region that it names.

    Args:
        aws: how to reach AWS; the default configuration by default.
        region: where the secrets are that are asked for by name; the region of `aws` by default.
        replica_regions: where replicas are read, in this order, while the primary region does not answer, after its
            timeouts. A replica that lags is not believed: if it gives another version than this store has seen last
            under the label, it has to know that one too, without the label. Writes go to the primary region only.
        client_for_region: makes the boto3 client of Secrets Manager for a region, in the place of `aws`; then `region`
            has to be given for names.

    Raises:
        InvalidArgument: an option of the wrong type, or options that exclude one another.
    """

    def __init__(
        self,
        aws: Aws | None = None,
        *,
        region: str | None = None,
        replica_regions: Sequence[str] = (),
        client_for_region: Callable[[str], Any] | None = None,
    ) -> None:
        self.replica_regions = check_region_names("replica_regions", replica_regions)
        self._calls = ServiceCalls(aws_for(SERVICE, aws, region, client_for_region), SERVICE, region, secret_refused)
        self._reads = SecretReads(self._calls, self.replica_regions)

    def __repr__(self) -> str:
        shown = {"region": self._calls.region, "replica_regions": self.replica_regions}
        return f"SecretsManagerStore({', '.join(f'{name}={value!r}' for name, value in shown.items() if value)})"

    # Reading

    def read(self, secret_id: str, *, stage: str | None = AWSCURRENT, version_id: str | None = None) -> Secret:
        """The value of one version; one call of GetSecretValue, which needs kms:Decrypt too under a key of one's own.

        Raises:
            SecretConflict: both are given, and the version does not have the label.
        """
        check_read(stage, version_id)
        check_version_ids(version_id=version_id)
        return self._reads.read(check_secret_id(secret_id), stage, version_id)

    def read_many(self, secret_ids: Sequence[str]) -> Mapping[str, Secret | EnvelopeError]:
        """The current value of each, or the error that came in its place; one call of BatchGetSecretValue for 20.

        Where the caller may not do that (it needs secretsmanager:BatchGetSecretValue on ``*``), or a batch is refused
        as a whole, each secret is read by a call of its own.
        """
        ids, refused = sorted_ids(secret_ids)
        return {**self._reads.read_many(ids), **refused}

    def describe(self, secret_id: str) -> SecretDescription:
        """What is known of a secret without its value; one call of DescribeSecret."""
        return description_in(self._call("DescribeSecret", secret_id))

    def versions(self, secret_id: str, *, include_deprecated: bool = False) -> tuple[SecretVersion, ...]:
        """The versions that have a value, or are announced by a label; DescribeSecret and ListSecretVersionIds."""
        check_flag("include_deprecated", include_deprecated)
        labels = self.describe(secret_id).labels
        pages = self._calls.pages(
            "ListSecretVersionIds",
            secret_id,
            region=region_of(secret_id),
            SecretId=secret_id,
            IncludeDeprecated=True,
            MaxResults=PAGE_ENTRIES,
        )
        return versions_in(pages, labels, include_deprecated=include_deprecated)

    def list(self, *, prefix: str = "", include_deleted: bool = False) -> Iterator[SecretDescription]:
        """All secrets of the region whose names begin with `prefix`, without replicas; pages of ListSecrets.

        The list may lag five minutes behind.
        """
        if prefix != "":
            check_rules(prefix=limits.name_problem(prefix))
        check_flag("include_deleted", include_deleted)
        pages = self._calls.pages(
            "ListSecrets",
            "",
            MaxResults=PAGE_ENTRIES,
            IncludePlannedDeletion=include_deleted,
            Filters=[{"Key": "name", "Values": [prefix]}] if prefix else None,
        )
        return (
            secret
            for page in pages
            for secret in map(listed_in, page.parts("SecretList"))
            if secret.name.startswith(prefix) and (include_deleted or secret.deleted is None)
        )

    # Writing

    def create(self, secret: NewSecret) -> VersionPlace:
        """Create a secret; one call of CreateSecret. Repeated with the same token and value, it changes nothing.

        Raises:
            InvalidArgument: the first version shall have another label than AWSCURRENT; put one after it.
            SecretConflict: the name is in use. A secret without a value has no version that the token could be known
                by: if a reply was lost, it may be in use by this very call.
        """
        check_new_secret(secret)
        version = secret.version
        if version is not None and (set(version.stages) != {AWSCURRENT} or version.rotation_token is not None):
            raise InvalidArgument(
                f"the first version of a secret gets {AWSCURRENT} and nothing else", hint="put a version after it"
            )
        answer = self._calls.call(
            "CreateSecret",
            secret.name,
            Name=secret.name,
            ClientRequestToken=str(uuid4()) if version is None else version.token,
            Description=secret.description or None,
            KmsKeyId=secret.kms_key_id or None,
            Tags=pairs_of(secret.tags) or None,
            AddReplicaRegions=regions_of(secret.replica_regions) or None,
            SecretString=text_of(version),
            SecretBinary=binary_of(version),
        )
        return place_in(answer, stages=() if version is None else version.stages)

    def put(self, secret_id: str, version: NewVersion) -> VersionPlace:
        """Store a new version; one call of PutSecretValue. Repeated with the same token and value, it changes nothing.

        The repetition needs kms:Decrypt under a key of one's own: the service compares the values.

        Raises:
            SecretConflict: the token is that of a version with another value.
        """
        check_new_version(version)
        answer = self._call(
            "PutSecretValue",
            secret_id,
            ClientRequestToken=version.token,
            SecretString=text_of(version),
            SecretBinary=binary_of(version),
            VersionStages=[*version.stages],
            RotationToken=rotation_token_of(version),
        )
        return place_in(answer)

    def update(self, secret_id: str, *, description: str | None = None, kms_key_id: str | None = None) -> None:
        """Change description or key; one call of UpdateSecret. An empty key is the account's aws/secretsmanager.

        Raises:
            InvalidArgument: neither is given.
        """
        if description is None and kms_key_id is None:
            raise InvalidArgument("neither description nor kms_key_id is given", hint="give what shall change")
        check_rules(description=limits.description_problem(description or ""))
        check_text("kms_key_id", kms_key_id or "", MAX_KEY_ID_CHARACTERS)
        self._call(
            "UpdateSecret",
            secret_id,
            ClientRequestToken=str(uuid4()),
            Description=description,
            KmsKeyId=kms_key_id,
        )

    def check_version_id(self, version_id: str) -> None:
        """Raise `InvalidArgument` for what cannot be the id of a version: 32 to 64 characters."""
        check_version_ids(version_id=version_id)

    def move_stage(self, secret_id: str, move: StageMove) -> None:
        """Move or take away one label, if it is where `move` says; one call of UpdateSecretVersionStage.

        Raises:
            SecretConflict: it is elsewhere. It may be where it should be, if the answer to a first try was lost.
        """
        check_move(move)
        check_version_ids(to_version=move.to_version, from_version=move.from_version)
        self._call(
            "UpdateSecretVersionStage",
            secret_id,
            VersionStage=move.stage,
            MoveToVersionId=move.to_version,
            RemoveFromVersionId=move.from_version,
        )

    def delete(self, secret_id: str, *, recovery_window_days: int | None = 30) -> datetime | None:
        """Schedule a deletion; one call of DeleteSecret.

        Args:
            recovery_window_days: 7 to 30. None deletes for good, within a short while; until then the name is taken.
        """
        if recovery_window_days is not None:
            check_rules(recovery_window_days=limits.recovery_window_problem(recovery_window_days))
        answer = self._call(
            "DeleteSecret",
            secret_id,
            RecoveryWindowInDays=recovery_window_days,
            ForceDeleteWithoutRecovery=True if recovery_window_days is None else None,
        )
        return answer.date("DeletionDate")

    def restore(self, secret_id: str) -> None:
        """Take back a deletion that is scheduled; one call of RestoreSecret."""
        self._call("RestoreSecret", secret_id)

    def tag(self, secret_id: str, tags: Mapping[str, str]) -> None:
        """Set these tags; others stay; one call of TagResource."""
        check_rules(tags=limits.tags_problem(tags))
        self._call("TagResource", secret_id, Tags=pairs_of(tags))

    def untag(self, secret_id: str, names: Iterable[str]) -> None:
        """Take away these tags; one call of UntagResource."""
        self._call("UntagResource", secret_id, TagKeys=check_tag_names(names))

    # Rotation

    def rotate(
        self,
        secret_id: str,
        *,
        token: str,
        lambda_arn: str | None = None,
        schedule: str | None = None,
        window: str | None = None,
        immediately: bool = True,
    ) -> VersionPlace:
        """Configure what is given, and start a rotation, which goes on without the caller; one call of RotateSecret.

        Args:
            token: becomes the id of the new version.
            immediately: if not, the function is called too, but to test only.

        Raises:
            SecretConflict: a rotation is not complete, or no function is configured.
            AwsAccessDenied: the service may not call the function; nothing was changed.
        """
        check_flag("immediately", immediately)
        check_rules(
            token=limits.token_problem(token),
            schedule=None if schedule is None else limits.schedule_problem(schedule),
            window=None if window is None else window_problem(window),
        )
        check_text("lambda_arn", lambda_arn or "", MAX_ARN_CHARACTERS)
        rules = {name: value for name, value in (("ScheduleExpression", schedule), ("Duration", window)) if value}
        answer = self._call(
            "RotateSecret",
            secret_id,
            ClientRequestToken=token,
            RotationLambdaARN=lambda_arn,
            RotationRules=rules or None,
            RotateImmediately=immediately,
        )
        return place_in(answer)

    def cancel_rotation(self, secret_id: str) -> VersionPlace:
        """Turn rotation off; one call of CancelRotateSecret. AWSPENDING stays where it is."""
        return place_in(self._call("CancelRotateSecret", secret_id))

    # Policies

    def policy(self, secret_id: str) -> str | None:
        """The resource policy, or None; one call of GetResourcePolicy."""
        return self._call("GetResourcePolicy", secret_id).optional_text("ResourcePolicy") or None

    def put_policy(self, secret_id: str, policy: str, *, block_public: bool = True) -> None:
        """Replace the resource policy; one call of PutResourcePolicy.

        Raises:
            SecretRefused: it is malformed, or opens the secret to the public.
        """
        check_flag("block_public", block_public)
        check_rules(policy=limits.policy_problem(policy))
        self._call("PutResourcePolicy", secret_id, ResourcePolicy=policy, BlockPublicPolicy=block_public)

    def delete_policy(self, secret_id: str) -> None:
        """Take the resource policy away; one call of DeleteResourcePolicy."""
        self._call("DeleteResourcePolicy", secret_id)

    def validate_policy(self, policy: str, *, secret_id: str | None = None) -> tuple[PolicyFinding, ...]:
        """What the service objects to; nothing if it would take it; one call of ValidateResourcePolicy."""
        check_rules(policy=limits.policy_problem(policy))
        asked = "" if secret_id is None else check_secret_id(secret_id)
        answer = self._calls.call(
            "ValidateResourcePolicy", asked, region=region_of(asked), SecretId=secret_id, ResourcePolicy=policy
        )
        findings = tuple(map(finding_in, answer.parts("ValidationErrors")))
        if answer.optional("PolicyValidationPassed", bool) or findings:
            return findings
        return (PolicyFinding("", "the service does not say why"),)

    # Replicas

    def replicate(self, secret_id: str, regions: Mapping[str, str], *, overwrite: bool = False) -> tuple[Replica, ...]:
        """Copy the secret to these regions, which goes on without the caller; one call of ReplicateSecretToRegions.

        Args:
            regions: the KMS key of each, or an empty text for the region's default.
            overwrite: whether a secret of that name there is replaced.
        """
        check_flag("overwrite", overwrite)
        check_regions("regions", regions)
        check_some("regions", regions)
        answer = self._call(
            "ReplicateSecretToRegions",
            secret_id,
            AddReplicaRegions=regions_of(regions),
            ForceOverwriteReplicaSecret=overwrite,
        )
        return replicas_in(answer)

    def remove_replicas(self, secret_id: str, regions: Iterable[str]) -> tuple[Replica, ...]:
        """Delete copies, at once; one call of RemoveRegionsFromReplication. The copies that are left."""
        removed = [*check_region_names("regions", regions)]  # `list` is a method here
        check_some("regions", removed)
        return replicas_in(self._call("RemoveRegionsFromReplication", secret_id, RemoveReplicaRegions=removed))

    def stop_replication(self, secret_id: str) -> str:
        """In the region of a copy, so by its ARN: make it a secret of its own. Its ARN."""
        return self._call("StopReplicationToReplica", secret_id).text("ARN")

    def _call(self, operation: str, secret_id: str, **arguments: object) -> Answer:
        check_secret_id(secret_id)
        return self._calls.call(operation, secret_id, region=region_of(secret_id), SecretId=secret_id, **arguments)
