"""Files: the target is replaced as a whole, or it is as it was."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from envelope import (
    Client,
    ContextMismatch,
    EnvelopeError,
    InvalidArgument,
    KeyUnavailable,
    MessageRefused,
    NotAuthentic,
    PolicyRefused,
    StreamFailed,
    Suite,
    describe,
)
from tests.keyrings_for_tests import AnswersWith, open_client, raw_aes

PLAINTEXT = b"plaintext of a file\n" * 100
SIGNED = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
OLD = b"what stood there before"


@pytest.fixture
def client() -> Client:
    return open_client(raw_aes())


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain"
    path.write_bytes(PLAINTEXT)
    return path


@pytest.fixture
def sealed(tmp_path: Path, client: Client) -> Path:
    path = tmp_path / "sealed"
    path.write_bytes(client.encrypt(PLAINTEXT, {"tenant": "42"}, frame_length_bytes=100))
    return path


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("suite", [Suite(0x0478), SIGNED], ids=["unsigned", "signed"])
@pytest.mark.parametrize("plaintext", [b"", PLAINTEXT, bytes(3_000_000)], ids=["empty", "small", "large"])
def test_a_file_is_encrypted_and_decrypted(client: Client, tmp_path: Path, plaintext: bytes, suite: Suite) -> None:
    source, sealed, opened = (tmp_path / name for name in ("source", "sealed", "opened"))
    source.write_bytes(plaintext)
    header = client.encrypt_file(
        source,
        sealed,
        {"tenant": "42", "more": "1"},
        suite=suite,
        frame_length_bytes=50_000,
        unstored_context_keys=["more"],
    )
    assert describe(sealed.read_bytes()).header == header
    assert describe(sealed.read_bytes()).frame_length_bytes == 50_000
    result = client.decrypt_file(sealed, opened, {"more": "1"})
    assert opened.read_bytes() == plaintext
    assert result.suite is suite
    assert result.encryption_context["tenant"] == "42"
    assert result.unwrapped_by.key_name == "key"
    assert result.header.message_id == header.message_id
    assert _names(tmp_path) == {"source", "sealed", "opened"}


Failure = tuple[Callable[[Client, Path, Path], Any], type[EnvelopeError]]


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def _decrypt_changed(position: int) -> Callable[[Client, Path, Path], Any]:
    def attempt(client: Client, sealed: Path, target: Path) -> None:
        _flip(sealed, position)
        client.decrypt_file(sealed, target)

    return attempt


def _decrypt_changed_signature(client: Client, sealed: Path, target: Path) -> None:
    sealed.write_bytes(client.encrypt(PLAINTEXT, suite=SIGNED, frame_length_bytes=100))
    _flip(sealed, -1)
    client.decrypt_file(sealed, target)


def _decrypt_cut(client: Client, sealed: Path, target: Path) -> None:
    sealed.write_bytes(sealed.read_bytes()[:-200])
    client.decrypt_file(sealed, target)


def _decrypt_appended(client: Client, sealed: Path, target: Path) -> None:
    sealed.write_bytes(sealed.read_bytes() + b"\n")
    client.decrypt_file(sealed, target)


FAILURES: dict[str, Failure] = {
    "another key": (lambda _, sealed, target: Client(raw_aes("key", 2)).decrypt_file(sealed, target), KeyUnavailable),
    "another context": (
        lambda client, sealed, target: client.decrypt_file(sealed, target, {"tenant": "43"}), ContextMismatch
    ),
    "a changed header": (_decrypt_changed(50), EnvelopeError),
    "a changed first frame": (_decrypt_changed(400), NotAuthentic),
    "a changed last byte": (_decrypt_changed(-1), NotAuthentic),
    "a changed signature": (_decrypt_changed_signature, NotAuthentic),
    "a cut message": (_decrypt_cut, MessageRefused),
    "an appended byte": (_decrypt_appended, MessageRefused),
    "no message": (lambda client, _, target: client.decrypt_file("/dev/null", target), MessageRefused),
    "a keyring that fails": (
        lambda _, sealed, target: Client(AnswersWith(OSError(5, "x"))).encrypt_file(sealed, target), KeyUnavailable
    ),
    "a keyring that is interrupted": (
        lambda _, sealed, target: Client(AnswersWith(KeyboardInterrupt())).encrypt_file(sealed, target),
        KeyboardInterrupt,  # type: ignore[dict-item]
    ),
    "a suite that the policy forbids": (
        lambda client, sealed, target: client.encrypt_file(sealed, target, suite=Suite(0x0178)), PolicyRefused
    ),
    "a bad frame length": (
        lambda client, sealed, target: client.encrypt_file(sealed, target, frame_length_bytes=0), InvalidArgument
    ),
    "a bad context": (lambda client, sealed, target: client.encrypt_file(sealed, target, {"": "x"}), InvalidArgument),
    "a bad context to decrypt": (
        lambda client, sealed, target: client.decrypt_file(sealed, target, None), InvalidArgument  # type: ignore[arg-type]
    ),
    "a missing source": (
        lambda client, sealed, target: client.encrypt_file(sealed.with_name("none"), target), StreamFailed
    ),
    "a source that is a directory": (
        lambda client, sealed, target: client.encrypt_file(sealed.parent, target), StreamFailed
    ),
    "a source that cannot be read": (
        lambda client, _, target: client.encrypt_file("/proc/self/mem", target), StreamFailed
    ),
}  # fmt: skip


@pytest.mark.parametrize("exists", [True, False], ids=["over an old target", "to a new target"])
@pytest.mark.parametrize("name", FAILURES)
def test_after_a_failure_the_target_is_as_it_was(
    client: Client, sealed: Path, tmp_path: Path, name: str, exists: bool
) -> None:
    attempt, error = FAILURES[name]
    target = tmp_path / "target"
    if exists:
        target.write_bytes(OLD)
        target.chmod(0o640)
    before = _names(tmp_path)
    with pytest.raises(error):
        attempt(client, sealed, target)
    assert _names(tmp_path) == before
    if exists:
        assert target.read_bytes() == OLD
        assert _mode(target) == 0o640


def test_a_new_plaintext_is_for_its_owner_and_a_new_ciphertext_is_like_any_new_file(
    client: Client, plain: Path, tmp_path: Path, umask: None
) -> None:
    sealed, opened = tmp_path / "sealed", tmp_path / "opened"
    client.encrypt_file(plain, sealed)
    client.decrypt_file(sealed, opened)
    assert (_mode(sealed), _mode(opened)) == (0o640, 0o600)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o400, 0o755])
def test_an_old_target_keeps_its_permission_bits(
    client: Client, plain: Path, tmp_path: Path, umask: None, mode: int
) -> None:
    for name, convert in (("sealed", client.encrypt_file), ("opened", client.decrypt_file)):
        target = tmp_path / name
        target.write_bytes(OLD)
        target.chmod(mode)
        convert(plain if name == "sealed" else tmp_path / "sealed", target)
        assert _mode(target) == mode
        assert target.read_bytes() != OLD


def test_a_reader_of_the_old_target_keeps_what_it_has_opened(client: Client, plain: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(OLD)
    with target.open("rb") as reading:
        client.encrypt_file(plain, target)
        assert reading.read() == OLD
    assert client.decrypt(target.read_bytes()) == PLAINTEXT


def test_a_symbolic_link_is_followed_and_stays(client: Client, plain: Path, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    target, link = tmp_path / "directory" / "target", tmp_path / "link"
    link.symlink_to(target)
    for _ in range(2):  # to a file that is not there yet, then to one that is
        client.encrypt_file(plain, link)
        assert link.is_symlink()
        assert client.decrypt(target.read_bytes()) == PLAINTEXT
    assert _names(tmp_path / "directory") == {"target"}
    source = tmp_path / "source link"
    source.symlink_to(target)
    client.decrypt_file(source, tmp_path / "opened")
    assert (tmp_path / "opened").read_bytes() == PLAINTEXT


def test_a_loop_of_links_is_a_failed_stream(client: Client, plain: Path, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for attempt in (
        lambda: client.encrypt_file(plain, tmp_path / "a"),
        lambda: client.encrypt_file(tmp_path / "a", tmp_path / "target"),
    ):
        with pytest.raises(StreamFailed):
            attempt()
    assert _names(tmp_path) == {"a", "b", "plain"}


@pytest.mark.parametrize("kind", ["itself", "symbolic link", "hard link", "another spelling"])
def test_a_file_is_not_written_over_itself(client: Client, sealed: Path, tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other"
    if kind == "symbolic link":
        other.symlink_to(sealed)
    elif kind == "hard link":
        other.hardlink_to(sealed)
    else:
        other = sealed if kind == "itself" else sealed.parent / ".." / sealed.parent.name / sealed.name
    before = sealed.read_bytes()
    for convert in (client.encrypt_file, client.decrypt_file):
        for source, target in ((sealed, other), (other, sealed)):
            with pytest.raises(InvalidArgument, match="the same file") as caught:
                convert(source, target)
            assert caught.value.hint
    assert sealed.read_bytes() == before


def test_a_target_that_is_no_regular_file_is_refused(client: Client, plain: Path, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path, tmp_path / "directory", tmp_path / "pipe", Path("/dev/full"), Path("/dev/null")):
        with pytest.raises(InvalidArgument, match="not a regular file") as caught:
            client.encrypt_file(plain, target)
        assert "encrypt_stream" in caught.value.hint
    assert _names(tmp_path) == {"directory", "pipe", "plain"}


@pytest.mark.parametrize(
    "target", ["missing/target", "plain/target", "missing/deeper/target", pytest.param("n" * 256, id="long")]
)
def test_a_target_that_cannot_be_made_is_a_failed_stream(
    client: Client, plain: Path, tmp_path: Path, target: str
) -> None:
    with pytest.raises(StreamFailed) as caught:
        client.encrypt_file(plain, tmp_path / target)
    assert isinstance(caught.value.__cause__, OSError)
    assert str(tmp_path / target) in str(caught.value), "the text names the path at fault"
    assert _names(tmp_path) == {"plain"}


def test_the_text_of_a_failure_names_the_path(client: Client, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(StreamFailed, match=r"cannot read '.*/none': No such file or directory") as caught:
        client.encrypt_file(tmp_path / "none", tmp_path / "target")
    assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize(
    "path", [b"bytes", None, 5, "", "\0", "nul\0inside", ["path"], io.BytesIO(), object(), Path, "\ud800", "lone\udfff"]
)
def test_what_is_no_path_is_refused(client: Client, plain: Path, tmp_path: Path, path: Any) -> None:
    for convert in (client.encrypt_file, client.decrypt_file):
        with pytest.raises(InvalidArgument, match="source_path must be a path"):
            convert(path, tmp_path / "target")
        with pytest.raises(InvalidArgument, match="destination_path must be a path"):
            convert(plain, path)
    assert _names(tmp_path) == {"plain"}


class PathLike:
    """What `os.fspath` takes."""

    def __init__(self, path: Any) -> None:
        self._path = path

    def __fspath__(self) -> Any:
        return self._path


def test_every_kind_of_path_is_taken(client: Client, plain: Path, tmp_path: Path) -> None:
    for kind in (str, Path, PathLike):
        client.encrypt_file(kind(str(plain)), kind(str(tmp_path / "sealed")))
        client.decrypt_file(kind(str(tmp_path / "sealed")), kind(str(tmp_path / "opened")))
        assert (tmp_path / "opened").read_bytes() == PLAINTEXT


@pytest.mark.parametrize("path", [b"bytes", "", "\0"])
def test_a_path_object_of_no_good_path_is_refused(client: Client, plain: Path, path: Any) -> None:
    with pytest.raises(InvalidArgument, match="must be a path"):
        client.encrypt_file(plain, PathLike(path))


def test_relative_paths_belong_to_the_working_directory(
    client: Client, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    client.encrypt_file("plain", "sealed")
    client.decrypt_file("./sealed", "opened")
    assert (tmp_path / "opened").read_bytes() == PLAINTEXT
    assert _names(tmp_path) == {"plain", "sealed", "opened"}


STRANGE_NAMES = {
    "255 bytes of ASCII": "n" * 255,
    "254 bytes in 127 letters": "é" * 127,
    "252 bytes in 63 letters": "\U0001f511" * 63,
    "hidden": ".hidden",
    "a space": "with space",
    "a minus": "-",
    "a new line": "new\nline",
    "a byte that is no UTF-8": "\udcff",
}


@pytest.mark.parametrize("name", STRANGE_NAMES.values(), ids=STRANGE_NAMES)
def test_any_name_that_the_file_system_takes_is_a_target(
    client: Client, plain: Path, tmp_path: Path, name: str
) -> None:
    target = tmp_path / name
    client.encrypt_file(plain, target)
    client.decrypt_file(target, tmp_path / "opened")
    assert (tmp_path / "opened").read_bytes() == PLAINTEXT
    assert _names(tmp_path) == {"plain", name, "opened"}


def test_a_source_stays_as_it_was(client: Client, plain: Path, tmp_path: Path) -> None:
    plain.chmod(0o440)
    client.encrypt_file(plain, tmp_path / "sealed")
    assert plain.read_bytes() == PLAINTEXT
    assert _mode(plain) == 0o440
