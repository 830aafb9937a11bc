"""`envelope secrets edit`, with editors that are scripts."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import signal
import stat
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from envelope import InvalidArgument, StreamFailed
from envelope.cli.passphrases import PASSPHRASE_VARIABLE
from envelope.cli.signals import Interrupted, interruptible
from envelope_secrets.cli import editors
from envelope_secrets.cli.editors import editor_of, in_place, run_editor
from envelope_secrets.cli.private_files import PREFIX, SHARED_MEMORY, anonymous_file, private_file
from tests.secrets_cli_for_tests import (
    LOCAL,
    create,
    done,
    labels,
    local,
    on_terminal,
    prepare,
    refused,
    run_secrets,
    start_secrets,
)

CANARY = "hunter2-canary"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch)
    (tmp_path / "memory").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "memory"))
    monkeypatch.delenv("VISUAL", raising=False)
    return tmp_path


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(folder: Path) -> object:
    yield
    assert not list((folder / "memory").iterdir())


def editor(folder: Path, script: str, *, name: str = "editor") -> None:
    """An editor that does this with the file, which is $1."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    os.environ["EDITOR"] = str(path)  # prepare has put away what was there


@pytest.fixture(autouse=True)
def _own_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "false")


def test_what_the_editor_writes_is_the_next_version(folder: Path) -> None:
    first = create()
    editor(folder, "printf 'two\\n' > \"$1\"")
    said = done("edit", "prod/db")
    assert done("get", "prod/db") == "two"
    assert labels()["AWSPREVIOUS"] == first
    assert said == f"prod/db: version {labels()['AWSCURRENT']} has AWSCURRENT\n"
    assert json.loads(done("edit", "--json", "prod/db"))["changed"] is False


def test_an_editor_may_replace_the_file_and_leave_others_beside_it(folder: Path) -> None:
    create()
    editor(
        folder, 'cp "$1" "$1~"; printf two > "$1.new"; mv "$1.new" "$1"; mkdir "${1%/*}/undo"; touch "${1%/*}/undo/x"'
    )
    done("edit", "prod/db")
    assert done("get", "prod/db") == "two"


def test_the_file_is_closed_to_others_and_the_passphrase_is_not_the_editors(folder: Path) -> None:
    create("prod/db", '{"a": 1}')
    os.environ[PASSPHRASE_VARIABLE] = CANARY
    try:
        editor(folder, 'stat -c %a "$1" "${1%/*}" > seen; echo "$1" >> seen; env >> seen')
        done("edit", "prod/db")
    finally:
        del os.environ[PASSPHRASE_VARIABLE]
    mode, folder_mode, path, *environ = (folder / "seen").read_text().splitlines()
    assert (mode, folder_mode) == ("600", "700")
    assert path.startswith(str(folder / "memory" / PREFIX))
    assert path.endswith("/secret.json")
    assert CANARY not in "".join(environ)


def test_nothing_changed_is_nothing_done(folder: Path) -> None:
    first = create("prod/db", "one\n", "--keep-newline")
    editor(folder, 'cat "$1" > seen')
    assert done("edit", "prod/db") == "prod/db: nothing was changed\n"
    assert (folder / "seen").read_text() == "one\n"
    create("prod/other", "one")
    editor(folder, 'echo >> "$1"')  # what vi does to a last line without an end
    assert done("edit", "prod/other") == "prod/other: nothing was changed\n"
    assert labels()["AWSCURRENT"] == first


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("exit 3", "has ended with status 3"),
        ("kill -TERM $$", "has ended by signal 15"),
        ('rm "$1"', "No such file or directory"),
        ('rm "$1"; mkfifo "$1"', "no regular file any more"),
        ('rm "$1"; ln -s /etc/passwd "$1"', "Too many levels of symbolic links"),
        (': > "$1"', "the value must have 1 to 65,536 bytes"),
        ("printf '\\377' > \"$1\"", "no text in UTF-8 any more"),
        (f"printf '{{{CANARY}' > \"$1\"", "is none any more (line 1, column 2)"),
        ("head -c 100000 /dev/zero | tr '\\0' '[' > \"$1\"", "must have 1 to 65,536 bytes"),
        ("head -c 60000 /dev/zero | tr '\\0' '[' > \"$1\"", "it is too deep"),
    ],
)
def test_an_edit_that_cannot_be_stored_changes_nothing(folder: Path, script: str, text: str) -> None:
    first = create("prod/db", '{"a": 1}')
    editor(folder, script)
    errors = refused(1, "edit", "prod/db")
    assert (text in errors, CANARY in errors) == (True, False)
    assert labels() == {"AWSCURRENT": first}


