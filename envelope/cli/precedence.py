"""Which of several sources goes first: flags, the environment, the project's file, the other configuration files.

Where options exclude one another, that holds for the whole group: a flag takes the place of everything that a file says
against it. Two that exclude one another in the same source are an error, as before.
"""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from envelope.cli.project_file import is_from_project

__all__ = ["ENVIRONMENTS_RANK", "Way", "rank_of", "settled"]

Values = dict[str, Any]
Way = tuple[str, ...]

ENVIRONMENTS_RANK = 3
_PROJECTS_RANK = 2
_RANK: dict[object, int] = {
    ParameterSource.COMMANDLINE: 4,
    ParameterSource.ENVIRONMENT: ENVIRONMENTS_RANK,
    ParameterSource.DEFAULT_MAP: 1,
}

_EXCLUSIVE: tuple[tuple[Way, ...], ...] = (
    (("keys", "keys_file"), ("discovery", "accounts"), ("discovery_of_any_account",)),
    (("keys",), ("keys_file",)),  # a file in some folder must not add a reader to what -k says
    (("force",), ("skip_existing",)),
    (("armor",), ("encode",)),
    (("decrypt_only",), ("encrypt_only",)),
)
"""Ways to say one thing, each by the names of its options' values."""


def rank_of(context: click.Context, name: str) -> int:
    """How strong the source of an option's value is; 0 for the option's own default."""
    if is_from_project(context, name):
        return _PROJECTS_RANK
    return _RANK.get(context.get_parameter_source(name), 0)


def settled(context: click.Context, values: Values, exclusive: tuple[tuple[Way, ...], ...] = _EXCLUSIVE) -> Values:
    """The values of a command, without those that a stronger source contradicts.

    Args:
        exclusive: ways to say one thing, as `_EXCLUSIVE` has them, for a command with others of its own.
    """
    left = dict(values)
    for ways in exclusive:
        ranks = {way: _rank_of_way(context, left, way) for way in ways if left.keys() >= {*way}}
        for way in [way for way, rank in ranks.items() if rank < max(ranks.values())]:
            left.update({name: _nothing_of(left[name]) for name in way})
    return left


def _rank_of_way(context: click.Context, values: Values, way: Way) -> int:
    return max(rank_of(context, name) if values[name] else 0 for name in way)


def _nothing_of(value: object) -> object:
    """What an option of this value has when nobody gives it."""
    if isinstance(value, tuple):
        return ()
    return False if isinstance(value, bool) else None
