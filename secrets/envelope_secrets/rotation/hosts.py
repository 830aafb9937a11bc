"""Whether two secrets mean the same server. Pluggable, because names do not tell it for replicas and proxies.

A rotation acts on the target in the name of whoever could write the secret. If the pending value, or the secret of the
administrator, could name another server than the current value does, one who may write the one and not the other could
have a password changed, or shown to a server of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from envelope.errors import InvalidArgument
from envelope_secrets.rotation.database import DatabaseCredentials

__all__ = ["EqualHosts", "HostAliases", "HostCheck"]


class HostCheck(Protocol):
    """Says whether two secrets mean the same server."""

    def __call__(self, one: DatabaseCredentials, other: DatabaseCredentials, /) -> bool:
        """True if they do. When in doubt False: nothing is changed then."""
        ...


@dataclass(frozen=True, slots=True)
class EqualHosts:
    """The same name and the same port; upper case, and a dot at the end, make no difference."""

    def __call__(self, one: DatabaseCredentials, other: DatabaseCredentials, /) -> bool:
        return (_name(one.host), one.port) == (_name(other.host), other.port)


@dataclass(frozen=True, slots=True, init=False)
class HostAliases:
    """Also these names mean one server: those of an RDS cluster, its readers and its proxy. Ports are not compared.

    Raises:
        InvalidArgument: fewer than two names, or something that is no name.
    """

    names: frozenset[str]

    def __init__(self, *names: str) -> None:
        given: Iterable[object] = names
        if len(names) < 2 or not all(isinstance(name, str) and name for name in given):
            raise InvalidArgument("names must be two or more names of hosts that mean the same server")
        object.__setattr__(self, "names", frozenset(map(_name, names)))

    def __call__(self, one: DatabaseCredentials, other: DatabaseCredentials, /) -> bool:
        return EqualHosts()(one, other) or {_name(one.host), _name(other.host)} <= self.names


def _name(host: str) -> str:
    return host.lower().removesuffix(".")
