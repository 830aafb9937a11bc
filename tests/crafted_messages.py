"""A second writer of the message format, for messages that no good writer makes.

It knows the bytes of the format and pyca/cryptography, and nothing of the library. Every field has a knob; what is left
alone is written as the specification says.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DATA_KEY = bytes(range(100, 132))
PUBLIC_KEY = "aws-crypto-public-key"
FINAL_MARK = 0xFFFFFFFF


@dataclass(frozen=True)
class SuiteFacts:
    """A row of the table of algorithm suites in the specification."""

    suite_id: int
    version: int
    key_bytes: int
    hkdf: type[hashes.HashAlgorithm] | None = None
    curve: type[ec.EllipticCurve] | None = None
    signature_hash: type[hashes.HashAlgorithm] | None = None

    @property
    def is_committing(self) -> bool:
        return self.version == 2


FACTS = {
    row.suite_id: row
    for row in (
        SuiteFacts(0x0014, 1, 16),
        SuiteFacts(0x0046, 1, 24),
        SuiteFacts(0x0078, 1, 32),
        SuiteFacts(0x0114, 1, 16, hashes.SHA256),
        SuiteFacts(0x0146, 1, 24, hashes.SHA256),
        SuiteFacts(0x0178, 1, 32, hashes.SHA256),
        SuiteFacts(0x0214, 1, 16, hashes.SHA256, ec.SECP256R1, hashes.SHA256),
        SuiteFacts(0x0346, 1, 24, hashes.SHA384, ec.SECP384R1, hashes.SHA384),
        SuiteFacts(0x0378, 1, 32, hashes.SHA384, ec.SECP384R1, hashes.SHA384),
        SuiteFacts(0x0478, 2, 32, hashes.SHA512),
        SuiteFacts(0x0578, 2, 32, hashes.SHA512, ec.SECP384R1, hashes.SHA384),
    )
}


def u16(number: int) -> bytes:
    return struct.pack(">H", number)


def u32(number: int) -> bytes:
    return struct.pack(">I", number)


def pairs(*items: tuple[str | bytes, str | bytes], count: int | None = None) -> bytes:
    """The serialized pairs in the order given, whether it is the canonical one or not."""
    stored = u16(len(items) if count is None else count)
    for item in items:
        for part in item:
            raw = part.encode() if isinstance(part, str) else part
            stored += u16(len(raw)) + raw
    return stored


def public_key_text(key: ec.EllipticCurvePrivateKey) -> str:
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return base64.b64encode(point).decode()


@dataclass(frozen=True)
class Key:
    """An encrypted data key."""

    provider_id: bytes = b"test"
    provider_info: bytes = b"key"
    ciphertext: bytes = b"wrapped"

    def serialize(self) -> bytes:
        return b"".join(u16(len(part)) + part for part in (self.provider_id, self.provider_info, self.ciphertext))


@dataclass(frozen=True)
class Frame:
    """A frame: sealed under `number`, and written with `stated_number` and `stated_bytes` where they are given."""

    number: int
    plaintext: bytes
    is_final: bool = False
    iv: bytes | None = None
    stated_number: int | None = None
    stated_bytes: int | None = None
    text: bytes | None = None


@dataclass(frozen=True)
class Crafted:
    """A message to be; `dataclasses.replace` turns a knob.

    Attributes:
        context: the serialized pairs as they stand behind their length; the public key is not added.
        unstored: serialized pairs that only the header tag covers.
        key_count: stated number of encrypted data keys.
        frames: instead of the frames that the plaintext takes.
        block_bytes: stated length of a non-framed body.
        signing_key: signs, whatever the suite; `footer` replaces the whole footer.
    """

    plaintext: bytes = b"three frames of 8 bytes!"
    suite_id: int = 0x0478
    data_key: bytes = field(default=DATA_KEY, repr=False)
    version: int | None = None
    message_type: int = 0x80
    message_id: bytes = b"message id of thirty-two bytes!!"
    context: bytes = b""
    context_bytes: int | None = None
    unstored: bytes = b""
    keys: tuple[Key, ...] = (Key(),)
    key_count: int | None = None
    content_type: int = 2
    reserved: bytes = bytes(4)
    iv_bytes: int = 12
    frame_length: int = 8
    stated_frame_length: int | None = None
    commitment: bytes | None = None
    header_iv: bytes = bytes(12)
    header_tag: bytes | None = None
    frames: tuple[Frame, ...] | None = None
    block_iv: bytes = u32(1).rjust(12, b"\0")
    block_bytes: int | None = None
    signing_key: ec.EllipticCurvePrivateKey | None = None
    footer: bytes | None = None

    @property
    def facts(self) -> SuiteFacts:
        return FACTS.get(self.suite_id, FACTS[0x0478])

    @property
    def id_bytes(self) -> bytes:
        return self.message_id if self.facts.is_committing else self.message_id[:16]

    def keys_of_message(self) -> tuple[bytes, bytes]:
        """Content key and commitment."""
        facts, data_key = self.facts, self.data_key[: self.facts.key_bytes]
        if facts.hkdf is None:
            return data_key, b""
        if not facts.is_committing:
            info = u16(self.suite_id) + self.id_bytes
            return HKDF(facts.hkdf(), facts.key_bytes, None, info).derive(data_key), b""
        content_key = HKDF(facts.hkdf(), 32, self.id_bytes, u16(self.suite_id) + b"DERIVEKEY").derive(data_key)
        return content_key, HKDF(facts.hkdf(), 32, self.id_bytes, b"COMMITKEY").derive(data_key)

    def header_body(self) -> bytes:
        is_version_2 = self.facts.is_committing if self.version is None else self.version == 2
        version = (2 if is_version_2 else 1) if self.version is None else self.version
        context_bytes = len(self.context) if self.context_bytes is None else self.context_bytes
        stored = bytes([version]) if is_version_2 else bytes([version, self.message_type])
        stored += u16(self.suite_id) + self.id_bytes + u16(context_bytes) + self.context
        stored += u16(len(self.keys) if self.key_count is None else self.key_count)
        stored += b"".join(key.serialize() for key in self.keys) + bytes([self.content_type])
        if not is_version_2:
            stored += self.reserved + bytes([self.iv_bytes])
        frame_length = self.frame_length if self.content_type == 2 else 0
        stored += u32(frame_length if self.stated_frame_length is None else self.stated_frame_length)
        if is_version_2:
            stored += self.keys_of_message()[1] if self.commitment is None else self.commitment
        return stored

    def header(self) -> bytes:
        stored = self.header_body()
        tag = self.header_tag
        if tag is None:
            tag = AESGCM(self.keys_of_message()[0]).encrypt(self.header_iv, b"", stored + self.unstored)
        return stored + (tag if self.facts.is_committing else self.header_iv + tag)

    def frames_of_plaintext(self) -> tuple[Frame, ...]:
        """As many frames as the plaintext takes; the last one full if it divides evenly."""
        starts = range(0, max(len(self.plaintext), 1), self.frame_length)
        contents = [self.plaintext[start : start + self.frame_length] for start in starts]
        return tuple(
            Frame(number, content, is_final=number == len(contents)) for number, content in enumerate(contents, start=1)
        )

    def seal_frame(self, frame: Frame) -> bytes:
        iv = frame.number.to_bytes(12, "big") if frame.iv is None else frame.iv
        text = frame.text
        if text is None:
            text = b"AWSKMSEncryptionClient Final Frame" if frame.is_final else b"AWSKMSEncryptionClient Frame"
        aad = self.id_bytes + text + u32(frame.number) + struct.pack(">Q", len(frame.plaintext))
        sealed = AESGCM(self.keys_of_message()[0]).encrypt(iv, frame.plaintext, aad)
        number = u32(frame.number if frame.stated_number is None else frame.stated_number)
        if not frame.is_final:
            return number + iv + sealed
        stated_bytes = len(frame.plaintext) if frame.stated_bytes is None else frame.stated_bytes
        return u32(FINAL_MARK) + number + iv + u32(stated_bytes) + sealed

    def sealed_frames(self) -> list[bytes]:
        frames = self.frames_of_plaintext() if self.frames is None else self.frames
        return [self.seal_frame(frame) for frame in frames]

    def body(self) -> bytes:
        if self.content_type == 2:
            return b"".join(self.sealed_frames())
        content_bytes = struct.pack(">Q", len(self.plaintext))
        aad = self.id_bytes + b"AWSKMSEncryptionClient Single Block" + u32(1) + content_bytes
        sealed = AESGCM(self.keys_of_message()[0]).encrypt(self.block_iv, self.plaintext, aad)
        stated = content_bytes if self.block_bytes is None else struct.pack(">Q", self.block_bytes)
        return self.block_iv + stated + sealed

    def sign(self, signed: bytes) -> bytes:
        """The footer over these bytes; none without a signing key."""
        if self.footer is not None:
            return self.footer
        if self.signing_key is None:
            return b""
        hash_of_suite = self.facts.signature_hash or hashes.SHA384
        signature = self.signing_key.sign(signed, ec.ECDSA(hash_of_suite()))
        return u16(len(signature)) + signature

    def serialize(self) -> bytes:
        """The whole message."""
        signed = self.header() + self.body()
        return signed + self.sign(signed)


def signed_message(suite_id: int = 0x0578, **knobs: object) -> Crafted:
    """A message of a signing suite with a fresh key pair, its public key in the context."""
    curve = FACTS[suite_id].curve
    assert curve is not None
    key = ec.generate_private_key(curve())
    context = pairs((PUBLIC_KEY, public_key_text(key)))
    return Crafted(suite_id=suite_id, **{"context": context, "signing_key": key, **knobs})  # type: ignore[arg-type]


def message_of(suite_id: int, **knobs: object) -> Crafted:
    """A message of any suite, signed where the suite signs."""
    if FACTS[suite_id].curve is not None:
        return signed_message(suite_id, **knobs)
    return Crafted(suite_id=suite_id, **knobs)  # type: ignore[arg-type]
