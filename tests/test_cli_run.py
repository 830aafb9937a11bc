"""Runs over many messages: past failures, in parallel, with a summary and one status."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envelope import KeyUnavailable, NotAuthentic
from envelope.cli import run as run_module
from envelope.cli.metadata import MetadataFile
from envelope.cli.plan import Job, Plan
from envelope.cli.report import Report
from envelope.cli.run import RunOptions, Verb, run
from envelope.cli.signals import Interrupted
from envelope.cli.streams import Stopped, Watch
from envelope.cli.target import TargetOptions, opened_target
from tests.cli_for_tests import AES, OTHER, make_keys, run_cli, tree_of

VERB = Verb("encrypt", "encrypted", "Encrypting")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path)
    return tmp_path


def make_tree(**files: bytes) -> None:
    for path, content in (files or {"a": b"1", "b": b"22", "c/d": b"333", "c/e": b""}).items():
        place = Path("in", path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def test_a_tree_comes_back_with_its_empty_directories() -> None:
    make_tree()
    Path("in/empty/deep").mkdir(parents=True)
    there = run_cli("encrypt", "-r", "in", "-o", "messages", "-k", AES)
    assert (there.status, there.errors.count("\n")) == (0, 1)
    assert there.errors.startswith("envelope: 4 encrypted, 0.0 MiB in ")
    back = run_cli("decrypt", "-r", "messages", "-o", "out", "-k", AES, "-q")
    assert (back.status, back.errors) == (0, "")
    assert tree_of(Path("out")) == tree_of(Path("in"))
    assert Path("out/empty/deep").is_dir()


def test_all_messages_of_a_run_share_a_data_key() -> None:
    make_tree()
    run_cli("encrypt", "-r", "in", "-o", "messages", "-k", AES, "--metadata", "log")
    lines = [json.loads(line) for line in Path("log").read_text().splitlines()]
    assert len(lines) == 4
    assert len({line["header"]["encrypted_data_keys"][0]["encrypted_data_key"] for line in lines}) == 1
    assert len({line["header"]["message_id"] for line in lines}) == 4


def test_a_second_run_does_only_what_is_missing() -> None:
    make_tree()
    run_cli("encrypt", "-r", "in", "-o", "messages", "-k", AES)
    before = tree_of(Path("messages"))
    Path("messages/b.encrypted").unlink()
    ended = run_cli("encrypt", "-r", "in", "-o", "messages", "-k", AES, "--skip-existing", "-v")
    assert ended.status == 0
    assert "1 encrypted, 3 skipped" in ended.errors
    assert "envelope: in/b -> messages/b.encrypted" in ended.errors
    after = tree_of(Path("messages"))
    assert {name for name in before if before[name] != after[name]} == {"b.encrypted"}


def test_without_a_word_what_exists_is_kept_and_counts_as_failed() -> None:
    make_tree()
    run_cli("encrypt", "-r", "in", "-o", "messages", "-k", AES)
    before = tree_of(Path("messages"))
    ended = run_cli("encrypt", "-r", "in", "-o", "messages", "-k", AES)
    assert ended.status == 1
    assert "4 failed" in ended.errors
    assert tree_of(Path("messages")) == before


def test_a_tree_goes_past_failures_and_ends_with_the_gravest() -> None:
    make_tree()
    run_cli("encrypt", "-r", "in", "-o", "messages", "-k", AES)
    run_cli("encrypt", "in/a", "-o", "messages/other.encrypted", "-k", OTHER)
    damaged = bytearray(Path("messages/b.encrypted").read_bytes())
    damaged[-1] ^= 1
    Path("messages/b.encrypted").write_bytes(damaged)
    ended = run_cli("decrypt", "-r", "messages", "-o", "out", "-k", AES)
    assert ended.status == 3
    assert "3 decrypted, 2 failed" in ended.errors
    assert "messages/b.encrypted: " in ended.errors
    assert set(tree_of(Path("out"))) == {"a", "c/d", "c/e"}
    Path("messages/b.encrypted").unlink()
    assert run_cli("verify", "-r", "messages", "-k", AES, "-v").status == 4


def test_fail_fast_begins_nothing_more() -> None:
    make_tree(a=b"no message", b=b"neither", c=b"nor this")
    ended = run_cli("verify", "-r", "in", "-k", AES, "--fail-fast")
    assert ended.status == 3
    assert "0 verified, 1 failed, 2 not begun" in ended.errors


def test_what_is_left_out_is_counted_and_named() -> None:
    make_tree(a=b"1")
    Path("in/link").symlink_to("a")
    ended = run_cli("encrypt", "-r", "in", "-o", "messages", "-k", AES, "-v")
    assert "1 encrypted, 1 left out" in ended.errors
    assert "in/link: left out, a symbolic link" in ended.errors


def test_everything_can_be_said_as_json() -> None:
    make_tree(a=b"1")
    ended = run_cli("--log-json", "encrypt", "-r", "in", "-o", "messages", "-k", AES)
    events = [json.loads(line) for line in ended.errors.splitlines()]
    assert [event["event"] for event in events] == ["encrypted", "summary"]
    assert events[1]["done"] == 1
    ended = run_cli("verify", "-r", "in", "-k", AES, "--log-json")
    assert [json.loads(line)["event"] for line in ended.errors.splitlines()] == ["failed", "summary"]
    ended = run_cli("verify", "-r", "in", "-k", AES, "--json", "-v")
    error, summary = (json.loads(line) for line in ended.errors.splitlines())
    assert (error["subject"], error["exit_code"]) == ("in/a", 3)
    assert summary["failed"] == 1


def test_folders_that_cannot_be_made_or_read_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in/empty").mkdir(parents=True)
    Path("out").mkdir()
    Path("out/empty").write_bytes(b"a file")
    ended = run_cli("encrypt", "-r", "in", "-o", "out", "-k", AES)
    assert ended.status == 1
    assert "1 failed" in ended.errors
    plan = Plan((), unread=(("in", PermissionError(13, "Permission denied")),), is_tree=True)
    assert go(plan, lambda job, watch: {}) == 1


def go(plan: Plan, work: Callable[[Job, Watch], dict[str, object] | None], **options: Any) -> int:
    report = Report(quiet=True)
    return run(plan, work, VERB, options=RunOptions(**options), report=report, metadata=MetadataFile(None))


def plan_of(count: int, size_bytes: int = 0) -> Plan:
    return Plan(tuple(Job(f"in{number}", f"out{number}", size_bytes) for number in range(count)), is_tree=True)


@pytest.mark.parametrize(("size_bytes", "threads", "count"), [(0, 2, 9), (2 * 1024 * 1024, 3, 9)])
def test_messages_that_take_time_are_done_at_the_same_time(size_bytes: int, threads: int, count: int) -> None:
    clock = iter(range(1_000_000))
    together = threading.Barrier(threads)
    jobs: list[str] = []

    def work(job: Job, watch: Watch) -> dict[str, object]:
        jobs.append(job.source)
        if size_bytes or job.source != "in0":  # a small one has to take time before anybody comes to help
            together.wait(timeout=30)
        return {}

    assert go(plan_of(count, size_bytes), work, threads=threads, clock=lambda: float(next(clock))) == 0
    assert len(set(jobs)) == len(jobs) == count


def test_who_only_does_quick_ones_does_them_alone() -> None:
    threads: set[int] = set()

    def work(job: Job, watch: Watch) -> dict[str, object]:
        threads.add(threading.get_ident())
        return {}

    assert go(plan_of(100), work, threads=4, clock=lambda: 0.0) == 0
    assert threads == {threading.get_ident()}


def test_a_worker_goes_home_when_the_work_has_become_quick() -> None:
    helped = threading.Event()
    main = threading.get_ident()
    by_worker: list[str] = []

    def work(job: Job, watch: Watch) -> dict[str, object]:
        if threading.get_ident() == main:
            if job.source != "in0":
                assert helped.wait(timeout=30)  # until the worker has gone
            return {}
        by_worker.append(job.source)
        if len(by_worker) == run_module.QUICK_JOBS:
            helped.set()
        return {}

    times = iter([0.0, 0.0, 1.0])  # the first job of all takes a second
    assert go(plan_of(200), work, threads=2, clock=lambda: next(times, 2.0)) == 0
    assert len(by_worker) == run_module.QUICK_JOBS


def test_a_worker_stays_while_some_of_the_work_takes_time() -> None:
    enough = threading.Event()
    main = threading.get_ident()
    now_s = [0.0]
    by_worker: list[str] = []

    def work(job: Job, watch: Watch) -> dict[str, object]:
        if job.source == "in0":
            now_s[0] += 1
        elif threading.get_ident() == main:
            assert enough.wait(timeout=10)
        else:
            by_worker.append(job.source)
            now_s[0] += len(by_worker) % 10 == 0
            if len(by_worker) > 2 * run_module.QUICK_JOBS:
                enough.set()
        return {}

    assert go(plan_of(200), work, threads=2, clock=lambda: now_s[0]) == 0


@pytest.mark.parametrize("error", [KeyUnavailable("no"), NotAuthentic("no"), ZeroDivisionError("a bug")])
def test_no_failure_of_a_message_ends_the_run(error: Exception) -> None:
    done: list[str] = []

    def work(job: Job, watch: Watch) -> dict[str, object]:
        if job.source == "in0":
            raise error
        done.append(job.source)
        return {}

    assert go(plan_of(3), work) != 0
    assert done == ["in1", "in2"]


def test_an_interrupted_run_stops_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    helping, stopped = threading.Event(), threading.Event()
    main = threading.get_ident()

    def work(job: Job, watch: Watch) -> dict[str, object]:
        if threading.get_ident() == main:
            assert helping.wait(timeout=30)
            raise Interrupted(signal.SIGINT)
        helping.set()
        try:
            while True:
                watch.add(0)
        except Stopped:
            stopped.set()
            raise

    with pytest.raises(Interrupted):
        go(plan_of(5, 2 * 1024 * 1024), work, threads=2)
    assert stopped.is_set()


def test_an_interrupted_run_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PATIENCE_S", 0.0)
    helping, finish = threading.Event(), threading.Event()
    main = threading.get_ident()

    def work(job: Job, watch: Watch) -> dict[str, object]:
        if threading.get_ident() == main:
            assert helping.wait(timeout=30)
            raise Interrupted(signal.SIGINT)
        with opened_target("stuck", TargetOptions()):
            helping.set()
            finish.wait()
        return {}

    before = tree_of(Path())
    with pytest.raises(Interrupted):
        go(plan_of(2, 2 * 1024 * 1024), work, threads=2)
    assert tree_of(Path()) == before
    finish.set()
    for thread in threading.enumerate():
        if thread.name == "envelope worker":
            thread.join()
    assert tree_of(Path()) == before


def test_names_of_any_bytes_are_shown_escaped() -> None:
    make_tree(**{"\x1b[31m": b"no message", os.fsdecode(b"\xff"): b"no message"})
    ended = run_cli("verify", "-r", "in", "-k", AES)
    assert ended.status == 3
    assert "\x1b" not in ended.errors
    ended.errors.encode()
