"""Parts of the requests to Secrets Manager, and what its refusals mean to them."""

from __future__ import annotations

from collections.abc import Mapping

from envelope.aws.service_refusal import ServiceRefusal
from envelope.errors import EnvelopeError
from envelope_secrets.stores.hidden_values import hidden_bytes, hidden_text
from envelope_secrets.stores.protocol import NewVersion
from envelope_secrets.stores.refusals import refusal_of

__all__ = ["binary_of", "pairs_of", "regions_of", "rotation_token_of", "secret_refused", "text_of"]


def secret_refused(operation: str, refusal: ServiceRefusal) -> tuple[type[EnvelopeError], str, str] | None:
    """What a refusal of Secrets Manager means; None if it means the same for every service."""
    moves_label = operation == "UpdateSecretVersionStage"
    row = refusal_of(refusal.code, said=refusal.message, moves_label=moves_label)
    return None if row is None else (row.kind, row.what, row.hint)


def text_of(version: NewVersion | None) -> str | None:
    """Its value if that is text."""
    return hidden_text(version.value) if version is not None and isinstance(version.value, str) else None


def binary_of(version: NewVersion | None) -> bytes | None:
    """Its value if that is bytes."""
    return hidden_bytes(version.value) if version is not None and isinstance(version.value, bytes) else None


def rotation_token_of(version: NewVersion) -> str | None:
    """Its RotationToken, which is a secret too."""
    return None if version.rotation_token is None else hidden_text(version.rotation_token)


def pairs_of(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as a request has them."""
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def regions_of(regions: Mapping[str, str]) -> list[dict[str, str]]:
    """Regions of replicas as a request has them; without a key it is the region's default."""
    return [{"Region": region} | ({"KmsKeyId": key} if key else {}) for region, key in regions.items()]