def test_a_text_that_looks_like_json_need_not_become_it(folder: Path) -> None:
    create("prod/db", "[no json")
    editor(folder, "printf '[x' > \"$1\"")
    done("edit", "prod/db")
    create("prod/number", "12345")  # a password of digits is JSON by accident
    done("edit", "prod/number")
    assert done("get", "prod/number") == "[x"


def test_somebody_else_was_faster(folder: Path) -> None:
    create()
    script = f"{sys.executable} -m envelope.cli secrets put {' '.join(LOCAL)} prod/db <two"
    (folder / "two").write_text("two")
    editor(folder, f'{script} >/dev/null; printf three > "$1"')
    errors = refused(3, "edit", "prod/db")
    assert done("get", "prod/db") == "two"
    hint = errors.partition("What you wrote is version ")[2]
    assert done("get", "prod/db", "--version-id", hint.split(",")[0]) == "three"
    command = hint.partition("without a label: envelope secrets ")[2].split(" makes")[0].split()
    assert "three" not in errors
    done(*command)
    assert done("get", "prod/db") == "three"


def test_another_label_is_edited_without_touching_the_current_version(folder: Path) -> None:
    first = create()
    editor(folder, 'printf two > "$1"')
    done("edit", "--stage", "AWSPENDING", "prod/db")
    pending = labels()["AWSPENDING"]
    assert (labels()["AWSCURRENT"], done("get", "prod/db::AWSPENDING")) == (first, "two")
    editor(folder, 'cat "$1" > seen; printf three > "$1"')
    done("edit", "--stage", "AWSPENDING", "prod/db")
    assert (folder / "seen").read_text() == "two"
    assert done("get", "prod/db::AWSPENDING") == "three"
    assert labels()["AWSPENDING"] != pending
    editor(
        folder,
        f"{sys.executable} -m envelope.cli secrets repair {' '.join(LOCAL)} --drop-pending prod/db "
        '>/dev/null; printf four > "$1"',
    )
    assert "has moved to another version meanwhile" in refused(3, "edit", "--stage", "AWSPENDING", "prod/db")


def test_what_is_not_there_or_no_text_opens_no_editor(folder: Path) -> None:
    create("prod/db", b"\xff", "--binary")
    editor(folder, "touch seen")
    assert "is binary, not text" in refused(1, "edit", "prod/db")
    assert refused(1, "edit", "nope")
    assert refused(1, "edit", "--stage", "AWSPENDING", "nope")
    assert not (folder / "seen").exists()


def test_the_editor_is_that_of_visual_before_that_of_editor() -> None:
    assert editor_of({"VISUAL": "code --wait", "EDITOR": "vim"}) == ["code", "--wait"]
    assert editor_of({"VISUAL": " ", "EDITOR": "'my editor' -n"}) == ["my editor", "-n"]
    assert editor_of({}) == ["vi"]
    with pytest.raises(InvalidArgument, match="EDITOR cannot be split into words"):
        editor_of({"EDITOR": "'vim"})


def test_an_editor_that_is_not_there_is_said(folder: Path) -> None:
    create()
    os.environ["EDITOR"] = "/nowhere/editor"
    errors = refused(127, "edit", "prod/db")
    assert "cannot run '/nowhere/editor'" in errors
    assert "VISUAL or EDITOR names an editor" in errors


# --- the person at the terminal


def edited_on_terminal(folder: Path, answers: bytes, scripts: str) -> tuple[int, str]:
    create("prod/db", '{"a": 1}')
    editor(folder, scripts)
    ended = on_terminal("edit", *LOCAL, "prod/db", typed=answers)
    assert CANARY.encode() not in ended.out
    return ended.status, ended.out.decode()


BROKEN_ONCE = f'if [ -e once ]; then printf \'{{"a": 2}}\' > "$1"; else touch once; printf "{CANARY}" > "$1"; fi'


def test_broken_json_is_edited_again(folder: Path) -> None:
    status, shown = edited_on_terminal(folder, b"\n", BROKEN_ONCE)
    assert (status, "is none any more (line 1, column 1)" in shown) == (0, True)
    assert done("get", "prod/db") == '{"a": 2}'


def test_broken_json_is_stored_if_that_is_meant(folder: Path) -> None:
    assert edited_on_terminal(folder, b"store\n", BROKEN_ONCE)[0] == 0
    assert done("get", "prod/db") == CANARY


def test_broken_json_is_thrown_away(folder: Path) -> None:
    assert edited_on_terminal(folder, b"quit\n", BROKEN_ONCE)[0] == 1
    assert done("get", "prod/db") == '{"a": 1}'


def test_what_no_store_takes_cannot_be_stored(folder: Path) -> None:
    status, shown = edited_on_terminal(folder, b"store\nquit\n", ': > "$1"')
    assert (status, "(edit, quit)" in shown) == (1, True)


