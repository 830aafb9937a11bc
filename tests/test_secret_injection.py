"""Secrets as arguments: read at each call and once for all fields, whatever kind of function it is."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from envelope.errors import InvalidArgument
from envelope_secrets.errors import SecretFormatError, SecretNotFound
from envelope_secrets.inject import inject
from envelope_secrets.references import SecretReference
from envelope_secrets.value import Secret


class Reader:
    """A `get` whose secret has another value at each call: user1 and password1, user2 and password2..."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.threads: set[int] = set()

    def get(self, secret_id: str, **options: str) -> Secret:
        self.asked.append((secret_id, options))
        self.threads.add(threading.get_ident())
        if secret_id == "gone":
            raise SecretNotFound("there is no such secret")
        number = len(self.asked)
        text = f'{{"user": "user{number}", "password": "password{number}"}}'
        return Secret(text, name=secret_id, arn="arn", version_id=f"v{number}")

    async def get_async(self, secret_id: str, **options: str) -> Secret:
        await asyncio.sleep(0)
        return self.get(secret_id, **options)


def fail() -> None:
    raise ValueError


@pytest.fixture
def reader() -> Reader:
    return Reader()


def test_a_parameter_gets_its_field_and_others_are_given(reader: Reader) -> None:
    @inject(reader.get, password="prod/db:password")
    def connect(host: str, password: str, port: int = 1) -> tuple[str, str, int]:
        return host, password, port

    assert connect("db") == ("db", "password1", 1)  # type: ignore[call-arg]
    assert connect(host="db", port=2) == ("db", "password2", 2)  # type: ignore[call-arg]


def test_it_is_read_when_it_is_called_and_not_when_it_is_defined(reader: Reader) -> None:
    @inject(reader.get, password="prod/db:password")
    def connect(password: str = "") -> str:
        return password

    assert reader.asked == []
    assert [connect(), connect()] == ["password1", "password2"]


def test_an_argument_that_is_given_wins_and_nothing_is_read(reader: Reader) -> None:
    @inject(reader.get, password="prod/db:password", user="prod/db:user")
    def connect(host: str, password: str = "", *, user: str = "") -> tuple[str, str]:
        return password, user

    assert connect("db", "mine", user="me") == ("mine", "me")
    assert reader.asked == []
    assert connect("db", "mine") == ("mine", "user1")
    assert connect("db", password="") == ("", "user2")
    assert connect("db", user="") == ("password3", "")


def test_all_fields_of_one_secret_come_from_one_read(reader: Reader) -> None:
    @inject(
        reader.get, user="prod/db:user", password="prod/db:password", pending="prod/db:user:AWSPENDING", whole="prod/db"
    )
    def connect(user: str = "", password: str = "", pending: str = "", whole: str = "") -> list[str]:
        return [user, password, pending, whole]

    assert connect() == ["user1", "password1", "user2", '{"user": "user1", "password": "password1"}']
    assert reader.asked == [("prod/db", {}), ("prod/db", {"stage": "AWSPENDING"})]


def test_a_reference_may_be_made_of_its_parts(reader: Reader) -> None:
    @inject(reader.get, password=SecretReference("prod/db", "password", version_id="v7"))
    def connect(password: str = "") -> str:
        return password

    assert connect() == "password1"
    assert reader.asked == [("prod/db", {"version_id": "v7"})]


def test_the_name_the_docstring_and_the_signature_stay(reader: Reader) -> None:
    def connect(host: str, password: str = "") -> str:
        """Connect."""
        return host + password

    decorated = inject(reader.get, password="prod/db:password")(connect)
    assert (decorated.__name__, decorated.__doc__) == ("connect", "Connect.")
    assert inspect.signature(decorated) == inspect.signature(connect)
    assert inspect.unwrap(decorated) is connect


def test_errors_come_at_the_call(reader: Reader) -> None:
    @inject(reader.get, password="gone:password")
    def missing(password: str = "") -> str:
        return password

    @inject(reader.get, token="prod/db:token")
    def lacking(token: str = "") -> str:
        return token

    with pytest.raises(SecretNotFound):
        missing()
    with pytest.raises(SecretFormatError, match="has no field 'token'"):
        lacking()


