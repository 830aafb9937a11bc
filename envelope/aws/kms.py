"""The calls of KMS that wrap and unwrap data keys. Requests and responses are checked on this side.

Source: AWS KMS API reference and service model 2014-11-01; AWS Encryption SDK specification, framework/aws-kms/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from envelope.aws.arn import KeyArn
from envelope.aws.calls import call_service
from envelope.errors import AwsError, InvalidArgument

__all__ = ["GeneratedDataKey", "KmsTally", "decrypt", "describe_key", "encrypt", "generate_data_key", "kms_calls"]

MAX_PLAINTEXT_BYTES = 4_096
"""Service model: PlaintextType."""

MAX_CIPHERTEXT_BYTES = 6_144
"""Service model: CiphertextType."""

MAX_DATA_KEY_BYTES = 1_024
"""Service model: NumberOfBytesType."""


class Clients(Protocol):
    """Where clients come from: `envelope.aws.session.Aws`."""

    def client(self, service: str, region: str | None = None) -> Any:
        """The boto3 client of a service in a region."""
        ...


@dataclass(frozen=True, slots=True)
class KmsRequest:
    """What goes with every call: who makes it, the encryption context, and grant tokens."""

    clients: Clients
    encryption_context: Mapping[str, str] = field(repr=False)
    grant_tokens: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class GeneratedDataKey:
    """A new data key, in the clear and wrapped."""

    plaintext: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


@dataclass(slots=True)
class KmsTally:
    """How many calls of KMS were made in a block. A call counts once, however often botocore tried it."""

    count: int = 0


_tallies: ContextVar[tuple[KmsTally, ...]] = ContextVar("kms_tallies", default=())


@contextmanager
def kms_calls() -> Iterator[KmsTally]:
    """Count the calls that this thread or task makes inside the block; blocks around it count them too."""
    tally = KmsTally()
    token = _tallies.set((*_tallies.get(), tally))
    try:
        yield tally
    finally:
        _tallies.reset(token)


def generate_data_key(request: KmsRequest, key: KeyArn, data_key_bytes: int) -> GeneratedDataKey:
    """A new data key of so many bytes, 1 to 1,024.

    Raises:
        InvalidArgument: KMS would not take the length or the encryption context.
        AwsError: the call failed, or the response is not what was asked for.
    """
    if not 1 <= data_key_bytes <= MAX_DATA_KEY_BYTES:
        raise InvalidArgument(f"KMS makes data keys of 1 to {MAX_DATA_KEY_BYTES:,} bytes, not {data_key_bytes:,}")
    operation = "kms:GenerateDataKey"
    response = _call(request, key, operation, {"NumberOfBytes": data_key_bytes})
    _check_key_id(response, key, operation)
    plaintext = _bytes(response, "Plaintext", data_key_bytes, data_key_bytes, operation)
    return GeneratedDataKey(plaintext, _bytes(response, "CiphertextBlob", 1, MAX_CIPHERTEXT_BYTES, operation))


def encrypt(request: KmsRequest, key: KeyArn, plaintext: bytes) -> bytes:
    """The ciphertext of 1 to 4,096 bytes.

    Raises:
        InvalidArgument: KMS would not take the plaintext or the encryption context.
        AwsError: the call failed, or the response is not what was asked for.
    """
    _check_length("plaintext", plaintext, MAX_PLAINTEXT_BYTES, hint="KMS wraps keys; it is not made for data")
    operation = "kms:Encrypt"
    response = _call(request, key, operation, {"Plaintext": plaintext})
    _check_key_id(response, key, operation)
    return _bytes(response, "CiphertextBlob", 1, MAX_CIPHERTEXT_BYTES, operation)


def decrypt(request: KmsRequest, key: KeyArn, ciphertext: bytes) -> bytes:
    """The plaintext of a ciphertext of 1 to 6,144 bytes, which this very key has encrypted.

    Raises:
        InvalidArgument: KMS would not take the ciphertext or the encryption context.
        AwsError: the call failed, or the response is not what was asked for.
    """
    _check_length("encrypted data key", ciphertext, MAX_CIPHERTEXT_BYTES, hint="KMS has not written it")
    operation = "kms:Decrypt"
    response = _call(request, key, operation, {"CiphertextBlob": ciphertext})
    _check_key_id(response, key, operation)
    return _bytes(response, "Plaintext", 1, MAX_PLAINTEXT_BYTES, operation)


def describe_key(clients: Clients, key_id: str, region: str | None) -> KeyArn:
    """The ARN of the key that a key id, an alias or an ARN names now.

    Raises:
        AwsError: the call failed, or the response names no key.
    """
    operation = "kms:DescribeKey"
    _count_call()
    metadata = _asked(clients.client("kms", region), operation, {"KeyId": key_id}).get("KeyMetadata")
    key = _parsed(metadata.get("Arn") if isinstance(metadata, Mapping) else None)
    if key is None or not key.is_key:
        _refuse(operation, "names no key ARN")
    return key


def _call(request: KmsRequest, key: KeyArn, operation: str, arguments: dict[str, object]) -> Mapping[str, Any]:
    arguments["KeyId"] = str(key)
    if request.encryption_context:
        arguments["EncryptionContext"] = _checked_context(request.encryption_context)
    if request.grant_tokens:
        arguments["GrantTokens"] = list(request.grant_tokens)
    client = request.clients.client("kms", key.region)
    _count_call()
    return _asked(client, operation, arguments)


_METHODS = {
    "kms:GenerateDataKey": "generate_data_key",
    "kms:Encrypt": "encrypt",
    "kms:Decrypt": "decrypt",
    "kms:DescribeKey": "describe_key",
}


def _asked(client: Any, operation: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
    """What a client answers. botocore's gives a dict; a stand-in that a caller made may lack the method, or more."""

    def call() -> object:
        return getattr(client, _METHODS[operation])(**arguments)

    response = call_service(call, {}, operation=operation, resource=str(arguments["KeyId"]))
    if not isinstance(response, Mapping):
        _refuse(operation, f"is no mapping but {type(response).__name__}")
    return response


