"""The options of a random password."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from envelope_secrets.password import PasswordPolicy

__all__ = ["PASSWORD_OPTIONS", "password_options", "password_policy_of"]

Command = TypeVar("Command", bound=Callable[..., Any])

_FLAGS = {
    "no_lowercase": "No small letters.",
    "no_uppercase": "No capital letters.",
    "no_digits": "No digits.",
    "no_punctuation": "No punctuation.",
    "space": "Spaces too.",
    "no_require_each": "Any mix, even without a character of each kind.",
}
PASSWORD_OPTIONS = ("length", "exclude_characters", *_FLAGS)


def password_options(command: Command) -> Command:
    """Add these options; `password_policy_of` takes their values."""
    options = [
        click.option("--length", type=int, default=32, metavar="N", help="Characters; 32."),
        click.option("--exclude-characters", default="", metavar="TEXT", help="Characters that are not to be in it."),
        *(click.option(f"--{name.replace('_', '-')}", is_flag=True, help=text) for name, text in _FLAGS.items()),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def password_policy_of(values: dict[str, Any]) -> PasswordPolicy:
    """Take the values of these options out of a command's keyword arguments.

    Raises:
        InvalidArgument: no password could be like that.
    """
    return PasswordPolicy(
        length=values.pop("length"),
        exclude=values.pop("exclude_characters"),
        lowercase=not values.pop("no_lowercase"),
        uppercase=not values.pop("no_uppercase"),
        digits=not values.pop("no_digits"),
        punctuation=not values.pop("no_punctuation"),
        space=values.pop("space"),
        require_each=not values.pop("no_require_each"),
    )
