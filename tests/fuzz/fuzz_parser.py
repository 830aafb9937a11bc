"""Fuzz the parser and the decryption behind it: whatever the bytes, only an `EnvelopeError` leaves the API.

`make fuzz` runs it for a minute. The corpus is made of the published vectors, and the keyring gives out a data key of
zeros, so that the messages of zero_key_messages.json reach the frames.
"""

import io
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["envelope"]):
    from envelope import (
        Client,
        CommitmentPolicy,
        DataKey,
        EncryptedDataKey,
        EnvelopeError,
        UnwrappedBy,
        UnwrappedDataKey,
        UnwrapRequest,
        WrapRequest,
        describe,
    )
    from envelope.message.header import parse_header, serialize_header

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
from tests.published_vectors import all_messages


class ZeroKeyring:
    """Gives out data keys of zero bytes."""

    def wrap(self, request: WrapRequest) -> DataKey:
        return DataKey(bytes(request.suite.data_key_bytes), (EncryptedDataKey("zero-key", b"", b""),))

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        return UnwrappedDataKey(bytes(request.suite.data_key_bytes), UnwrappedBy("ZeroKeyring", "zero-key", ""))


CLIENT = Client(ZeroKeyring(), commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)


def check(data: bytes) -> None:
    """Every way to read the bytes ends the same way, and a header that parses is written the same again."""
    try:
        header = parse_header(data, max_encrypted_data_keys=65_535)
    except EnvelopeError:
        pass
    else:
        assert serialize_header(header) == data[: header.header_bytes]
    plaintext = opened_whole(data)
    assert opened_in_pieces(data) == plaintext
    try:
        described = describe(data).plaintext_bytes
    except EnvelopeError:
        assert plaintext is None
    else:
        assert plaintext is None or len(plaintext) == described


def opened_whole(data: bytes) -> bytes | None:
    try:
        return CLIENT.decrypt(data)
    except EnvelopeError:
        return None


def opened_in_pieces(data: bytes) -> bytes | None:
    try:
        with CLIENT.decrypting_reader(io.BytesIO(data)) as reader:
            return b"".join(reader)
    except EnvelopeError:
        return None


def main() -> None:
    with tempfile.TemporaryDirectory() as corpus:
        for number, message in enumerate(all_messages()):
            (Path(corpus) / f"{number:04d}").write_bytes(message.message)
        atheris.Setup([*sys.argv, "-max_len=4096", corpus], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
