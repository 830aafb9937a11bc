"""Both ways against aws-encryption-cli 4.3 and aws-encryption-sdk 4, with the same KMS keys behind the same endpoint.

aws-encryption-cli runs in an environment of its own, because it needs aws-encryption-sdk 3. A run of it takes a second,
so a test opens and writes as much as it can in one.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from aws_cryptographic_material_providers.mpl.models import CreateAwsKmsKeyringInput
from aws_encryption_sdk.key_providers.kms import StrictAwsKmsMasterKeyProvider

from envelope import Suite, describe
from envelope.cli.aws_options import shared_aws
from tests.aws_environment import clean_aws_environment
from tests.cli_for_tests import run_cli, tree_of
from tests.moto_server import FIRST_ACCOUNT, REGIONS, moto_url, new_key
from tests.reference_sdk import mpl, policy_for, their_client, their_suite
from tests.thoroughness import TAKES_ALL

__all__ = ["clean_aws_environment"]

PEER = Path(__file__).parent.parent / ".venv-cli-peer" / "bin" / "aws-encryption-cli"
SUITES = tuple(map(Suite, (0x0478, 0x0578, 0x0178, 0x0378, 0x0114, 0x0214, 0x0078)))
TAKEN_SUITES = SUITES if TAKES_ALL else SUITES[1:3]
CONTEXT = {"tenant": "42", "näme": "wért"}
WORDS = tuple(f"{name}={value}" for name, value in CONTEXT.items())
SIZES = {
    "empty": 0,
    "one": 1,
    "of theirs": 4096,
    "frames/of ours": 2**18 * 2 + 1,
    "frames/[1].txt": 300_001,
    "deep/er/dot.": 17,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    assert PEER.exists(), "make .venv-cli-peer/.tools"
    for name, value in {
        "AWS_ENDPOINT_URL_KMS": moto_url(),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGIONS[0],
        "AWS_DEFAULT_REGION": REGIONS[0],
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }.items():
        monkeypatch.setenv(name, value)
    shared_aws.cache_clear()  # it has read another environment
    monkeypatch.chdir(tmp_path)
    for path, size in SIZES.items():
        Path("in", path).parent.mkdir(parents=True, exist_ok=True)
        Path("in", path).write_bytes(os.urandom(size))
    for name in ("theirs", "opened"):
        Path(name).mkdir()  # aws-encryption-cli makes no directory for its output
    yield tmp_path
    shared_aws.cache_clear()


def ours(*arguments: object, stdin: bytes = b"") -> bytes:
    """What the command of this project writes to standard output; it must do all of its work."""
    ended = run_cli("--quiet", *arguments, stdin=stdin)
    assert (ended.status, ended.errors) == (0, ""), ended.errors
    return ended.out


def theirs(*arguments: object, stdin: bytes = b"", metadata: str = "") -> bytes:
    """The same of aws-encryption-cli."""
    record = ["--metadata-output", metadata] if metadata else ["--suppress-metadata"]
    ended = subprocess.run([str(PEER), *map(str, arguments), *record], input=stdin, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b""), ended.stderr.decode()
    return ended.stdout


def wrapping_keys(*arns: str) -> tuple[str, ...]:
    """As options of theirs."""
    return ("-w", *(f"key={arn}" for arn in arns))


def keys(*arns: str) -> tuple[str, ...]:
    """As options of ours."""
    return tuple(word for arn in arns for word in ("-k", arn))


def without_suffix(folder: str, suffix: str) -> dict[str, bytes]:
    """A tree, whose files must all have a suffix, by their names without it."""
    tree = tree_of(Path(folder))
    assert all(path.endswith(suffix) for path in tree)
    return {path.removesuffix(suffix): content for path, content in tree.items()}


@pytest.mark.parametrize("suite", TAKEN_SUITES, ids=lambda suite: f"{suite.value:04x}")
def test_trees_in_every_kind_of_suite_both_ways(suite: Suite) -> None:
    key = new_key()
    policy = ("--commitment-policy", policy_for(suite).value)
    theirs(
        "-e", "-r", "-i", "in", "-o", "theirs", *wrapping_keys(key), "--algorithm", suite.name, "-c", *WORDS, *policy
    )
    written = tree_of(Path("theirs"))
    assert {describe(message).suite for message in written.values()} == {suite}
    ours("decrypt", "-r", "theirs", "-o", "back", *keys(key), "-c", WORDS[0], "-c", "näme", *policy)
    assert tree_of(Path("back")) == tree_of(Path("in"))

    pairs = [option for word in WORDS for option in ("-c", word)]
    ours("encrypt", "-r", "in", "-o", "ours", *keys(key), "--suite", suite.name, *pairs, *policy)
    assert {describe(message).suite for message in tree_of(Path("ours")).values()} == {suite}
    theirs("-d", "-r", "-i", "ours", "-o", "opened", *wrapping_keys(key), "-c", WORDS[0], "näme", *policy)
    assert without_suffix("opened", ".encrypted.decrypted") == tree_of(Path("in"))


def test_a_tree_written_with_their_cache_opens_and_ours_opens_with_it() -> None:
    key = new_key()
    caching = ("--caching", "capacity=10", "max_age=60")
    theirs("-e", "-r", "-i", "in", "-o", "theirs", *wrapping_keys(key), *caching, "--frame-length", 512)
    ours("decrypt", "-r", "theirs", "-o", "back", *keys(key))
    assert tree_of(Path("back")) == tree_of(Path("in"))
    ours("encrypt", "-r", "in", "-o", "ours", *keys(key), "--frame-length", 1_000)
    theirs("-d", "-r", "-i", "ours", "-o", "opened", *wrapping_keys(key), *caching)
    assert without_suffix("opened", ".encrypted.decrypted") == tree_of(Path("in"))


def test_a_message_without_frames_opens() -> None:
    key = new_key()
    plaintext = Path("in/frames/[1].txt").read_bytes()
    message = theirs("-e", "-i", "-", "-o", "-", *wrapping_keys(key), "--frame-length", 0, stdin=plaintext)
    assert describe(message).frame_length_bytes == 0
    assert ours("decrypt", *keys(key), stdin=message) == plaintext


def test_any_one_of_several_wrapping_keys_opens() -> None:
    first, second = new_key(REGIONS[0]), new_key(REGIONS[1])
    from_theirs = theirs("-e", "-i", "in/one", "-o", "-", *wrapping_keys(first), *wrapping_keys(second))
    from_ours = ours("encrypt", "in/one", *keys(first, second))
    assert len(describe(from_theirs).encrypted_data_keys) == len(describe(from_ours).encrypted_data_keys) == 2
    plaintext = Path("in/one").read_bytes()
    for key, region in (first, REGIONS[0]), (second, REGIONS[1]):
        assert ours("decrypt", *keys(key), stdin=from_theirs) == plaintext
        assert theirs("-d", "-i", "-", "-o", "-", *wrapping_keys(key), f"region={region}", stdin=from_ours) == plaintext


def test_base64_travels_both_ways() -> None:
    key = new_key()
    plaintext = Path("in/frames/[1].txt").read_bytes()
    text = theirs("-e", "--encode", "-i", "-", "-o", "-", *wrapping_keys(key), stdin=plaintext)
    assert ours("decrypt", "--decode", *keys(key), stdin=text) == plaintext
    text = ours("encrypt", "--encode", *keys(key), stdin=plaintext)
    assert base64.b64decode(text)[:1] == b"\x02"
    assert theirs("-d", "--decode", "-i", "-", "-o", "-", *wrapping_keys(key), stdin=text) == plaintext
    encoded_twice = theirs("-e", "--decode", "-i", "-", "-o", "-", *wrapping_keys(key), stdin=base64.b64encode(b"both"))
    assert ours("decrypt", "--encode", *keys(key), stdin=encoded_twice).strip() == base64.b64encode(b"both")


def test_discovery_within_an_account_both_ways() -> None:
    key = new_key()
    plaintext = Path("in/one").read_bytes()
    message = theirs("-e", "-i", "in/one", "-o", "-", *wrapping_keys(key))
    assert ours("decrypt", "--discovery", "--account", FIRST_ACCOUNT, stdin=message) == plaintext
    message = ours("encrypt", "in/one", *keys(key))
    found = ("-w", "discovery=true", f"discovery-account={FIRST_ACCOUNT}", "discovery-partition=aws")
    assert theirs("-d", "-i", "-", "-o", "-", *found, stdin=message) == plaintext


def test_a_key_known_by_its_alias_writes_for_both() -> None:
    key = new_key()
    kms = boto3.client("kms")
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    try:
        message = theirs("-e", "-i", "in/one", "-o", "-", *wrapping_keys("alias/app"))
        assert ours("decrypt", *keys("alias/app"), stdin=message) == Path("in/one").read_bytes()
        message = ours("encrypt", "in/one", *keys("alias/app"))
        assert theirs("-d", "-i", "-", "-o", "-", *wrapping_keys(key), stdin=message) == Path("in/one").read_bytes()
    finally:
        kms.delete_alias(AliasName="alias/app")  # one server for all tests of this process


@pytest.mark.parametrize("suite", [SUITES[1], SUITES[2]], ids=["signed and committing", "neither"])
def test_metadata_of_both_says_the_same_of_one_message(suite: Suite) -> None:
    key = new_key()
    policy = ("--commitment-policy", policy_for(suite).value)
    described = ("--algorithm", suite.name, "-c", *WORDS, *policy)
    theirs("-e", "-i", "in/one", "-o", "message", *wrapping_keys(key), *described, metadata="encrypted")
    theirs("-d", "-i", "message", "-o", "theirs/one", *wrapping_keys(key), *policy, metadata="their")
    ours("decrypt", "message", "-o", "ours", *keys(key), "--metadata", "our", *policy)
    their, our = record("their"), record("our")
    assert (our.pop("status"), our.pop("output")) == ("done", str(Path("ours").resolve()))
    assert our.pop("unwrapped_by")["key_name"] == key
    del their["output"]
    # What authenticates the header says nothing to a reader of a log, so our record leaves it out.
    assert their.pop("header_auth")["tag"]
    assert our == their
    assert our["header"] == record("encrypted")["header"]


def record(path: str) -> dict[str, Any]:
    """The only line of a metadata file."""
    (line,) = Path(path).read_text().splitlines()
    parsed: dict[str, Any] = json.loads(line)
    return parsed


@pytest.mark.xfail(
    strict=True, reason="aws-encryption-sdk 3 refuses a full final frame, which the format allows and version 4 reads"
)
def test_they_open_a_plaintext_of_whole_frames() -> None:
    key = new_key()
    message = ours("encrypt", *keys(key), "--frame-length", 4096, stdin=bytes(8192))
    assert theirs("-d", "-i", "-", "-o", "-", *wrapping_keys(key), stdin=message) == bytes(8192)


def test_a_changed_message_is_refused_by_both() -> None:
    key = new_key()
    message = bytearray(ours("encrypt", "in/one", *keys(key), "--suite", SUITES[0].name))
    message[-1] ^= 1
    Path("changed").write_bytes(message)
    refused = run_cli("decrypt", "changed", "-o", "out", *keys(key))
    assert (refused.status, Path("out").exists()) == (3, False)
    with pytest.raises(AssertionError, match="InvalidTag"):
        theirs("-d", "-i", "changed", "-o", "out", *wrapping_keys(key))


@pytest.mark.parametrize("suite", TAKEN_SUITES, ids=lambda suite: f"{suite.value:04x}")
@pytest.mark.parametrize("kind", ["master keys", "keyring"])
def test_aws_encryption_sdk_reads_the_command_and_the_command_reads_it(suite: Suite, kind: str) -> None:
    key = new_key()
    provider = StrictAwsKmsMasterKeyProvider(key_ids=[key], botocore_session=botocore.session.Session())
    source: dict[str, Any] = {"key_provider": provider}
    if kind == "keyring":
        given = CreateAwsKmsKeyringInput(kms_key_id=key, kms_client=boto3.client("kms"))
        source = {"keyring": mpl().create_aws_kms_keyring(given)}
    client, policy = their_client(suite), ("--commitment-policy", policy_for(suite).value)
    pairs = [option for word in WORDS for option in ("-c", word)]

    ours("encrypt", "-r", "in", "-o", "ours", *keys(key), "--suite", suite.name, *pairs, *policy)
    opened = {path: client.decrypt(source=message, **source) for path, message in tree_of(Path("ours")).items()}
    assert all(header.encryption_context.items() >= CONTEXT.items() for _, header in opened.values())
    plaintexts = {path.removesuffix(".encrypted"): plaintext for path, (plaintext, _) in opened.items()}
    assert plaintexts == tree_of(Path("in"))

    for path, plaintext in tree_of(Path("in")).items():
        message, _ = client.encrypt(
            source=plaintext, encryption_context=CONTEXT, algorithm=their_suite(suite), **source
        )
        target = Path("theirs", path + ".encrypted")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(message)
    ours("decrypt", "-r", "theirs", "-o", "back", *keys(key), *pairs, *policy)
    assert tree_of(Path("back")) == tree_of(Path("in"))