def test_a_function_that_takes_any_name_takes_secrets(reader: Reader) -> None:
    @inject(reader.get, password="prod/db:password")
    def connect(*hosts: str, **options: str) -> tuple[tuple[str, ...], dict[str, str]]:
        return hosts, options

    assert connect("a", "b", user="me") == (("a", "b"), {"user": "me", "password": "password1"})
    assert connect(password="mine") == ((), {"password": "mine"})


# --- kinds of functions ----------------------------------------------------------------------------------------------


def test_methods_get_secrets(reader: Reader) -> None:
    class Service:
        name = "service"

        @inject(reader.get, password="prod/db:password")
        def method(self, password: str = "") -> tuple[str, str]:
            return self.name, password

        @classmethod
        @inject(reader.get, password="prod/db:password")
        def inside(cls, password: str = "") -> tuple[str, str]:
            return cls.name, password

        @inject(reader.get, password="prod/db:password")
        @classmethod
        def outside(cls, password: str = "") -> tuple[str, str]:
            return cls.name, password

        @inject(reader.get, password="prod/db:password")
        @staticmethod
        def static(password: str = "") -> str:
            return password

    assert Service().method() == ("service", "password1")
    assert Service.inside() == ("service", "password2")
    assert Service.outside() == ("service", "password3")
    assert (Service.static(), Service().static()) == ("password4", "password5")
    assert Service().method("mine") == ("service", "mine")


def test_the_constructor_of_a_class_gets_secrets(reader: Reader) -> None:
    @inject(reader.get, password="prod/db:password")
    class Plain:
        def __init__(self, host: str, password: str = "") -> None:
            self.made = (host, password)

    @inject(reader.get, password="prod/db:password")
    @dataclass
    class Data:
        host: str
        password: str = ""

    class Derived(Data):
        pass

    @inject(reader.get, host="prod/db:user")
    class Again(Data):
        pass

    assert isinstance(Plain, type)
    assert Plain("db").made == ("db", "password1")
    assert Data("db") == Data("db", "password2")
    assert Derived("db").password == "password3"
    assert Again() == Again("user4", "password5")  # type: ignore[call-arg]
    assert Data("db", "mine").password == "mine"


def test_a_class_without_a_constructor_is_refused(reader: Reader) -> None:
    with pytest.raises(InvalidArgument, match="Empty has no constructor with parameters to inject"):

        @inject(reader.get, password="prod/db:password")
        class Empty:
            pass


def test_a_callable_object_gets_secrets(reader: Reader) -> None:
    class Call:
        def __call__(self, password: str = "") -> str:
            return password

    assert inject(reader.get, password="prod/db:password")(Call())() == "password1"


def test_a_generator_stays_one_and_reads_when_it_starts(reader: Reader) -> None:
    @inject(reader.get, password="prod/db:password")
    def items(password: str = "") -> Generator[str, str, str]:
        try:
            received = yield password
        except ValueError:
            received = "thrown"
        yield f"{received}"
        return "done"

    assert inspect.isgeneratorfunction(items)
    generator = items()
    assert reader.asked == []
    assert next(generator) == "password1"
    assert generator.send("sent") == "sent"
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert stopped.value.value == "done"
    generator = items()
    next(generator)
    assert generator.throw(ValueError()) == "thrown"


def test_a_context_manager_gets_secrets(reader: Reader) -> None:
    seen: list[str] = []

    @contextlib.contextmanager
    @inject(reader.get, password="prod/db:password")
    def connection(password: str = "") -> Iterator[str]:
        try:
            yield password
        except ValueError:
            seen.append("handled")
        finally:
            seen.append("closed")

    with connection() as password:
        assert password == "password1"
        fail()
    assert seen == ["handled", "closed"]


# --- asynchronous ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_coroutine_function_reads_without_blocking_the_loop(reader: Reader, asynchronous: bool) -> None:
    @inject(reader.get_async if asynchronous else reader.get, password="prod/db:password", user="prod/db:user")
    async def connect(password: str = "", user: str = "") -> tuple[str, str]:
        await asyncio.sleep(0)
        return password, user

    assert inspect.iscoroutinefunction(connect)
    assert asyncio.run(connect()) == ("password1", "user1")
    assert asyncio.run(connect("mine")) == ("mine", "user2")
    assert (threading.get_ident() in reader.threads) is asynchronous


