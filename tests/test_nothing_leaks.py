"""No text of a value or an exception shows a key, a plaintext or a value of an encryption context."""

from __future__ import annotations

import base64
import copy
import io
import pickle
import traceback
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

import envelope
from envelope import (
    Client,
    DataKey,
    EncryptedDataKey,
    EncryptionContext,
    EnvelopeError,
    KeyUnavailable,
    MultiKeyring,
    NotAuthentic,
    RawAesKeyring,
    RawRsaKeyring,
    Suite,
    UnwrapFailed,
    UnwrappedBy,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
    describe,
)
from tests.crafted_messages import Crafted, Key, pairs, signed_message
from tests.keyrings_for_tests import AnswersWith, FixedKeyring, open_client
from tests.python_child import run_python

WRAPPING_KEY = b"\xf1wrapping key of 32 bytes, hidden"[:32]
DATA_KEY = b"\xf2data key of 32 bytes, so hidden!"[:32]
PLAINTEXT = b"\xf3plaintext that nobody may see...."
VALUE = "personal-data-of-a-person"
CONTEXT = {"patient": VALUE}
RSA_KEY = rsa.generate_private_key(65_537, 2_048)
PEM = RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PEM_UNDER_PASSPHRASE = RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))


def _forms(secret: bytes) -> Iterator[str]:
    """How a secret could stand in a text."""
    yield secret.hex()
    yield secret.hex().upper()
    yield base64.b64encode(secret).decode().rstrip("=")[:-1]
    yield repr(secret)[2:-1]
    yield secret.decode("latin-1")
    yield secret.decode(errors="replace")
    yield repr(list(secret))[1:-1]


SECRETS = [
    *(form for secret in (WRAPPING_KEY, DATA_KEY, PLAINTEXT, VALUE.encode()) for form in _forms(secret)),
    *(line.decode() for line in PEM.splitlines()[1:-1]),
    *(line.decode() for line in PEM_UNDER_PASSPHRASE.splitlines()[1:-1]),
    "private_numbers",
]


