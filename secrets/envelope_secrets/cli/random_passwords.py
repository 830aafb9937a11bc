"""``envelope secrets random``: a password that nobody has to think of."""

from __future__ import annotations

from typing import Any

import click

from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.password_options import password_options, password_policy_of
from envelope_secrets.cli.value_output import write_value
from envelope_secrets.password import random_password

__all__ = ["command"]


@click.command(
    "random",
    epilog=examples(
        "envelope secrets random --length 48 | envelope secrets put prod/api-key",
        "envelope secrets random --exclude-characters '/@\"'",
    ),
)
@password_options
def command(**values: Any) -> None:
    """Write a random password, made on this machine.

    Every password that the options allow is equally likely. Only on a terminal a line end follows it.
    """
    write_value(random_password(password_policy_of(values)))
