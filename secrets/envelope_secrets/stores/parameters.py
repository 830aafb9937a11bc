"""ParameterStore: parameters of AWS Systems Manager, read and written as secrets.

Source: AWS Systems Manager User Guide, "AWS Systems Manager Parameter Store"; API reference, service model 2014-11-06.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NoReturn

from envelope.arguments import check_flag
from envelope.aws.session import Aws
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets import limits
from envelope_secrets.errors import NotSupported, SecretConflict, SecretNotFound
from envelope_secrets.stages import AWSCURRENT, StageMove
from envelope_secrets.stores.answers import Answer
from envelope_secrets.stores.hidden_values import hidden_text
from envelope_secrets.stores.parameter_answers import (
    labels_in,
    listed_parameter,
    newest_in,
    parameter_versions,
)
from envelope_secrets.stores.parameter_names import ParameterName, check_label, check_new_name, check_path
from envelope_secrets.stores.parameter_reads import ParameterReads
from envelope_secrets.stores.parameter_refusals import parameter_refused
from envelope_secrets.stores.protocol import NewSecret, NewVersion, SecretDescription, SecretVersion, VersionPlace
from envelope_secrets.stores.request_checks import (
    MAX_KEY_ID_CHARACTERS,
    check_move,
    check_new_secret_but_name,
    check_new_version,
    check_read,
    check_rules,
    check_secret_id,
    check_tag_names,
    check_text,
    sorted_ids,
)
from envelope_secrets.stores.service_calls import ServiceCalls, aws_for
from envelope_secrets.value import Secret

__all__ = ["ParameterStore"]

SERVICE = "ssm"
STANDARD_BYTES = 4_096
ADVANCED_BYTES = 8_192
PAGE_ENTRIES = 50
"""Service model: MaxResults of GetParameterHistory and of DescribeParameters."""

_CURRENT_HINT = (
    f"the newest version is {AWSCURRENT}, always, and nothing compares and swaps: leave out expected_version_id; "
    f'stages=["{AWSCURRENT}", "blue"] gives a new version a label of your own'
)


class ParameterStore:
    """Parameters of AWS Systems Manager: a `SecretStore` as far as it goes, with hierarchies. Safe for threads.

    An id is a name, ``/app/db``, or an ARN; for reading also ``/app/db:3`` and ``/app/db:label``. Versions are numbers.
    The newest one is AWSCURRENT, always, and other staging labels are the labels of Parameter Store, which do not begin
    with "aws": there is no AWSPENDING to promote and no AWSPREVIOUS to go back to. There are no tokens either: a put
    that is repeated makes a version more. ``/aws/reference/secretsmanager/NAME`` reads a secret of Secrets Manager.

    Args:
        aws: how to reach AWS; the default configuration by default.
        region: where the parameters are that are asked for by name; the region of `aws` by default.
        client_for_region: makes the boto3 client of Systems Manager for a region, in the place of `aws`; then `region`
            has to be given for names.
        kms_key_id: the key of new SecureString versions; by default that of the version before, or the account's
            aws/ssm for a new parameter.
        secure: whether new parameters are SecureString, encrypted by KMS; otherwise String.
        advanced: whether a value of 4,097 to 8,192 bytes makes its parameter an advanced one, which costs money and
            never becomes a standard one again.

    Raises:
        InvalidArgument: an option of the wrong type, or options that exclude one another.
    """

    def __init__(
        self,
        aws: Aws | None = None,
        *,
        region: str | None = None,
        client_for_region: Callable[[str], Any] | None = None,
        kms_key_id: str | None = None,
        secure: bool = True,
        advanced: bool = False,
    ) -> None:
        if kms_key_id is not None:
            check_text("kms_key_id", kms_key_id, MAX_KEY_ID_CHARACTERS, least=1)
        self._kms_key_id = kms_key_id
        self._secure = check_flag("secure", secure)
        self._advanced = check_flag("advanced", advanced)
        self._calls = ServiceCalls(aws_for(SERVICE, aws, region, client_for_region), SERVICE, region, parameter_refused)
        self._reads = ParameterReads(self._calls)

    def __repr__(self) -> str:
        region = self._calls.region
        return f"ParameterStore({'' if region is None else f'region={region!r}'})"

    # Reading

    def read(self, secret_id: str, *, stage: str | None = AWSCURRENT, version_id: str | None = None) -> Secret:
        """The value of one version; one call of GetParameter, two if both are given.

        Args:
            stage: AWSCURRENT for the newest, or what the id selects; or a label.
            version_id: a number, like "3".

        Raises:
            SecretConflict: both are given, and the version does not have the label.
        """
        check_read(stage, version_id)
        return self._reads.read(check_secret_id(secret_id), stage, version_id)

    def read_many(self, secret_ids: Sequence[str]) -> Mapping[str, Secret | EnvelopeError]:
        """The value of each, or the error that came in its place; one call of GetParameters for 10.

        Where a call is refused as a whole, because the caller may not read one of them, each is read by GetParameter.
        """
        ids, refused = sorted_ids(secret_ids)
        return {**self._reads.read_many(ids), **refused}

    def read_tree(self, path: str) -> Mapping[str, Secret]:
        """Every current value below a path like ``/app/``, by full name; one call of GetParametersByPath for 10."""
        return self._reads.read_tree(check_path(path))

    def describe(self, secret_id: str) -> SecretDescription:
        """What is known of a parameter; GetParameter (without decryption), GetParameterHistory, ListTagsForResource."""
        name = _whole(secret_id)
        answer = self._call("GetParameter", name, Name=name.name, WithDecryption=False).part("Parameter")
        history = self._history(name)
        tags = self._call("ListTagsForResource", name, ResourceType="Parameter", ResourceId=name.name)
        newest, oldest = newest_in(history), history[0]
        return SecretDescription(
            name=answer.text("Name"),
            arn=answer.text("ARN"),
            labels=labels_in(history),
            description=newest.optional_text("Description"),
            kms_key_id=newest.optional_text("KeyId"),
            tags=MappingProxyType(tags.pairs("TagList")),
            created=oldest.date("LastModifiedDate") if oldest.whole_number("Version") == 1 else None,
            changed=newest.date("LastModifiedDate"),
        )

    def versions(self, secret_id: str, *, include_deprecated: bool = False) -> tuple[SecretVersion, ...]:
        """The newest version and those with labels, or all of the last 100; pages of GetParameterHistory."""
        check_flag("include_deprecated", include_deprecated)
        return parameter_versions(self._history(_whole(secret_id)), include_deprecated=include_deprecated)

    def list(self, *, prefix: str = "", include_deleted: bool = False) -> Iterator[SecretDescription]:
        """All parameters of the region whose names begin with `prefix`; pages of DescribeParameters.

        Args:
            include_deleted: changes nothing, because what is deleted is gone.
        """
        check_text("prefix", prefix, MAX_KEY_ID_CHARACTERS)
        check_flag("include_deleted", include_deleted)
        filters = [{"Key": "Name", "Option": "BeginsWith", "Values": [prefix]}] if prefix else None
        pages = self._calls.pages("DescribeParameters", "", MaxResults=PAGE_ENTRIES, ParameterFilters=filters)
        return (
            parameter
            for page in pages
            for parameter in map(listed_parameter, page.parts("Parameters"))
            if parameter.name.startswith(prefix)
        )

    # Writing

    def create(self, secret: NewSecret) -> VersionPlace:
        """Create a parameter; one call of PutParameter.

        Raises:
            SecretConflict: the name is in use; perhaps by this very call, if the answer to a first try was lost.
            NotSupported: it shall have no value yet, a binary one, replicas, or a label that Parameter Store lacks.
        """
        check_new_secret_but_name(secret)
        check_new_name(secret.name)
        if secret.version is None:
            _not_supported("a parameter without a value", "create it with its first value")
        if secret.replica_regions:
            _not_supported("replicas", "create the parameter in each region")
        version = secret.version
        key = secret.kms_key_id or self._kms_key_id
        value = _text(version)
        tags = [{"Key": name, "Value": text} for name, text in secret.tags.items()]
        return self._put(
            ParameterName(secret.name),
            version,
            Value=value,
            Type="SecureString" if self._secure else "String",
            KeyId=key if self._secure else None,
            Tier=self._tier(value, ""),
            Description=secret.description or None,
            Tags=tags or None,
            Overwrite=False,
        )

    def put(self, secret_id: str, version: NewVersion) -> VersionPlace:
        """Store a new version, which is current at once; GetParameterHistory and PutParameter.

        It keeps type, key and tier of the version before. Repeated, it makes another version.

        Raises:
            NotSupported: the value is binary, or the version shall not be current.
        """
        name = _whole(secret_id)
        check_new_version(version)
        value = _text(version)
        before = newest_in(self._history(name))
        kind = before.text("Type")
        key = self._kms_key_id or before.optional_text("KeyId") or None
        return self._put(
            name,
            version,
            Value=value,
            Type=kind,
            KeyId=key if kind == "SecureString" else None,
            Tier=self._tier(value, before.optional_text("Tier")),
            Overwrite=True,
        )

    def update(self, secret_id: str, *, description: str | None = None, kms_key_id: str | None = None) -> NoReturn:
        """Not there: description and key of a parameter change with a new version only."""
        name = _whole(secret_id)
        given = {"description": description, "kms_key_id": kms_key_id}
        changed = " and ".join(option for option, value in given.items() if value is not None)
        _not_supported(f"a change of the {changed or 'settings'} of {name} without a value", "put a new version")

    def move_stage(self, secret_id: str, move: StageMove) -> None:
        """Move or take away one label; GetParameterHistory, then LabelParameterVersion or UnlabelParameterVersion.

        The two calls are no compare-and-swap: somebody else may move the label between them.

        Raises:
            NotSupported: AWSCURRENT, which is always the newest, or another label of Secrets Manager's.
            SecretConflict: the label is elsewhere; nothing was changed.
        """
        name = _whole(secret_id)
        check_move(move)
        _check_labels((move.stage,))
        labels = labels_in(self._history(name))
        holder = labels.holder(move.stage)
        if move.to_version is not None and move.to_version not in labels.by_version:
            raise SecretNotFound(f"{name} has no version {move.to_version}", hint="list the versions")
        if holder != move.from_version and not (move.from_version is None and holder == move.to_version):
            where = "no version" if holder is None else f"version {holder}"
            raise _elsewhere(name, move.stage, where)
        changed = int(next(filter(None, (move.to_version, move.from_version))))
        if move.to_version is not None:
            self._label(name, changed, (move.stage,))
        else:
            self._unlabel(name, changed, move.stage)

    def delete(self, secret_id: str, *, recovery_window_days: int | None = 30) -> datetime | None:
        """Delete a parameter for good; one call of DeleteParameter.

        Args:
            recovery_window_days: has to be None: nothing brings a deleted parameter back.

        Raises:
            NotSupported: a recovery window is asked for, as by default.
        """
        name = _whole(secret_id)
        if recovery_window_days is not None:
            _not_supported("a recovery window", "recovery_window_days=None deletes at once and for good")
        self._call("DeleteParameter", name, Name=name.name)
        return None

    def restore(self, secret_id: str) -> NoReturn:
        """Not there: a deleted parameter is gone."""
        _not_supported(f"a way to restore {_whole(secret_id)}", "create the parameter anew")

    def tag(self, secret_id: str, tags: Mapping[str, str]) -> None:
        """Set these tags; others stay; one call of AddTagsToResource."""
        name = _whole(secret_id)
        check_rules(tags=limits.tags_problem(tags))
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        self._call("AddTagsToResource", name, ResourceType="Parameter", ResourceId=name.name, Tags=pairs)

    def untag(self, secret_id: str, names: Iterable[str]) -> None:
        """Take away these tags; one call of RemoveTagsFromResource."""
        name = _whole(secret_id)
        self._call(
            "RemoveTagsFromResource",
            name,
            ResourceType="Parameter",
            ResourceId=name.name,
            TagKeys=check_tag_names(names),
        )

    def _put(self, name: ParameterName, version: NewVersion, **arguments: object) -> VersionPlace:
        """Put a version, then its labels; a version whose labels are refused is there without them."""
        labels = tuple(stage for stage in version.stages if stage != AWSCURRENT)
        _check_labels(labels)
        if AWSCURRENT not in version.stages:
            _not_supported("a new version that is not current", _CURRENT_HINT)
        number = self._call("PutParameter", name, Name=name.name, **arguments).whole_number("Version")
        if labels:
            self._label(name, number, labels)
        arn = name.name if name.region else ""
        return VersionPlace(arn, name.name, str(number), tuple(sorted(version.stages)))

    def _label(self, name: ParameterName, number: int, labels: tuple[str, ...]) -> None:
        answer = self._call("LabelParameterVersion", name, Name=name.name, ParameterVersion=number, Labels=[*labels])
        if answer.texts("InvalidLabels"):
            raise InvalidArgument(f"Parameter Store does not take a label of {name}", hint="labels of 1 to 100 letters")

    def _unlabel(self, name: ParameterName, number: int, label: str) -> None:
        answer = self._call("UnlabelParameterVersion", name, Name=name.name, ParameterVersion=number, Labels=[label])
        if answer.texts("InvalidLabels"):
            raise _elsewhere(name, label, "another version by now")

    def _tier(self, value: str, before: str) -> str | None:
        """The tier to ask for; an advanced parameter never becomes a standard one."""
        size_bytes = len(value.encode())
        is_advanced = before == "Advanced"
        if size_bytes > (ADVANCED_BYTES if self._advanced or is_advanced else STANDARD_BYTES):
            raise InvalidArgument(
                f"the value has {size_bytes:,} bytes; a parameter holds {STANDARD_BYTES:,}, an advanced one "
                f"{ADVANCED_BYTES:,}",
                hint="ParameterStore(advanced=True) makes advanced ones; Secrets Manager holds 65,536 bytes",
            )
        return "Advanced" if is_advanced or size_bytes > STANDARD_BYTES else None

    def _history(self, name: ParameterName) -> Sequence[Answer]:
        """Every version, without decryption; not empty."""
        pages = self._calls.pages(
            "GetParameterHistory",
            str(name),
            region=name.region,
            Name=name.name,
            WithDecryption=False,
            MaxResults=PAGE_ENTRIES,
        )
        history = [entry for page in pages for entry in page.parts("Parameters")]
        if not history:
            raise SecretNotFound(f"{name} has no versions", hint="it may just have been deleted, or created")
        return sorted(history, key=lambda entry: entry.whole_number("Version"))

    def _call(self, operation: str, name: ParameterName, **arguments: object) -> Answer:
        return self._calls.call(operation, str(name), region=name.region, **arguments)


def _whole(secret_id: str) -> ParameterName:
    """A parameter, and not one version of it, nor a secret of Secrets Manager."""
    name = ParameterName.parse(check_secret_id(secret_id)).without_selector()
    if name.is_reference:
        _not_supported(f"anything but reading of {name}", "it is a secret: use SecretsManagerStore")
    return name


def _text(version: NewVersion) -> str:
    if isinstance(version.value, bytes):
        _not_supported("a binary value", "encode it as text, in Base64")
    return hidden_text(version.value)


def _check_labels(labels: Iterable[str]) -> None:
    for label in labels:
        if label.upper().startswith("AWS"):
            _not_supported(f"a way to set {label}", f"the newest is always {AWSCURRENT}; labels have other names")
        check_label(label)


def _elsewhere(name: ParameterName, label: str, where: str) -> SecretConflict:
    return SecretConflict(
        f"the label {label} of {name} is on {where}, which the call does not name",
        hint="look at the labels again, then decide; nothing was changed",
    )


def _not_supported(what: str, hint: str) -> NoReturn:
    raise NotSupported(f"Parameter Store does not have {what}", hint=hint)