def _shows(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def test_the_search_finds_a_secret_in_every_form() -> None:
    for text in (
        repr({"key": DATA_KEY}),
        DATA_KEY.hex(),
        base64.b64encode(b"xyz" + PLAINTEXT).decode(),
        f"<{CONTEXT}>",
    ):
        found = _shows(text) or _shows(base64.b64decode(text)[3:].decode("latin-1"))
        assert found


class OneDataKey(FixedKeyring):
    def __init__(self) -> None:
        super().__init__(DATA_KEY)


def _client() -> Client:
    return open_client(RawAesKeyring("tests", "key", WRAPPING_KEY))


SIGNED = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
MESSAGE = _client().encrypt(PLAINTEXT, CONTEXT, suite=SIGNED)
ONE_KEY = (EncryptedDataKey("tests", b"key", b"wrapped"),)
UNWRAPPED_BY = UnwrappedBy("keyring", "tests", "key")


def _stream() -> Any:
    return _client().decrypt_stream(io.BytesIO(MESSAGE), io.BytesIO())


VALUES: dict[str, Callable[[], Any]] = {
    "Client": _client,
    "RawAesKeyring": lambda: RawAesKeyring("tests", "key", WRAPPING_KEY),
    "RawRsaKeyring": lambda: RawRsaKeyring("tests", "key", private_key=PEM),
    "MultiKeyring": lambda: MultiKeyring(RawAesKeyring("tests", "key", WRAPPING_KEY), [OneDataKey()]),
    "EncryptionContext": lambda: EncryptionContext(CONTEXT),
    "DataKey": lambda: DataKey(DATA_KEY, ONE_KEY),
    "UnwrappedDataKey": lambda: UnwrappedDataKey(DATA_KEY, UNWRAPPED_BY),
    "WrapRequest": lambda: WrapRequest(SIGNED, EncryptionContext(CONTEXT), DATA_KEY),
    "UnwrapRequest": lambda: UnwrapRequest(SIGNED, EncryptionContext(CONTEXT), ONE_KEY),
    "MessageDescription": lambda: describe(MESSAGE),
    "Header": lambda: describe(MESSAGE).header,
    "OpenedMessage": lambda: _client().decrypt_message(MESSAGE),
    "Opened": _stream,
    "EncryptingWriter": lambda: _client().encrypting_writer(io.BytesIO(), CONTEXT),
    "DecryptingReader": lambda: _client().decrypting_reader(
        io.BytesIO(MESSAGE), release_plaintext_before_signature=True
    ),
    "a failed unwrap": lambda: _error(lambda: Client(OneDataKey()).decrypt(MESSAGE)),
}


def _error(attempt: Callable[[], Any]) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as caught:
        attempt()
    return caught.value


@pytest.mark.parametrize("name", VALUES)
def test_no_form_of_a_value_shows_a_secret(name: str) -> None:
    value = VALUES[name]()
    for text in (repr(value), str(value), f"{value}", f"{value!a}", f"{[value]}", "%s %r" % (value, value)):  # noqa: UP031
        assert _shows(text) == []


def test_every_public_value_is_looked_at() -> None:
    """A new public class has to be added above, or here with a reason."""
    without_secrets = {"CommitmentPolicy", "Suite", "RsaPadding", "Keyring", "EncryptedDataKey", "UnwrappedBy"}
    keystore = {"ExportedKey", "LocalKeyring", "LocalKeystore", "ScryptCost"}  # tested with the keystore
    kms = {"Aws", "KmsDiscoveryKeyring", "KmsKeyring", "KmsMrkDiscoveryKeyring", "KmsMrkKeyring"}  # tested with KMS
    cache = {"CacheStats", "DataKeyCache", "DataKeyEvent", "OperationStats"}  # tested with the cache
    asynchronous = {"AsyncClient", "AsyncDecryptingReader", "AsyncEncryptingWriter"}  # tested there
    without_secrets |= {"DiscoveryFilter"}
    classes = {name for name in envelope.__all__ if isinstance(getattr(envelope, name), type)}
    exceptions = {name for name in classes if issubclass(getattr(envelope, name), EnvelopeError)}
    assert classes - exceptions - without_secrets - keystore - kms - cache - asynchronous == VALUES.keys() - {
        "a failed unwrap"
    }


@pytest.mark.parametrize(
    "name", ["DataKey", "UnwrappedDataKey", "WrapRequest", "Client", "RawAesKeyring", "RawRsaKeyring"]
)
def test_what_holds_a_key_cannot_be_pickled(name: str) -> None:
    value = VALUES[name]()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(value, protocol)


@pytest.mark.parametrize("name", ["DataKey", "UnwrappedDataKey", "WrapRequest"])
def test_a_data_key_cannot_be_copied_by_accident(name: str) -> None:
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="holds a data key") as caught:
            duplicate(VALUES[name]())
        assert _shows(str(caught.value)) == []


@pytest.mark.parametrize(
    "name", ["DataKey", "UnwrappedDataKey", "WrapRequest", "UnwrapRequest", "MessageDescription", "Opened"]
)
def test_values_cannot_be_changed(name: str) -> None:
    value = VALUES[name]()
    assert is_dataclass(value)
    for field in fields(value):
        with pytest.raises(AttributeError):
            setattr(value, field.name, None)
    assert not hasattr(value, "__dict__")


def _flipped(message: bytes, position: int) -> bytes:
    changed = bytearray(message)
    changed[position] ^= 1
    return bytes(changed)


def _file_of_another_key(directory: Path) -> None:
    (directory / "message").write_bytes(MESSAGE)
    Client(OneDataKey()).decrypt_file(directory / "message", directory / "plain", CONTEXT)


