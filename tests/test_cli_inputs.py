"""Which file goes where."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from envelope.cli.collisions import OtherFiles
from envelope.cli.inputs import planned
from envelope.cli.plan import STREAM, Plan
from envelope.cli.selection import Selection

DIRECTORIES = Selection(recursive=True)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(path)


def encrypting(inputs: list[str], output: str, selection: Selection = DIRECTORIES, own: tuple[str, ...] = ()) -> Plan:
    others = OtherFiles(own=own)
    return planned(inputs, output, selection, name_of=lambda name: name + ".encrypted", others=others)


def ways(plan: Plan) -> list[tuple[str, str]]:
    return [(job.source, job.target) for job in plan.jobs]


def test_nothing_is_standard_input() -> None:
    assert ways(encrypting([], STREAM)) == [("-", "-")]
    assert ways(encrypting(["-"], "out")) == [("-", "out")]


def test_one_file_goes_to_the_output_itself() -> None:
    make("a.txt")
    plan = encrypting(["a.txt"], "out")
    assert ways(plan) == [("a.txt", "out")]
    assert plan.jobs[0].size_bytes == 5
    assert not plan.is_tree


@pytest.mark.parametrize("output", ["out", "out/", "new/", "new/deep/..", "new/."])
def test_one_file_goes_into_a_directory(output: str) -> None:
    make("deep/a.txt")
    Path("out").mkdir()
    assert ways(encrypting(["deep/a.txt"], output)) == [("deep/a.txt", output.rstrip("/") + "/a.txt.encrypted")]


def test_a_file_with_brackets_is_itself() -> None:
    make("[x].txt", "x.txt")
    assert ways(encrypting(["[x].txt"], "out")) == [("[x].txt", "out")]


def test_the_content_of_one_directory_goes_into_the_output_in_the_order_of_names() -> None:
    make("in/b", "in/a", "in/c/d")
    plan = encrypting(["in/"], "out")
    assert ways(plan) == [
        ("in/a", "out/a.encrypted"),
        ("in/b", "out/b.encrypted"),
        ("in/c/d", "out/c/d.encrypted"),
    ]
    assert plan.is_tree


def test_of_several_inputs_each_has_its_own_name() -> None:
    make("one/a", "two/a", "b")
    assert ways(encrypting(["one", "two/", "b"], "out")) == [
        ("one/a", "out/one/a.encrypted"),
        ("two/a", "out/two/a.encrypted"),
        ("b", "out/b.encrypted"),
    ]


def test_a_directory_needs_a_word() -> None:
    Path("in").mkdir()
    with pytest.raises(click.UsageError, match=r"'in' is a directory: -r"):
        encrypting(["in"], "out", Selection())


def test_two_inputs_never_have_one_target() -> None:
    make("one/a", "two/a")
    with pytest.raises(click.UsageError, match=r"would both be written to 'out/a\.encrypted'"):
        encrypting(["one/a", "two/a"], "out")


def test_an_input_without_a_name_is_refused() -> None:
    for inputs in ([""], ["a", ""]):
        with pytest.raises(click.UsageError, match="an input has no name"):
            encrypting(inputs, "out")


def test_standard_input_stands_alone() -> None:
    with pytest.raises(click.UsageError, match="together with other inputs"):
        encrypting(["-", "a"], "out")
    Path("out").mkdir()
    with pytest.raises(click.UsageError, match="needs the name of a file"):
        encrypting(["-"], "out")


def test_several_messages_need_a_directory() -> None:
    make("a", "b", "out")
    with pytest.raises(click.UsageError, match="cannot go to standard output"):
        encrypting(["a", "b"], STREAM)
    with pytest.raises(click.UsageError, match="'out' is not a directory"):
        encrypting(["a", "b"], "out")


def test_without_an_output_there_are_no_targets() -> None:
    make("a", "in/b")
    assert ways(encrypting(["a", "in"], "")) == [("a", ""), ("in/b", "")]


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_source_and_destination_differ_also_by_a_link(link: object) -> None:
    make("a")
    link("a", "b")  # type: ignore[operator]  # one of two functions
    for output in ("a", "./a", "b"):
        with pytest.raises(click.UsageError, match="same file"):
            encrypting(["a"], output)


def test_a_missing_input_with_itself_as_the_output_is_refused_too() -> None:
    with pytest.raises(click.UsageError, match="same file"):
        encrypting(["gone"], "gone")


def test_two_names_of_a_device_are_no_file() -> None:
    assert ways(encrypting(["/dev/null"], "/dev/null/../null")) == [("/dev/null", "/dev/null/../null")]


def test_links_and_what_is_no_file_are_left_out_and_named() -> None:
    make("in/a", "elsewhere/b")
    Path("in/link").symlink_to("a")
    Path("in/folder").symlink_to("../elsewhere")
    os.mkfifo("in/pipe")
    plan = encrypting(["in"], "out")
    assert ways(plan) == [("in/a", "out/a.encrypted")]
    assert plan.left_out == (
        ("in/folder", "a symbolic link"),
        ("in/link", "a symbolic link"),
        ("in/pipe", "no regular file"),
    )


def test_a_link_that_is_named_is_followed() -> None:
    make("in/a")
    Path("link").symlink_to("in")
    assert ways(encrypting(["link"], "out")) == [("link/a", "out/a.encrypted")]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.sql"], [], ["a.sql", "sub/b.sql"]),
        (["sub/*"], [], ["sub/b.sql", "sub/c.txt"]),
        ([], ["sub"], ["a.sql", "d.txt"]),
        ([], ["*.txt"], ["a.sql", "sub/b.sql"]),
        (["*.sql"], ["a*"], ["sub/b.sql"]),
    ],
)
def test_patterns_choose_in_directories(include: list[str], exclude: list[str], expected: list[str]) -> None:
    make("in/a.sql", "in/sub/b.sql", "in/sub/c.txt", "in/d.txt")
    plan = encrypting(["in"], "out", Selection(recursive=True, include=include, exclude=exclude))
    assert sorted(job.source for job in plan.jobs) == [f"in/{path}" for path in expected]


def test_patterns_do_not_touch_what_is_named() -> None:
    make("a.txt")
    assert len(encrypting(["a.txt"], "out", Selection(exclude=["*"])).jobs) == 1


def test_empty_directories_are_replicated_unless_files_are_chosen() -> None:
    Path("in/empty").mkdir(parents=True)
    assert encrypting(["in"], "out").folders == ("out/empty",)
    assert encrypting(["in"], "").folders == ()
    assert encrypting(["in"], "out", Selection(recursive=True, include=["*"])).folders == ()


def test_the_output_is_no_input() -> None:
    make("in/a", "in/out/old.encrypted")
    assert ways(encrypting(["in"], "in/out")) == [("in/a", "in/out/a.encrypted")]


def test_what_the_run_writes_it_does_not_read() -> None:
    make("in/a", "in/a.encrypted", "in/b.encrypted")
    assert ways(encrypting(["in"], "in")) == [
        ("in/a", "in/a.encrypted"),
        ("in/b.encrypted", "in/b.encrypted.encrypted"),
    ]


def test_unfinished_files_of_a_crash_are_not_read() -> None:
    make("in/a", "in/.envelope-0123456789abcdef.partial")
    assert ways(encrypting(["in"], "out")) == [("in/a", "out/a.encrypted")]


def test_other_files_of_the_run_are_neither_read_nor_written() -> None:
    make("in/a", "in/log")
    assert ways(encrypting(["in"], "out", own=("in/log",))) == [("in/a", "out/a.encrypted")]
    with pytest.raises(click.UsageError, match="as an output and as another file"):
        encrypting(["in/a"], "in/log", own=("in/log",))


def test_a_directory_that_cannot_be_listed_is_kept_as_a_failure() -> None:
    make("in/a", "in/b/c")
    real = os.scandir
    # And it is not made anew: an empty one would look as if there had been nothing.

    def scandir(path: str) -> object:
        if path == "in/b":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        plan = encrypting(["in"], "out")
    assert ways(plan) == [("in/a", "out/a.encrypted")]
    assert [folder for folder, _ in plan.unread] == ["in/b"]
    assert plan.folders == ()


def test_a_name_that_no_file_can_have_is_for_reading_to_refuse() -> None:
    assert ways(encrypting(["a\0b"], "out")) == [("a\0b", "out")]
