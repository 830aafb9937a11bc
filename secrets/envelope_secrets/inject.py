"""A decorator that gives a function secrets as arguments. They are read when it is called, never when it is defined."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from envelope.arguments import check_function
from envelope.errors import InvalidArgument
from envelope_secrets.references import SecretReference
from envelope_secrets.value import Secret

__all__ = ["inject"]

F = TypeVar("F", bound=Callable[..., Any])

Getter = Callable[..., Secret] | Callable[..., Awaitable[Secret]]


def inject(get: Getter, /, **parameters: str | SecretReference) -> Callable[[F], F]:
    """A decorator: whoever calls the function need not give these parameters.

    An argument that the caller gives wins, and its secret is not read. All fields of one secret come from one read, so
    a rotation cannot come between a user's name and its password. The signature stays as it is written.

    A coroutine function or an asynchronous generator reads through `get` if that is asynchronous too, or else in a
    thread. A generator reads when it starts. Of a class, the constructor is decorated.

    Args:
        get: like `SecretsClient.get` or `AsyncSecretsClient.get`.
        parameters: what each parameter gets: a reference, like ``password="prod/db:password"``.

    Raises:
        InvalidArgument: now, for a text that is no reference; on decoration, for a parameter that the function does not
            have or takes by position alone, and for a function that cannot wait for an asynchronous `get`. The function
            raises what `get` raises, and `SecretFormatError` for a missing field.
    """
    check_function("get", get)
    if not parameters:
        raise InvalidArgument("inject needs a parameter at least, like password='prod/db:password'")
    references = {
        name: one if isinstance(one, SecretReference) else SecretReference.parse(one)
        for name, one in parameters.items()
    }

    def decorate(function: F) -> F:
        decorated: F = _decorated(function, get, references)
        return decorated

    return decorate


@dataclass(frozen=True, slots=True)
class _Injection:
    """What one function is given.

    Attributes:
        positions: where in the positional arguments each parameter would be; those that have no position are not here.
    """

    get: Getter
    references: Mapping[str, SecretReference]
    positions: Mapping[str, int]

    def wanted(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, SecretReference]:
        """The references of the parameters that the caller has not given."""
        return {
            name: reference
            for name, reference in self.references.items()
            if name not in kwargs and self.positions.get(name, len(args)) >= len(args)
        }

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """All keyword arguments."""
        wanted = self.wanted(args, kwargs)
        secrets = {key: self.get(key[0], **options) for key, options in _reads(wanted).items()}
        return {**kwargs, **_picked(wanted, secrets)}

    async def read_async(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The same without blocking the loop."""
        wanted = self.wanted(args, kwargs)
        secrets = {key: await self._get_async(key[0], options) for key, options in _reads(wanted).items()}
        return {**kwargs, **_picked(wanted, secrets)}

    async def _get_async(self, secret_id: str, options: Mapping[str, str]) -> Any:
        if inspect.iscoroutinefunction(self.get):
            return await self.get(secret_id, **options)
        import asyncio  # here, because importing it takes longer than everything else in this package

        return await asyncio.to_thread(self.get, secret_id, **options)


_ReadKey = tuple[str, str, str]


def _read_key(reference: SecretReference) -> _ReadKey:
    return (reference.secret_id, reference.stage, reference.version_id)


def _reads(wanted: Mapping[str, SecretReference]) -> dict[_ReadKey, dict[str, str]]:
    """Each read once, with its options."""
    return {_read_key(reference): reference.options() for reference in wanted.values()}


def _picked(wanted: Mapping[str, SecretReference], secrets: Mapping[_ReadKey, Any]) -> dict[str, Any]:
    return {name: reference.value_of(secrets[_read_key(reference)]) for name, reference in wanted.items()}


# --- decoration -----------------------------------------------------------------------------------------------------


def _decorated(target: Any, get: Getter, references: Mapping[str, SecretReference]) -> Any:
    if isinstance(target, (staticmethod, classmethod)):
        return type(target)(_decorated(target.__func__, get, references))
    if isinstance(target, type):
        constructor = inspect.getattr_static(target, "__init__")
        if constructor is object.__init__:
            raise InvalidArgument(f"{target.__name__} has no constructor with parameters to inject")
        type.__setattr__(target, "__init__", _decorated(constructor, get, references))
        return target
    check_function("what inject decorates", target)
    injection = _Injection(get, references, _positions(target, references))
    return functools.update_wrapper(_wrapper(target, injection), target)


def _wrapper(function: Callable[..., Any], injection: _Injection) -> Callable[..., Any]:
    """A function of the same kind: frameworks ask whether it is a coroutine function or a generator."""
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, injection)
    if inspect.isasyncgenfunction(function):
        return _asynchronous_generator(function, injection)
    if inspect.iscoroutinefunction(injection.get):
        raise InvalidArgument(
            f"{_named(function)} is no coroutine function and cannot wait for an asynchronous get",
            hint="inject through a SecretsClient, or write async def",
        )
    if inspect.isgeneratorfunction(function):
        return _generator(function, injection)

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **injection.read(args, kwargs))

    return call


def _coroutine(function: Callable[..., Any], injection: _Injection) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **await injection.read_async(args, kwargs))

    return call


def _generator(function: Callable[..., Any], injection: _Injection) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from function(*args, **injection.read(args, kwargs)))

    return call


def _asynchronous_generator(function: Callable[..., Any], injection: _Injection) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*args, **await injection.read_async(args, kwargs))
        step = inner.asend(None)
        while True:
            try:
                item = await step
            except StopAsyncIteration:
                return
            try:
                sent = yield item
            except GeneratorExit:
                await inner.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - what is thrown in is the inner one's to handle
                step = inner.athrow(error)
            else:
                step = inner.asend(sent)

    return call


def _positions(function: Callable[..., Any], references: Mapping[str, SecretReference]) -> dict[str, int]:
    """Where the injected parameters are; it is checked that each can be given by its name."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise InvalidArgument("a function without a known signature cannot be given secrets") from None
    kinds = [parameter.kind for parameter in parameters.values()]
    for name in references:
        known = parameters.get(name)
        if known is None and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise InvalidArgument(f"{_named(function)} has no parameter {name}")
        if known is not None and known.kind not in _BY_NAME:
            raise InvalidArgument(f"{_named(function)} does not take {name} by its name")
    return {
        name: position
        for position, (name, parameter) in enumerate(parameters.items())
        if name in references and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    }


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _named(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))