CRAFTED = Crafted(plaintext=PLAINTEXT, data_key=DATA_KEY, context=pairs(*CONTEXT.items()))
ERRORS: dict[str, Callable[[Path], Any]] = {
    "another wrapping key": lambda _: Client(RawAesKeyring("tests", "key", bytes(32))).decrypt(_client().encrypt(b"")),
    "another context": lambda _: _client().decrypt(MESSAGE, {"patient": VALUE + "2"}),
    "another name": lambda _: _client().decrypt(MESSAGE, {"doctor": VALUE}),
    "another data key": lambda _: Client(FixedKeyring(DATA_KEY[::-1])).decrypt(CRAFTED.serialize()),
    "unstored pairs": lambda _: Client(OneDataKey()).decrypt(CRAFTED.serialize(), {"doctor": VALUE}),
    "a changed frame": lambda _: Client(OneDataKey()).decrypt(_flipped(CRAFTED.serialize(), -1)),
    "a changed header": lambda _: Client(OneDataKey()).decrypt(_flipped(CRAFTED.serialize(), 45)),
    "a bad signature": lambda _: _client().decrypt(_flipped(MESSAGE, -1)),
    "a cut message": lambda _: _client().decrypt(MESSAGE[:-10]),
    "plaintext for a message": lambda _: _client().decrypt(PLAINTEXT),
    "plaintext to describe": lambda _: describe(PLAINTEXT),
    "text for plaintext": lambda _: _client().encrypt(VALUE),  # type: ignore[arg-type]
    "a number for a value": lambda _: _client().encrypt(b"", {"patient": VALUE, "age": 42}),  # type: ignore[dict-item]
    "bytes for a value": lambda _: _client().encrypt(b"", {"patient": DATA_KEY}),  # type: ignore[dict-item]
    "a value that is not UTF-8": lambda _: _client().encrypt(b"", {"patient": VALUE + "\ud800"}),
    "a stored value that is not UTF-8": lambda _: Client(OneDataKey()).decrypt(
        replace(CRAFTED, context=pairs(("patient", VALUE.encode() + b"\xff"))).serialize()
    ),
    "a stored context that is cut": lambda _: describe(replace(CRAFTED, context=CRAFTED.context[:-1]).serialize()),
    "a long value": lambda _: _client().encrypt(b"", {"patient": VALUE * 10_000}),
    "a reserved name": lambda _: _client().encrypt(b"", {"aws-crypto-x": VALUE}),
    "a missing unstored name": lambda _: _client().encrypt(b"", CONTEXT, unstored_context_keys=["doctor"]),
    "a wrapping key of another length": lambda _: RawAesKeyring("tests", "key", WRAPPING_KEY[:31]),
    "a wrapping key in hex": lambda _: RawAesKeyring("tests", "key", WRAPPING_KEY.hex()),  # type: ignore[arg-type]
    "a damaged PEM": lambda _: RawRsaKeyring("tests", "key", private_key=PEM[:-100]),
    "a PEM as text": lambda _: RawRsaKeyring("tests", "key", private_key=PEM.decode()),  # type: ignore[arg-type]
    "a PEM under a passphrase": lambda _: RawRsaKeyring("tests", "key", private_key=PEM_UNDER_PASSPHRASE),
    "a private PEM for a public one": lambda _: RawRsaKeyring("tests", "key", public_key=PEM),
    "RSA of another key": lambda _: Client(RawRsaKeyring("tests", "key", private_key=PEM)).decrypt(
        replace(CRAFTED, keys=(Key(b"tests", b"key", bytes(256)),)).serialize()
    ),
    "a data key of another length": lambda _: Client(AnswersWith(DataKey(DATA_KEY[:31], ONE_KEY))).encrypt(PLAINTEXT),
    "a data key that is none": lambda _: Client(AnswersWith(DATA_KEY)).encrypt(PLAINTEXT, CONTEXT),
    "an unwrapped key of another length": lambda _: Client(
        AnswersWith(UnwrappedDataKey(DATA_KEY[:31], UNWRAPPED_BY))
    ).decrypt(CRAFTED.serialize()),
    "a child with another data key": lambda _: Client(
        MultiKeyring(AnswersWith(DataKey(DATA_KEY, ONE_KEY)), [AnswersWith(DataKey(DATA_KEY[::-1], ONE_KEY))])
    ).encrypt(PLAINTEXT),
    "a suite that is none": lambda _: _client().encrypt(PLAINTEXT, CONTEXT, suite=DATA_KEY),  # type: ignore[arg-type]
    "a keyring that is none": lambda _: Client(WRAPPING_KEY),  # type: ignore[arg-type]
    "a file that is none": lambda _: _client().decrypt_stream(PLAINTEXT, io.BytesIO()),  # type: ignore[arg-type]
    "a bad public key": lambda _: Client(OneDataKey()).decrypt(
        signed_message(
            data_key=DATA_KEY, context=pairs(("aws-crypto-public-key", "*" * 68), *CONTEXT.items())
        ).serialize()
    ),
    "a file that is missing": lambda tmp_path: _client().decrypt_file(tmp_path / "none", tmp_path / "x", CONTEXT),
    "plaintext for a path": lambda tmp_path: _client().encrypt_file(PLAINTEXT, tmp_path / "x", CONTEXT),  # type: ignore[arg-type]
    "plaintext for the other path": lambda tmp_path: _client().decrypt_file(tmp_path / "x", PLAINTEXT, CONTEXT),  # type: ignore[arg-type]
    "a file of another key": _file_of_another_key,
}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, its causes, and the causes that it lists."""
    yield error
    for other in (error.__cause__, error.__context__, *getattr(error, "errors", ())):
        if other is not None:
            yield from _chain(other)


@pytest.mark.parametrize("name", ERRORS)
def test_no_form_of_an_error_shows_a_secret(name: str, tmp_path: Path) -> None:
    error = _error(lambda: ERRORS[name](tmp_path))
    assert _shows("".join(traceback.format_exception(error))) == []
    for part in _chain(error):
        assert _shows(f"{part} {part!r} {part.args} {vars(part)}") == []
    assert _shows(pickle.dumps(error).decode("latin-1")) == []
    assert error.args == (str(error),)


@pytest.mark.parametrize("name", ERRORS)
def test_the_text_of_an_error_is_a_clause_without_an_end(name: str, tmp_path: Path) -> None:
    error = _error(lambda: ERRORS[name](tmp_path))
    for text in (str(error), error.hint):
        assert not text.endswith(".")
        assert text == text.strip()
        assert "\n" not in text
    assert str(error)


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_survives_a_pickle_and_a_copy(name: str, tmp_path: Path) -> None:
    error = _error(lambda: ERRORS[name](tmp_path))
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 - our own bytes
        assert (type(twin), str(twin), twin.hint, twin.args) == (type(error), str(error), error.hint, error.args)
        assert [str(cause) for cause in getattr(twin, "errors", ())] == [
            str(cause) for cause in getattr(error, "errors", ())
        ]


def test_an_error_crosses_to_another_process_and_back() -> None:
    cause = UnwrapFailed("keyring: refused", keyring="keyring", provider_id="tests", key_name="key", hint="try another")
    sent = [
        KeyUnavailable("no keyring could", hint="ask for a key", errors=(cause, ValueError("x"))),
        NotAuthentic("changed"),
    ]
    sent[0].add_note("in batch 7")
    code = """