@pytest.mark.parametrize("asynchronous", [True, False])
def test_an_asynchronous_generator_stays_one(reader: Reader, asynchronous: bool) -> None:
    @inject(reader.get_async if asynchronous else reader.get, password="prod/db:password")
    async def items(password: str = "") -> AsyncIterator[str]:
        for number in range(3):
            yield f"{password} {number}"

    async def collect() -> list[str]:
        return [item async for item in items()]

    assert inspect.isasyncgenfunction(items)
    assert asyncio.run(collect()) == ["password1 0", "password1 1", "password1 2"]


def test_what_is_thrown_into_or_sent_to_an_asynchronous_generator_arrives(reader: Reader) -> None:
    seen: list[object] = []

    @inject(reader.get_async, password="prod/db:password")
    async def items(password: str = "") -> Any:
        try:
            seen.append((yield password))
            yield "second"
        except ValueError:
            seen.append("handled")
            yield "third"
        finally:
            seen.append("closed")

    async def talk() -> None:
        generator = items()
        assert await generator.asend(None) == "password1"
        assert await generator.asend("sent") == "second"
        assert await generator.athrow(ValueError()) == "third"
        await generator.aclose()
        assert seen == ["sent", "handled", "closed"], "closed at once, and not when the loop ends"
        other = items()
        await anext(other)
        with pytest.raises(KeyError):
            await other.athrow(KeyError("x"))

    asyncio.run(talk())
    assert seen == ["sent", "handled", "closed", "closed"]


def test_an_asynchronous_context_manager_gets_secrets(reader: Reader) -> None:
    seen: list[str] = []

    @contextlib.asynccontextmanager
    @inject(reader.get_async, password="prod/db:password")
    async def connection(password: str = "") -> AsyncIterator[str]:
        try:
            yield password
        except ValueError:
            seen.append("handled")

    async def use() -> None:
        async with connection() as password:
            assert password == "password1"
            fail()

    asyncio.run(use())
    assert seen == ["handled"]


def test_a_plain_function_cannot_wait_for_an_asynchronous_get(reader: Reader) -> None:
    def connect(password: str = "") -> str:
        return password

    def items(password: str = "") -> Iterator[str]:
        yield password

    for function in (connect, items):
        with pytest.raises(InvalidArgument, match="is no coroutine function and cannot wait for an asynchronous get"):
            inject(reader.get_async, password="prod/db:password")(function)


# --- refused when it is decorated ------------------------------------------------------------------------------------


def test_a_parameter_that_does_not_exist_is_refused_on_decoration(reader: Reader) -> None:
    def connect(host: str, /, password: str = "") -> str:
        return host + password

    with pytest.raises(InvalidArgument, match=r"connect has no parameter passwort"):
        inject(reader.get, passwort="prod/db:password")(connect)
    with pytest.raises(InvalidArgument, match=r"connect does not take host by its name"):
        inject(reader.get, host="prod/db:user")(connect)


def test_a_collecting_parameter_is_none(reader: Reader) -> None:
    def connect(*hosts: str) -> None:
        pass

    with pytest.raises(InvalidArgument, match=r"connect does not take hosts by its name"):
        inject(reader.get, hosts="prod/db:user")(connect)


def test_what_cannot_be_a_reference_is_refused_at_once_and_not_shown(reader: Reader) -> None:
    with pytest.raises(InvalidArgument) as caught:
        inject(reader.get, password="k4n4r13n:a:b:c:d")
    assert "k4n4r13n" not in str(caught.value)
    with pytest.raises(InvalidArgument, match="a reference must be text, not int"):
        inject(reader.get, password=7)  # type: ignore[arg-type]


def test_wrong_arguments_are_refused(reader: Reader) -> None:
    with pytest.raises(InvalidArgument, match="inject needs a parameter at least"):
        inject(reader.get)
    with pytest.raises(InvalidArgument, match="get must be a function"):
        inject("prod/db", password="x")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="what inject decorates must be a function"):
        inject(reader.get, password="x")(7)  # type: ignore[type-var]

    def odd(password: str) -> None:
        pass

    odd.__signature__ = 7  # type: ignore[attr-defined]
    with pytest.raises(InvalidArgument, match="without a known signature"):
        inject(reader.get, password="x")(odd)
