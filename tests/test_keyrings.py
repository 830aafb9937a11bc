"""Raw keyrings, and keyrings of anybody's: what they take, and what becomes of whatever they return or raise."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from envelope import (
    Client,
    DataKey,
    EncryptedDataKey,
    EncryptionContext,
    EnvelopeError,
    InvalidArgument,
    Keyring,
    KeyUnavailable,
    LimitExceeded,
    RawAesKeyring,
    Suite,
    UnwrapFailed,
    UnwrappedBy,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
    describe,
)
from envelope.crypto.ecdsa import SigningKey
from tests.crafted_messages import Crafted, Key, pairs
from tests.keyrings_for_tests import (
    ALL_SUITES,
    AnswersWith,
    FixedKeyring,
    Refuses,
    open_client,
    raw_aes,
    writing_client,
)

DATA_KEY = b"a data key of thirty-two bytes!!"
BY = UnwrappedBy("keyring", "provider", "key")
SOME_KEY = EncryptedDataKey("test", b"key", b"wrapped")
REQUEST = UnwrapRequest(Suite(0x0478), EncryptionContext({}), (SOME_KEY,))

each_size = pytest.mark.parametrize("size", [16, 24, 32])


@each_size
@pytest.mark.parametrize("suite_id", ALL_SUITES)
def test_a_raw_aes_key_of_any_length_wraps_data_keys_of_any_length(suite_id: int, size: int) -> None:
    client = writing_client(suite_id, RawAesKeyring("namespace", "näme", bytes(size)))
    message = client.encrypt(b"plaintext", {"a": "b"}, suite=Suite(suite_id))
    opened = client.decrypt_message(message)
    assert opened.plaintext == b"plaintext"
    assert opened.unwrapped_by == UnwrappedBy("RawAesKeyring('namespace', 'näme')", "namespace", "näme")
    (key,) = describe(message).encrypted_data_keys
    assert key.provider_id == "namespace"
    # The name, the tag length in bits, the IV length, and a random IV.
    assert key.provider_info[:-12] == "näme".encode() + b"\0\0\0\x80\0\0\0\x0c"
    assert len(key.ciphertext) == Suite(suite_id).data_key_bytes + 16


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_wrapping_key_is_any_kind_of_bytes(kind: Any) -> None:
    message = Client(RawAesKeyring("tests", "key", kind(bytes([1]) * 32))).encrypt(b"plaintext")
    assert Client(raw_aes()).decrypt(message) == b"plaintext"


@pytest.mark.parametrize("wrapping_key", ["k" * 32, None, 32, [0] * 32, b"", bytes(15), bytes(33), bytes(64)])
def test_what_is_no_wrapping_key_is_refused(wrapping_key: Any) -> None:
    with pytest.raises(InvalidArgument, match="wrapping key"):
        RawAesKeyring("tests", "key", wrapping_key)


LONGEST_NAME = 65_535 - 20
"""The provider information is the name and 20 bytes."""


@pytest.mark.parametrize(
    ("namespace", "name", "text"),
    [
        ("", "key", "namespace is empty"),
        ("tests", "", "key name is empty"),
        (b"tests", "key", "namespace must be str"),
        ("tests", b"key", "key name must be str"),
        (None, "key", "namespace must be str"),
        ("tests", 1, "key name must be str"),
        ("tests", "\ud800", "UTF-8 cannot encode"),
        ("\udcff", "key", "UTF-8 cannot encode"),
        ("tests", "k" * (LONGEST_NAME + 1), "65,516 bytes in UTF-8, more than 65,515"),
        ("tests", "é" * (LONGEST_NAME // 2 + 1), "more than 65,515"),
        ("n" * 65_536, "key", "more than 65,535"),
        ("aws-kms", "key", "reserved for AWS KMS"),
        ("aws-kms-hierarchy", "key", "reserved for AWS KMS"),
    ],
)
def test_a_name_that_no_message_can_hold_is_refused(namespace: Any, name: Any, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        RawAesKeyring(namespace, name, bytes(32))


def test_the_longest_names_are_written_and_read() -> None:
    client = Client(RawAesKeyring("n" * 65_535, "k" * LONGEST_NAME, bytes(32)))
    message = client.encrypt(b"plaintext")
    assert client.decrypt(message) == b"plaintext"
    assert client.decrypting_reader(io.BytesIO(message)).read() == b"plaintext"


INFO = b"key\0\0\0\x80\0\0\0\x0c" + bytes(12)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (Key(b"other", INFO, b""), "wrapped under another key, other:key"),
        (Key(b"tests", b"yek" + INFO[3:], b""), "another key, tests:yek"),
        (Key(b"tests", b"", b""), "another key, tests:"),
        (Key(b"tests", INFO[:-1], b""), "not that of this key"),
        (Key(b"tests", INFO + b"\0", b""), "not that of this key"),
        (Key(b"tests", b"key" + INFO, b""), "not that of this key"),
        (Key(b"tests", INFO.replace(b"\x80", b"\x60"), b""), "not that of this key"),
        (Key(b"tests", INFO.replace(b"\x0c", b"\x10"), b""), "not that of this key"),
        (Key(b"tests", INFO, b""), "not authentic"),
        (Key(b"tests", INFO, bytes(48)), "not authentic"),
    ],
)
def test_an_encrypted_data_key_that_is_not_ours_says_why(key: Key, text: str) -> None:
    with pytest.raises(KeyUnavailable, match=r"no keyring could unwrap the data key \(1 tried\)") as caught:
        Client(raw_aes()).decrypt(Crafted(keys=(key,)).serialize())
    (cause,) = caught.value.errors
    assert isinstance(cause, UnwrapFailed)
    assert text in str(cause)
    assert str(cause).startswith("RawAesKeyring('tests', 'key'): ")
    assert (cause.keyring, cause.provider_id) == ("RawAesKeyring('tests', 'key')", key.provider_id.decode())
    assert (cause.__cause__ is not None) is ("not authentic" in text)


def test_every_wrapping_has_its_own_iv() -> None:
    """Two data keys under one wrapping key and one IV, and the key is lost."""
    client = Client(raw_aes())
    keys = [key for _ in range(50) for key in describe(client.encrypt(b"")).encrypted_data_keys]
    assert len({key.provider_info[-12:] for key in keys}) == 50


def _wrapped(fill: int, *, size: int = 32, context: bytes = b"") -> Key:
    """A data key of this size, truly wrapped under the key of `raw_aes(fill=fill)`."""
    suite = {16: Suite(0x0114), 24: Suite(0x0146), 32: Suite(0x0478)}[size]
    request = WrapRequest(suite, EncryptionContext({"a": "b"} if context else {}), Crafted().data_key[:size])
    (key,) = raw_aes(fill=fill).wrap(request).encrypted_data_keys
    return Key(key.provider_id.encode(), key.provider_info, key.ciphertext)


def test_the_next_encrypted_data_key_is_tried_when_one_fails() -> None:
    keys = (Key(), _wrapped(2), _wrapped(1, size=16), _wrapped(1, context=b"other"), _wrapped(1))
    assert Client(raw_aes()).decrypt(Crafted(keys=keys).serialize()) == Crafted().plaintext
    with pytest.raises(KeyUnavailable, match=r"4 tried") as caught:
        Client(raw_aes()).decrypt(Crafted(keys=keys[:4]).serialize())
    texts = [str(cause) for cause in caught.value.errors]
    assert ["another key" in text for text in texts] == [True, False, False, False]
    assert "not authentic" in texts[1]
    assert "not a data key of the suite's length" in texts[2]
    assert "not authentic" in texts[3]
    assert caught.value.hint.startswith("the message names test:key, tests:key, tests:key, ...")


def test_the_context_is_bound_to_the_wrapped_data_key() -> None:
    key = _wrapped(1, context=b"a")
    message = Crafted(keys=(key,), context=pairs(("a", "b"))).serialize()
    assert Client(raw_aes()).decrypt(message) == Crafted().plaintext
    with pytest.raises(KeyUnavailable):
        Client(raw_aes()).decrypt(Crafted(keys=(key,), context=pairs(("a", "c"))).serialize())


@pytest.mark.parametrize("noise", ["\n2026-01-01 root: all is well", "\x1b[2J", "\u202e", "\0", "\x7f"])
def test_a_message_cannot_write_control_characters_into_error_texts(noise: str) -> None:
    """Names in a message are anybody's: a newline forges a line of a log, an escape rewrites a terminal."""
    raw = noise.encode()
    message = Crafted(keys=(Key(b"id" + raw, b"info" + raw),), context=pairs((raw, raw))).serialize()
    with pytest.raises(KeyUnavailable) as caught:
        Client(raw_aes()).decrypt(message)
    (cause,) = caught.value.errors
    assert isinstance(cause, UnwrapFailed)
    for text in (str(caught.value), caught.value.hint, str(cause), cause.hint, cause.key_name):
        assert text.isprintable()


