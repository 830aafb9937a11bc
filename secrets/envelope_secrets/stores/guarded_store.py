"""A store that somebody else has written: only our errors come out of it, and only what its protocol says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar, cast

from envelope.errors import EnvelopeError
from envelope_secrets.errors import StoreFailed
from envelope_secrets.stores.protocol import SecretDescription, SecretStore, SecretVersion, VersionPlace

__all__ = ["guarded_call", "guarded_store"]

T = TypeVar("T")

_OWN_MODULES = "envelope_secrets."


def guarded_call(call: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """What a call of a store brings.

    Raises:
        EnvelopeError: as the store raised it.
        StoreFailed: the store raised something else. It is not chained, because its text may quote a value.
    """
    try:
        return call(*arguments, **options)
    except EnvelopeError:
        raise
    except Exception as error:  # noqa: BLE001 - of a store that somebody else has written
        failure = StoreFailed(f"the store raised {type(error).__name__}", hint="a store raises EnvelopeError only")
    raise failure


def guarded_store(store: SecretStore) -> SecretStore:
    """The store, or one that does the same behind a guard; it has the methods that the store has, and no others."""
    if type(store).__module__.startswith(_OWN_MODULES):
        return store
    able = tuple(name for name in _RESULTS if callable(getattr(store, name, None)))
    return cast(SecretStore, _guarded_class(type(store).__name__, able)(store))


class _Guarded:
    """What all guarded stores have."""

    def __init__(self, store: object) -> None:
        self._store = store

    def __repr__(self) -> str:
        return repr(self._store)


@lru_cache(maxsize=64)
def _guarded_class(name: str, methods: tuple[str, ...]) -> type[_Guarded]:
    """A class of this name with these methods and no others, because abilities are asked for by protocol."""
    return type(name, (_Guarded,), {method: _guarded_method(method, _RESULTS[method]) for method in methods})


def _guarded_method(name: str, checked: Callable[[object], Any]) -> Callable[..., Any]:
    def method(self: _Guarded, *arguments: Any, **options: Any) -> Any:
        return checked(guarded_call(getattr(self._store, name), *arguments, **options))

    method.__name__ = name
    return method


def _as_it_is(result: object) -> object:
    """For results that their reader checks, or that nobody uses."""
    return result


def _is(kind: type) -> Callable[[object], object]:
    def checked(result: object) -> object:
        if isinstance(result, kind):
            return result
        raise StoreFailed(f"the store gave no {kind.__name__}, but a value of type {type(result).__name__}")

    return checked


def _all_are(kind: type) -> Callable[[object], tuple[object, ...]]:
    def checked(results: object) -> tuple[object, ...]:
        return tuple(map(_is(kind), guarded_call(tuple, results)))

    return checked


def _descriptions(results: object) -> Iterator[object]:
    """One after the other, as they are taken: a list can be long."""
    iterator, end = guarded_call(iter, results), object()
    while (result := guarded_call(next, iterator, end)) is not end:
        yield _is(SecretDescription)(result)


_RESULTS: Mapping[str, Callable[[object], Any]] = {
    "read": _as_it_is,
    "read_many": _as_it_is,
    "read_tree": _as_it_is,
    "describe": _is(SecretDescription),
    "versions": _all_are(SecretVersion),
    "list": _descriptions,
    "create": _is(VersionPlace),
    "put": _is(VersionPlace),
    "update": _as_it_is,
    "move_stage": _as_it_is,
    "delete": _as_it_is,
    "restore": _as_it_is,
    "tag": _as_it_is,
    "untag": _as_it_is,
    "rotate": _is(VersionPlace),
    "cancel_rotation": _is(VersionPlace),
    "announce": _is(VersionPlace),
    "policy": _as_it_is,
    "put_policy": _as_it_is,
    "delete_policy": _as_it_is,
    "validate_policy": _as_it_is,
    "replicate": _as_it_is,
    "remove_replicas": _as_it_is,
    "stop_replication": _as_it_is,
}
"""Every method of the protocols, with the check of what it returns."""
