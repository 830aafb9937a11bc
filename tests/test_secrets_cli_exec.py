"""`envelope secrets exec`: the program has the secrets, and everything else is its own."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from envelope.cli.passphrases import PASSPHRASE_VARIABLE
from envelope_secrets.cli.execute import become
from envelope_secrets.cli.failures import CannotRun
from tests.cli_for_tests import Ended
from tests.secrets_cli_for_tests import LOCAL, create, prepare, put, refused, start_secrets

CANARY = "hunter2-canary"
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch)
    return tmp_path


def run(folder: Path, *arguments: object, **env: str) -> Ended:
    """Run exec in a process of its own."""
    with start_secrets("exec", *LOCAL, *arguments, cwd=folder, env={**os.environ, **env}) as process:
        out, errors = process.communicate(timeout=60)
    return Ended(process.returncode, out, errors.decode())


def test_a_program_has_the_secrets_in_its_environment_and_nowhere_else(folder: Path) -> None:
    create("prod/db", json.dumps({"user": "app", "password": CANARY, "port": 5432}))
    create("prod/api", "key\nof two lines")
    first = put("prod/api", "another")
    (folder / "env").write_text(f"# references\n\nAPI=prod/api:::{first}\n  PORT=prod/db:port\n")
    ended = run(
        folder,
        *("--env", "DB=prod/db:password", "--env", "OLD=prod/api::AWSPREVIOUS", "--env", "ALL=prod/db"),
        *("--env-file", "env", "--", sys.executable, "-c", f"import sys; print(sys.argv); {SHOW}", "--env", "x"),
        **{PASSPHRASE_VARIABLE: "of the keystore", "KEPT": "yes"},
    )
    assert (ended.status, ended.errors) == (0, "")
    arguments, shown = ended.out.decode().splitlines()
    assert arguments == "['-c', '--env', 'x']"
    found = json.loads(shown)
    assert {name: found[name] for name in ("DB", "OLD", "API", "PORT", "KEPT")} == {
        "DB": CANARY,
        "OLD": "key\nof two lines",
        "API": "another",
        "PORT": "5432",
        "KEPT": "yes",
    }
    assert json.loads(found["ALL"])["user"] == "app"
    assert PASSPHRASE_VARIABLE not in found


def test_the_command_becomes_the_program(folder: Path) -> None:
    """Same process, and no other: what `ps` shows is the program's own command line."""
    create()
    code = "import os; print(os.getpid(), open('/proc/self/cmdline').read().split(chr(0))[0], os.environ['A'])"
    with start_secrets("exec", *LOCAL, "--env", "A=prod/db", sys.executable, "-c", code, cwd=folder) as process:
        out, _ = process.communicate(timeout=60)
    assert out.decode().split() == [str(process.pid), sys.executable, "one"]


@pytest.mark.parametrize("status", [0, 1, 3, 42, 255])
def test_its_exit_status_is_the_programs(folder: Path, status: int) -> None:
    create()
    assert run(folder, "--env", "A=prod/db", "--", "sh", "-c", f"exit {status}").status == status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL])
def test_a_signal_ends_the_program_as_if_nothing_stood_before_it(folder: Path, number: signal.Signals) -> None:
    create()
    code = "echo ready; exec sleep 60"
    with start_secrets("exec", *LOCAL, "--env", "A=prod/db", "--", "sh", "-c", code, cwd=folder) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(timeout=60) == -number
        assert process.stderr.read() == b""


def test_a_program_answers_signals_itself(folder: Path) -> None:
    create()
    code = "trap 'echo heard; exit 7' TERM; echo ready; while :; do sleep 0.02; done"
    with start_secrets("exec", *LOCAL, "--env", "A=prod/db", "--", "sh", "-c", code, cwd=folder) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert (process.stdout.read(), process.wait(timeout=60)) == (b"heard\n", 7)


def test_a_program_whose_output_nobody_reads_dies_of_that(folder: Path) -> None:
    """Python ignores SIGPIPE; a program that inherited that would go on for ever."""
    create()
    with start_secrets("exec", *LOCAL, "--env", "A=prod/db", "--", "yes", cwd=folder) as process:
        process.stdout.read(2)
        process.stdout.close()
        assert process.wait(timeout=60) == -signal.SIGPIPE


def test_what_was_ignored_before_stays_ignored(folder: Path) -> None:
    create()
    code = "import signal; print(signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM))"
    arguments = ("exec", *LOCAL, "--env", "A=prod/db", "--", sys.executable, "-c", code)
    with start_secrets(
        *arguments, cwd=folder, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ) as process:
        out, _ = process.communicate(timeout=60)
    assert out.split() == [b"1", b"0"]


