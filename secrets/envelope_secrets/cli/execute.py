"""``envelope secrets exec``: a program with secrets in its environment.

The command becomes the program: no process of ours stands between it and whoever started it, so every signal and its
exit status are its own.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from envelope.cli.passphrases import PASSPHRASE_VARIABLE
from envelope.cli.program import ManyOptions
from envelope_secrets.cli.environment_words import environment_of, lines_of, parsed_variables
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.failures import CannotRun
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of

__all__ = ["become", "command"]

_SET_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""Ignored in every Python process. A program that inherited that would not end when nobody reads its output."""


@click.command(
    "exec",
    cls=ManyOptions,
    often=("variables", "env_file", *OFTEN),
    context_settings={"allow_interspersed_args": False},
    epilog=examples(
        "envelope secrets exec --env DB_PASSWORD=prod/db:password -- ./server",
        "envelope secrets exec --env-file secrets.env -- docker compose up",
    ),
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="PROGRAM [ARGUMENT]...")
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME=ID[:FIELD[:...]]",
    help="A variable with a secret in it; repeatable.",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The same, one on each line: references, and no values.",
)
@store_options
@click.pass_context
def command(
    context: click.Context,
    /,
    words: tuple[str, ...],
    variables: tuple[str, ...],
    env_file: Path | None,
    **values: Any,
) -> None:
    """Run a program with secrets in its environment, and nowhere else.

    The command becomes the program: signals and exit status are its own.
    """
    settings = store_settings_of(context, values)
    given = [(f"--env number {number}", word) for number, word in enumerate(variables, 1)]
    wanted = parsed_variables([*given, *(() if env_file is None else lines_of(env_file))])
    if not words[0]:
        raise click.UsageError("the name of the program is empty")
    if not wanted:
        raise click.UsageError("there is no secret to give to the program: --env NAME=ID")
    with opened_client(context, settings) as client:
        secrets = environment_of(client, wanted)
    become(words, {**_inherited(), **secrets})


def become(
    words: Sequence[str],
    environ: Mapping[str, str],
    *,
    execute: Callable[[str, list[str], Mapping[str, str]], object] = os.execvpe,
) -> None:
    """Replace this process by a program. Signals that were ignored when we were started stay ignored.

    Raises:
        CannotRun: there is no such program, or it does not run.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    before = {number: signal.signal(number, signal.SIG_DFL) for number in _SET_BY_PYTHON}
    try:
        execute(words[0], [*words], environ)
    except OSError as error:
        failure = CannotRun(words[0], error)
    else:
        return  # a test's
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    raise failure


def _inherited() -> dict[str, str]:
    """Our own environment. What opens the keystore is for us, and opens more than the program is given."""
    return {name: value for name, value in os.environ.items() if name != PASSPHRASE_VARIABLE}
