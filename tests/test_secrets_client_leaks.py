"""K23: the value of a secret shows in nothing but the attributes that are there to show it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, cast

import pydantic
import pytest

from envelope import AwsUnavailable, EnvelopeError
from envelope.testing import FakeClock
from envelope_secrets import (
    AsyncSecretsClient,
    SecretChange,
    SecretEvent,
    SecretsClient,
    SecretsManagerStore,
    SecretStore,
)
from envelope_secrets.stores.hidden_values import hidden
from envelope_secrets.testing import FaultySecretsManager
from envelope_secrets.writing import new_secret, new_version
from tests.secret_stores_for_tests import MemoryStore

CANARY = "canary-7f3a"
JSON = f'{{"username": "app", "password": "{CANARY}", "nested": {{"list": ["{CANARY}"]}}}}'
BINARY = CANARY.encode()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that anybody logs, at DEBUG."""
    with caplog.at_level(logging.DEBUG), contextlib.ExitStack() as stack:
        for name in ("boto3", "botocore", "urllib3", "envelope", "envelope_secrets", "asyncio"):
            stack.enter_context(caplog.at_level(logging.DEBUG, name))
        yield caplog


def aws_store() -> SecretsManagerStore:
    fake = FaultySecretsManager()
    client = fake.client()
    client.create_secret(Name="db", SecretString=JSON)
    client.create_secret(Name="binary", SecretBinary=BINARY)
    client.put_secret_value(SecretId="db", SecretString=JSON, VersionStages=["AWSPENDING"])
    return SecretsManagerStore(fake.aws(), region="eu-west-1")


def memory_store() -> MemoryStore:
    store = MemoryStore(db=JSON, binary=BINARY)
    store.set("db", JSON, stages=["AWSPENDING"])
    return store


@dataclass
class WrongShape:
    username: int
    missing: str


def shown(thing: object) -> str:
    """Every way in which a program shows an object without asking for its value."""
    texts = [repr(thing), str(thing), f"{thing}", f"{thing!r:>200}", "%s %r" % (thing, thing), pprint.pformat(thing)]  # noqa: UP031
    stream = io.StringIO()
    print(thing, [thing], {"key": thing}, file=stream)
    texts.append(stream.getvalue())
    with contextlib.suppress(TypeError):
        texts.append(repr(vars(thing)))
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with contextlib.suppress(TypeError, pickle.PicklingError):
            texts.append(repr(way(thing)))
    return "\n".join(texts)