def test_a_program_that_cannot_be_run_is_told_by_126_and_127(folder: Path) -> None:
    create("prod/db", CANARY)
    (folder / "text").write_text("no program")
    for program, status in (("/nowhere/program", 127), ("./text", 126)):
        before = signal.getsignal(signal.SIGPIPE)
        errors = refused(status, "exec", "--env", "A=prod/db", "--", program, CANARY)
        assert f"cannot run {program!r}: " in errors
        assert CANARY not in errors
        assert signal.getsignal(signal.SIGPIPE) is before
    told = json.loads(refused(126, "exec", "--json", "--env", "A=prod/db", "--", "./text"))
    assert (told["exit_code"], told["kind"]) == (126, "CannotRun")


def test_an_environment_that_is_too_large_is_no_traceback(folder: Path) -> None:
    create("prod/db", "x" * 65_536)
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    many = [word for number in range(20) for word in ("--env", f"V{number}=prod/db")]
    resource.setrlimit(resource.RLIMIT_STACK, (512 * 1024, hard))  # a quarter of it is for arguments and environment
    try:
        errors = refused(126, "exec", *many, "--", "/bin/true")
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
    assert "Argument list too long" in errors
    assert "xxx" not in errors


def test_the_program_gets_what_it_is_given() -> None:
    seen: list[tuple[str, list[str], Mapping[str, str]]] = []
    dispositions: list[object] = []

    def execute(name: str, words: list[str], environ: Mapping[str, str]) -> None:
        seen.append((name, words, environ))
        dispositions.append(signal.getsignal(signal.SIGPIPE))

    become(("program", "a"), {"A": "b"}, execute=execute)
    assert seen == [("program", ["program", "a"], {"A": "b"})]
    assert dispositions == [signal.SIG_DFL]


def test_an_error_without_a_text_has_one() -> None:
    def execute(name: str, words: list[str], environ: Mapping[str, str]) -> None:
        raise OSError

    with pytest.raises(CannotRun, match="cannot run 'a': the operating system refused"):
        become(("a",), {}, execute=execute)


def test_nothing_runs_when_a_secret_is_missing(folder: Path) -> None:
    create()
    ended = run(folder, "--env", "A=prod/db", "--env", "B=nope", "--", "touch", "ran")
    assert (ended.status, "'nope'" in ended.errors) == (1, True)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (CANARY, "--env number 2 is not NAME=REFERENCE"),
        (f"1A={CANARY}", "--env number 2 is not NAME=REFERENCE"),
        (f"A-B={CANARY}", "--env number 2 is not NAME=REFERENCE"),
        (f"A={CANARY}", "--env number 2 sets A again"),
        (f"B=a:b:c:d:{CANARY}", "--env number 2: a reference has an id and up to 3 parts"),
        ("B=", "--env number 2: "),
    ],
)
def test_what_is_no_reference_is_refused_and_not_shown(word: str, text: str) -> None:
    create()
    errors = refused(2, "exec", "--env", "A=prod/db", "--env", word, "--", "true")
    assert text in errors
    assert CANARY not in errors


def test_a_file_of_references_is_refused_with_its_line(folder: Path) -> None:
    create()
    (folder / "env").write_text(f"A=prod/db\n\n{CANARY}\n")
    errors = refused(2, "exec", "--env-file", "env", "--", "true")
    assert ("'env', line 3 is not NAME=REFERENCE" in errors, CANARY in errors) == (True, False)
    (folder / "env").write_bytes(b"A=\xff")
    assert "is no text in UTF-8" in refused(2, "exec", "--env-file", "env", "--", "true")
    (folder / "env").write_bytes(b"#" * 1_048_577)
    assert "more than 1,048,576 bytes" in refused(2, "exec", "--env-file", "env", "--", "true")
    assert "cannot read 'none'" in refused(1, "exec", "--env-file", "none", "--", "true")
    assert "no secret to give" in refused(2, "exec", "--", "true")
    assert "the name of the program is empty" in refused(2, "exec", "--env", "A=prod/db", "--", "")


def test_several_secrets_are_read_before_anything_runs() -> None:
    create("prod/a")
    create("prod/b", "two")
    assert "cannot run" in refused(127, "exec", "--env", "A=prod/a", "--env", "B=prod/b", "--", "/nowhere/program")
    assert "'nope'" in refused(1, "exec", "--env", "A=prod/a", "--env", "B=nope", "--", "/nowhere/program")


def test_what_no_environment_can_hold_is_refused() -> None:
    create("prod/binary", b"\xff\xfe", "--binary")
    create("prod/nul", f"{CANARY}\0")
    assert "is binary, and A can hold text only" in refused(1, "exec", "--env", "A=prod/binary", "--", "true")
    errors = refused(1, "exec", "--env", "A=prod/nul", "--", "true")
    assert ("a NUL character" in errors, CANARY in errors) == (True, False)
