"""All messages of a run: in parallel, past failures, with a summary and one exit status."""

# Paths are text here: a run can have a million, and a Path takes twice the memory and time.
# ruff: noqa: PTH100, PTH103

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from envelope.cli.failure import FAILED, worst_of
from envelope.cli.metadata import MetadataFile
from envelope.cli.plan import STREAM, Job, Plan
from envelope.cli.progress import Meter, shown_progress
from envelope.cli.report import Report
from envelope.cli.streams import Stopped, Watch
from envelope.cli.target import TargetOptions, carry_folder, remove_unfinished
from envelope.errors import EnvelopeError

__all__ = ["RunOptions", "Verb", "run"]

PATIENCE_S = 2.0
"""So long an interrupted run waits for its threads. One that waits for AWS is left behind."""

LARGE_BYTES = 1024 * 1024
SLOW_S = 0.003
"""A call to AWS takes longer, a small file in the memory of the system less."""
QUICK_JOBS = 32

_DEFAULT_TARGET = TargetOptions()
_MOST_NAMED = 3

Work = Callable[[Job, Watch], "dict[str, object] | None"]
"""Does one job; returns what the metadata says of it, or None if there was nothing to do."""


@dataclass(frozen=True, slots=True)
class Verb:
    """How a command is called in what is said about it: encrypt, encrypted, Encrypting."""

    mode: str
    past: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run goes.

    Attributes:
        threads: how many messages at a time, at most.
        fail_fast: begin no other message after a failure.
        target: how files are written, and so whether directories get mode and times of theirs.
        clock: monotonic seconds.
    """

    threads: int = 1
    fail_fast: bool = False
    target: TargetOptions = _DEFAULT_TARGET
    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class _Counts:
    """What happened so far."""

    begun: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    statuses: set[int] = field(default_factory=set)


class _Run:
    def __init__(
        self, plan: Plan, work: Work, verb: Verb, options: RunOptions, report: Report, metadata: MetadataFile
    ) -> None:
        self._plan = plan
        self._work = work
        self._verb = verb
        self._options = options
        self._report = report
        self._metadata = metadata
        self._counts = _Counts()
        self._waiting: Iterator[Job] = iter(plan.jobs)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._working = 1
        total = sum(job.size_bytes for job in plan.jobs)
        self._meter = Meter(total or None)

    def go(self) -> int:
        """Do all jobs; return the exit status."""
        started = self._options.clock()
        self._name_unfinished()
        for folder, error in self._plan.unread:
            self._failed([error], folder)
        with shown_progress(self._meter, self._verb.label, sys.stderr, is_wanted=self._report.shows_progress):
            self._make_folders()
            self._go_parallel()
            self._carry_folders()
        if self._plan.is_tree:
            self._sum_up(self._options.clock() - started)
        return worst_of(self._counts.statuses)

    def _make_folders(self) -> None:
        for folder in self._plan.folders:
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError as error:
                self._failed([error], folder)

    def _carry_folders(self) -> None:
        """At the end, since every file that is written in a directory changes its time; children before parents."""
        if not self._options.target.preserve:
            return
        for source, target in reversed(self._plan.below):
            try:
                carry_folder(source, target, self._options.target)
            except OSError as error:
                self._failed([error], target)

    def _name_unfinished(self) -> None:
        found = self._plan.unfinished
        if not found:
            return
        named = ", ".join(found[:_MOST_NAMED]) + (", ..." if len(found) > _MOST_NAMED else "")
        text = f"unfinished, of a run that was killed or that goes on: {named}"
        self._report.note("unfinished", text, paths=list(found))

    def _go_parallel(self) -> None:
        try:
            self._go_on(is_worker=False)
            for thread in self._threads:  # which workers may still add to
                thread.join()
        except BaseException:
            self._stop.set()
            until = time.monotonic() + PATIENCE_S
            for thread in self._threads:
                thread.join(max(until - time.monotonic(), 0))
            remove_unfinished()
            raise

    def _work_along(self) -> None:
        try:
            self._go_on(is_worker=True)
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - a thread that ends in silence would end the run with 0
            with self._lock:
                self._counts.failed += 1
                self._counts.statuses.add(FAILED)
            self._report.failed(error)

    def _go_on(self, *, is_worker: bool) -> None:
        """Do jobs. Who meets one that takes time gets a worker; a worker that meets quick ones only goes home.

        Two threads that do nothing but short system calls wait for each other's interpreter lock most of the time.
        """
        quick = 0
        while not self._stop.is_set() and (job := self._next()) is not None:
            if job.size_bytes > LARGE_BYTES:
                self._call_worker()
            started = self._options.clock()
            self._do(job)
            if self._options.clock() - started > SLOW_S:
                self._call_worker()
                quick = 0
            else:
                quick += 1
            if is_worker and quick == QUICK_JOBS:
                break
        if is_worker:
            with self._lock:
                self._working -= 1

    def _call_worker(self) -> None:
        with self._lock:
            if self._working >= self._options.threads or self._counts.begun == len(self._plan.jobs):
                return
            self._working += 1
            thread = threading.Thread(target=self._work_along, name="envelope worker", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # there are as many threads as there may be: those that there are do it
                return
            self._threads.append(thread)

    def _next(self) -> Job | None:
        with self._lock:
            job = next(self._waiting, None)
            self._counts.begun += job is not None
            return job

    def _do(self, job: Job) -> None:
        """Do one job. It counts once: as done, as skipped, or as failed if anything of it failed."""
        watch = Watch(self._meter, job.size_bytes, self._stop)
        failures: list[Exception] = []
        fields: dict[str, object] | None = None
        outcome: dict[str, object]
        try:
            fields = self._work(job, watch)
            outcome = {"status": "skipped"} if fields is None else {"status": "done", **fields}
        except Exception as error:  # noqa: BLE001 - one file must not end the run, whatever it is
            failures.append(error)
            outcome = {"status": "failed", "error": _shown_error(error), **watch.known}
        finally:
            watch.finish()
        try:
            self._write_metadata(job, outcome)
        except Exception as error:  # noqa: BLE001 - the same
            failures.append(error)
        if failures:
            self._failed(failures, job.source)
        elif fields is None:
            self._skipped(job)
        else:
            self._done(job)

    def _done(self, job: Job) -> None:
        with self._lock:
            self._counts.done += 1
        if self._report.shows_steps:
            self._report.step(self._verb.past, _shown(job), **_ends(job))

    def _skipped(self, job: Job) -> None:
        with self._lock:
            self._counts.skipped += 1
        self._report.step("skipped", f"{job.source}: there is {job.target} already", input=job.source)

    def _failed(self, errors: Sequence[Exception], subject: str) -> None:
        """One thing has failed, for all of these reasons."""
        statuses = [self._report.failed(error, subject if self._plan.is_tree else "") for error in errors]
        with self._lock:
            self._counts.failed += 1
            self._counts.statuses.update(statuses)
            if self._options.fail_fast:
                self._waiting = iter(())

    def _write_metadata(self, job: Job, fields: dict[str, object]) -> None:
        if self._metadata.is_wanted:
            self._metadata.write({"mode": self._verb.mode, **_ends(job), **fields})

    def _sum_up(self, elapsed_s: float) -> None:
        counts = self._counts
        left = len(self._plan.jobs) - counts.begun
        numbers = {"skipped": counts.skipped, "failed": counts.failed, "not begun": left}
        numbers["left out"] = len(self._plan.left_out)
        for path, reason in self._plan.left_out:
            self._report.step("left out", f"{path}: left out, {reason}", input=path, reason=reason)
        others = "".join(f", {number:,} {what}" for what, number in numbers.items() if number)
        size = f"{self._meter.done_bytes / 2**20:,.1f} MiB in {elapsed_s:,.1f} s"
        self._report.summary(
            "summary",
            f"{counts.done:,} {self._verb.past}{others}, {size}",
            done=counts.done,
            **{what.replace(" ", "_"): number for what, number in numbers.items()},
            bytes=self._meter.done_bytes,
            seconds=round(elapsed_s, 3),
        )


def run(plan: Plan, work: Work, verb: Verb, *, options: RunOptions, report: Report, metadata: MetadataFile) -> int:
    """Do all jobs of a plan; return the exit status, the gravest if there are several.

    Raises:
        Interrupted: by a signal; nothing is left unfinished.
    """
    return _Run(plan, work, verb, options, report, metadata).go()


def _ends(job: Job) -> dict[str, object]:
    """Source and target under the names of aws-encryption-cli."""
    output = _named(job.target, "<stdout>") if job.target else None
    return {"input": _named(job.source, "<stdin>"), "output": output}


def _named(path: str, stream: str) -> str:
    return stream if path == STREAM else os.path.abspath(path)


def _shown(job: Job) -> str:
    return f"{job.source} -> {job.target}" if job.target else f"{job.source}: good"


def _shown_error(error: BaseException) -> str:
    return str(error) if isinstance(error, EnvelopeError) else type(error).__name__
