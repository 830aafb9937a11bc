"""Transcripts: what a person types into a shell, what is answered, and with which status. Played by a real shell.

    # A comment. "# keys: kms" among those at the top: this one is for keys of KMS only.
    $ envelope decrypt report.encrypted -k $KEY -c tenant=43
    envelope: error: ...
    [status 3]

A command goes on in lines that begin with "> ". `...` stands for any part of a line, and a line that is nothing else
for any number of lines. No status line means 0. Standard output and standard error come together.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Step", "matches", "play", "steps_of"]

TIME_LIMIT_S = 60
ANYTHING = "..."


@dataclass(frozen=True, slots=True)
class Step:
    """A command, with the lines that it is expected to answer, status included."""

    command: str
    expected: tuple[str, ...]


def steps_of(text: str) -> Iterator[Step]:
    """The steps of a transcript. Empty lines and comments between an answer and the next command do not count."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next((number for number, line in enumerate(lines[1:], 1) if not line.startswith("> ")), len(lines))
        command = "\n".join([lines[0], *(line.removeprefix("> ") for line in lines[1:end])])
        answer = lines[end:]
        while answer and (not answer[-1] or answer[-1].startswith("# ")):
            answer.pop()
        yield Step(command, tuple(answer))


def play(command: str, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """What the command answers, line by line, with its status at the end unless that is 0."""
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    lines = ended.stdout.decode(errors="backslashreplace").splitlines()
    return lines + ([f"[status {ended.returncode}]"] if ended.returncode else [])


def matches(expected: Iterable[str], answered: Iterable[str]) -> bool:
    """Whether an answer is the expected one."""
    pattern = "".join(
        r"(?:.*\n)*" if line == ANYTHING else ".*".join(map(re.escape, line.split(ANYTHING))) + r"\n"
        for line in expected
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in answered)) is not None
