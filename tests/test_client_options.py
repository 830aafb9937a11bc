"""The options of a client and of one message: what is allowed, and where it is refused."""

from __future__ import annotations

import io
import mmap
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from envelope import Client, EnvelopeError, InvalidArgument, LimitExceeded, Suite, describe
from tests.crafted_messages import Crafted
from tests.keyrings_for_tests import FixedKeyring, open_client, raw_aes

MAX_FRAME = 2**31 - 1 - 16
HUGE = pytest.param(10**5000, id="huge")
HUGE_NEGATIVE = pytest.param(-(10**5000), id="huge negative")


@pytest.mark.parametrize("value", [0, -1, 65_536, 1.0, "32", None, True, b"1", HUGE, HUGE_NEGATIVE])
def test_a_limit_of_keys_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="max_encrypted_data_keys must be"):
        Client(raw_aes(), max_encrypted_data_keys=value)


@pytest.mark.parametrize("value", [0, -1, MAX_FRAME + 1, 1.0, "1", None, False, b"1", HUGE, HUGE_NEGATIVE])
def test_a_limit_of_frames_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="max_frame_bytes must be"):
        Client(raw_aes(), max_frame_bytes=value)


@pytest.mark.parametrize("value", ["require-encrypt-require-decrypt", None, 1, Suite(0x0478), True])
def test_a_policy_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"commitment_policy must be an envelope\.CommitmentPolicy"):
        Client(raw_aes(), commitment_policy=value)


@pytest.mark.parametrize("option", ["decrypt_unsigned_only", "allow_net_4_0_0_messages"])
@pytest.mark.parametrize("value", ["yes", "", 1, 0, None])
def test_a_switch_is_true_or_false(option: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"{option} must be True or False"):
        Client(raw_aes(), **{option: value})


@pytest.mark.parametrize("value", [0, -1, MAX_FRAME + 1, 2**32, 1.5, "8", True, b"8", HUGE, HUGE_NEGATIVE])
def test_a_frame_length_that_is_none_is_refused_before_a_key_is_asked_for(value: Any) -> None:
    keyring = FixedKeyring()
    client = Client(keyring)
    for attempt in (
        lambda: client.encrypt(b"x", frame_length_bytes=value),
        lambda: client.encrypting_writer(io.BytesIO(), frame_length_bytes=value),
        lambda: client.encrypt_stream(io.BytesIO(b"x"), io.BytesIO(), frame_length_bytes=value),
    ):
        with pytest.raises(InvalidArgument, match="frame_length_bytes must be"):
            attempt()
    assert keyring.wraps == []


@pytest.mark.parametrize("value", [True, 1.0])
def test_what_equals_a_frame_length_is_refused_also_after_that_was_used(value: Any) -> None:
    client = open_client()
    client.encrypt(b"x", frame_length_bytes=1)
    with pytest.raises(InvalidArgument, match="frame_length_bytes must be"):
        client.encrypt(b"x", frame_length_bytes=value)


@pytest.mark.parametrize("frame_length", [1, 127, 128, 4096, 2**24 + 1, 2**26])
def test_any_frame_length_is_written(frame_length: int) -> None:
    client = Client(raw_aes())
    message = client.encrypt(b"plaintext", frame_length_bytes=frame_length)
    assert describe(message).frame_length_bytes == frame_length
    assert client.decrypt(message) == b"plaintext"


def test_frames_have_a_default_length() -> None:
    assert describe(Client(raw_aes()).encrypt(b"")).frame_length_bytes == 262_144


def test_the_greatest_frame_takes_no_more_memory_than_the_plaintext() -> None:
    client = Client(raw_aes(), max_frame_bytes=MAX_FRAME)
    message = client.encrypt(b"plaintext", frame_length_bytes=MAX_FRAME)
    assert client.decrypt(message) == client.decrypting_reader(io.BytesIO(message)).read() == b"plaintext"


@pytest.mark.parametrize("frame_length", [None, 16, 17])
def test_a_client_writes_no_message_that_it_would_not_open(frame_length: int | None) -> None:
    """`max_frame_bytes` is for writing too, like `max_encrypted_data_keys`: nobody else gets a surprise either."""
    client = Client(raw_aes(), max_frame_bytes=16)
    for plaintext in (b"", b"x" * 50):
        try:
            message = client.encrypt(plaintext, frame_length_bytes=frame_length)
        except EnvelopeError:
            assert frame_length == 17
        else:
            assert client.decrypt(message) == plaintext


@pytest.fixture
def sparse(tmp_path: Path) -> mmap.mmap:
    """4 GiB that nobody has written: they take neither memory nor disk until somebody reads them."""
    path = tmp_path / "sparse"
    with path.open("wb+") as file:
        file.truncate(2**32)
        return mmap.mmap(file.fileno(), 2**32, access=mmap.ACCESS_READ)


@pytest.mark.parametrize("suite_id", [0x0478, 0x0578])
def test_a_plaintext_of_more_frames_than_a_message_can_have_is_refused_at_once(
    sparse: mmap.mmap, suite_id: int
) -> None:
    """2**32 frames of a byte would take 141 GB: refused before memory is taken."""
    with pytest.raises(LimitExceeded, match="frames") as caught:
        open_client().encrypt(sparse, frame_length_bytes=1, suite=Suite(suite_id))  # type: ignore[arg-type]
    assert "frame_length_bytes" in caught.value.hint


def test_a_client_says_what_it_is() -> None:
    assert repr(Client(raw_aes())) == (
        "Client(RawAesKeyring('tests', 'key'), commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)"
    )


def test_a_client_cannot_be_changed() -> None:
    client = Client(raw_aes())
    for name in ("commitment_policy", "max_frame_bytes", "keyring", "anything"):
        with pytest.raises(AttributeError):
            setattr(client, name, 1)


def test_dangerous_and_rare_options_are_given_by_name() -> None:
    client: Any = open_client()
    make_client: Any = Client
    message = Crafted().serialize()
    for attempt in (
        lambda: make_client(raw_aes(), True),
        lambda: client.encrypt(b"x", {}, Suite(0x0478)),
        lambda: client.decrypting_reader(io.BytesIO(message), {}, True),
        lambda: client.decrypt_stream(io.BytesIO(message), io.BytesIO(), {}, True),
    ):
        with pytest.raises(TypeError):
            attempt()


@pytest.fixture
def without_openssl_hmac(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library loaded anew by a Python whose `hashlib` was built without OpenSSL."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "envelope"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "_hashlib", ModuleType("_hashlib"))


@pytest.mark.parametrize("suite_id", [0x0114, 0x0178, 0x0378, 0x0478, 0x0578])
def test_a_python_without_openssl_in_hashlib_derives_the_same_keys(without_openssl_hmac: None, suite_id: int) -> None:
    import envelope as anew

    assert anew.Client is not Client
    client = anew.Client(
        anew.RawAesKeyring("tests", "key", bytes([1]) * 32),
        commitment_policy=anew.CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
    )
    old = _message_of_the_library_as_it_was(suite_id)
    assert client.decrypt(old) == b"plaintext"


def _message_of_the_library_as_it_was(suite_id: int) -> bytes:
    from tests.keyrings_for_tests import writing_client

    return writing_client(suite_id, raw_aes()).encrypt(b"plaintext", suite=Suite(suite_id))