def test_an_error_text_does_not_grow_with_the_message() -> None:
    message = Crafted(keys=(Key(b"p" * 65_535, b"i" * 65_535),) * 3).serialize()
    with pytest.raises(KeyUnavailable) as caught:
        Client(raw_aes()).decrypt(message)
    assert len(str(caught.value)) + len(caught.value.hint) < 2_000
    assert max(len(str(cause)) for cause in caught.value.errors) < 1_000


@pytest.mark.parametrize(
    "keyring",
    [None, "keyring", b"key" * 16, 42, object(), RawAesKeyring, AnswersWith, {"wrap": 1, "unwrap": 2}, [raw_aes()]],
)
def test_what_is_no_keyring_is_refused(keyring: Any) -> None:
    with pytest.raises(InvalidArgument, match="keyring must be a keyring") as caught:
        Client(keyring)
    assert "RawAesKeyring" in caught.value.hint


def test_two_methods_make_a_keyring() -> None:
    for keyring in (FixedKeyring(), raw_aes(), Refuses(), AnswersWith(None)):
        assert isinstance(keyring, Keyring)


class OneMethod:
    def wrap(self, request: WrapRequest) -> DataKey:
        raise NotImplementedError


def test_half_a_keyring_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="not OneMethod"):
        Client(OneMethod())  # type: ignore[arg-type]


