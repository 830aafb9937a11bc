"""What a disk is asked for and what it refuses: flushes in their order, and places that take no file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.cli_for_tests import AES, make_keys, run_cli, tree_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path)
    Path("in").write_bytes(b"plaintext")
    Path("out").mkdir()
    return tmp_path


def flushes_of(monkeypatch: pytest.MonkeyPatch, *options: str) -> list[tuple[str, bool]]:
    """What was flushed by one encryption, and whether the target had its name by then."""
    seen: list[tuple[str, bool]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        seen.append((kind, Path("out/message").exists()))
        real(descriptor)

    with monkeypatch.context() as only:
        only.setattr(os, "fsync", fsync)
        assert run_cli("encrypt", "in", "-o", "out/message", "-k", AES, *options).status == 0
    return seen


def test_a_file_is_flushed_before_it_has_its_name_and_its_directory_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    assert flushes_of(monkeypatch, "--fsync") == [("file", False), ("directory", True)]


def test_nothing_is_flushed_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert flushes_of(monkeypatch) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_place_that_takes_no_file_is_a_failure_and_stays_as_it_is(
    folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root, which may write everywhere, only a file system says no; so the system call says it here."""
    Path("out/message").write_bytes(b"old")
    before, real = tree_of(folder), os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT and str(folder / "out") in os.path.realpath(path):
            raise OSError(number, os.strerror(number), path)
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    for options in (("--force",), ("--force", "-r")):
        source = "in" if len(options) == 1 else "."
        target = "out/message" if len(options) == 1 else "out"
        ended = run_cli("encrypt", source, "-o", target, "-k", AES, *options)
        assert ended.status == 1
        assert os.strerror(number).lower() in ended.errors.lower()
        assert tree_of(folder) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write in every directory")
def test_a_directory_that_nobody_may_write_is_a_failure(folder: Path) -> None:
    Path("out").chmod(0o555)
    assert run_cli("encrypt", "in", "-o", "out/message", "-k", AES).status == 1
    assert tree_of(folder / "out") == {}
