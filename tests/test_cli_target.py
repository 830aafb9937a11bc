"""Where output goes: whole under its name, or not at all."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from envelope.cli import target as target_module
from envelope.cli.target import TargetOptions, opened_target, remove_unfinished
from envelope.errors import StreamFailed
from tests.cli_for_tests import tree_of

KEEP = TargetOptions()
FORCE = TargetOptions(force=True)


def write(target: Path, options: TargetOptions = KEEP, source: Path | None = None) -> None:
    with opened_target(str(target), options, None if source is None else source.stat()) as file:
        file.write(b"new")


def write_and(then: Callable[[], object], target: Path, options: TargetOptions) -> None:
    with opened_target(str(target), options) as file:
        file.write(b"half")
        then()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("fsync", [False, True])
@pytest.mark.parametrize("new_mode", [0o600, 0o640])
def test_a_new_file_is_there_whole_and_alone(tmp_path: Path, fsync: bool, new_mode: int) -> None:
    write(tmp_path / "out", TargetOptions(fsync=fsync, new_mode=new_mode))
    assert tree_of(tmp_path) == {"out": b"new"}
    assert mode_of(tmp_path / "out") == new_mode


def test_directories_above_it_are_made(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "out")
    assert tree_of(tmp_path) == {"a/b/out": b"new"}


def test_a_file_that_is_there_is_kept_and_nothing_is_begun(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(StreamFailed, match="exists already") as caught:
        write_and(lambda: pytest.fail("begun"), tmp_path / "out", KEEP)
    assert "--force" in caught.value.hint
    assert tree_of(tmp_path) == {"out": b"old"}


@pytest.mark.parametrize("options", [KEEP, FORCE])
def test_a_failure_leaves_everything_as_it_was(tmp_path: Path, options: TargetOptions) -> None:
    if options.force:
        (tmp_path / "out").write_bytes(b"old")
    before = tree_of(tmp_path)
    with pytest.raises(ZeroDivisionError):
        write_and(lambda: 1 / 0, tmp_path / "out", options)
    assert tree_of(tmp_path) == before


def test_a_file_that_appears_in_the_meantime_is_kept(tmp_path: Path) -> None:
    with pytest.raises(StreamFailed, match="exists already"):
        write_and(lambda: (tmp_path / "out").write_bytes(b"somebody else's"), tmp_path / "out", KEEP)
    assert tree_of(tmp_path) == {"out": b"somebody else's"}


def test_a_replaced_file_passes_its_mode_on(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    (tmp_path / "out").chmod(0o604)
    write(tmp_path / "out", FORCE)
    assert tree_of(tmp_path) == {"out": b"new"}
    assert mode_of(tmp_path / "out") == 0o604


def test_mode_and_time_of_the_source_carry_over_but_no_setuid(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"")
    source.chmod(0o4751)
    os.utime(source, ns=(1, 1_000_000_007))
    write(tmp_path / "out", TargetOptions(preserve=True), source)
    assert mode_of(tmp_path / "out") == 0o751
    assert (tmp_path / "out").stat().st_mtime_ns == 1_000_000_007


def test_a_pipe_has_no_mode_to_carry_over(tmp_path: Path) -> None:
    write(tmp_path / "out", TargetOptions(preserve=True, new_mode=0o600), Path("/dev/null"))
    assert mode_of(tmp_path / "out") == 0o600


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "out").symlink_to("real")
    write(tmp_path / "out", FORCE)
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("options", [KEEP, FORCE])
def test_a_link_that_leads_nowhere_does_not_choose_where_a_file_is_made(tmp_path: Path, options: TargetOptions) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere" / "file")
    with pytest.raises(StreamFailed, match="leads nowhere"):
        write(tmp_path / "out", options)
    assert tree_of(tmp_path) == {}


def test_where_all_files_have_one_mode_none_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fchmod(descriptor: int, mode: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    (tmp_path / "out").write_bytes(b"old")
    (tmp_path / "out").chmod(0o600)
    monkeypatch.setattr(os, "fchmod", fchmod)
    write(tmp_path / "out", FORCE)
    assert tree_of(tmp_path) == {"out": b"new"}


def test_without_hard_links_a_file_that_appears_in_the_meantime_is_kept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: str, target: str) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(StreamFailed, match="exists already"):
        write_and(lambda: (tmp_path / "out").write_bytes(b"somebody else's"), tmp_path / "out", KEEP)
    assert tree_of(tmp_path) == {"out": b"somebody else's"}


def test_a_device_is_written_directly_and_without_force() -> None:
    write(Path("/dev/null"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_full_device_is_a_failure() -> None:
    with pytest.raises(StreamFailed, match="No space left"):
        write(Path("/dev/full"))


def test_a_file_in_the_place_of_a_directory_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StreamFailed, match="cannot write"):
        write(tmp_path / "file" / "out")
    assert tree_of(tmp_path) == {"file": b""}


def test_a_directory_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(StreamFailed):
        write(tmp_path)


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOTSUP])
def test_without_hard_links_a_rename_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    def link(source: str, target: str) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", link)
    write(tmp_path / "out")
    assert tree_of(tmp_path) == {"out": b"new"}


def test_another_failure_of_the_link_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: str, target: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(StreamFailed, match="Input/output error"):
        write(tmp_path / "out")
    assert tree_of(tmp_path) == {}


def test_what_a_thread_has_left_unfinished_can_be_removed(tmp_path: Path) -> None:
    opened, finish = threading.Event(), threading.Event()

    def wait() -> None:
        opened.set()
        finish.wait()

    def stuck() -> None:
        with pytest.raises(StreamFailed):
            write_and(wait, tmp_path / "out", FORCE)

    thread = threading.Thread(target=stuck)
    thread.start()
    opened.wait()
    assert len(tree_of(tmp_path)) == 1
    remove_unfinished()
    assert tree_of(tmp_path) == {}
    finish.set()
    thread.join()
    assert tree_of(tmp_path) == {}
    assert not target_module._unfinished