def _of(key: bytes, *keys: Any) -> DataKey:
    return DataKey(key, keys)


WRONG_DATA_KEYS: dict[str, Any] = {
    "None": None,
    "the bytes alone": DATA_KEY,
    "an unwrapped data key": UnwrappedDataKey(DATA_KEY, BY),
    "a tuple": (DATA_KEY, (SOME_KEY,)),
    "too short": _of(DATA_KEY[:16], SOME_KEY),
    "too long": _of(DATA_KEY * 2, SOME_KEY),
    "no bytes at all": _of(b"", SOME_KEY),
    "bytearray": _of(bytearray(DATA_KEY), SOME_KEY),  # type: ignore[arg-type]
    "no plaintext": _of(None, SOME_KEY),  # type: ignore[arg-type]
    "text": _of("k" * 32, SOME_KEY),  # type: ignore[arg-type]
    "no encrypted data key": _of(DATA_KEY),
    "None for the encrypted data keys": DataKey(DATA_KEY, None),  # type: ignore[arg-type]
    "a number for the encrypted data keys": DataKey(DATA_KEY, 1),  # type: ignore[arg-type]
    "an encrypted data key without its tuple": DataKey(DATA_KEY, SOME_KEY),  # type: ignore[arg-type]
    "text for an encrypted data key": _of(DATA_KEY, "wrapped"),
    "None for an encrypted data key": _of(DATA_KEY, None),
    "bytes for a provider id": _of(DATA_KEY, EncryptedDataKey(b"test", b"", b"")),  # type: ignore[arg-type]
    "text for the provider information": _of(DATA_KEY, EncryptedDataKey("test", "key", b"")),  # type: ignore[arg-type]
    "text for the ciphertext": _of(DATA_KEY, EncryptedDataKey("test", b"key", "wrapped")),  # type: ignore[arg-type]
    "None for the ciphertext": _of(DATA_KEY, EncryptedDataKey("test", b"key", None)),  # type: ignore[arg-type]
    "a provider id that UTF-8 cannot encode": _of(DATA_KEY, EncryptedDataKey("\ud800", b"", b"")),
    "a long provider id": _of(DATA_KEY, EncryptedDataKey("é" * 32_768, b"", b"")),
    "long provider information": _of(DATA_KEY, EncryptedDataKey("test", bytes(65_536), b"")),
    "a long ciphertext": _of(DATA_KEY, SOME_KEY, EncryptedDataKey("test", b"", bytes(65_536))),
}


