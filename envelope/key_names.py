"""Checks of the names that raw keyrings are given."""

from __future__ import annotations

from envelope.errors import InvalidArgument
from envelope.materials import MAX_FIELD_BYTES

__all__ = ["check_key_name", "check_namespace"]

AWS_PROVIDER_PREFIX = "aws-kms"


def check_namespace(namespace: object) -> str:
    """A key namespace: the provider id of a raw keyring; ``aws-kms`` and what begins so belong to AWS KMS."""
    text = _check_name(namespace, "namespace")
    if text.startswith(AWS_PROVIDER_PREFIX):
        raise InvalidArgument(
            f"namespace {text!r} is reserved for AWS KMS", hint="choose a name of your own, like your organization's"
        )
    return text


def check_key_name(name: object, *, most_bytes: int = MAX_FIELD_BYTES) -> str:
    """A key name: what the provider information of a raw keyring is or begins with."""
    return _check_name(name, "key name", most_bytes)


def _check_name(name: object, what: str, most_bytes: int = MAX_FIELD_BYTES) -> str:
    if not isinstance(name, str):
        raise InvalidArgument(f"{what} must be str, not {type(name).__name__}")
    if not name:
        raise InvalidArgument(f"{what} is empty")
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{what} holds text that UTF-8 cannot encode") from error
    if size > most_bytes:
        raise InvalidArgument(f"{what} takes {size:,} bytes in UTF-8, more than {most_bytes:,}")
    return name
