"""What the caller may do with a KMS key, found out by calls that do nothing.

Source: KMS Developer Guide, "Testing your KMS API calls" (DryRun).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from envelope.aws.arn import KeyArn
from envelope.aws.calls import call_service
from envelope.aws.kms import Clients, KmsRequest, encrypt, generate_data_key
from envelope.errors import AwsAccessDenied, AwsError

__all__ = ["Permission", "permissions_on"]

_ALLOWED = "DryRunOperationException"
_METHODS = {"kms:GenerateDataKey": "generate_data_key", "kms:Encrypt": "encrypt", "kms:Decrypt": "decrypt"}
_PROBE = b"\0"


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether one operation is allowed.

    Attributes:
        is_allowed: None if it could not be found out.
        error: why it is not allowed, or could not be found out.
    """

    operation: str
    is_allowed: bool | None
    error: AwsError | None = None


def permissions_on(
    clients: Clients, key: KeyArn, encryption_context: Mapping[str, str]
) -> tuple[Permission, Permission, Permission]:
    """Which of GenerateDataKey, Encrypt and Decrypt the caller may do with a key and an encryption context.

    A dry run of Decrypt needs a ciphertext of the key. It is made by a real Encrypt of a zero byte, or by a real
    GenerateDataKey whose plaintext is forgotten, if the caller may do one of them.
    """
    request = KmsRequest(clients, encryption_context)
    generating = _tried(request, key, "kms:GenerateDataKey", {"NumberOfBytes": 32})
    encrypting = _tried(request, key, "kms:Encrypt", {"Plaintext": _PROBE})
    try:
        if encrypting.is_allowed:
            ciphertext = encrypt(request, key, _PROBE)
        elif generating.is_allowed:
            ciphertext = generate_data_key(request, key, 32).ciphertext
        else:
            return generating, encrypting, Permission("kms:Decrypt", None, _unknown())
    except AwsError as error:
        return generating, encrypting, Permission("kms:Decrypt", None, error)
    return generating, encrypting, _tried(request, key, "kms:Decrypt", {"CiphertextBlob": ciphertext})


def _tried(request: KmsRequest, key: KeyArn, operation: str, arguments: dict[str, object]) -> Permission:
    arguments |= {"KeyId": str(key), "DryRun": True}
    if request.encryption_context:
        arguments["EncryptionContext"] = dict(request.encryption_context)
    client = request.clients.client("kms", key.region)

    def call() -> object:  # a stand-in that a caller made may lack the method
        return getattr(client, _METHODS[operation])(**arguments)

    try:
        call_service(call, {}, operation=operation, resource=str(key))
    except AwsError as error:
        if error.code == _ALLOWED:
            return Permission(operation, is_allowed=True)
        return Permission(operation, False if isinstance(error, AwsAccessDenied) else None, error)
    return Permission(operation, is_allowed=True)  # whoever answers does not know DryRun, and has done the call


def _unknown() -> AwsError:
    return AwsError(
        "there is no ciphertext to ask with: the caller may neither encrypt nor generate a data key",
        operation="kms:Decrypt",
        code="NoCiphertext",
        hint="decrypt a message of this key to find out",
    )
