"""Stored values: as they are, or encrypted under a key of a fake KMS as the service does it.

Every version has a data key of its own. KMS is called as the caller, with the encryption context SecretARN and
SecretVersionId. A data key is wrapped for every region that the secret is in, and once more when the key is changed.

Source: AWS Secrets Manager User Guide, "Secret encryption and decryption in AWS Secrets Manager".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from envelope.aws.calls import call_service
from envelope.crypto.gcm import AESGCM
from envelope.errors import AwsAccessDenied, AwsError
from envelope.testing import FakeKms
from envelope.testing.kms_policy import Caller
from envelope_secrets.testing.faults import ServiceFault

__all__ = ["DEFAULT_KEY", "DEFAULT_KEY_ALIAS", "Place", "StoredValue", "Vault"]

DEFAULT_KEY = "DefaultEncryptionKey"
"""How the service names its own key in the list of versions."""
DEFAULT_KEY_ALIAS = "alias/aws/secretsmanager"

_NONCE_BYTES = 12
_VALIDATION = "RequestToValidateKeyAccess"


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key encrypted under one key of KMS, for one region."""

    region: str
    key_arn: str
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value. Without data keys it is what was put; two of them are the same if they are of one kind and equal.

    Attributes:
        data: the value, text in UTF-8; its ciphertext if there are data keys.
        data_keys: the same data key, wrapped under one key or several; the newest is the last.
    """

    data: bytes = field(repr=False)
    is_text: bool
    nonce: bytes = b""
    data_keys: tuple[WrappedKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret is, or a copy of it: the region, the ARN it has there, its key there (empty for the default)."""

    region: str
    arn: str
    kms_key_id: str

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]


@dataclass(slots=True)
class Vault:
    """Encrypts values, or keeps them as they are if there is no KMS.

    Attributes:
        default_keys: the keys aws/secretsmanager, by region and account; made when they are needed first.
    """

    kms: FakeKms | None
    random_bytes: Callable[[int], bytes]
    default_keys: dict[tuple[str, str], str] = field(default_factory=dict)

    def seal(self, caller: Caller, place: Place, version_id: str, value: StoredValue) -> StoredValue:
        """The stored form of a new version.

        Raises:
            ServiceFault: EncryptionFailure, AccessDeniedException.
        """
        if self.kms is None:
            return value
        context = _context(place, version_id)
        key = self._key_of(self.kms, place)
        answer = _asked(self.kms, caller, place, "generate_data_key", key, context, KeySpec="AES_256")
        nonce = self.random_bytes(_NONCE_BYTES)
        wrapped = WrappedKey(place.region, answer["KeyId"], answer["CiphertextBlob"])
        sealed = AESGCM(answer["Plaintext"]).encrypt(nonce, value.data, None)
        return StoredValue(sealed, value.is_text, nonce, (wrapped,))

    def open(self, caller: Caller, place: Place, version_id: str, stored: StoredValue) -> StoredValue:
        """The value of a version, in the region where it is read.

        Raises:
            ServiceFault: DecryptionFailure, AccessDeniedException.
        """
        if self.kms is None:
            return stored
        data_key = _data_key(self.kms, caller, place, version_id, stored)
        return StoredValue(AESGCM(data_key).decrypt(stored.nonce, stored.data, None), stored.is_text)

    def wrap_again(
        self, caller: Caller, place: Place, version_id: str, stored: StoredValue, *, to_place: Place
    ) -> StoredValue:
        """The same value with its data key wrapped once more: under another key, or for another region.

        Raises:
            ServiceFault: EncryptionFailure, DecryptionFailure, AccessDeniedException.
        """
        if self.kms is None:
            return stored
        data_key = _data_key(self.kms, caller, place, version_id, stored)
        context, key = _context(to_place, version_id), self._key_of(self.kms, to_place)
        answer = _asked(self.kms, caller, to_place, "encrypt", key, context, Plaintext=data_key)
        wrapped = WrappedKey(to_place.region, answer["KeyId"], answer["CiphertextBlob"])
        return replace(stored, data_keys=(*stored.data_keys, wrapped))

    def check_key(self, caller: Caller, place: Place) -> None:
        """Make the calls by which the service sees whether a key that was just chosen can be used.

        Raises:
            ServiceFault: EncryptionFailure, DecryptionFailure, AccessDeniedException.
        """
        if self.kms is None:
            return
        context, key = _context(place, _VALIDATION), self._key_of(self.kms, place)
        answer = _asked(self.kms, caller, place, "generate_data_key", key, context, KeySpec="AES_256")
        blob = answer["CiphertextBlob"]
        _asked(self.kms, caller, place, "decrypt", answer["KeyId"], context, CiphertextBlob=blob)

    def _key_of(self, kms: FakeKms, place: Place) -> str:
        if place.kms_key_id in ("", DEFAULT_KEY_ALIAS):
            return self._default_key(kms, place)
        if place.kms_key_id.startswith("arn:"):
            return place.kms_key_id
        kind = "" if place.kms_key_id.startswith("alias/") else "key/"
        partition = place.arn.split(":")[1]
        return f"arn:{partition}:kms:{place.region}:{place.account}:{kind}{place.kms_key_id}"

    def _default_key(self, kms: FakeKms, place: Place) -> str:
        """Its policy is for its account only, as that of the AWS managed key is."""
        known = self.default_keys.get((place.region, place.account))
        if known is None:
            created = kms.client(place.region, account=place.account).create_key(Description=DEFAULT_KEY_ALIAS)
            known = self.default_keys[place.region, place.account] = created["KeyMetadata"]["Arn"]
        return known