errors = pickle.load(sys.stdin.buffer)
assert type(errors[0]) is KeyUnavailable and type(errors[0].errors[0]) is UnwrapFailed
errors.append(None)
try:
    client.decrypt(b"")
except TruncatedMessage as error:
    errors[-1] = error
sys.stdout.buffer.write(pickle.dumps(errors))
"""
    first, second, third = pickle.loads(run_python(code, stdin=pickle.dumps(sent)))  # noqa: S301 - our own bytes
    assert (str(first), first.hint, first.__notes__) == ("no keyring could", "ask for a key", ["in batch 7"])
    assert [str(error) for error in first.errors] == ["keyring: refused", "x"]
    assert (first.errors[0].keyring, first.errors[0].provider_id, first.errors[0].key_name) == (
        "keyring",
        "tests",
        "key",
    )
    assert first.errors[0].hint == "try another"
    assert (type(second), str(second), second.hint) == (NotAuthentic, "changed", "")
    assert isinstance(third, envelope.TruncatedMessage)
    assert third.hint


def test_the_tree_of_exceptions_is_sorted_by_what_to_do() -> None:
    def tree(error: type[EnvelopeError]) -> dict[str, Any]:
        own = [child for child in error.__subclasses__() if child.__module__ == EnvelopeError.__module__]
        return {child.__name__: tree(child) for child in own}

    assert tree(EnvelopeError) == {
        "InvalidArgument": {},
        "MessageRefused": {
            "MalformedMessage": {"TruncatedMessage": {}},
            "NotAuthentic": {},
            "ContextMismatch": {},
            "PolicyRefused": {},
            "LimitExceeded": {},
        },
        "KeyUnavailable": {"UnwrapFailed": {}},
        "AwsError": {"AwsAccessDenied": {}, "AwsMisconfigured": {}, "AwsUnavailable": {}},
        "KeystoreError": {"PassphraseRefused": {}},
        "StreamFailed": {},
    }


def test_a_spooled_plaintext_is_not_left_in_a_buffer_that_the_caller_gave() -> None:
    """A frame that fails is wiped: the primitive has already decrypted it into the buffer by then."""
    crafted = Crafted(plaintext=PLAINTEXT, data_key=DATA_KEY, frame_length=64)
    buffer = bytearray(100)
    with pytest.raises(NotAuthentic):
        Client(OneDataKey()).decrypting_reader(io.BytesIO(_flipped(crafted.serialize(), -1))).readinto(buffer)
    assert buffer == bytes(100)