@pytest.mark.parametrize("name", WRONG_DATA_KEYS)
def test_a_keyring_that_returns_no_good_data_key_makes_no_message(name: str) -> None:
    client = Client(AnswersWith(WRONG_DATA_KEYS[name]))
    out = io.BytesIO()
    for attempt in (
        lambda: client.encrypt(b"x"),
        lambda: client.encrypting_writer(out),
        lambda: client.encrypt_stream(io.BytesIO(b"x"), out),
    ):
        with pytest.raises(KeyUnavailable):
            attempt()
    assert out.getvalue() == b""


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_list_of_encrypted_data_keys_is_as_good_as_a_tuple_or_refused(kind: Any) -> None:
    """Types that the contract does not name, and whose meaning nobody doubts."""
    key = EncryptedDataKey("test", kind(b"key"), kind(b"wrapped"))
    for keys in ((key,), [key]):
        try:
            message = Client(AnswersWith(DataKey(DATA_KEY, keys))).encrypt(b"x")  # type: ignore[arg-type]
        except KeyUnavailable:
            assert kind is not bytes or type(keys) is list
        else:
            assert describe(message).encrypted_data_keys == (SOME_KEY,)
            assert Client(AnswersWith(UnwrappedDataKey(DATA_KEY, BY))).decrypt(message) == b"x"


def test_encrypted_data_keys_of_the_greatest_size_are_written_and_read() -> None:
    greatest = EncryptedDataKey("p" * 65_535, b"i" * 65_535, b"c" * 65_535)
    empty = EncryptedDataKey("", b"", b"")
    message = Client(AnswersWith(DataKey(DATA_KEY, (greatest, empty)))).encrypt(b"x")
    assert describe(message).encrypted_data_keys == (greatest, empty)
    client = Client(AnswersWith(UnwrappedDataKey(DATA_KEY, BY)))
    assert client.decrypt(message) == client.decrypting_reader(io.BytesIO(message)).read() == b"x"


def test_more_encrypted_data_keys_than_the_client_opens_are_not_written() -> None:
    keyring = AnswersWith(DataKey(DATA_KEY, (SOME_KEY,) * 3))
    assert len(describe(Client(keyring, max_encrypted_data_keys=3).encrypt(b"x")).encrypted_data_keys) == 3
    with pytest.raises(LimitExceeded, match="3 encrypted data keys, more than the limit of 2"):
        Client(keyring, max_encrypted_data_keys=2).encrypt(b"x")
    with pytest.raises(LimitExceeded):
        Client(AnswersWith(DataKey(DATA_KEY, (SOME_KEY,) * 65_536)), max_encrypted_data_keys=65_535).encrypt(b"x")


