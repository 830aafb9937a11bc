"""`envelope secrets`: what is read and written, on a local store."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
from pathlib import Path

import pytest

from envelope import InvalidArgument
from envelope_secrets.cli.value_input import ValueSource
from tests.cli_for_tests import run_cli, standing_for
from tests.secrets_cli_for_tests import (
    LOCAL,
    PASSPHRASE,
    create,
    done,
    labels,
    local,
    make_keystore,
    on_terminal,
    prepare,
    put,
    refused,
    run_secrets,
    start_secrets,
)

CANARY = "hunter2-canary"
JSON = json.dumps({"user": "app", "password": CANARY, "port": 5432, "none": None, "list": [{"a": 1}], "half": "\ud800"})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch)
    return tmp_path


# --- get


@pytest.mark.parametrize("value", ["one", "one\n\nand more\r\n", " ", "ä€\U0001f511"])
def test_a_text_is_written_as_it_is(value: str) -> None:
    create("prod/db", value, "--keep-newline")
    assert local("get", "prod/db").out == value.encode()


def test_bytes_are_written_as_they_are() -> None:
    content = bytes(range(256)) + b"\n"
    create("prod/db", content, "--binary")
    assert local("get", "prod/db").out == content


def test_a_version_is_asked_for_by_its_label_or_its_id() -> None:
    first, second = create(), put()
    assert done("get", "prod/db::AWSPREVIOUS") == done("get", "--stage", "AWSPREVIOUS", "prod/db") == "one"
    assert done("get", f"prod/db:::{first}") == done("get", "--version-id", first, "prod/db") == "one"
    assert done("get", f"prod/db::AWSCURRENT:{second}") == "two"
    assert "no version with that id or staging label" in refused(1, "get", "prod/db::nope")
    assert "label" in refused(3, "get", f"prod/db::AWSPREVIOUS:{second}")


def test_fields_of_a_json_object() -> None:
    create("prod/db", JSON)
    assert done("get", "prod/db:password") == done("get", "--field", "password", "prod/db") == CANARY
    assert done("get", "prod/db:port") == "5432"
    assert done("get", "prod/db:list") == '[{"a": 1}]'
    assert "'none' of prod/db is null" in refused(1, "get", "prod/db:none")
    assert "half of a surrogate pair" in refused(1, "get", "prod/db:half")
    errors = refused(1, "get", "prod/db:nope")
    assert "has no field 'nope'" in errors
    assert CANARY not in errors


def test_json_tells_everything_in_a_line_for_each_secret() -> None:
    version = create("prod/db", JSON)
    create("prod/other", b"\xff", "--binary")
    first, second = (json.loads(line) for line in done("get", "--json", "prod/db", "prod/other").splitlines())
    assert (first["id"], first["name"], first["version_id"], first["stages"]) == (
        "prod/db",
        "prod/db",
        version,
        ["AWSCURRENT"],
    )
    assert first["value"] == JSON
    assert first["created"].endswith("+00:00")
    assert (second["value_base64"], "value" in second) == ("/w==", False)
    part = json.loads(run_cli("--json", "secrets", "get", *LOCAL, "prod/db:list").out)
    assert (part["field"], part["value"]) == ("list", [{"a": 1}])


def test_a_secret_that_fails_does_not_stop_the_others() -> None:
    create()
    ended = local("get", "--json", "nope", "prod/db", "prod/db:field")
    assert [json.loads(line)["value"] for line in ended.out.splitlines()] == ["one"]
    told = [json.loads(line) for line in ended.errors.splitlines()]
    assert [(one["subject"], one["kind"], one["exit_code"]) for one in told] == [
        ("nope", "SecretNotFound", 1),
        ("prod/db", "SecretFormatError", 1),
    ]
    assert ended.status == 1


def test_what_cannot_be_meant_is_usage() -> None:
    create()
    assert "give --json, or one ID" in refused(2, "get", "prod/db", "prod/other")
    assert "--field and the argument name different ones" in refused(2, "get", "--field", "a", "prod/db:b")
    assert "--version-id and the argument" in refused(2, "get", "--version-id", "a" * 32, f"prod/db:::{'b' * 32}")
    assert done("get", "--stage", "AWSCURRENT", "prod/db::AWSCURRENT") == "one"
    errors = refused(2, "get", f"prod/db:a:b:c:{CANARY}")
    assert "a reference has an id and up to 3 parts" in errors
    assert CANARY not in errors


def test_a_terminal_gets_a_value_and_a_warning_unless_it_is_meant() -> None:
    create("prod/db", CANARY)
    create("prod/lines", "one\n", "--keep-newline")
    create("prod/binary", b"\xfe\xff", "--binary")
    asked = on_terminal("get", *LOCAL, "prod/db")
    warning, value = asked.out.splitlines()
    assert (asked.status, value, CANARY.encode() in warning) == (0, CANARY.encode(), False)
    assert warning.startswith(b"envelope: note: a terminal keeps the value in its scrollback")
    assert on_terminal("get", *LOCAL, "prod/nothing").out.count(b"scrollback") == 0
    assert on_terminal("get", *LOCAL, "--show", "prod/db").out == f"{CANARY}\n".encode()
    assert on_terminal("get", *LOCAL, "--show", "prod/lines").out == b"one\n"
    assert on_terminal("get", *LOCAL, "--show", "prod/binary").out == b"\xfe\xff"
    assert on_terminal("get", *LOCAL, "--json", "prod/db", "prod/lines").out.count(b"value on a terminal") == 1
    assert on_terminal("get", *LOCAL, "--quiet", "prod/db").out == f"{CANARY}\n".encode()
    assert on_terminal("random", "--length", "8").out.count(b"\n") == 1


def test_an_output_that_takes_nothing_is_said() -> None:
    create()
    with Path("/dev/full").open("wb") as full, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", io.StringIO())
        patch.setattr("sys.stderr", io.StringIO())
        with standing_for(1, full.fileno()):
            from envelope.cli import main

            assert main(["secrets", "get", *LOCAL, "prod/db"]) == 1


def test_a_pipe_that_takes_nothing_now_is_said() -> None:
    create("prod/db", "x" * 65_536)
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    errors = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", io.StringIO())
        patch.setattr("sys.stderr", errors)
        with standing_for(1, theirs):
            from envelope.cli import main

            os.write(1, b"x" * 4096)
            assert main(["secrets", "get", *LOCAL, "prod/db"]) == 1
    os.close(ours)
    os.close(theirs)
    assert "cannot write standard output" in errors.getvalue()


# --- put


def test_a_text_loses_one_line_end() -> None:
    create()
    for given, stored in ((b"x\n", b"x"), (b"x\r\n", b"x"), (b"x\n\n", b"x\n"), (b"x", b"x"), (b"x\r", b"x\r")):
        done("put", "prod/db", stdin=given)
        assert local("get", "prod/db").out == stored
    done("put", "--keep-newline", "prod/db", stdin=b"x\n")
    assert local("get", "prod/db").out == b"x\n"
    done("put", "--binary", "prod/db", stdin=b"x\n")
    assert local("get", "prod/db").out == b"x\n"


def test_a_value_can_come_from_a_file(folder: Path) -> None:
    (folder / "value").write_bytes(b"from a file\n")
    create()
    said = done("put", "--file", "value", "prod/db", stdin=b"not this")
    assert said.startswith("prod/db: version ")
    assert said.endswith(" has AWSCURRENT\n")
    assert done("get", "prod/db") == "from a file"
    done("put", "--file", "-", "prod/db", stdin=b"from stdin")
    assert done("get", "prod/db") == "from stdin"
    assert "cannot read 'none'" in refused(1, "put", "--file", "none", "prod/db")


def test_a_value_on_the_command_line_is_refused_and_not_shown() -> None:
    create()
    for command in ("put", "create"):
        errors = refused(2, command, "prod/db", CANARY)
        assert "never stands on the command line" in errors
        assert f"envelope secrets {command} ID <file" in errors
        assert CANARY not in errors
    assert done("get", "prod/db") == "one"


def test_what_is_no_value_is_refused() -> None:
    create()
    assert "the value is empty" in refused(2, "put", "prod/db")
    assert "--keep-newline stores that" in refused(2, "put", "prod/db", stdin=b"\n")
    assert "--binary stores it" in refused(2, "put", "prod/db", stdin=b"\xff" + CANARY.encode())
    assert "more than 65,536 bytes" in refused(2, "put", "prod/db", stdin=b"x" * 65_539)
    assert "65,536 bytes" in refused(2, "put", "prod/db", stdin=b"x" * 65_537)
    done("put", "prod/db", stdin=b"x" * 65_536 + b"\n")


def test_labels_are_those_that_are_asked_for() -> None:
    first = create()
    second = put("prod/db", "two", "--stage", "AWSPENDING", "--stage", "mine")
    assert labels() == {"AWSCURRENT": first, "AWSPENDING": second, "mine": second}


def test_a_put_can_be_a_compare_and_swap() -> None:
    first = create()
    second = put("prod/db", "two", "--if-current", first)
    errors = refused(3, "put", "--if-current", first, "prod/db", stdin=CANARY.encode())
    assert f"AWSCURRENT is on version {second}, not on version {first}" in errors
    assert CANARY not in errors
    assert done("get", "prod/db") == "two"
    assert json.loads(refused(3, "put", "--json", "--if-current", first, "prod/db", stdin=b"x"))["exit_code"] == 3


def test_a_call_whose_answer_was_lost_is_repeated_with_its_token() -> None:
    create()
    token = "t" * 32
    assert put("prod/db", "two", "--token", token) == put("prod/db", "two", "--token", token) == token
    assert refused(3, "put", "--token", token, "prod/db", stdin=b"another")


def typed(*lines: bytes) -> str | bytes:
    """What a person at a terminal stores."""
    answers, prompts = iter(lines), []

    def ask(prompt: str) -> bytes:
        prompts.append(prompt)
        return next(answers)

    terminal, ours = pty.openpty()
    try:
        with standing_for(0, ours):
            value = ValueSource(ask=ask).read("prod/db")
    finally:
        os.close(ours)
        os.close(terminal)
    assert prompts == ["Value of 'prod/db' (one line, not shown): ", "The same again: "]
    return value


def test_at_a_terminal_the_value_is_asked_for_twice() -> None:
    assert typed(b"one", b"one") == "one"
    with pytest.raises(InvalidArgument, match="the two values are not the same"):
        typed(b"one", b"two")
    with pytest.raises(InvalidArgument, match="the value is empty"):
        typed(b"")


# --- create


def test_a_secret_is_created_with_what_belongs_to_it() -> None:
    said = local("create", "prod/db", "--description", "for tests", "--tag", "team=a", "--tag", "x=", stdin=b"one\n")
    assert said.errors == "envelope: note: made the secret store secrets.db\n"
    assert said.out.startswith(b"created prod/db: version ")
    described = json.loads(done("describe", "--json", "prod/db"))
    assert (described["description"], described["tags"]) == ("for tests", {"team": "a", "x": ""})
    assert "'prod/db'" in refused(3, "create", "prod/db", stdin=b"x")


def test_a_password_is_generated_and_not_shown() -> None:
    said = done("create", "prod/key", "--generate", "--length", "48", "--no-punctuation", "--no-digits")
    value = done("get", "prod/key")
    assert (len(value), value.isalpha(), value in said) == (48, True, False)


def test_a_secret_without_a_value_waits_for_its_first_one() -> None:
    assert done("create", "prod/db", "--without-value") == "created prod/db: it has no value yet\n"
    assert done("versions", "prod/db") == ""
    assert refused(1, "get", "prod/db")


def test_creating_needs_one_source_and_tags_that_are_pairs() -> None:
    for options in (["--generate", "--binary"], ["--generate", "--without-value"], ["--without-value", "--file", "x"]):
        assert "exclude one another" in refused(2, "create", "a", *options)
    assert "is for --generate" in refused(2, "create", "a", "--length", "8", stdin=b"x")
    for tags in (["a"], ["=b"], ["a=1", "a=2"]):
        given = [word for tag in tags for word in ("--tag", tag)]
        assert f"--tag number {len(tags)} must be another name=value" in refused(2, "create", "x", *given, stdin=b"x")
    assert "give --no-digits, or exclude less" in refused(
        2, "create", "a", "--generate", "--exclude-characters", "0123456789"
    )
    assert "leave out --kms-key" in refused(2, "create", "a", "--kms-key", "alias/app", stdin=b"x")


# --- what is known


def test_secrets_are_listed_by_their_beginning() -> None:
    for name in ("prod/b", "prod/a", "test/c"):
        create(name)
    done("delete", "prod/b")
    assert done("list").split() == ["prod/a", "test/c"]
    assert done("list", "prod/").split() == ["prod/a"]
    first, second = done("list", "--deleted", "prod/").splitlines()
    assert (first, second.startswith("prod/b  (deleted, 20")) == ("prod/a", True)
    shown = [json.loads(line) for line in done("list", "--json", "--deleted").splitlines()]
    assert [(one["name"], one["deleted"] is None) for one in shown] == [
        ("prod/a", True),
        ("prod/b", False),
        ("test/c", True),
    ]


def test_versions_are_a_table() -> None:
    first, second = create(), put("prod/db", "two", "--stage", "AWSPENDING", "--stage", "[red]mine")
    done("put", "prod/db", "--stage", "mine", "--stage", "[red]mine", stdin=b"three")
    done("repair", "--drop-pending", "prod/db")
    head, *rows = done("versions", "prod/db").splitlines()
    assert head.split() == ["VERSION", "LABELS", "CREATED"]
    assert [row.split()[1:-2] for row in rows] == [["[red]mine", "mine"], ["AWSCURRENT"]]
    assert rows[1].split()[0] == first
    everything = done("versions", "--all", "prod/db").splitlines()
    assert [row.split()[1] for row in everything if row.startswith(second)] == ["-"]
    shown = [json.loads(line) for line in done("versions", "--json", "prod/db").splitlines()]
    assert [one["stages"] for one in shown] == [["[red]mine", "mine"], ["AWSCURRENT"]]
    assert all(one["has_value"] for one in shown)


def test_versions_are_coloured_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    create()
    assert b"\x1b[32mAWSCURRENT" in on_terminal("versions", *LOCAL, "prod/db").out
    assert "\x1b" not in done("versions", "prod/db")


def test_a_description_is_lines_of_what_there_is() -> None:
    version = create("prod/db", "one", "--description", "for\ntests", "--tag", "team=a")
    lines = done("describe", "prod/db").splitlines()
    assert lines[0] == "name: prod/db"
    assert "description: for\\ntests" in lines
    assert "tag: team=a" in lines
    assert lines[-2:] == ["rotation: never configured", f"version: {version} AWSCURRENT"]


# --- labels


def test_a_version_is_promoted_and_taken_back() -> None:
    first, second = create(), put("prod/db", "two", "--stage", "AWSPENDING")
    said = done("promote", "prod/db", second)
    assert said == f"prod/db: AWSCURRENT is on version {second} now, and was on version {first}\n"
    assert done("promote", "prod/db", second) == "prod/db: it was current already; nothing was changed\n"
    assert done("rollback", "prod/db").startswith(f"prod/db: AWSCURRENT is on version {first} now")
    assert json.loads(done("promote", "--json", "prod/db", first)) == {"secret": "prod/db", "moved": None}
    assert json.loads(done("rollback", "--json", "prod/db"))["moved"] == {
        "stage": "AWSCURRENT",
        "to": second,
        "from": first,
    }
    assert "there is nothing to go back to" in refused(3, "rollback", create_other())
    assert refused(1, "promote", "prod/db", "n" * 32)


def create_other() -> str:
    create("other")
    return "other"


def test_a_repair_explains_before_it_does_anything() -> None:
    create()
    assert done("repair", "prod/db") == "prod/db: nothing is wrong with the labels\n"
    assert "nothing can be done" in refused(3, "repair", "--promote-pending", "prod/db")
    pending = put("prod/db", "two", "--stage", "AWSPENDING")
    explained = done("repair", "prod/db")
    assert f"(version {pending}" in explained
    assert explained.endswith("; what can be done: --drop-pending or --promote-pending\n")
    assert "exclude one another" in refused(2, "repair", "--drop-pending", "--promote-pending", "prod/db")
    assert "what can be done now: --drop-pending, --promote-pending" in refused(
        3, "repair", "--promote-newest", "prod/db"
    )
    assert done("repair", "--drop-pending", "prod/db") == f"prod/db: took AWSPENDING away from version {pending}\n"
    told = json.loads(done("repair", "--json", "prod/db"))
    assert (told["findings"], told["actions"], told["moved"]) == (["ORPHANED_PENDING"], ["promote-newest"], [])
    done("repair", "--promote-newest", "prod/db")
    assert done("get", "prod/db") == "two"


def test_labels_of_killed_swaps_are_taken_away() -> None:
    create()
    labels = [f"envelope-swap-{number:032}" for number in range(2)]
    for label in labels:
        put("prod/db", "two", "--stage", label)
    assert done("repair", "prod/db").endswith("; what can be done: --drop-swap-labels\n")
    told = json.loads(done("repair", "--drop-swap-labels", "--json", "prod/db"))
    assert sorted(move["stage"] for move in told["moved"]) == labels
    assert "envelope-swap" not in done("versions", "prod/db")


# --- deletion, rotation


def test_a_deletion_is_taken_back() -> None:
    create()
    said = done("delete", "--recovery-days", "7", "prod/db")
    assert said.startswith("prod/db: will be deleted on 20")
    assert "restore" in refused(1, "get", "prod/db")
    assert done("restore", "prod/db") == "prod/db: restored\n"
    assert done("get", "prod/db") == "one"
    assert "is not scheduled for deletion" in refused(3, "restore", "prod/db")
    assert "--recovery-days must be 7 to 30 days" in refused(2, "delete", "--recovery-days", "6", "prod/db")


def test_a_deletion_without_recovery_is_asked_for_by_name() -> None:
    create()
    assert "exclude" in refused(2, "delete", "--recovery-days", "7", "--force-without-recovery", "prod/db")
    told = json.loads(done("delete", "--json", "--force-without-recovery", "prod/db"))
    assert (told["deleted"], told["can_restore"]) == ("prod/db", False)
    assert refused(1, "restore", "prod/db")


def test_no_variable_deletes_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVELOPE_SECRETS_DELETE_FORCE_WITHOUT_RECOVERY", "1")
    create()
    done("delete", "prod/db")
    done("restore", "prod/db")


def test_a_local_store_starts_no_rotations_and_tells_where_labels_stand() -> None:
    create()
    assert done("rotate", "--status", "prod/db") == (
        "prod/db: rotation: never configured; labels: nothing is wrong with the labels\n"
    )
    assert "starts no rotations" in refused(2, "rotate", "prod/db")
    assert "exclude one another" in refused(2, "rotate", "--status", "--cancel", "prod/db")
    assert "are for --configure" in refused(2, "rotate", "--window", "3h", "prod/db")


def test_random_passwords_are_as_the_options_say() -> None:
    assert len(run_secrets("random").out) == 32
    some = run_secrets("random", "--length", "2000", "--no-punctuation", "--exclude-characters", "abc").out.decode()
    assert (some.isalnum(), len(some), set("abc") & set(some)) == (True, 2000, set())
    letters = run_secrets("random", "--length", "4", "--no-lowercase", "--no-uppercase", "--space", "--no-require-each")
    assert not any(character.isalpha() for character in letters.out.decode())
    assert run_secrets("random", "--length", "0").status == 2


# --- the store


def test_reading_makes_no_store(folder: Path) -> None:
    assert "there is no secret store 'secrets.db'" in refused(4, "list")
    assert not (folder / "secrets.db").exists()
    assert run_secrets("list", "--store", "", "-k", "aes:tests/one@one.key").status == 4


def test_without_a_key_the_keystore_has_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "envelope keys create makes one" in run_secrets("create", "a", "--store", "s.db").errors
    make_keystore(folder / "data")
    monkeypatch.setenv("ENVELOPE_SECRETS_STORE", "s.db")
    # The first line is the passphrase, the rest the value.
    ended = run_secrets("create", "a", "--passphrase-fd", "0", stdin=f"{PASSPHRASE}\nvalue\n".encode())
    assert ended.status == 0, ended.errors
    assert run_secrets("get", "a", "--passphrase-fd", "0", stdin=f"{PASSPHRASE}\n".encode()).out == b"value"
    assert run_secrets("get", "a", "--passphrase-fd", "0", stdin=b"wrong\n").status == 4
    other = run_secrets("get", "a", "-k", "local:app", "--passphrase-fd", "0", stdin=f"{PASSPHRASE}\n".encode())
    assert (other.status, "with -k; -vv shows which" in other.errors) == (4, True)


def test_a_key_without_a_store_is_usage() -> None:
    ended = run_secrets("get", "a", "-k", "local:app")
    assert (ended.status, "no --store is given" in ended.errors) == (2, True)


def test_keys_of_a_project_are_told(folder: Path) -> None:
    (folder / "envelope.toml").write_text('keys = ["aes:tests/one@one.key"]\n')
    ended = run_secrets("create", "a", "--store", "s.db", stdin=b"x")
    assert f"key aes:tests/one@one.key from {folder}/envelope.toml" in ended.errors
    keys = 'key = ["aes:tests/two@two.key"]\n'
    (folder / "envelope.toml").write_text(keys)
    exported = run_secrets("export", "--store", "s.db", "--store-key", "aes:tests/one@one.key", "-o", "out", "a")
    assert (exported.status, "key aes:tests/two@two.key from" in exported.errors) == (0, True)
    (folder / "envelope.toml").write_text('store = "other.db"\n')
    assert "is not for a project's file" in run_secrets("list").errors


def test_failures_are_told_in_each_form() -> None:
    create()
    arguments = ("put", *LOCAL, "--if-current", "n" * 32, "prod/db")
    text = run_cli("secrets", *arguments, stdin=b"x")
    assert text.errors.startswith("envelope: error: AWSCURRENT is on version ")
    assert "Traceback" in run_cli("-vv", "secrets", *arguments, stdin=b"x").errors
    told = json.loads(run_cli("--json", "secrets", *arguments, stdin=b"x").errors)
    logged = json.loads(run_cli("--log-json", "secrets", *arguments, stdin=b"x").errors)
    assert told["exit_code"] == logged["exit_code"] == 3
    assert (logged["level"], logged["event"], logged["kind"]) == ("error", "failed", "SecretConflict")


def test_quiet_says_nothing_but_errors() -> None:
    ended = run_cli("-q", "secrets", "create", *LOCAL, "a", stdin=b"x")
    assert (ended.status, ended.out, ended.errors) == (0, b"", "")


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("get", "prod/db:nope"), ""),
        (("get", "prod/db:half"), ""),
        (("get", "--json", "prod/plain:x"), ""),
        (("put", "prod/db", CANARY), ""),
        (("put", "--if-current", "n" * 32, "prod/db"), CANARY),
        (("put", "--token", "t" * 32, "prod/db"), CANARY),
        (("put", "prod/db"), CANARY * 6_000),
        (("create", "prod/db"), CANARY),
        (("create", f"no name: {CANARY}", "-"), CANARY),
        (("exec", "--env", f"A {CANARY}", "--", "true"), ""),
        (("exec", "--env", "A=prod/plain", "--env", "B=prod/db:nope", "--", "true"), ""),
        (("exec", "--env", "A=prod/plain", "--", "/nowhere/program"), ""),
        (("edit", "prod/db"), ""),
    ],
)
@pytest.mark.parametrize("debug", ["", "1"])
def test_no_failure_shows_a_value(
    arguments: tuple[str, ...],
    stdin: str,
    debug: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not in the error, not in the log, and not in the traceback that is asked for."""
    create("prod/db", JSON)
    create("prod/plain", CANARY)
    done("put", "--stage", "mine", "--token", "t" * 32, "prod/db", stdin=b"another")
    monkeypatch.setenv("ENVELOPE_DEBUG", debug)
    monkeypatch.setenv("EDITOR", "false")
    command, *rest = arguments
    with caplog.at_level("DEBUG"):
        ended = local(command, *rest, stdin=stdin.encode())
    assert ended.status != 0
    assert ("Traceback" in ended.errors) is bool(debug)
    assert CANARY not in ended.errors + ended.out.decode() + caplog.text


def test_a_reader_that_goes_away_ends_it_in_silence(folder: Path) -> None:
    create("prod/db", "x" * 65_536)
    for options in ((), ("--json",)):
        with start_secrets("get", *LOCAL, *options, "prod/db", cwd=folder, env=dict(os.environ)) as process:
            process.stdout.close()
            assert process.wait(timeout=60) == -signal.SIGPIPE
            assert process.stderr.read() == b""
