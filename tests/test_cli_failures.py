"""How failures end the command: exit status, lines, JSON; nothing secret and nothing that moves the cursor."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import click
import pytest

from envelope import (
    AwsAccessDenied,
    AwsError,
    AwsUnavailable,
    Client,
    ContextMismatch,
    InvalidArgument,
    KeyUnavailable,
    LimitExceeded,
    NotAuthentic,
    PassphraseRefused,
    PolicyRefused,
    StreamFailed,
    TruncatedMessage,
    UnwrapFailed,
    describe,
)
from envelope.cli.failure import described, exit_code_of, show_error, worst_of
from envelope.cli.printable import printable
from envelope.cli.wording import WORDING, in_words_of_the_command
from tests.cli_for_tests import run_cli
from tests.keyrings_for_tests import raw_aes

ROOT = Path(__file__).parent.parent


def aws_error(kind: type = AwsAccessDenied) -> AwsAccessDenied:
    error: AwsAccessDenied = kind("access denied", operation="kms:Decrypt", code="AccessDeniedException")
    return error


def unwrap_failed(text: str) -> UnwrapFailed:
    return UnwrapFailed(text, keyring="K()", provider_id="p", key_name="k")


def broken_pipe() -> StreamFailed:
    error = StreamFailed("cannot write: Broken pipe")
    error.__cause__ = BrokenPipeError()
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError(), 1),
        (OSError(28, "No space left on device"), 1),
        (StreamFailed("cannot write"), 1),
        (InvalidArgument("wrong"), 2),
        (click.UsageError("wrong"), 2),
        (click.FileError("name"), 1),
        (ContextMismatch("other"), 3),
        (NotAuthentic("changed"), 3),
        (PolicyRefused("forbidden"), 3),
        (LimitExceeded("too many"), 3),
        (TruncatedMessage("cut"), 3),
        (KeyUnavailable("none"), 4),
        (PassphraseRefused("another"), 4),
        (aws_error(), 4),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (BrokenPipeError(), 141),
        (broken_pipe(), 141),
        (click.exceptions.Exit(7), 7),
    ],
)
def test_every_failure_has_its_exit_status(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code


def refused_by_kms(code: str) -> UnwrapFailed:
    error = AwsError("refused", operation="kms:Decrypt", code=code)
    return UnwrapFailed("x", keyring="K()", provider_id="p", key_name="k", errors=(error,))


def test_a_wrapped_key_that_its_key_refuses_is_not_authentic_and_any_other_failure_is_a_missing_key() -> None:
    for code in ("InvalidCiphertextException", "IncorrectKeyException"):
        assert exit_code_of(KeyUnavailable("x", errors=(unwrap_failed("another"), refused_by_kms(code)))) == 3
    assert exit_code_of(KeyUnavailable("x", errors=(refused_by_kms("AccessDeniedException"),))) == 4
    both = (refused_by_kms("InvalidCiphertextException"), refused_by_kms("ThrottlingException"))
    assert exit_code_of(KeyUnavailable("x", errors=both)) == 4
    assert exit_code_of(KeyUnavailable("x", errors=(aws_error(),))) == 4


def test_a_changed_wrapped_key_and_a_wrong_unstored_pair_are_refused_and_another_key_is_missing() -> None:
    client, context = Client(raw_aes()), {"tenant": "42"}
    message = client.encrypt(b"plaintext", context, unstored_context_keys=["tenant"])
    changed = message.replace(describe(message).encrypted_data_keys[0].ciphertext, bytes(48))
    for given, pairs, opener, code in (
        (changed, context, client, 3),
        (message, {"tenant": "43"}, client, 3),
        (message, context, Client(raw_aes("other")), 4),
    ):
        with pytest.raises(KeyUnavailable) as caught:
            opener.decrypt(given, pairs)
        assert exit_code_of(caught.value) == code


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 1, 2], 2),
        ([1, 4, 2], 4),
        ([4, 3, 1], 3),
        ([3, 141], 141),
        ([3, 130, 143], 130),
        ([7, 5], 7),
    ],
)
def test_a_run_ends_with_the_gravest_status(codes: list[int], worst: int) -> None:
    assert worst_of(codes) == worst


def test_an_error_is_shown_in_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_error(NotAuthentic("changed", hint="fetch it again"), subject="a.encrypted") == 3
    assert capsys.readouterr().err == "envelope: error: a.encrypted: changed\nenvelope: hint: fetch it again\n"
    show_error(StreamFailed("cannot write"))
    assert capsys.readouterr().err == "envelope: error: cannot write\n"


def test_every_cause_of_a_missing_key_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    causes = tuple(unwrap_failed(f"key {number} is another") for number in range(10))
    show_error(KeyUnavailable("no keyring could", errors=causes))
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:3] == ["envelope: cause: key 0 is another", "envelope: cause: key 1 is another"]
    assert lines[-1] == "envelope: cause: ... and 2 more"
    show_error(KeyUnavailable("could not wrap: access denied", errors=(aws_error(),)))
    assert capsys.readouterr().err == "envelope: error: could not wrap: access denied\n"


def test_with_json_an_error_is_one_object_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = KeyUnavailable("none", hint="look", errors=(unwrap_failed("another"), aws_error(AwsUnavailable)))
    assert show_error(error, as_json=True, subject="a\nb") == 4
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert json.loads(written) == {
        "error": "none",
        "hint": "look",
        "kind": "KeyUnavailable",
        "exit_code": 4,
        "can_retry": False,
        "subject": r"a\nb",
        "causes": ["another", "access denied"],
    }


def test_an_unforeseen_error_shows_nothing_but_its_kind_unless_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENVELOPE_DEBUG", raising=False)
    assert show_error(ValueError("the-secret")) == 1
    written = capsys.readouterr().err
    assert "unexpected ValueError" in written
    assert "ENVELOPE_DEBUG=1" in written
    assert "the-secret" not in written
    assert "Traceback" not in written
    show_error(ValueError("x"), details=True)
    assert "ValueError: x" in capsys.readouterr().err
    monkeypatch.setenv("ENVELOPE_DEBUG", "1")
    show_error(ValueError("x"))
    assert "ValueError: x" in capsys.readouterr().err


def test_errors_of_others_get_the_form_of_ours() -> None:
    assert described(click.UsageError("No such option: --x."))["error"] == "no such option: --x"
    assert (
        described(FileNotFoundError(2, "No such file or directory", "a"))["error"] == "no such file or directory ('a')"
    )
    assert described(OSError())["error"] == "the operating system refused"
    assert described(KeyboardInterrupt())["error"] == "interrupted"
    context = click.Context(click.Command("encrypt"), info_name="envelope encrypt")
    assert described(click.UsageError("x", ctx=context))["hint"] == "envelope encrypt --help"
    assert described(click.UsageError("x"))["hint"] == ""


def test_text_from_outside_cannot_move_the_cursor_or_reorder_the_line() -> None:
    assert printable("naïve 漢字 C:\\") == "naïve 漢字 C:\\"
    assert printable("a\x1b[2J\r\n\t\x9b\u202e\u200b\udcff\x07") == r"a\x1b[2J\r\n\t\x9b\u202e\u200b\udcff\x07"
    assert printable("x" * 10, most_characters=4) == "xxxx... (10 characters)"


def _texts_of_the_library() -> str:
    """Every text constant outside of the command, implicit concatenations joined."""
    texts = []
    for source in ROOT.glob("envelope/**/*.py"):
        if "cli" not in source.parts:
            nodes = ast.walk(ast.parse(source.read_text()))
            texts += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return "\0".join(texts)


def test_the_table_of_wordings_has_only_texts_that_the_library_still_says() -> None:
    texts = _texts_of_the_library()
    assert [of_the_library for of_the_library, _ in WORDING if of_the_library not in texts] == []


def test_hints_name_options_where_the_library_names_arguments() -> None:
    hint = "if you trust the sender, raise max_encrypted_data_keys of the client"
    assert in_words_of_the_command(hint) == "if you trust the sender, give a larger --max-encrypted-data-keys"
    assert os.linesep not in in_words_of_the_command(hint)


def test_a_hint_that_helps_only_programs_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "one.key").write_bytes(bytes(32))
    ended = run_cli("verify", tmp_path / "missing", "-k", f"aes:tests/one@{tmp_path}/one.key")
    assert (ended.status, ended.errors.count("\n")) == (1, 1), ended.errors


def test_too_little_memory_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_error(MemoryError()) == 1
    shown = capsys.readouterr().err
    assert "there is not enough memory" in shown
    assert "--jobs" in shown