WRONG_UNWRAPPED: dict[str, Any] = {
    "None": None,
    "the bytes alone": Crafted().data_key,
    "a data key of the other kind": DataKey(Crafted().data_key, (SOME_KEY,)),
    "too short": UnwrappedDataKey(Crafted().data_key[:16], BY),
    "too long": UnwrappedDataKey(Crafted().data_key * 2, BY),
    "bytearray": UnwrappedDataKey(bytearray(Crafted().data_key), BY),  # type: ignore[arg-type]
    "no plaintext": UnwrappedDataKey(None, BY),  # type: ignore[arg-type]
    "nobody who unwrapped it": UnwrappedDataKey(Crafted().data_key, None),  # type: ignore[arg-type]
    "text for who unwrapped it": UnwrappedDataKey(Crafted().data_key, "me"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG_UNWRAPPED)
def test_a_keyring_that_unwraps_to_no_good_data_key_opens_no_message(name: str) -> None:
    client = Client(AnswersWith(WRONG_UNWRAPPED[name]))
    message = Crafted().serialize()
    for attempt in (
        lambda: client.decrypt_message(message),
        lambda: client.decrypting_reader(io.BytesIO(message)),
        lambda: client.open_range(io.BytesIO(message), 0, 1),
    ):
        with pytest.raises(KeyUnavailable):
            attempt()


@pytest.mark.parametrize("error", [ValueError("oops"), KeyError("x"), OSError(5, "io"), TypeError(), StopIteration()])
def test_whatever_a_keyring_raises_becomes_key_unavailable(error: Exception) -> None:
    client = Client(AnswersWith(error))
    message = Crafted().serialize()
    for attempt in (
        lambda: client.encrypt(b"x"),
        lambda: client.encrypt_stream(io.BytesIO(), io.BytesIO()),
        lambda: client.decrypt(message),
        lambda: client.decrypt_stream(io.BytesIO(message), io.BytesIO()),
    ):
        with pytest.raises(KeyUnavailable, match=r"AnswersWith\(\) failed to (un)?wrap") as caught:
            attempt()
        assert caught.value.errors == (error,)
        assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [KeyUnavailable("no"), InvalidArgument("no"), EnvelopeError("no"), KeyboardInterrupt()]
)
def test_our_own_errors_and_interrupts_leave_a_keyring_as_they_are(error: BaseException) -> None:
    client = open_client(AnswersWith(error))
    for attempt in (lambda: client.encrypt(b"x"), lambda: client.decrypt(Crafted().serialize())):
        with pytest.raises(type(error)) as caught:
            attempt()
        assert caught.value is error


def test_a_keyring_can_be_used_by_itself() -> None:
    """The contract of `Keyring`: what `wrap` gives, `unwrap` takes."""
    keyring = raw_aes()
    given = WrapRequest(Suite(0x0478), EncryptionContext({"a": "b"}), DATA_KEY)
    wrapped = keyring.wrap(given)
    assert wrapped.plaintext == DATA_KEY
    made = keyring.wrap(WrapRequest(Suite(0x0114), EncryptionContext({"a": "b"})))
    assert len(made.plaintext) == 16
    request = UnwrapRequest(Suite(0x0478), EncryptionContext({"a": "b"}), (SOME_KEY, *wrapped.encrypted_data_keys))
    assert keyring.unwrap(request).plaintext == DATA_KEY
    with pytest.raises(KeyUnavailable):
        keyring.unwrap(REQUEST)


class Counts(FixedKeyring):
    """A keyring that counts messages, and forgets what goes with that."""

    def __init__(self, signing_key: Any) -> None:
        super().__init__()
        self.signing_key = signing_key

    def wrap_for(self, request: WrapRequest, plaintext_bytes: int) -> DataKey:
        return replace(self.wrap(request), signing_key=self.signing_key)

    def wrap_stream(self, request: WrapRequest, least_bytes: int | None) -> DataKey:
        return self.wrap_for(request, least_bytes or 0)


def test_a_keyring_that_counts_has_to_give_a_signing_key_for_signed_messages_and_no_others() -> None:
    signed = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
    with pytest.raises(KeyUnavailable, match="gave no signing key"):
        Client(Counts(None)).encrypt(b"", suite=signed)
    with pytest.raises(KeyUnavailable, match="gave a signing key"):
        Client(Counts(SigningKey("P-384"))).encrypting_writer(io.BytesIO())
