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
from typing import Any

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
from envelope_secrets.testing import FaultySecretsManager
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
