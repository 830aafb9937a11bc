"""What a strategy is: how the accounts or keys of a target take turns."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from envelope.errors import InvalidArgument
from envelope_secrets.rotation.rotator import Rotator

__all__ = ["Strategy", "rotator_of"]


@runtime_checkable
class Strategy(Protocol):
    """Makes a rotator for a target."""

    def rotator(self, target: Any) -> Rotator:
        """The rotator of a target.

        Raises:
            InvalidArgument: this strategy does not go with it.
        """
        ...


METHODS = ("new_value", "apply", "verify", "retire")


def rotator_of(target: object, strategy: Strategy | None) -> Rotator:
    """The rotator that a target and a strategy make together, or the target itself if it is one.

    Raises:
        InvalidArgument: they do not go together.
    """
    given: object = strategy
    if given is not None and not isinstance(given, Strategy):
        raise InvalidArgument(f"strategy must be one like SingleUser(), not {type(given).__name__}")
    if strategy is not None:
        return strategy.rotator(target)
    missing = [name for name in METHODS if not callable(getattr(target, name, None))]
    if missing:
        raise InvalidArgument(
            f"{type(target).__name__} is no rotator: it has no {missing[0]}",
            hint="give a strategy, like SingleUser(), or an object with " + ", ".join(METHODS),
        )
    rotator: Any = target
    return rotator  # type: ignore[no-any-return]  # looked at above
