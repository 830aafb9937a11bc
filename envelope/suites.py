"""Algorithm suites and the commitment policy.

Source: AWS Encryption SDK specification, framework/algorithm-suites.md and framework/commitment-policy.md.
"""

from __future__ import annotations

from enum import Enum

from envelope.errors import InvalidArgument, PolicyRefused

__all__ = ["CommitmentPolicy", "Suite"]

IV_BYTES = 12
TAG_BYTES = 16


class Suite(Enum):
    """An algorithm suite: AES-GCM with a 12-byte IV and a 16-byte tag, and how its keys come about.

    The value is the two-byte identifier in the message, so ``Suite(0x0478)`` and ``Suite["..."]`` work.

    Attributes:
        data_key_bytes: length of the data key, of the content key and of the AES key: 16, 24 or 32.
        hkdf_hash: hash of the HKDF, ``"sha256"``, ``"sha384"`` or ``"sha512"``; None where the data key
            itself encrypts the content. Such a data key must never be used for two messages.
        derives_keys: whether the data key is only the input of the HKDF, so that it may serve several messages.
        is_committing: whether the message holds a commitment to its data key.
        curve: ``"P-256"`` or ``"P-384"`` where messages are signed, else None.
        signature_hash: hash of the signature, None where messages are not signed.
        is_signing: whether messages carry an ECDSA signature in their footer.
        message_version: 2 for the committing suites, 1 for the others.
    """

    AES_128_GCM_IV12_TAG16 = (0x0014, 16)
    AES_192_GCM_IV12_TAG16 = (0x0046, 24)
    AES_256_GCM_IV12_TAG16 = (0x0078, 32)
    AES_128_GCM_IV12_TAG16_HKDF_SHA256 = (0x0114, 16, "sha256")
    AES_192_GCM_IV12_TAG16_HKDF_SHA256 = (0x0146, 24, "sha256")
    AES_256_GCM_IV12_TAG16_HKDF_SHA256 = (0x0178, 32, "sha256")
    AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256 = (0x0214, 16, "sha256", False, "P-256", "sha256")
    AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384 = (0x0346, 24, "sha384", False, "P-384", "sha384")
    AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384 = (0x0378, 32, "sha384", False, "P-384", "sha384")
    AES_256_GCM_HKDF_SHA512_COMMIT_KEY = (0x0478, 32, "sha512", True)
    AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384 = (0x0578, 32, "sha512", True, "P-384", "sha384")

    id_bytes: bytes
    data_key_bytes: int
    hkdf_hash: str | None
    derives_keys: bool
    is_committing: bool
    curve: str | None
    signature_hash: str | None
    is_signing: bool
    message_version: int
    message_id_bytes: int
    commitment_bytes: int

    def __new__(
        cls,
        suite_id: int,
        data_key_bytes: int = 0,  # a look-up like Suite(0x0478) gives the identifier alone
        hkdf_hash: str | None = None,
        is_committing: bool = False,
        curve: str | None = None,
        signature_hash: str | None = None,
    ) -> Suite:
        self = object.__new__(cls)
        self._value_ = suite_id
        self.id_bytes = suite_id.to_bytes(2, "big")
        self.data_key_bytes = data_key_bytes
        self.hkdf_hash = hkdf_hash
        self.derives_keys = hkdf_hash is not None
        self.is_committing = is_committing
        self.curve = curve
        self.signature_hash = signature_hash
        self.is_signing = curve is not None
        self.message_version = 2 if is_committing else 1
        self.message_id_bytes = 32 if is_committing else 16
        self.commitment_bytes = 32 if is_committing else 0
        return self


SUITES_BY_ID: dict[int, Suite] = {suite.value: suite for suite in Suite}


class CommitmentPolicy(Enum):
    """Which suites a client writes and which it opens.

    A committing suite makes it impossible that one message opens to two plaintexts under two data keys.

    Attributes:
        default_suite: for messages for which none is asked for; docs/decisions/0002-default-suite.md has the reasons.
        opens_non_committing: whether messages of non-committing suites are opened.
    """

    FORBID_ENCRYPT_ALLOW_DECRYPT = ("forbid-encrypt-allow-decrypt", Suite.AES_256_GCM_IV12_TAG16_HKDF_SHA256, True)
    """Write non-committing suites only, open all: for the first step of a migration from SDK versions 1.x."""
    REQUIRE_ENCRYPT_ALLOW_DECRYPT = ("require-encrypt-allow-decrypt", Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, True)
    """Write committing suites only, open all: while old messages are still around."""
    REQUIRE_ENCRYPT_REQUIRE_DECRYPT = (
        "require-encrypt-require-decrypt",
        Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        False,
    )
    """Write and open committing suites only. The default."""

    default_suite: Suite
    opens_non_committing: bool

    def __new__(cls, text: str, default_suite: Suite, opens_non_committing: bool) -> CommitmentPolicy:
        self = object.__new__(cls)
        self._value_ = text
        self.default_suite = default_suite
        self.opens_non_committing = opens_non_committing
        return self

    def check_encrypt(self, suite: Suite) -> None:
        """Raise `PolicyRefused` unless messages of this suite may be written."""
        writes_committing = self.default_suite.is_committing
        if suite.is_committing is not writes_committing:
            raise PolicyRefused(
                f"commitment policy {self.value} forbids writing suite {suite.name}",
                hint="leave out suite= or choose one that the policy allows"
                if writes_committing
                else "a client that writes committing suites needs commitment_policy=REQUIRE_ENCRYPT_ALLOW_DECRYPT",
            )

    def check_decrypt(self, suite: Suite) -> None:
        """Raise `PolicyRefused` unless messages of this suite may be opened."""
        if not (suite.is_committing or self.opens_non_committing):
            raise PolicyRefused(
                f"commitment policy {self.value} forbids opening suite {suite.name}",
                hint="to open older messages, make a client with "
                "commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT",
            )


def check_suite(suite: object) -> Suite:
    """Return `suite`, or raise `InvalidArgument` if it is no `Suite`."""
    if not isinstance(suite, Suite):
        raise InvalidArgument(
            f"suite must be an envelope.Suite, not {type(suite).__name__}",
            hint="for example suite=Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384",
        )
    return suite
