"""Key words: every kind names its key, several make one keyring, and a wrong word is never shown."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from envelope import (
    Client,
    InvalidArgument,
    KeyUnavailable,
    KmsDiscoveryKeyring,
    KmsKeyring,
    KmsMrkDiscoveryKeyring,
    KmsMrkKeyring,
    LocalKeystore,
    MultiKeyring,
    RawAesKeyring,
    RawRsaKeyring,
    RsaPadding,
)
from envelope.cli.key_files import read_aes_key, read_key_file
from envelope.cli.key_words import (
    KeySettings,
    KmsKey,
    Purpose,
    discovery_keyring,
    keyring_of,
    kms_keys_of,
)
from envelope.cli.keystore_options import KeystoreSettings
from envelope.cli.parsed_words import files_of, shown_words, words_in_file
from envelope.testing import FakeKms
from tests.fake_kms_for_tests import new_key

KEY = bytes(range(32))
SECRET = "c2VjcmV0LXRoYXQtc29tZWJvZHktcHV0LW9uLXRoZS1jb21tYW5kLWxpbmU="


def settings_of(fake: FakeKms | None = None, environ: Mapping[str, str] = {}, **options: Any) -> KeySettings:
    return KeySettings(
        keystore=KeystoreSettings(environ=environ, **options),
        aws=(fake or FakeKms()).aws,
        environ=environ,
    )


def made(*words: str, settings: KeySettings | None = None, purpose: Purpose = "encrypt") -> Any:
    return keyring_of(words, settings=settings or settings_of(), purpose=purpose)


def test_an_aes_word_names_namespace_name_and_file(tmp_path: Path) -> None:
    (tmp_path / "key@home").write_bytes(KEY)
    keyring = made(f"aes:my app/backup@{tmp_path}/key@home")
    message = Client(RawAesKeyring("my app", "backup", KEY)).encrypt(b"plaintext")
    assert Client(keyring).decrypt(message) == b"plaintext"


def test_a_word_of_an_exported_key_escapes_what_would_divide_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    assert repr(made(f"aes:local-keystore%2Fab/app/1@{tmp_path}/key")) == "RawAesKeyring('local-keystore/ab', 'app/1')"
    assert repr(made(f"aes:a%40b/c%25@{tmp_path}/key")) == "RawAesKeyring('a@b', 'c%')"


def test_a_tilde_in_a_file_name_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_bytes(KEY)
    assert repr(made("aes:n/k@~/key")) == "RawAesKeyring('n', 'k')"


@pytest.mark.parametrize("length", [16, 24, 32])
@pytest.mark.parametrize(
    "written", [bytes, lambda key: base64.b64encode(key) + b"\n", lambda key: key.hex().encode() + b"\n"]
)
def test_an_aes_key_file_holds_bytes_or_text_of_them(tmp_path: Path, length: int, written: Any) -> None:
    key = bytes(range(200, 200 + length))
    (tmp_path / "key").write_bytes(written(key))
    assert read_aes_key(tmp_path / "key") == key


def test_a_key_file_that_can_be_read_in_two_ways_is_refused_until_the_word_says_which(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"abcdefghijklmnopqrstuvwxyz012345")
    with pytest.raises(InvalidArgument, match="as base64 and as raw") as caught:
        made(f"aes:n/k@{path}")
    assert "#base64 or #raw" in caught.value.hint
    message = Client(made(f"aes:n/k@{path}#raw")).encrypt(b"plaintext")
    assert Client(RawAesKeyring("n", "k", path.read_bytes())).decrypt(message) == b"plaintext"
    message = Client(made(f"aes:n/k@{path}#base64")).encrypt(b"plaintext")
    assert Client(RawAesKeyring("n", "k", base64.b64decode(path.read_bytes()))).decrypt(message) == b"plaintext"
    with pytest.raises(InvalidArgument, match="holds no AES key"):
        made(f"aes:n/k@{path}#hex")


def test_a_hash_that_is_followed_by_nothing_known_belongs_to_the_file_name(tmp_path: Path) -> None:
    (tmp_path / "key#1").write_bytes(KEY)
    assert repr(made(f"aes:n/k@{tmp_path}/key#1")) == "RawAesKeyring('n', 'k')"


@pytest.mark.parametrize("content", [b"", b"short", bytes(33), b"not text of a key\n", base64.b64encode(bytes(20))])
def test_a_file_without_an_aes_key_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(InvalidArgument, match=rf"holds no AES key \({len(content)} bytes\)"):
        read_aes_key(tmp_path / "key")


def test_a_key_file_that_is_missing_or_endless_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match="cannot read the key file"):
        made(f"aes:n/k@{tmp_path}/none")
    with pytest.raises(InvalidArgument, match="more than 65,536 bytes"):
        read_key_file(Path("/dev/zero"))


@pytest.fixture(scope="module")
def rsa_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rsa")
    key = rsa.generate_private_key(65_537, 2_048)
    encoding = serialization.Encoding.PEM
    (folder / "private.pem").write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "public.pem").write_bytes(
        key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return folder


def test_an_rsa_word_takes_the_public_key_to_encrypt_and_the_private_one_to_decrypt(rsa_files: Path) -> None:
    message = Client(made(f"rsa:n/k@{rsa_files}/public.pem")).encrypt(b"plaintext")
    reader = made(f"rsa:n/k@{rsa_files}/private.pem", purpose="decrypt")
    assert Client(reader).decrypt(message) == b"plaintext"


def test_an_rsa_word_can_name_its_padding(rsa_files: Path) -> None:
    message = Client(made(f"rsa:n/k@{rsa_files}/public.pem#oaep-sha512")).encrypt(b"plaintext")
    private = (rsa_files / "private.pem").read_bytes()
    reader = RawRsaKeyring("n", "k", private_key=private, padding=RsaPadding.OAEP_SHA512)
    assert Client(reader).decrypt(message) == b"plaintext"


def test_a_public_key_alone_is_refused_for_decryption(rsa_files: Path, tmp_path: Path) -> None:
    word = f"rsa:n/k@{rsa_files}/public.pem"
    with pytest.raises(InvalidArgument, match="which only encrypts"):
        made(word, purpose="decrypt")
    (tmp_path / "key").write_bytes(KEY)
    assert isinstance(made(word, f"aes:n/k@{tmp_path}/key", purpose="decrypt"), MultiKeyring)


def test_local_words_open_the_keystore_once_and_only_when_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "keystore.json"
    keystore = LocalKeystore.create(path, passphrase="correct horse")
    keystore.create_key("app")
    keystore.create_key("other")
    asked: list[str] = []

    def ask(prompt: str) -> bytes:
        asked.append(prompt)
        return b"correct horse"

    settings = settings_of(path=path, ask=ask)
    message = Client(made("local:app", "local:other", settings=settings)).encrypt(b"plaintext")
    assert Client(made("local:other", settings=settings, purpose="decrypt")).decrypt(message) == b"plaintext"
    assert asked == ["Passphrase of the keystore: "]


def test_kms_words_are_arns_with_and_without_a_prefix() -> None:
    fake = FakeKms()
    first, second = new_key(fake), new_key(fake, "us-east-1")
    keyring = made(f"kms:{first}", second, settings=settings_of(fake))
    assert isinstance(keyring, KmsKeyring)
    message = Client(keyring).encrypt(b"plaintext")
    assert [call.operation for call in fake.calls if call.operation != "CreateKey"] == ["GenerateDataKey", "Encrypt"]
    assert Client(made(second, settings=settings_of(fake), purpose="decrypt")).decrypt(message) == b"plaintext"


def test_a_multi_region_key_opens_what_its_replica_has_wrapped() -> None:
    fake = FakeKms()
    arn = new_key(fake, MultiRegion=True)
    fake.client().replicate_key(KeyId=arn, ReplicaRegion="us-east-1")
    message = Client(made(arn, settings=settings_of(fake))).encrypt(b"plaintext")
    replica = made(arn.replace("eu-west-1", "us-east-1"), settings=settings_of(fake), purpose="decrypt")
    assert isinstance(replica, KmsMrkKeyring)
    assert Client(replica).decrypt(message) == b"plaintext"


@pytest.mark.parametrize("prefix", ["", "kms:"])
def test_an_alias_is_resolved_once_and_the_message_names_the_key(prefix: str) -> None:
    fake = FakeKms()
    arn = new_key(fake)
    fake.client().create_alias(AliasName="alias/app", TargetKeyId=arn)
    alias_arn = "arn:aws:kms:eu-west-1:111122223333:alias/app"
    settings = KeySettings(aws=lambda: _in_region(fake))
    for word in ("alias/app", alias_arn):
        assert repr(made(prefix + word, settings=settings)) == f"KmsKeyring({arn!r})"
    assert fake.count("DescribeKey") == 2
    assert kms_keys_of([prefix + "alias/app"], settings=settings) == (KmsKey(arn, is_alias=True),)
    assert kms_keys_of([prefix + alias_arn], settings=settings) == (KmsKey(arn, is_alias=True),)


def _in_region(fake: FakeKms) -> Any:
    from envelope import Aws

    return Aws(region="eu-west-1", client_for_region=fake.client_for())


def test_words_of_several_kinds_make_one_keyring_whose_first_generates(tmp_path: Path) -> None:
    fake = FakeKms()
    (tmp_path / "key").write_bytes(KEY)
    arn, other = new_key(fake), new_key(fake)
    words = (f"aes:n/k@{tmp_path}/key", arn, other)
    keyring = made(*words, settings=settings_of(fake))
    assert (
        repr(keyring) == f"MultiKeyring(generator=RawAesKeyring('n', 'k'), children=[KmsKeyring({arn!r}, {other!r})])"
    )
    message = Client(keyring).encrypt(b"plaintext")
    assert fake.count("GenerateDataKey") == 0
    for word in words:
        assert Client(made(word, settings=settings_of(fake), purpose="decrypt")).decrypt(message) == b"plaintext"


def test_a_variable_holds_another_word(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    environ = {"BACKUP_KEY": f"aes:n/k@{tmp_path}/key"}
    assert repr(made("env:BACKUP_KEY", settings=settings_of(environ=environ))) == "RawAesKeyring('n', 'k')"


@pytest.mark.parametrize("environ", [{}, {"NAME": ""}, {"NAME": "env:OTHER"}, {"NAME": SECRET}])
def test_a_variable_without_a_word_is_refused_without_showing_it(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match=r"holds no key word|is no key word") as caught:
        made("env:NAME", settings=settings_of(environ=environ))
    assert SECRET not in f"{caught.value} {caught.value.hint} {caught.value!r}"


@pytest.mark.parametrize(
    "word",
    [SECRET, f"base:{SECRET}", f"aes:{SECRET}", "aes:n/k@", f"rsa:{SECRET}@x", "", "env:", "local:", "kms:",
     "kms:1234", "1234abcd-12ab-34cd-56ef-1234567890ab", f"arn:{SECRET}", "arn:aws:s3:::bucket", "alias:app"],
)  # fmt: skip
def test_a_word_that_is_none_is_refused_by_its_position_and_not_shown(word: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^key 1 is ") as caught:
        made(word)
    assert SECRET not in f"{caught.value} {caught.value.hint} {caught.value!r} {caught.value.__context__!r}"


def test_no_word_and_the_same_word_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no key is given"):
        made()
    (tmp_path / "key").write_bytes(KEY)
    with pytest.raises(InvalidArgument, match="key 3 is the same as key 1"):
        made(f"aes:n/k@{tmp_path}/key", "local:app", f"aes:n/k@{tmp_path}/key")


def test_arns_are_given_for_kms_words_only() -> None:
    fake = FakeKms()
    arn = new_key(fake)
    assert kms_keys_of([f"kms:{arn}"], settings=settings_of(fake)) == (KmsKey(arn, is_alias=False),)
    with pytest.raises(InvalidArgument, match="key 2 is no key of AWS KMS"):
        kms_keys_of([arn, "local:app"], settings=settings_of(fake))
    with pytest.raises(InvalidArgument, match="key 2 is the same as key 1"):
        kms_keys_of([arn, f"kms:{arn}"], settings=settings_of(fake))


ACCOUNT = "111122223333"


@pytest.mark.parametrize(
    ("regions", "kind"),
    [
        ((), KmsDiscoveryKeyring),
        (("eu-west-1",), KmsMrkDiscoveryKeyring),
        (("eu-west-1", "us-east-1"), KmsDiscoveryKeyring),
    ],
)
@pytest.mark.parametrize("whose", [{"accounts": [ACCOUNT]}, {"accounts": [], "any_account": True}])
def test_discovery_asks_the_key_that_a_message_names(
    regions: tuple[str, ...], kind: type, whose: dict[str, Any]
) -> None:
    fake = FakeKms()
    message = Client(made(new_key(fake), settings=settings_of(fake))).encrypt(b"plaintext")
    keyring = discovery_keyring(settings=settings_of(fake), regions=regions, **whose)
    assert isinstance(keyring, kind)
    assert Client(keyring).decrypt(message) == b"plaintext"


@pytest.mark.parametrize("whose", [{"accounts": []}, {"accounts": [ACCOUNT], "any_account": True}])
def test_discovery_needs_to_know_whose_keys_it_may_ask(whose: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="whose keys may be asked"):
        discovery_keyring(settings=settings_of(), **whose)


def test_a_keys_file_has_one_word_on_each_line(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# the application's\nlocal:app\n\n  alias/app  \n")
    assert words_in_file(path) == ("local:app", "alias/app")


def test_a_keys_file_that_is_too_long_is_refused_and_not_cut(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("local:app\n" + "#" * 1_048_576)
    with pytest.raises(InvalidArgument, match="more than 1,048,576 bytes"):
        words_in_file(tmp_path / "keys")


def test_words_are_shown_and_what_is_none_is_not() -> None:
    environ = {"NAME": "local:app"}
    words = ["alias/app", SECRET, "env:NAME", f"env:{SECRET}", "aes:n/k@file"]
    assert list(shown_words(words, environ)) == [
        "alias/app",
        "(no key word)",
        "env:NAME",
        "(no key word)",
        "aes:n/k@file",
    ]


def test_the_files_of_words_are_known_before_they_are_read() -> None:
    words = ["local:app", "aes:n/k@one#hex", "rsa:n/k@two.pem#pkcs1", "aes:nothing", SECRET, "env:NAME", "rsa:n/k@a#b"]
    assert [str(path) for path in files_of(words, {"NAME": "aes:n/k@three"})] == ["one", "two.pem", "three", "a#b"]


def test_a_home_of_nobody_is_a_name_like_any_other() -> None:
    assert [str(path) for path in files_of(["aes:n/k@~nobody-of-this-name/key"], {})] == ["~nobody-of-this-name/key"]


@pytest.mark.parametrize("word", [f"env:{SECRET}", "env:deadbeef", "hunter:2", "secret:", f"aes:n/k@{SECRET}"])
def test_what_looks_like_a_key_in_a_place_for_names_is_not_shown(word: str) -> None:
    with pytest.raises((InvalidArgument, KeyUnavailable)) as caught:
        made(word)
    shown = f"{caught.value} {caught.value.hint}"
    assert not [part for part in (SECRET, "deadbeef", "hunter", "secret:") if part in shown], shown


def test_a_file_whose_name_looks_like_a_key_is_shown_if_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "00112233445566778899aabbccddeeff"
    with pytest.raises(KeyUnavailable, match="its name looks like a key"):
        made(f"aes:n/k@{name}")
    Path(name).write_bytes(b"too short")
    with pytest.raises(InvalidArgument, match=name):
        made(f"aes:n/k@{name}")


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe"])
def test_a_keys_file_without_a_word_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(InvalidArgument, match="holds no key word"):
        words_in_file(tmp_path / "keys")
    with pytest.raises(InvalidArgument, match="cannot read the keys file"):
        words_in_file(tmp_path / "none")


def test_by_default_words_stand_on_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    settings = KeySettings()
    assert settings.environ is os.environ
    assert repr(settings.aws()) == "Aws()"