def _data_key(kms: FakeKms, caller: Caller, place: Place, version_id: str, stored: StoredValue) -> bytes:
    """From whichever wrapping can be opened; the newest one's failure is what is told."""
    failures = []
    keys = [key for key in stored.data_keys if key.region == place.region]
    context = _context(place, version_id)
    for key in reversed(keys):
        try:
            answer = _asked(kms, caller, place, "decrypt", key.key_arn, context, CiphertextBlob=key.ciphertext)
        except ServiceFault as fault:
            failures.append(fault)
        else:
            plaintext: bytes = answer["Plaintext"]
            return plaintext
    raise failures[0] if failures else ServiceFault("DecryptionFailure", "The copy in this region has no key.")


def _asked(
    kms: FakeKms, caller: Caller, place: Place, method: str, key: str, context: Mapping[str, str], **arguments: object
) -> Mapping[str, Any]:
    """Call KMS in the caller's name."""
    service = f"secretsmanager.{place.region}.amazonaws.com"
    client = kms.client(place.region, principal=caller.principal, via_service=service)
    request = {"KeyId": key, "EncryptionContext": dict(context), **arguments}
    try:
        answer: Mapping[str, Any] = call_service(
            getattr(client, method), request, operation=f"kms:{method}", resource=key
        )
    except AwsError as error:
        raise _fault_of(error, method) from None
    return answer


def _context(place: Place, version_id: str) -> dict[str, str]:
    return {"SecretARN": place.arn, "SecretVersionId": version_id}


def _fault_of(error: AwsError, method: str) -> ServiceFault:
    if isinstance(error, AwsAccessDenied):
        return ServiceFault("AccessDeniedException", "Access to KMS is not allowed")
    if error.code == "ThrottlingException":
        return ServiceFault("ThrottlingException", "Rate exceeded")
    if error.can_retry:
        return ServiceFault("InternalServiceError", "An error occurred on the server side.")
    code, verb = ("DecryptionFailure", "decrypt") if method == "decrypt" else ("EncryptionFailure", "encrypt")
    return ServiceFault(code, f"Secrets Manager can't {verb} the secret value: {error.code} (Service: AWSKMS)")
