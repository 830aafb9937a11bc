"""Every example runs as a program, and every line of Python in the documentation says the truth."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.transcript_places import command_environment

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*.py")), ids=lambda path: path.name)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, str(example)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout
    assert not list(tmp_path.iterdir()), "an example leaves nothing behind"


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*.sh")), ids=lambda path: path.name)
def test_a_shell_example_runs(example: Path, tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    work.mkdir()
    environment = {**command_environment(home), "TMPDIR": str(home)}
    result = subprocess.run([example], cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout
    assert not [*work.iterdir(), *home.iterdir()], "an example leaves nothing behind"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_python_in_a_document_says_the_truth(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(document), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert results.failed == 0
    blocks = re.findall(r"^ *>>> ", document.read_text(), re.MULTILINE)
    assert results.attempted == len(blocks), "a block that is not run would prove nothing"


def test_the_readme_opens_with_one_sentence_two_commands_and_ten_lines_that_end_in_a_refusal() -> None:
    readme = (ROOT / "README.md").read_text()
    opening, commands, first_code = re.split(r"```\w*\n", readme, maxsplit=3)[:3][0], *readme.split("```")[1:4:2]
    title, _, sentence = opening.strip().partition("\n")
    assert title.startswith("# ")
    assert sentence.strip().count(". ") == 0
    assert [line.split("#")[0].strip() for line in commands.splitlines()[1:] if line] == [
        "make quickstart",
        "make test",
    ]
    assert first_code.count(">>> ") <= 10
    assert "NotAuthentic" in first_code


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_inside_the_project_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), target
