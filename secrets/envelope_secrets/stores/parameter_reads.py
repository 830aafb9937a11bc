"""How ParameterStore reads values: one, many, or a level of the hierarchy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from envelope.errors import InvalidArgument
from envelope_secrets.errors import SecretConflict, SecretNotFound
from envelope_secrets.stages import AWSCURRENT
from envelope_secrets.stores.answers import Answer
from envelope_secrets.stores.batched_reads import Outcome, read_in_batches
from envelope_secrets.stores.parameter_answers import parameter_in, parameter_read
from envelope_secrets.stores.parameter_names import ParameterName
from envelope_secrets.stores.service_calls import ServiceCalls
from envelope_secrets.value import Secret

__all__ = ["ParameterReads"]

BATCH_PARAMETERS = 10
"""Service model: ParameterNameList."""


@dataclass(frozen=True, slots=True)
class ParameterReads:
    """Reads of values, decrypted."""

    calls: ServiceCalls

    def read(self, secret_id: str, stage: str | None, version_id: str | None) -> Secret:
        """The value of one version."""
        name = ParameterName.parse(secret_id)
        if version_id is None:
            return self._get(name if stage == AWSCURRENT else _labelled(name, stage))
        secret = self._get(_numbered(name, version_id))
        if stage is not None:
            self._check_label(name, stage, secret)
        return secret

    def read_many(self, secret_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """The value of each, or its error; the ids of one region go together."""
        names: dict[str, ParameterName] = {}
        outcomes: dict[str, Outcome] = {}
        for secret_id in secret_ids:
            try:
                names[secret_id] = ParameterName.parse(secret_id)
            except InvalidArgument as error:  # one that is no name must not cost the others their answer
                outcomes[secret_id] = error
        home = {secret_id: name.region or self.calls.region for secret_id, name in names.items()}
        for region in dict.fromkeys(home.values()):
            of_region = [secret_id for secret_id in names if home[secret_id] == region]
            outcomes |= read_in_batches(
                of_region,
                BATCH_PARAMETERS,
                lambda batch: self._get_batch({secret_id: names[secret_id] for secret_id in batch}),
                lambda secret_id: self._get(names[secret_id]),
            )
        return {secret_id: outcomes[secret_id] for secret_id in secret_ids}

    def read_tree(self, path: str) -> Mapping[str, Secret]:
        """Every current value below a path that does not end with a slash, or is one."""
        pages = self.calls.pages(
            "GetParametersByPath",
            path,
            Path=path,
            Recursive=True,
            WithDecryption=True,
            MaxResults=BATCH_PARAMETERS,
        )
        found = [parameter_in(part) for page in pages for part in page.parts("Parameters")]
        below = path if path == "/" else f"{path}/"
        return MappingProxyType({secret.name: secret for secret in found if secret.name.startswith(below)})

    def _get(self, name: ParameterName) -> Secret:
        answer = self.calls.call("GetParameter", str(name), region=name.region, Name=str(name), WithDecryption=True)
        return parameter_read(answer.part("Parameter"), name)

    def _get_batch(self, names: Mapping[str, ParameterName]) -> dict[str, Outcome]:
        answer = self.calls.call(
            "GetParameters",
            f"{len(names)} parameters",
            region=next((name.region for name in names.values() if name.region), None),
            Names=[*map(str, names.values())],
            WithDecryption=True,
        )
        invalid = set(answer.texts("InvalidParameters"))
        found: dict[str, Outcome] = {}
        for part in answer.parts("Parameters"):
            found |= _named(part, names)
        for secret_id in names.keys() & invalid:
            found[secret_id] = SecretNotFound(
                f"ssm:GetParameters on {secret_id} failed: there is no such parameter, version or label",
                hint="check the name, the region and the account; list the versions",
                code="ParameterNotFound",
            )
        return found

    def _check_label(self, name: ParameterName, stage: str, secret: Secret) -> None:
        """Raise `SecretConflict` unless the version has the label."""
        plain = ParameterName(name.name)
        if name.is_reference:
            has_it = stage in secret.stages
        else:
            labelled = self._get(plain if stage == AWSCURRENT else _labelled(plain, stage))
            has_it = labelled.version_id == secret.version_id
        if not has_it:
            raise SecretConflict(
                f"version {secret.version_id} of {plain} does not have the staging label {stage}",
                hint="ask by one of the two, or look at the labels again",
            )


def _named(part: Answer, names: Mapping[str, ParameterName]) -> dict[str, Secret]:
    """The value of one parameter of a batch, for the ids that name it.

    An answer that does not say by which version or label it was asked for (the service's does) is left out, to be read
    alone, if that may be several of the batch.
    """
    name, arn = part.text("Name"), part.optional_text("ARN")
    selector = part.optional_text("Selector").removeprefix(":")
    same = {secret_id: asked for secret_id, asked in names.items() if asked.is_named(name, arn)}
    if not selector and any(asked.selector for asked in same.values()):
        return {}
    return {secret_id: parameter_in(part, selector) for secret_id, asked in same.items() if asked.selector == selector}


def _labelled(name: ParameterName, stage: str | None) -> ParameterName:
    """The version with a label."""
    if stage is None or stage.isdigit():
        raise InvalidArgument(f"{stage} is no label of Parameter Store", hint="version_id= takes a number")
    return name.selecting(stage)


def _numbered(name: ParameterName, version_id: str) -> ParameterName:
    """The version with a number; with an id, for a secret of Secrets Manager."""
    if not name.is_reference and not (version_id.isascii() and version_id.isdigit()):
        raise InvalidArgument("the version of a parameter is a number", hint='version_id="3"; stage= takes a label')
    return name.selecting(version_id)
