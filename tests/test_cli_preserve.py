"""--preserve: what is carried over from sources to targets, and what never is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from envelope.cli.target import TargetOptions, carry_folder
from tests.cli_for_tests import AES, OTHER, make_keys, run_cli

OLD = 1_000_000_007
OTHER_OLD = 2_000_000_011


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path)
    Path("in/sub/deep").mkdir(parents=True)
    Path("in/empty").mkdir()
    Path("in/sub/a").write_bytes(b"a")
    Path("in/sub/deep/b").write_bytes(b"b")
    Path("in/sub/a").chmod(0o664)
    Path("in/sub").chmod(0o2750)
    Path("in/empty").chmod(0o555)
    for path in ("in/sub/deep/b", "in/sub/deep", "in/sub/a", "in/sub", "in/empty"):
        os.utime(path, ns=(OTHER_OLD, OLD))


def mode_of(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def time_of(path: str) -> int:
    return Path(path).stat().st_mtime_ns


def encrypt(*more: str) -> None:
    ended = run_cli("encrypt", "-r", "in", "-o", "messages", "-k", AES, "-q", *more)
    assert (ended.status, ended.errors) == (0, "")


def decrypt(*more: str) -> None:
    ended = run_cli("decrypt", "-r", "messages", "-o", "out", "-k", AES, "-q", *more)
    assert (ended.status, ended.errors) == (0, "")


def test_messages_and_their_directories_have_mode_and_time_of_their_sources() -> None:
    encrypt("-p", "-j", "1")
    assert (mode_of("messages/sub/a.encrypted"), time_of("messages/sub/a.encrypted")) == (0o664, OLD)
    assert (mode_of("messages/sub"), time_of("messages/sub")) == (0o750, OLD)
    assert (mode_of("messages/empty"), time_of("messages/empty")) == (0o555, OLD)
    assert time_of("messages/sub/deep") == OLD


def test_plaintext_is_not_open_to_all_because_its_message_was() -> None:
    encrypt("-p")
    decrypt("-p")
    assert (mode_of("out/sub/a"), time_of("out/sub/a")) == (0o600, OLD)
    assert (mode_of("out/sub"), time_of("out/sub")) == (0o700, OLD)
    assert (mode_of("out/empty"), time_of("out/empty")) == (0o500, OLD)
    Path("messages/sub/a.encrypted").chmod(0o755)
    ended = run_cli("decrypt", "messages/sub/a.encrypted", "-o", "program", "-k", AES, "--preserve")
    assert (ended.status, mode_of("program")) == (0, 0o700)


def test_a_new_key_changes_neither_mode_nor_time() -> None:
    encrypt("-p")
    ended = run_cli("rekey", "-r", "messages", "-o", "new", "-k", AES, "--to", OTHER, "-p", "-q")
    assert (ended.status, ended.errors) == (0, "")
    assert (mode_of("new/sub/a.encrypted"), time_of("new/sub/a.encrypted")) == (0o664, OLD)
    assert mode_of("new/sub") == 0o750


def test_without_the_option_nothing_is_carried_over() -> None:
    encrypt()
    assert time_of("messages/sub") != OLD
    assert mode_of("messages/empty") == mode_of("messages")


def test_a_replaced_file_passes_on_no_setuid() -> None:
    Path("old").write_bytes(b"old")
    Path("old").chmod(0o6755)
    assert run_cli("encrypt", "in/sub/a", "-o", "old", "-k", AES, "--force").status == 0
    assert mode_of("old") == 0o755


def test_the_setgid_bit_of_a_directory_is_that_of_its_place() -> None:
    Path("messages").mkdir()
    Path("messages").chmod(0o2775)
    encrypt("-p")
    assert mode_of("messages") == 0o2775  # what was named stays as it is
    assert mode_of("messages/sub") == 0o2750


def test_a_directory_that_is_not_there_or_a_link_is_left_alone() -> None:
    Path("link").symlink_to("in")
    before = mode_of("in"), time_of("in")
    for target in ("none", "link", "in/sub/a"):
        carry_folder("in/sub", target, TargetOptions(preserve=True))
    assert (mode_of("in"), time_of("in")) == before


def test_a_directory_that_is_written_into_itself_keeps_its_mode() -> None:
    assert run_cli("encrypt", "-r", "in", "-o", "in", "-k", AES, "-q", "-p").status == 0
    Path("in/sub/a").unlink()
    run_cli("decrypt", "-r", "in", "-o", "in", "-k", AES, "-q", "-p", "--skip-existing")
    assert Path("in/sub/a").read_bytes() == b"a"
    assert (mode_of("in/sub"), mode_of("in/empty")) == (0o2750, 0o555)


def test_a_directory_that_takes_no_mode_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fchmod

    def fchmod(descriptor: int, mode: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise PermissionError(1, "Operation not permitted")
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", fchmod)
    ended = run_cli("encrypt", "-r", "in", "-o", "messages", "-k", AES, "-p")
    assert ended.status == 1
    assert "2 encrypted, 3 failed" in ended.errors
    assert "messages/sub: operation not permitted" in ended.errors


def test_a_directory_that_cannot_be_opened_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECTORY:
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    assert run_cli("encrypt", "-r", "in", "-o", "messages", "-k", AES, "-p").status == 1
