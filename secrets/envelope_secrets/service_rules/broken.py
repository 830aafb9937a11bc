"""What is raised where a rule of the service forbids something."""

from __future__ import annotations

__all__ = ["RuleBroken", "check_parameter", "no_such_secret", "no_such_version"]


class RuleBroken(Exception):
    """The service refuses it; nothing was changed.

    Attributes:
        code: the service's error code, like ``ResourceNotFoundException``.
        text: what the service would say; fit to be shown, it holds no value.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


def check_parameter(name: str, problem: str | None) -> None:
    """Raise InvalidParameterException if a function of `limits` has found a problem."""
    if problem is not None:
        raise RuleBroken("InvalidParameterException", f"The parameter {name} {problem}.")


def no_such_secret() -> RuleBroken:
    return RuleBroken("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def no_such_version(selector: str, value: str) -> RuleBroken:
    """Nothing to be had for this ``staging label`` or ``VersionId``: no such version, or one that has no value yet."""
    return RuleBroken(
        "ResourceNotFoundException",
        f"Secrets Manager can't find the specified secret value for {selector}: {value:.256}",
    )
