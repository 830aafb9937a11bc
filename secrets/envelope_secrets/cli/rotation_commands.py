"""Hints name what to type: the command with this secret, and the options as they stand on the command line."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from envelope.errors import EnvelopeError
from envelope_secrets.cli.rotation_targets import TARGET_OPTIONS, typed_options

if TYPE_CHECKING:
    from envelope_secrets.rotation.diagnosis import RotationDiagnosis

__all__ = ["RotationCommands"]

_NOT_OF_PLACE = ("action", "dry_run", "yes", "as_json", "min_age", "deadline", "despite_function", "most_refusals")
_REPORTED = ("verbose", "quiet", "log_json")
_PENDING = re.compile(r"take AWSPENDING away from (?:this version|version \S+|it), and rotate again")
_POSSIBLE = re.compile(r"what can be done now: (.+)")
_FITS = re.compile(r"the strategy that fits is (AlternatingUsers|SingleUser)\(\)")
_STRATEGIES = {"AlternatingUsers": "alternating-users", "SingleUser": "single-user"}


@dataclass(frozen=True, slots=True)
class RotationCommands:
    """What leads on from a command about the rotation of one secret.

    Attributes:
        secret_id: as it was given.
        target: the options that say what is rotated, as they were typed.
        place: the options that say where the secret is.
        strategy: as it was given.
    """

    secret_id: str
    target: tuple[str, ...]
    place: tuple[str, ...]
    strategy: str | None

    @classmethod
    def of(cls, context: click.Context, secret_id: str) -> RotationCommands:
        """By the command that runs. What a file or the environment says counts for the next one too."""
        others = [
            str(option.name)
            for option in context.command.params
            if isinstance(option, click.Option) and option.name not in (*TARGET_OPTIONS, *_NOT_OF_PLACE, *_REPORTED)
        ]
        strategy = context.params.get("strategy")
        return cls(secret_id, _typed(context, TARGET_OPTIONS), _typed(context, _places(others)), strategy)

    def status(self, *more: str, strategy: str | None = None) -> str:
        """The command that looks."""
        return self._said("rotation", "status", *self._id(), *self._target(strategy), *more, *self.place)

    def repair(self, *more: str) -> str:
        """The command that mends."""
        return self._said("rotation", "repair", *self._id(), *self.target, *more, *self.place)

    def start(self) -> str:
        """The command that lets the function rotate."""
        return self._said("rotate", *self._id(), *self.place)

    def drop_pending(self) -> str:
        """The command that takes AWSPENDING away, however young the version is."""
        return self.repair("--action", "drop-pending", "--min-age", "0")

    def take_away(self) -> str:
        """The command that takes AWSPENDING from a version that is not for the target.

        Of a key, the current version may be none for it either, as before the first rotation. Nothing shows then that
        it works, and the target is not asked.
        """
        if self.strategy is not None:
            return self.drop_pending()
        return self._said("repair", *self._id(), "--drop-pending", *self.place)

    def named(self, hint: str) -> str:
        """A hint of the library, in which commands stand for what is to be done."""
        drop = f"`{self.take_away()}`"
        hint = _PENDING.sub(lambda _: f"take AWSPENDING away with {drop}, and rotate again", hint)
        hint = hint.replace("or take AWSPENDING away", f"or take AWSPENDING away with {drop}")
        hint = hint.replace(
            "look with min_age_s=0 if you know that none runs",
            f"give --min-age 0 if you know that none runs: `{self.drop_pending()}` takes AWSPENDING away",
        )
        hint = _POSSIBLE.sub(lambda found: "possible now: --action " + found[1].replace(", ", ", --action "), hint)
        hint = _FITS.sub(lambda found: f"ask with the one that fits: `{self._status_by(found[1])}`", hint)
        hint = hint.replace("`, or DualPassword()", "`, or with dual-password")
        hint = hint.replace("`envelope secrets rotation status`", f"`{self.status()}`")
        hint = hint.replace("`envelope secrets rotation repair`", f"`{self.repair()}`")
        return re.sub("`envelope secrets rotate [^`]*`(?=; two rotators)", lambda _: f"`{self.start()}`", hint)

    @contextlib.contextmanager
    def hinted(self) -> Iterator[None]:
        """Errors that leave the block name commands in their hints."""
        try:
            yield
        except EnvelopeError as error:
            error.hint = self.named(error.hint)
            raise

    def diagnosed(self, diagnosis: RotationDiagnosis) -> RotationDiagnosis:
        """The same diagnosis, whose hints name commands."""
        answers = tuple(replace(answer, hint=self.named(answer.hint)) for answer in diagnosis.answers)
        return replace(diagnosis, answers=answers, obstacle_hint=self.named(diagnosis.obstacle_hint))

    def _status_by(self, kind: str) -> str:
        return self.status(strategy=_STRATEGIES[kind])

    def _id(self) -> tuple[str, ...]:
        return ("--", self.secret_id) if self.secret_id.startswith("-") else (self.secret_id,)

    def _target(self, strategy: str | None) -> tuple[str, ...]:
        if strategy is None or self.strategy is None:
            return self.target
        return tuple(strategy if word == self.strategy else word for word in self.target)

    @staticmethod
    def _said(*words: str) -> str:
        return shlex.join(("envelope", "secrets", *words))


def _places(names: list[str]) -> list[str]:
    from envelope_secrets.cli.password_options import PASSWORD_OPTIONS

    others = {*PASSWORD_OPTIONS, "status", "cancel", "configure", "lambda_arn", "schedule", "window", "immediately"}
    return [name for name in names if name not in others]


def _typed(context: click.Context, names: Any) -> tuple[str, ...]:
    """The words of these options, as far as they stand on the command line."""
    words: list[str] = []
    options = {option.name: option for option in context.command.params}
    for name in typed_options(context, names):
        value, flag = context.params[name], options[name].opts[-1]
        if value is True:
            words.append(flag)
        elif value not in (False, None):
            for one in value if isinstance(value, tuple) else (value,):
                words += [flag, str(one)]
    return tuple(words)
