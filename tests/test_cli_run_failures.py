"""Runs in which something fails that should not: a message counts once, and the status never says that all is well."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from envelope import StreamFailed
from envelope.cli.metadata import MetadataFile
from envelope.cli.plan import Job, Plan
from envelope.cli.report import Report
from envelope.cli.run import RunOptions, Verb, run
from envelope.cli.streams import Watch, opened_source
from tests.cli_for_tests import AES, make_keys, run_cli, tree_of

VERB = Verb("encrypt", "encrypted", "Encrypting")
LARGE = 2 * 1024 * 1024  # so large that another thread is called


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path)
    return tmp_path


def make(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(path)


class _Broken(Report):
    """A report that fails where no failure is foreseen."""

    def failed(self, error: BaseException, subject: str = "") -> int:
        if subject:
            raise ZeroDivisionError
        return Report.failed(self, error)


def go(count: int, work: Callable[[Job, Watch], dict[str, object] | None], report: Report, threads: int = 2) -> int:
    plan = Plan(tuple(Job(f"in{number}", f"out{number}", LARGE) for number in range(count)), is_tree=True)
    options = RunOptions(threads=threads)
    return run(plan, work, VERB, options=options, report=report, metadata=MetadataFile(None))


def test_a_thread_that_ends_by_a_bug_is_a_failure_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    main, ended = threading.get_ident(), threading.Event()

    def work(job: Job, watch: Watch) -> dict[str, object]:
        if threading.get_ident() == main:
            assert ended.wait(timeout=30)
            return {}
        ended.set()
        raise ValueError(job.source)

    assert go(4, work, _Broken()) == 1
    shown = capsys.readouterr().err
    assert "envelope: error: unexpected ZeroDivisionError\n" in shown
    assert "3 encrypted, 1 failed" in shown


def test_without_another_thread_the_first_one_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    done: list[str] = []

    def work(job: Job, watch: Watch) -> dict[str, object]:
        done.append(job.source)
        return {}

    assert go(3, work, Report(quiet=True), threads=4) == 0
    assert done == ["in0", "in1", "in2"]


def test_a_message_without_its_metadata_counts_once_as_failed() -> None:
    make("in/a", "in/b")
    ended = run_cli("encrypt", "-r", "in", "-o", "out", "-k", AES, "--metadata", "/dev/full")
    assert ended.status == 1
    assert "0 encrypted, 2 failed" in ended.errors
    assert ended.errors.count("cannot write metadata") == 2
    ended = run_cli("encrypt", "-r", "in", "-o", "out", "-k", AES, "--skip-existing", "--metadata", "/dev/full")
    assert "0 encrypted, 2 failed" in ended.errors
    ended = run_cli("verify", "-r", "in", "-k", AES, "--metadata", "/dev/full")
    assert "0 verified, 2 failed" in ended.errors
    assert ended.errors.count("envelope: error: ") == 4  # of each, why it failed and that this was not written down
    assert ended.status == 3


def test_what_is_no_regular_file_is_no_target_in_a_tree() -> None:
    make("in/a", "in/b", "in/c")
    Path("out").mkdir()
    os.mkfifo("out/a.encrypted")
    Path("out/b.encrypted").symlink_to("/dev/null")
    ended = run_cli("encrypt", "-r", "in", "-o", "out", "-k", AES, "--force")
    assert ended.status == 1
    assert "1 encrypted, 2 failed" in ended.errors
    assert ended.errors.count("is no regular file") == 2
    assert "hint: a tree is written to files only" in ended.errors


def test_a_directory_in_the_place_of_a_target_is_not_skipped() -> None:
    make("in/a")
    Path("out/a.encrypted").mkdir(parents=True)
    for option in ("--skip-existing", "--force"):
        ended = run_cli("encrypt", "-r", "in", "-o", "out", "-k", AES, option)
        assert ended.status == 1
        assert "0 encrypted, 1 failed" in ended.errors


def test_a_source_that_became_something_else_is_not_read(folder: Path) -> None:
    make("a", "secret")
    os.mkfifo("pipe")
    Path("link").symlink_to("secret")
    for name in ("pipe", "link", "."):
        with pytest.raises(StreamFailed, match="cannot read"), opened_source(Job(name, "out", 0, is_found=True)):
            pytest.fail("opened")
    for is_found in (True, False):
        with opened_source(Job("a", "out", 1, is_found=is_found)) as file:
            assert file.read() == b"a"
    with opened_source(Job("link", "out", 1)) as file:  # somebody has named it
        assert file.read() == b"secret"


def test_what_a_killed_run_has_left_is_named_and_left_alone() -> None:
    make("in/a", "in/sub/b", "in/sub/deep/c")
    make("out/.envelope-1.partial", *(f"out/sub/.envelope-{number}.partial" for number in range(3)))
    ended = run_cli("encrypt", "-r", "in", "-o", "out", "-k", AES)
    assert ended.status == 0
    first = ended.errors.splitlines()[0]
    assert first == (
        "envelope: note: unfinished, of a run that was killed or that goes on: out/.envelope-1.partial, "
        "out/sub/.envelope-0.partial, out/sub/.envelope-1.partial, ..."
    )
    assert sum(path.endswith(".partial") for path in tree_of(Path("out"))) == 4
    assert run_cli("encrypt", "-r", "in", "-o", "out", "-k", AES, "--skip-existing", "-q").errors == ""
    said = run_cli("encrypt", "-r", "in", "-o", "out", "-k", AES, "--skip-existing", "--log-json").errors
    assert len(json.loads(said.splitlines()[0])["paths"]) == 4


def test_a_bar_that_cannot_be_drawn_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    from envelope.cli import progress

    def broken(*_: object) -> None:
        tried.set()
        raise OSError(5, "Input/output error")

    class Terminal:
        def isatty(self) -> bool:
            return True

    tried = threading.Event()
    monkeypatch.setattr(progress, "_draw", broken)
    with progress.shown_progress(progress.Meter(1), "Encrypting", Terminal(), delay_s=0.0):  # type: ignore[arg-type]
        assert tried.wait(timeout=30)