# --- a file without a name

IN_PLACE = 'for file; do :; done; stat -L -c "%h %a" "$file" > seen; printf %s "$*" >> seen; '
"""An editor gets its options first, and the file last."""


@pytest.mark.parametrize("name", ["vim", "nvim", "nano", "ed", "emacs"])
def test_an_editor_that_writes_in_place_gets_a_file_without_a_name(folder: Path, name: str) -> None:
    create()
    editor(folder, f'{IN_PLACE} ls -A memory >> seen; printf two > "$file"', name=name)
    done("edit", "prod/db")
    assert done("get", "prod/db") == "two"
    seen = (folder / "seen").read_text()
    assert seen.startswith("0 600\n")
    assert seen.rpartition(" ")[2].startswith(f"/proc/{os.getpid()}/fd/") or name == "ed"
    assert PREFIX not in seen


def test_no_end_of_the_command_leaves_a_file_without_a_name(folder: Path) -> None:
    create("prod/db", CANARY)
    editor(folder, f"{IN_PLACE} echo $$ > pid; mv pid ready; exec sleep 60", name="vim")
    with start_secrets("edit", *LOCAL, "prod/db", cwd=folder, env=dict(os.environ)) as process:
        while not (folder / "ready").exists():
            assert process.poll() is None
        path = Path((folder / "seen").read_text().rpartition(" ")[2])
        assert path.read_text() == CANARY
        process.kill()
        process.wait(timeout=60)
    os.kill(int((folder / "ready").read_text()), signal.SIGKILL)
    assert not path.exists()
    assert not list((folder / "memory").iterdir())
    assert not list(Path(SHARED_MEMORY).glob(f"{PREFIX}*"))
    assert done("get", "prod/db") == CANARY


@pytest.mark.skipif(shutil.which("ed") is None, reason="there is no ed here")
def test_ed_itself_edits_a_file_without_a_name(folder: Path) -> None:
    create()
    os.environ["EDITOR"] = "ed"
    with start_secrets("edit", *LOCAL, "prod/db", cwd=folder, env=dict(os.environ)) as process:
        out, _ = process.communicate(b"1s/one/two/\nw\nq\n", timeout=60)
    assert (process.returncode, b"has AWSCURRENT" in out) == (0, True)
    assert done("get", "prod/db") == "two"


def program(folder: Path, name: str, *, link: str = "") -> str:
    path = folder / name
    path.touch(0o700)
    if link:
        (folder / link).symlink_to(path)
    return str(folder / (link or name))


def test_what_was_not_seen_to_write_in_place_does_not_get_such_a_file(folder: Path) -> None:
    assert in_place([str(folder / "vim")], {}) is None
    vi = program(folder, "vim.basic", link="vi")
    words = in_place([vi, "-f"], {})
    assert words is not None
    assert (words[:2], words[-1]) == ([vi, "-n"], "-f")
    assert in_place([vi, "-g"], {}) is None  # it would end at once, and write later
    assert in_place([vi, "--remote-wait"], {}) is None  # another vim would write, with its own settings
    assert in_place([program(folder, "nvi", link="editor")], {}) is None
    for link in ("view", "gvim", "rvim"):
        (folder / link).symlink_to(folder / "vim.basic")
        assert in_place([str(folder / link)], {}) is None
    assert in_place([program(folder, "micro")], {}) is None
    assert in_place([program(folder, "vim-like")], {}) is None
    program(folder, "ed")
    assert in_place(["ed"], {"PATH": str(folder)}) == ["ed"]
    assert in_place(["sed", "-i", "s/a/b/"], os.environ) is None


def test_where_no_file_is_without_a_name_the_editor_gets_one_with_a_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create()
    monkeypatch.setattr("envelope_secrets.cli.edit.anonymous_file", lambda: None)
    editor(folder, 'echo $# "$1" > seen; printf two > "$1"', name="vim")
    done("edit", "prod/db")
    assert (folder / "seen").read_text().startswith(f"1 {folder / 'memory' / PREFIX}")


def test_a_system_may_have_no_file_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(name: str) -> int:
        raise PermissionError(1, name)

    assert anonymous_file(make=None) is None
    assert anonymous_file(make=refuses) is None
    before = set(Path("/proc/self/fd").iterdir())
    monkeypatch.setattr(os, "getpid", lambda: 0)  # as if /proc were that of other processes
    assert anonymous_file() is None
    assert set(Path("/proc/self/fd").iterdir()) == before