def failures(client: SecretsClient) -> list[Callable[[], object]]:
    secret = client.get("db")
    return [
        lambda: secret.binary,
        lambda: client.get("binary").text,
        lambda: client.get("binary").json,
        lambda: secret.as_(WrongShape),
        lambda: secret.json["none"],
        lambda: secret.json["nested"]["none"],
        lambda: client.get("db", version_id="0" * 32),
        lambda: client.get_many(["db", "none"])["none"],
        lambda: client.refresh("db", stage="NOWHERE", replacing=secret),
        lambda: client.put("db", {"password": object(), "x": CANARY}),
        lambda: client.put("db", {"password": CANARY * 10_000}),
        lambda: client.put("db", JSON, stages=["x"] * 30),
        lambda: client.create("bad name!", JSON),
        lambda: client.refresh("db", replacing=JSON),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize("make_store", [memory_store, aws_store])
def test_k23_a_value_shows_in_nothing_that_is_shown(
    make_store: Callable[[], SecretStore], log: pytest.LogCaptureFixture
) -> None:
    store = make_store()
    log.clear()  # what made the secrets was another program
    events: list[SecretEvent] = []
    changes: list[SecretChange] = []
    clock = FakeClock(0)
    client = SecretsClient(store, on_event=events.append, clock=clock, start_thread=lambda work: None)
    client.on_change("db", changes.append)
    secret, binary = client.get("db"), client.get("binary")
    things: list[Any] = [
        client,
        secret,
        binary,
        secret.json,
        secret.json["nested"],
        client.key_ring("db"),
        client.get_many(["db", "binary"]),
        client.stats(),
        client._cache,
        client._cache._entries,
        client._cache.peek(("db", "AWSCURRENT", None)),
        client._cache._entries._shelf,
        client._watcher,
        client._cache.glance,
        client._cache._load(("db", "AWSCURRENT", None)),
    ]
    texts = [shown(thing) for thing in things]
    for fail in failures(client):
        with pytest.raises(EnvelopeError) as caught:
            fail()
        error = caught.value
        texts += [shown(error), error.hint, repr(error.args), repr(vars(error)), *map(repr, _chain(error))]
        texts.append("".join(traceback.format_exception(error)))
    client.put("db", {"password": CANARY + " 2"})
    client.refresh("db")
    client._watcher._call_back()
    texts += [shown(event) for event in [*events, *changes]]
    texts += [record.getMessage() + repr(record.__dict__) for record in log.records]
    assert events
    assert not [text for text in texts if CANARY in text or "Y2FuYXJ5" in text]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_k23_a_store_that_fails_with_the_value_in_its_text_is_not_quoted(log: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(db=JSON)
    client = SecretsClient(store)

    def fail(_: str) -> None:
        raise RuntimeError(f"cannot parse {JSON}")

    store.before = fail
    for call in (lambda: client.get("db"), lambda: client.get_many(["db"])["db"], lambda: client.key_ring("db")):
        with pytest.raises(EnvelopeError) as caught:
            call()
        assert CANARY not in "".join(traceback.format_exception(caught.value))
        assert not [one for one in _chain(caught.value) if CANARY in repr(one)]
    assert CANARY not in log.text


def test_k23_what_a_client_raises_and_keeps_holds_no_frame_in_which_a_value_is() -> None:
    """Error reporters print the local variables of every frame of a traceback."""
    store = MemoryStore(db=JSON)
    client = SecretsClient(store)
    client.get("db")
    outage = AwsUnavailable("down", operation="secretsmanager:GetSecretValue", code="InternalServiceError")
    errors: list[BaseException] = []
    with store.failing(outage):
        for call in (lambda: client.get("none"), lambda: client.refresh("db"), lambda: client.get_many(["x"])["x"]):
            with pytest.raises(EnvelopeError) as caught:
                call()
            errors.append(caught.value)
    with pytest.raises(EnvelopeError) as caught:
        asyncio.run(AsyncSecretsClient.sharing(client).get("none"))
    errors.append(caught.value)
    for error in errors:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        frames = [frame for frame in report.stack if "envelope" in frame.filename]
        assert frames
        assert not [frame for frame in frames if CANARY in repr(frame.locals)]


# --- frames of what fails ---------------------------------------------------------------------------------------------


@dataclass
class Refusing:
    password: str

    def __post_init__(self) -> None:
        raise ValueError(self.password)


class Numbered(pydantic.BaseModel):
    port: int


def a_fake() -> tuple[FaultySecretsManager, SecretsClient]:
    fake = FaultySecretsManager()
    made = fake.client()
    values = {
        "db": f'{{"username": "app", "password": "{CANARY}", "port": "{CANARY}", "nested": {{"list": ["{CANARY}"]}}}}',
        "text": CANARY,
        "array": f'["{CANARY}"]',
        "twice": f'{{"a": "{CANARY}", "a": 1}}',
        "nan": f'{{"a": "{CANARY}", "b": NaN}}',
        "deep": f'{{"a": "{CANARY}", "b": {"[" * 120}1{"]" * 120}}}',
    }
    for name, value in values.items():
        made.create_secret(Name=name, SecretString=value)
    return fake, SecretsClient(SecretsManagerStore(fake.aws(), region="eu-west-1"))


class Unreadable(dict[str, str]):
    """A mapping that fails, and quotes itself, while it is read."""

    def __getitem__(self, name: str) -> str:
        raise KeyError(CANARY)


def released() -> memoryview:
    view = memoryview(BINARY)
    view.release()
    return view


def in_a_task(call: Callable[[AsyncSecretsClient], Any]) -> Callable[[SecretsClient], object]:
    async def called(client: SecretsClient) -> object:
        return await call(AsyncSecretsClient.sharing(client))

    return lambda client: asyncio.run(called(client))


def put_when_closed(client: SecretsClient) -> None:
    client.close()
    client.put("db", CANARY)


ODD: Any = object()
READS: dict[str, Callable[[SecretsClient], object]] = {
    "json of text": lambda client: client.get("text").json,
    "json of an array": lambda client: client.get("array").json,
    "json with a field twice": lambda client: client.get("twice").json,
    "json with NaN": lambda client: client.get("nan").json,
    "json too deep": lambda client: client.get("deep").json,
    "as_ dataclass": lambda client: client.get("db").as_(WrongShape),
    "as_ class that refuses": lambda client: client.get("db").as_(Refusing),
    "as_ model": lambda client: client.get("db").as_(Numbered),
    "missing field": lambda client: client.get("db").json["x"],
    "missing field below": lambda client: client.get("db").json["nested"]["x"],
    "many": lambda client: client.get_many(["db", "none"])["none"],
    "key ring": lambda client: client.key_ring("none"),
}
WRITES: dict[str, Callable[[SecretsClient], object]] = {
    "too long": lambda client: client.put("db", CANARY * 10_000),
    "too long in bytes": lambda client: client.put("db", BINARY * 10_000),
    "too long in a bytearray": lambda client: client.put("db", cast(Any, bytearray(BINARY * 10_000))),
    "an object": lambda client: client.put("db", {"p": CANARY, "o": ODD}),
    "a list": lambda client: client.put("db", cast(Any, [CANARY])),
    "a mapping that fails": lambda client: client.put("db", Unreadable(a=CANARY)),
    "a memoryview": lambda client: client.put("db", cast(Any, memoryview(BINARY * 10_000))),
    "a memoryview that was released": lambda client: client.put("db", cast(Any, released())),
    "a mapping with a token": lambda client: client.put("db", {"a": CANARY}, token="x"),
    "a version": lambda _: new_version({"a": CANARY}, token="x", rotation_token=f"{CANARY}{'0' * 36}"),
    "a version with a rotation token": lambda _: new_version("x", rotation_token=CANARY * 100),
    "a secret": lambda _: new_secret("bad name!", CANARY),
    "stages": lambda client: client.put("db", CANARY, stages=["x"] * 30),
    "token": lambda client: client.put("db", CANARY, token="x"),
    "rotation token": lambda client: client.put("db", "x", rotation_token=CANARY),
    "rotation token in a list": lambda client: client.put("db", "x", rotation_token=cast(Any, [CANARY])),
    "create": lambda client: client.create("bad name!", CANARY),
    "create again": lambda client: client.create("db", {"a": CANARY}),
    "missing": lambda client: client.put("nope", CANARY),
    "expected": lambda client: client.put("db", CANARY, expected_version_id="x" * 32),
    "closed": put_when_closed,
    "task: create": in_a_task(lambda client: client.create("db", CANARY)),
    "task: missing": in_a_task(lambda client: client.put("nope", CANARY, rotation_token=f"{CANARY}{'0' * 36}")),
    "task: an object": in_a_task(lambda client: client.put("db", {"p": CANARY, "o": ODD})),
}


def check_no_frame_holds_the_value(call: Callable[[SecretsClient], object], client: SecretsClient) -> None:
    with pytest.raises(EnvelopeError) as caught:
        call(client)
    frames = [
        frame
        for error in _chain(caught.value)
        for frame in traceback.TracebackException.from_exception(error, capture_locals=True).stack
        if frame.filename != __file__
    ]
    assert frames
    assert not [(frame.filename, frame.name) for frame in frames if CANARY in repr(frame.locals)]
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert not [error for error in _chain(caught.value) if CANARY in repr((error.args, vars(error)))]


@pytest.mark.parametrize("case", [*READS, *WRITES])
def test_k23_no_frame_of_a_call_that_fails_holds_the_value(case: str) -> None:
    check_no_frame_holds_the_value({**READS, **WRITES}[case], a_fake()[1])


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.put("db", CANARY),
        lambda client: client.put("db", {"a": CANARY}),
        lambda client: client.put("db", CANARY, expected_version_id="x" * 32),
        lambda client: client.create("new", {"a": CANARY}),
        in_a_task(lambda client: client.put("db", CANARY)),
        in_a_task(lambda client: client.create("new", BINARY)),
    ],
)
@pytest.mark.parametrize("trouble", ["outage", "denial"])
def test_k23_no_frame_of_a_call_that_the_service_fails_holds_the_value(
    call: Callable[[SecretsClient], object], trouble: str
) -> None:
    fake, client = a_fake()
    for operation in ("PutSecretValue", "CreateSecret"):
        fake.deny(operation)
    with fake.outage() if trouble == "outage" else contextlib.nullcontext():
        check_no_frame_holds_the_value(call, client)


def test_what_is_hidden_on_its_way_is_stored_as_it_was_given() -> None:
    class Color(str, Enum):  # noqa: UP042 - whose str() is another text, unlike that of a StrEnum
        RED = "red"

    client = a_fake()[1]
    for given, stored in [
        (CANARY, CANARY),
        (Color.RED, "red"),
        ({"a": [Color.RED, 1]}, '{"a":["red",1]}'),
        (MappingProxyType({"b": {"c": None}}), '{"b":{"c":null}}'),
        (BINARY, BINARY),
        (bytearray(BINARY), BINARY),
        (memoryview(BINARY)[::2], BINARY[::2]),
    ]:
        client.put("text", cast(Any, given))
        secret = client.get("text")
        found = secret.binary if secret.is_binary else secret.text
        assert (found, repr(found)) == (stored, repr(stored))


def test_what_is_handed_to_a_store_is_nothing_but_text_or_bytes() -> None:
    for value in (CANARY, BINARY, {"a": CANARY}):
        assert type(new_version(value).value) in (str, bytes)
    assert repr(hidden(hidden({"a": 1}))) == "<hidden>"
    assert len(hidden({"a": 1})) == 1
    assert hidden(None) is None
