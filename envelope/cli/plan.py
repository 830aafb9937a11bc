"""What a run is going to do: its messages, each with a source and a target, and what goes with them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["STREAM", "Job", "Plan"]

STREAM = "-"
"""Standard input as a source, standard output as a target."""


@dataclass(frozen=True, slots=True)
class Job:
    """One message to write or to open.

    Attributes:
        source: a path, or `STREAM`.
        target: a path, or `STREAM`; empty where nothing is written.
        size_bytes: of the source; 0 if it is not a regular file.
        is_found: whether the source was found in a directory, and is read only while it is a regular file and no link.
    """

    source: str
    target: str
    size_bytes: int
    is_found: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """All jobs of a run.

    Attributes:
        jobs: in the order of the inputs, and of names inside a directory.
        folders: empty directories of the inputs, as they are to be made.
        left_out: what was found in directories and is not read, each with the reason.
        unread: directories that cannot be listed, each with what the operating system said.
        below: directories below those that were named, each with its target; parents before their children.
        unfinished: what killed runs, or others that go on, have left where this one writes.
        is_tree: whether the run is about many files, even if there is only one of them today.
    """

    jobs: tuple[Job, ...]
    folders: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    unread: tuple[tuple[str, OSError], ...] = ()
    below: tuple[tuple[str, str], ...] = ()
    unfinished: tuple[str, ...] = ()
    is_tree: bool = False
