"""kill -9 in the middle of a tree: every target is absent, old and whole, or new and whole, and a second run finishes.

The moment is drawn by a fixed seed, as a number of files that the command has said to be done.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from envelope.cli.target import is_ours
from tests.cli_for_tests import AES, OTHER, make_keys, run_cli, start_cli, tree_of
from tests.keyrings_for_tests import open_client, raw_aes

FILES = 500
LARGE_BYTES = 2**19
"""Two frames, so that a file can be cut between them."""
POINTS = sorted(random.Random(9).sample(range(1, FILES), 20))
"""So many files were done when the command was killed."""
SUFFIX = ".encrypted"


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plaintexts of an old and of a new tree, and the messages of both, of the old one under another key."""
    folder = tmp_path_factory.mktemp("trees")
    make_keys(folder)
    os.mkfifo(folder / "last")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for tree, key in ("old", OTHER), ("new", AES):
            draw = random.Random(tree)
            for number in range(FILES):
                path = Path(tree, str(number % 7), f"{number:03}")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(draw.randbytes(LARGE_BYTES if number % 25 == 0 else draw.randrange(20_000)))
            assert run_cli("encrypt", "-r", tree, "-o", tree + SUFFIX, "-k", key).status == 0
    return folder


@pytest.fixture
def folder(trees: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(trees)
    shutil.rmtree("out", ignore_errors=True)
    return trees


def run_killed_after(done: int, *arguments: str, folder: Path) -> None:
    """Run the command on one input more, which never ends, and kill it when so many files are done."""
    with start_cli(*arguments, "last", "-o", "out", "--verbose", "-k", AES, cwd=folder) as process:
        assert process.stderr is not None
        for _ in range(done):
            assert b" -> " in process.stderr.readline()
        process.kill()
    assert process.returncode == -signal.SIGKILL


def whole_files(folder: str) -> dict[str, bytes]:
    """What has a name; beside it there are at most files that say that they are unfinished."""
    return {path: content for path, content in tree_of(Path(folder)).items() if not is_ours(Path(path).name)}


def decrypted(messages: dict[str, bytes]) -> dict[str, bytes]:
    client = open_client(raw_aes("one"))
    return {path.removesuffix(SUFFIX): client.decrypt(message) for path, message in messages.items()}


@pytest.mark.parametrize("done", POINTS)
def test_a_killed_run_leaves_each_target_absent_or_old_or_new(folder: Path, done: int) -> None:
    shutil.copytree("old.encrypted", "out/new", ignore=shutil.ignore_patterns("[0-2]"))  # some of seven directories
    old, new = tree_of(Path("out/new")), tree_of(Path("new"))
    run_killed_after(done, "encrypt", "-r", "new", "--force", folder=folder)
    found = whole_files("out/new")
    assert old.keys() <= found.keys(), "a file that was there is still there"
    written = {path: content for path, content in found.items() if content != old.get(path)}
    assert len(written) >= done
    assert decrypted(written).items() <= new.items()
    assert run_cli("encrypt", "-r", "new", "-o", "out/new", "--force", "-k", AES).status == 0
    assert decrypted(whole_files("out/new")) == new


@pytest.mark.parametrize("done", POINTS[::2])
def test_what_a_killed_run_has_done_need_not_be_done_again(folder: Path, done: int) -> None:
    new = tree_of(Path("new"))
    run_killed_after(done, "decrypt", "-r", "new.encrypted", folder=folder)
    found = whole_files("out/new.encrypted")
    assert len(found) >= done
    assert found.items() <= new.items()
    times = {path: Path("out/new.encrypted", path).stat().st_mtime_ns for path in found}
    assert (
        run_cli("decrypt", "-r", "new.encrypted", "-o", "out/new.encrypted", "--skip-existing", "-k", AES).status == 0
    )
    assert whole_files("out/new.encrypted") == new
    assert times == {path: Path("out/new.encrypted", path).stat().st_mtime_ns for path in found}
