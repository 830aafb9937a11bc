"""What names a parameter: a name or an ARN, and after it, for reading, a version or a label. Pure.

Source: AWS Systems Manager User Guide, "About requirements and constraints for parameter names", "Working with
parameter versions", "Working with parameter labels", "Referencing Secrets Manager secrets from Parameter Store
parameters".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from envelope.aws.arn import is_region
from envelope.errors import InvalidArgument

__all__ = ["ParameterName", "check_label", "check_new_name", "check_path"]

REFERENCE_PREFIX = "/aws/reference/secretsmanager/"
MAX_LEVELS = 15
MAX_NAME_CHARACTERS = 1_011

_NAME = re.compile(r"[a-zA-Z0-9_.-]+|(?:/[a-zA-Z0-9_.-]+)+", re.ASCII)
_OWNED = re.compile(r"/?(?:aws|ssm)", re.IGNORECASE)
_LABEL = re.compile(r"(?!aws|ssm|[0-9])[a-zA-Z0-9_.-]{1,100}", re.IGNORECASE | re.ASCII)
_ARN = re.compile(r"arn:[a-z-]+:ssm:(?P<region>[a-z0-9-]+):[0-9]{12}:parameter/[^:]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ParameterName:
    """A parameter, and perhaps one version of it.

    Attributes:
        name: its name or ARN.
        selector: a version's number, or a label, or an empty string for the newest version.
    """

    name: str
    selector: str = ""

    @classmethod
    def parse(cls, text: str) -> ParameterName:
        """Take the selector off: ``/app/db:3``, ``/app/db:label``, ``arn:aws:ssm:...:parameter/app/db:3``.

        Raises:
            InvalidArgument: it is no name of a parameter.
        """
        name, separator, selector = text.rpartition(":")
        if not separator or _ARN.fullmatch(text):
            name, selector = text, ""
        if text.endswith(":") or not (_NAME.fullmatch(name) or _ARN.fullmatch(name) or _is_reference(name)):
            raise InvalidArgument(
                "that is no name of a parameter",
                hint="/app/db or app-db, or its ARN, of letters, digits and _.-; after it perhaps :3 or :label",
            )
        return cls(name, selector)

    def __str__(self) -> str:
        return f"{self.name}:{self.selector}" if self.selector else self.name

    @property
    def region(self) -> str | None:
        """The region that an ARN names, where the parameter has to be asked for; None for a name."""
        arn = _ARN.fullmatch(self.name)
        return arn["region"] if arn and is_region(arn["region"]) else None

    @property
    def is_reference(self) -> bool:
        """Whether it is a secret of Secrets Manager, read through Parameter Store."""
        return _is_reference(self.name)

    def is_named(self, name: str, arn: str) -> bool:
        """Whether it is the parameter of this name and ARN; for a secret, its own name will do."""
        return self.name in (name, arn) or (self.is_reference and self.name == f"{REFERENCE_PREFIX}{name}")

    def selecting(self, selector: str) -> ParameterName:
        """One version of the parameter.

        Raises:
            InvalidArgument: the name selects another one already.
        """
        if self.selector not in ("", selector):
            raise InvalidArgument(
                f"{self} selects one version, and the call another",
                hint="give the version or label either in the name or beside it",
            )
        return ParameterName(self.name, selector)

    def without_selector(self) -> ParameterName:
        """The name itself, for a call that is about the whole parameter.

        Raises:
            InvalidArgument: it selects a version.
        """
        if self.selector:
            raise InvalidArgument(
                f"{self} selects one version; the call is about all of them", hint=f"give {self.name}"
            )
        return self


def _is_reference(name: str) -> bool:
    return name.startswith(REFERENCE_PREFIX) and len(name) > len(REFERENCE_PREFIX)


def check_new_name(name: str) -> None:
    """Raise `InvalidArgument` for a name that Parameter Store does not take."""
    problem = ""
    if not _NAME.fullmatch(name):
        problem = "has to be of letters, digits and _.-, in levels that each begin with a slash, or without slashes"
    elif len(name) > MAX_NAME_CHARACTERS:
        problem = f"has {len(name):,} characters; {MAX_NAME_CHARACTERS:,} are allowed"
    elif name.count("/") > MAX_LEVELS:
        problem = f"has {name.count('/')} levels; {MAX_LEVELS} are allowed"
    elif _OWNED.match(name):
        problem = "begins with aws or ssm, which is for AWS"
    if problem:
        raise InvalidArgument(f"the name of a parameter {problem}", hint="for example /app/db/password")


def check_label(label: str) -> None:
    """Raise `InvalidArgument` for what Parameter Store does not take as a label."""
    if not _LABEL.fullmatch(label):
        raise InvalidArgument(
            f"{label!r:.120} is no label of Parameter Store",
            hint="1 to 100 letters, digits and _.-, beginning neither with a digit nor with aws or ssm",
        )


def check_path(path: object) -> str:
    """A path as GetParametersByPath takes it, without the slash at its end, or `InvalidArgument`."""
    if not isinstance(path, str):
        raise InvalidArgument(f"path must be text, not {type(path).__name__}", hint='for example "/app/"')
    stripped = path.rstrip("/") or "/"
    if not path.startswith("/") or (stripped != "/" and not _NAME.fullmatch(stripped)):
        raise InvalidArgument("path must be a level of the hierarchy", hint='for example "/app/"')
    return stripped
