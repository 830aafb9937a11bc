"""What is left of a local secret store after processes were killed, and after the power was cut."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from envelope.errors import EnvelopeError
from envelope_secrets.errors import SecretConflict, SecretNotFound, SecretRefused
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, StageMove
from envelope_secrets.stores import local_file
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import NewSecret, NewVersion
from tests.local_secrets_for_tests import NAME, edited, local_store, secret, stages, token, version
from tests.thoroughness import POINTS, TAKES_ALL, Recorder

WRITERS = 4
ROUNDS = 50 if TAKES_ALL else 10
SECRETS = 25
MOST_LINES = 40
LONGEST_S = 0.005


def started(work: Callable[[], object]) -> int:
    """The process id of a forked child that does this work."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


class Journal:
    """What a writer was about to do, and what the store has acknowledged; lines that no kill takes back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def note(self, *words: str) -> None:
        os.write(self._file, f"{' '.join(words)}\n".encode())

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.path.read_text().splitlines()]


def value_of(version_id: str) -> str:
    return f"the value of {version_id}" * (1 + int(version_id) % 40)


def write_for_ever(path: Path, journal: Journal, seed: int) -> None:
    """Stage, promote, replace, create and delete, until somebody kills this process."""
    chance = random.Random(seed)
    with local_store(path) as store:
        for number in itertools.count(seed * 1_000_000 + 1):
            name, version_id = f"shared/{chance.randrange(SECRETS)}", token(number)
            journal.note("tries", name, version_id)
            with contextlib.suppress(SecretConflict, SecretRefused, SecretNotFound):
                write_once(store, name, version_id, chance)
                journal.note("stored", name, version_id)
            if number % 7 == 0:
                own = f"own/{number}"
                store.create(NewSecret(own, NewVersion(value_of(version_id), version_id)))
                journal.note("stored", own, version_id)
                store.delete(own, recovery_window_days=None)
                journal.note("deleted", own, version_id)


def write_once(store: LocalSecretStore, name: str, version_id: str, chance: random.Random) -> None:
    labels = chance.choice([(AWSCURRENT,), (AWSPENDING,), ("mine", AWSPENDING)])
    store.put(name, NewVersion(value_of(version_id), version_id, labels))
    if labels != (AWSCURRENT,) and chance.random() < 0.5:
        current = store.describe(name).labels.holder(AWSCURRENT)
        with contextlib.suppress(SecretConflict):  # another process has promoted its own meanwhile
            store.move_stage(name, StageMove(AWSCURRENT, version_id, current))


def test_writers_killed_at_random_lose_nothing_that_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Recorder
) -> None:
    monkeypatch.setattr(local_file, "MAX_WAL_BYTES", 100_000)  # so that they die in checkpoints too
    path = tmp_path / "secrets.db"
    chance = random.Random(20260101)
    with local_store(path) as store:
        for number in range(SECRETS):
            store.create(secret("first", 1, name=f"shared/{number}"))
    journals = []
    for number in range(ROUNDS):
        seeds = range(number * WRITERS + 1, (number + 1) * WRITERS + 1)
        writers = [Journal(tmp_path / f"journal-{seed}") for seed in seeds]
        journals += writers
        children = [
            started(partial(write_for_ever, path, journal, seed)) for seed, journal in zip(seeds, writers, strict=True)
        ]
        wait_for_lines(writers, chance.randint(5, MOST_LINES))
        for child in children:
            os.kill(child, signal.SIGKILL)
            time.sleep(chance.uniform(0, LONGEST_S))
        assert [os.WTERMSIG(os.waitpid(child, 0)[1]) for child in children] == [signal.SIGKILL] * WRITERS
        assert_sound(path)
    lines = list(itertools.chain.from_iterable(journal.lines() for journal in journals))
    cut_off = sum(bool(journal.lines()) and journal.lines()[-1][0] == "tries" for journal in journals)
    assert cut_off > ROUNDS, "most must be killed while they write, else this shows nothing"
    assert_nothing_lost(path, lines)
    record_property(POINTS, f"writers of a local store killed: {len(journals)}, {cut_off} of them in a write")


def wait_for_lines(journals: list[Journal], count: int) -> None:
    """Progress decides when they die, not the speed of the machine; where in their work is random all the same."""
    deadline = time.monotonic() + 20
    while sum(len(journal.lines()) for journal in journals) < count:
        assert time.monotonic() < deadline, "nobody writes"
        time.sleep(0.001)


def assert_sound(path: Path) -> None:
    """The file is whole, every version is whole, and the labels are legal."""
    with local_store(path) as store:
        for described in store.list():
            assert described.labels.problems() == []
            assert described.labels.holder(AWSCURRENT) is not None
    with edited(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def assert_nothing_lost(path: Path, lines: list[list[str]]) -> None:
    deleted = {name for what, name, _ in lines if what == "deleted"}
    stored = {(name, version_id) for what, name, version_id in lines if what == "stored" and name not in deleted}
    assert len(stored) > 4 * ROUNDS
    with local_store(path) as store:
        there = set()
        for described in store.list():
            for one in store.versions(described.name, include_deprecated=True):
                there.add((described.name, one.version_id))
                found = store.read(described.name, stage=None, version_id=one.version_id).text
                assert found == "first" or found == value_of(one.version_id), "half a version"
        undecided = {name for name, _ in there} & deleted
        assert not undecided, "deleted for good, and there again"
        lost = {(name, version_id) for name, version_id in stored - there if not name.startswith("own/")}
        assert not lost
    with edited(path) as connection:
        (values,) = connection.execute("SELECT count(*) FROM sealed_values").fetchone()
        assert values == len(there), "a value without its version"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets.db"


@contextlib.contextmanager
def grown(path: Path) -> Iterator[list[tuple[int, dict[str, str]]]]:
    """A store with commits in its -wal file: after each one the size of that file, and the labels."""
    wal = path.with_name(f"{path.name}-wal")
    with local_store(path) as store:
        store.create(secret("first", 1))
        store.create(secret("other", 1, name="other"))
        states = []
        for number in range(2, 12):
            store.put(NAME, version(f"value {number}" * 200, number, AWSPENDING))
            states.append((wal.stat().st_size, stages(store)))
            store.move_stage(NAME, StageMove(AWSCURRENT, token(number), token(number - 1)))
            states.append((wal.stat().st_size, stages(store)))
        yield states


def copied(path: Path, directory: Path, wal: bytes) -> Path:
    """What the disk has after the power was cut: the file, and so much of the -wal file. The -shm file is memory."""
    directory.mkdir()
    copy = directory / path.name
    shutil.copy(path, copy)
    copy.with_name(f"{path.name}-wal").write_bytes(wal)
    for file in directory.iterdir():
        file.chmod(0o600)
    return copy


@pytest.mark.parametrize("rest", [b"", bytes(5_000), b"\xff" * 5_000], ids=["cut", "zeros behind", "rubbish behind"])
def test_a_power_cut_in_mid_write_leaves_the_state_of_an_earlier_commit(
    path: Path, tmp_path: Path, rest: bytes
) -> None:
    chance = random.Random(7)
    with grown(path) as states:
        wal = path.with_name(f"{path.name}-wal").read_bytes()
        first_bytes = states[0][0]
        for number in range(25):
            cut = chance.randrange(first_bytes, len(wal))
            left = wal[:cut] + rest
            copy = copied(path, tmp_path / f"{number}", left)
            # By size alone a commit may be cut and yet be whole: what was cut off it may have been zeros.
            _, expected = [state for state in states if left[: state[0]] == wal[: state[0]]][-1]
            with local_store(copy) as store:
                assert stages(store) == expected
                current = store.read(NAME)
                assert current.text == (
                    "first" if int(current.version_id) == 1 else f"value {int(current.version_id)}" * 200
                )
                assert store.read("other").text == "other"
            assert_sound(copy)


def test_a_power_cut_while_the_wal_is_copied_into_the_file_loses_nothing(path: Path, tmp_path: Path) -> None:
    chance = random.Random(8)
    page_bytes = 4_096
    with grown(path) as states:
        wal, before = path.with_name(f"{path.name}-wal").read_bytes(), path.read_bytes()
        with edited(path) as connection:
            assert connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0
        after = path.read_bytes()
        assert before != after
        for number in range(10):
            copy = copied(path, tmp_path / f"{number}", wal)
            pages = [
                (after if chance.random() < 0.5 else before)[start : start + page_bytes]
                for start in range(0, len(after), page_bytes)
            ]
            copy.write_bytes(b"".join(pages))
            with local_store(copy) as store:
                assert stages(store) == states[-1][1]
                assert store.read(NAME).version_id == token(11)


def test_of_two_processes_that_promote_at_once_one_wins(path: Path) -> None:
    with local_store(path) as store:
        store.create(secret("first", 1))
        for number in range(2, 22, 2):
            current = store.describe(NAME).labels.holder(AWSCURRENT)
            for own in (number, number + 1):
                store.put(NAME, version("value", own, f"stage-{own % 2}"))
            moves = [StageMove(AWSCURRENT, token(own), current) for own in (number, number + 1)]
            assert sorted(at_once([partial(store.move_stage, NAME, move) for move in moves])) == [
                "SecretConflict",
                "done",
            ]
            labels = store.describe(NAME).labels
            assert labels.problems() == []
            assert labels.holder("AWSPREVIOUS") == current


def test_of_processes_that_create_one_secret_at_once_one_wins(path: Path) -> None:
    with local_store(path) as store:
        creations = [partial(store.create, secret(f"of {own}", own)) for own in range(1, 5)]
        assert sorted(at_once(creations)) == ["SecretConflict"] * 3 + ["done"]
        found = store.read(NAME)
        assert found.text == f"of {int(found.version_id)}"


def test_processes_that_repeat_one_call_at_once_all_succeed(path: Path) -> None:
    with local_store(path) as store:
        creations = [partial(store.create, secret("first", 1))] * 4
        assert at_once(creations) == ["done"] * 4
        repetitions = [partial(store.put, NAME, version("second", 2))] * 4
        assert at_once(repetitions) == ["done"] * 4
        assert stages(store) == {"1": "AWSPREVIOUS", "2": "AWSCURRENT"}


def test_processes_that_make_one_store_at_once_share_it(path: Path) -> None:
    def create(number: int) -> None:
        with local_store(path) as store:
            store.create(secret("value", number, name=f"of/{number}"))

    assert at_once([partial(create, number) for number in range(1, 5)]) == ["done"] * 4
    with local_store(path) as store:
        assert [described.name for described in store.list()] == ["of/1", "of/2", "of/3", "of/4"]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def at_once(calls: Sequence[Callable[[], object]]) -> list[str]:
    """Make each call in a process of its own, all released at one moment; ``done``, or the name of the exception."""
    barrier, release = os.pipe()
    answers, children = [], []
    for call in calls:
        answer, told = os.pipe()
        answers.append(answer)
        children.append(started(partial(_tell_outcome, call, barrier, release, told)))
        os.close(told)
    os.close(barrier)
    os.close(release)
    outcomes = []
    for answer in answers:
        with os.fdopen(answer) as file:
            outcomes.append(file.read())
    for child in children:
        os.waitpid(child, 0)
    return outcomes


def _tell_outcome(call: Callable[[], object], barrier: int, release: int, told: int) -> None:
    os.close(release)
    os.read(barrier, 1)  # until the parent closes the other end
    outcome = "done"
    try:
        call()
    except EnvelopeError as error:
        outcome = type(error).__name__
    os.write(told, outcome.encode())
