"""What must work in an installed wheel, and how little an import loads."""

import io
import secrets
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import envelope
from envelope import Client, EnvelopeError, LocalKeyring, LocalKeystore, MultiKeyring, RawAesKeyring, Suite, describe

pytestmark = pytest.mark.smoke


def run_python(code: str, cwd: Path) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, check=True, capture_output=True, text=True).stdout


def test_importing_envelope_loads_neither_boto3_nor_the_rsa_of_another_door(tmp_path: Path) -> None:
    code = "import sys, envelope; print(sorted({'boto3', 'botocore', 'click', 'rich', 'asyncio'} & sys.modules.keys()))"
    assert run_python(code, tmp_path).strip() == "[]"


def test_import_secrets_stays_the_standard_librarys() -> None:
    assert secrets.__file__ is not None
    assert Path(secrets.__file__).is_relative_to(sysconfig.get_path("stdlib"))


def test_import_secrets_is_the_standard_librarys_from_the_repository_root_too() -> None:
    code = "import secrets; print(secrets.__file__)"
    assert run_python(code, Path(__file__).parent.parent).strip() == secrets.__file__


def test_both_packages_are_typed() -> None:
    import envelope_secrets

    for package in (envelope, envelope_secrets):
        assert package.__file__ is not None
        assert Path(package.__file__).with_name("py.typed").exists()


def test_every_public_name_is_there() -> None:
    assert set(envelope.__all__) <= set(dir(envelope))
    assert sorted(envelope.__all__) == sorted(set(envelope.__all__))
    assert all(hasattr(envelope, name) for name in envelope.__all__)


def test_a_message_opens_again_and_a_changed_one_does_not(tmp_path: Path) -> None:
    keystore = LocalKeystore.create_unprotected_for_development(tmp_path / "keys")
    keystore.create_key("app")
    keyring = MultiKeyring(LocalKeyring(keystore, "app"), [RawAesKeyring("tests", "key", bytes(32))])
    client = Client(keyring)
    for suite in (None, Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384):
        message = client.encrypt(b"plaintext", {"tenant": "42"}, suite=suite)
        assert client.decrypt(message, {"tenant": "42"}) == b"plaintext"
        assert describe(message).plaintext_bytes == 9
        with client.decrypting_reader(io.BytesIO(message)) as reader:
            assert reader.read() == b"plaintext"
        changed = message[:-1] + bytes([message[-1] ^ 1])
        with pytest.raises(EnvelopeError):
            client.decrypt(changed)