def _count_call() -> None:
    for tally in _tallies.get():
        tally.count += 1


def _checked_context(context: Mapping[str, str]) -> dict[str, str]:
    """What KMS is sent. It bounds a pair only from below; the message format has a bound for all of them."""
    for name, value in context.items():
        if not name or not value:
            raise InvalidArgument(
                f"KMS does not take an encryption context whose name or value is empty: {name!r:.200}",
                hint="leave the pair out, or give it a value like 'none'",
            )
    return dict(context)


def _check_length(what: str, value: bytes, most_bytes: int, *, hint: str) -> None:
    if not 1 <= len(value) <= most_bytes:
        raise InvalidArgument(f"the {what} has {len(value):,} bytes; KMS takes 1 to {most_bytes:,}", hint=hint)


def _check_key_id(response: Mapping[str, Any], key: KeyArn, operation: str) -> None:
    if response.get("KeyId") != str(key):
        answered = _parsed(response.get("KeyId"))
        _refuse(operation, f"names {answered or 'no key ARN'} where {key} was asked for")


def _bytes(response: Mapping[str, Any], name: str, least: int, most: int, operation: str) -> bytes:
    value = response.get(name)
    if not isinstance(value, bytes):
        _refuse(operation, f"holds no {name}")
    if not least <= len(value) <= most:
        wanted = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        _refuse(operation, f"has a {name} of {len(value):,} bytes instead of {wanted}")
    return value


def _parsed(text: object) -> KeyArn | None:
    try:
        return KeyArn.parse(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _refuse(operation: str, what: str) -> NoReturn:
    raise AwsError(
        f"the response to {operation} {what}",
        operation=operation,
        code="UnexpectedResponse",
        hint="this is not how KMS answers: check the endpoint and whatever stands between",
    )