# --- signals, disks


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_editor_starts_does_not_leave_it_running(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Interrupting(subprocess.Popen[bytes]):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]  # they are Popen's own
            started.append(self)
            os.kill(os.getpid(), number)

    monkeypatch.setattr(subprocess, "Popen", Interrupting)
    before = signal.getsignal(number)
    with pytest.raises(Interrupted), interruptible(die=lambda number: pytest.fail(f"a second {number}")):
        run_editor(["sleep"], Path("60"), os.environ)
    assert started[0].returncode == -signal.SIGTERM
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_so_for_the_editor(folder: Path) -> None:
    script = Path(program(folder, "hung-up"))
    script.write_text("#!/bin/sh\nkill -HUP $$\n")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run_editor([str(script)], folder, os.environ)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_ends_the_editor_and_removes_the_file(folder: Path) -> None:
    create()
    editor(folder, "echo $$ > pid; mv pid ready; exec sleep 60")
    with start_secrets("edit", *LOCAL, "prod/db", cwd=folder, env=dict(os.environ)) as process:
        while not (folder / "ready").exists():
            assert process.poll() is None
        assert list((folder / "memory").glob(f"{PREFIX}*/secret.txt"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "ready").read_text()), 0)
    assert done("get", "prod/db") == "one"


def test_ctrl_c_is_the_editors(folder: Path) -> None:
    """The terminal sends it to all of its foreground processes; an editor takes it for a key."""
    create()
    editor(folder, "trap 'printf two > \"$1\"; exit 0' INT; touch ready; while :; do sleep 0.02; done")
    terminal, ours = pty.openpty()
    with start_secrets(
        *("edit", *LOCAL, "prod/db"),
        cwd=folder,
        env=dict(os.environ),
        stdin=ours,
        stdout=ours,
        stderr=ours,
        preexec_fn=lambda: _login(ours),
    ) as process:
        os.close(ours)
        while not (folder / "ready").exists():
            assert process.poll() is None
        os.write(terminal, b"\x03")
        assert process.wait(timeout=60) == 0
    os.close(terminal)
    assert done("get", "prod/db") == "two"


def _login(descriptor: int) -> None:
    """Make a terminal the one that controls this process."""
    os.setsid()
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def test_a_value_is_typed_at_the_terminal_and_not_shown(folder: Path) -> None:
    create()
    terminal, ours = pty.openpty()
    with start_secrets(
        *("put", *LOCAL, "prod/db"),
        cwd=folder,
        env=dict(os.environ),
        stdin=ours,
        stdout=ours,
        stderr=ours,
        preexec_fn=lambda: _login(ours),
    ) as process:
        os.close(ours)
        shown = b""
        for question in (b"not shown): ", b"The same again: "):
            while question not in shown:
                shown += os.read(terminal, 4096)
            os.write(terminal, CANARY.encode() + b"\n")
        while b"has AWSCURRENT" not in shown:
            shown += os.read(terminal, 4096)
        assert process.wait(timeout=60) == 0
    os.close(terminal)
    assert CANARY.encode() not in shown
    assert done("get", "prod/db") == CANARY


def test_an_editor_that_does_not_end_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two things in one: it ignores SIGTERM, and we are interrupted while we wait."""
    monkeypatch.setattr(editors, "_PATIENCE_S", 0.05)
    (folder / "file").touch()
    script = folder / "stubborn"
    script.write_text("#!/bin/sh\ntrap '' TERM\ntouch ready\nexec sleep 60\n")
    script.chmod(0o700)
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen.wait

    def interrupted(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if timeout is None and not started:
            started.append(process)
            while not (folder / "ready").exists():
                pass
            raise KeyboardInterrupt
        return real(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_editor([str(script)], folder / "file", os.environ)
    assert started[0].returncode == -signal.SIGKILL


def test_without_a_place_in_memory_that_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(folder / "memory"))
    monkeypatch.setattr("tempfile.tempdir", None)
    with private_file("x", {"XDG_RUNTIME_DIR": "relative"}, memory=str(folder / "none")) as file:
        assert not file.is_in_memory
        assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    with private_file("x", {}, memory=str(folder / "memory")) as file:
        assert file.is_in_memory
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr(
        "envelope_secrets.cli.edit.private_file", lambda name, environ: private_file(name, {}, memory="")
    )
    create()
    editor(folder, 'printf two > "$1"')
    assert "envelope: note: the file for the editor is on a disk" in local("edit", "prod/db").errors


def test_what_cannot_be_removed_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(path: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refuses)
        with pytest.raises(StreamFailed, match="cannot remove") as caught, private_file("x", os.environ) as file:
            left = file.path.parent
    assert "remove it" in caught.value.hint
    left.rmdir()


def test_an_edit_of_a_missing_store_is_refused() -> None:
    assert run_secrets("edit", *LOCAL, "prod/db").status == 4
