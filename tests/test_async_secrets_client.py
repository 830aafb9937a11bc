"""`AsyncSecretsClient`: the same cache for tasks, without blocking their event loop."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from envelope import InvalidArgument, KeyUnavailable
from envelope_secrets import (
    AsyncSecretsClient,
    NotSupported,
    SecretChange,
    SecretConflict,
    SecretNotFound,
    SecretsClient,
    Subscription,
)
from envelope_secrets.aio.operations import AsyncPolicyControl, AsyncRotationControl, AsyncStageOperations
from envelope_secrets.policies import PolicyControl
from envelope_secrets.rotation_control import RotationControl
from envelope_secrets.stage_operations import StageOperations
from tests.async_for_tests import counting_executor, run, until
from tests.secret_stores_for_tests import AwsLikeStore, MemoryStore, Setting, TreeStore


def open_client(**values: str | bytes) -> tuple[AsyncSecretsClient, MemoryStore]:
    store = MemoryStore(**(values or {"db": "secret 1"}))
    return AsyncSecretsClient(store), store


def test_a_hit_stays_in_the_event_loop_and_is_the_same_secret() -> None:
    client, store = open_client()

    async def read() -> None:
        first = await client.get("db")
        executor = counting_executor()
        started: list[Callable[[], None]] = []
        client._cache._entries._workers._start_thread = started.append
        assert await client.get("db") is first
        assert await client.get("db", stage="AWSCURRENT") is first
        assert (executor.calls, started) == (0, [])

    run(read())
    assert store.count("read") == 1
    assert repr(client) == "AsyncSecretsClient(MemoryStore())"


def test_the_event_loop_goes_on_while_a_secret_is_fetched() -> None:
    client, store = open_client()
    gate = threading.Event()
    store.before = lambda _: gate.wait()

    async def read() -> str:
        reading = asyncio.create_task(client.get("db"))
        await until(lambda: store.calls)
        assert not reading.done()
        gate.set()
        return (await reading).text

    assert run(read()) == "secret 1"


def test_versions_and_errors_are_those_of_the_other_client() -> None:
    client, store = open_client()
    store.set("db", "secret 2", stages=["AWSPENDING"])

    async def read() -> None:
        assert (await client.get("db", stage="AWSPENDING")).text == "secret 2"
        assert (await client.get("db", version_id="v1")).text == "secret 1"
        with pytest.raises(SecretConflict):
            await client.get("db", version_id="v1", stage="AWSPENDING")
        with pytest.raises(SecretNotFound):
            await client.get("none")
        with pytest.raises(InvalidArgument, match="secret_id must be text, not list"):
            await client.get(["db"])  # type: ignore[arg-type]

    run(read())


def test_tasks_and_threads_share_one_cache_and_its_calls() -> None:
    blocking = SecretsClient(MemoryStore(db="secret 1"))
    client = AsyncSecretsClient.sharing(blocking)
    assert run(client.get("db")) is blocking.get("db")
    assert client.stats() == blocking.stats()
    assert client.stats().calls == 1
    with pytest.raises(InvalidArgument, match="client must be a SecretsClient"):
        AsyncSecretsClient.sharing(client)  # type: ignore[arg-type]


def test_tasks_whose_login_failed_make_one_call_together() -> None:
    client, store = open_client()

    async def refresh() -> set[str]:
        old = await client.get("db")
        store.set("db", "secret 2")
        gate = threading.Event()
        store.before = lambda _: gate.wait()
        refreshes = [asyncio.create_task(client.refresh("db", replacing=old)) for _ in range(100)]
        await until(lambda: client.stats().waits == 99)
        gate.set()
        return {secret.text for secret in await asyncio.gather(*refreshes)}

    assert run(refresh()) == {"secret 2"}
    assert store.count("read") == 2


def test_a_refresh_asks_anew_and_a_wrong_one_is_refused() -> None:
    client, store = open_client()

    async def refresh() -> str:
        await client.get("db")
        store.set("db", "secret 2")
        with pytest.raises(InvalidArgument, match="replacing must be"):
            await client.refresh("db", replacing="secret 1")  # type: ignore[arg-type]
        await client.refresh("db")
        return (await client.get("db")).text

    assert run(refresh()) == "secret 2"


def test_many_secrets_come_by_twenties_in_a_worker() -> None:
    names = [f"s{number:02d}" for number in range(45)]
    client, store = open_client(**dict.fromkeys(names, "value"))

    async def read() -> None:
        assert await client.prefetch(names[:5]) == {}
        batch = await client.get_many([*names, "none"])
        assert (len(batch), list(batch.errors)) == (45, ["none"])

    run(read())
    assert [len(call) - 1 for call in store.calls] == [5, 20, 20, 1]


def test_key_rings_and_trees() -> None:
    client = AsyncSecretsClient(TreeStore(**{"/app/a": "1"}))
    assert run(client.key_ring("/app/a")).current.text == "1"
    assert run(client.get_tree("/app/"))["/app/a"].text == "1"
    with pytest.raises(NotSupported):
        run(open_client()[0].get_tree("/app/"))


def test_what_is_written_is_what_is_read_next() -> None:
    client, store = open_client()

    async def write() -> None:
        await client.get("db")
        await client.put("db", "secret 2", stages=["AWSPENDING"], token="a" * 32)
        assert (await client.get("db", stage="AWSPENDING")).text == "secret 2"
        assert await client.stages.promote("db", "a" * 32) is not None
        assert (await client.get("db")).text == "secret 2"
        await client.stages.rollback("db")
        assert (await client.get("db")).text == "secret 1"
        await client.stages.drop_pending("db")
        await client.stages.move("db", "mine", to="v1", from_=None)
        assert (await client.stages.repair("db")).done == ()
        await client.create("new", b"x")
        assert (await client.get("new")).binary == b"x"
        await client.update("new", description="x")
        await client.tag("new", {"a": "b"})
        await client.untag("new", ["a"])
        assert (await client.describe("new")).name == "new"
        assert len(await client.versions("db", include_deprecated=True)) == 2
        assert [one.name async for one in client.list()] == ["db", "new"]
        await client.delete("new")
        await client.restore("new")
        client.invalidate("new")
        assert (await client.rotation.status("db")).enabled is None
        for start in (
            client.rotation.start("db"),
            client.rotation.cancel("db"),
            client.rotation.configure("db", None),
        ):
            with pytest.raises(NotSupported):
                await start

    run(write())
    assert store.count("put") == 1


def test_copies_and_policies() -> None:
    store = AwsLikeStore(db="secret 1")
    client = AsyncSecretsClient(store)

    async def use() -> None:
        assert (await client.replicate("db", {"eu-west-2": ""}))[0].region == "eu-west-2"
        assert await client.remove_replicas("db", ["eu-west-2"]) == ()
        assert await client.stop_replication("db") == "arn"
        assert await client.policy.get("db") == "{}"
        await client.policy.put("db", "{}")
        await client.policy.delete("db")
        assert len(await client.policy.validate("{}")) == 1
        assert len(await client.validate_policy("{}")) == 1
        with pytest.raises(InvalidArgument):
            await client.policy.allow_read("db", [])
        assert await client.policy.revoke_read("db") == "{}"

    run(use())


def test_a_task_that_is_cancelled_while_it_writes_waits_for_the_end_of_that() -> None:
    client, store = open_client()
    gate, begun = threading.Event(), threading.Event()
    put = store.put

    def slow(*arguments: Any) -> Any:
        begun.set()
        gate.wait()
        return put(*arguments)

    store.put = slow  # type: ignore[method-assign, assignment]

    async def write() -> None:
        writing = asyncio.create_task(client.put("db", "secret 2"))
        await until(begun.is_set)
        writing.cancel()
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await writing

    run(write())
    assert run(client.get("db")).text == "secret 2"


def test_functions_of_tasks_are_given_secrets() -> None:
    client, _ = open_client(db='{"password": "old"}')

    @client.inject(password="db:password")
    async def connect(password: str = "") -> str:
        return password

    assert run(connect()) == "old"


def test_close_ends_everything() -> None:
    client, _ = open_client()

    async def use() -> None:
        async with client:
            await client.get("db")
        with pytest.raises(InvalidArgument, match="closed"):
            await client.get("db")
        with pytest.raises(InvalidArgument, match="closed"):
            await client.get_tree("/")
        await client.close()

    run(use())


# --- changes ------------------------------------------------------------------------------------------------------


class Changing:
    """A subscription in an event loop, whose watcher a test runs by hand."""

    def __init__(self) -> None:
        self.setting = Setting()
        self.client = AsyncSecretsClient.sharing(self.setting.client)

    def subscribe(self, callback: Callable[[SecretChange], object]) -> Subscription:
        self.setting.text()
        return self.client.on_change("db", callback)

    async def move(self) -> None:
        self.setting.store.set("db", "another")
        self.setting.client.refresh("db")
        await asyncio.to_thread(self.setting.client._watcher._call_back)


def test_changes_are_told_in_the_event_loop_that_subscribed() -> None:
    changing = Changing()
    told: list[tuple[str, int]] = []

    async def note(change: SecretChange) -> None:
        await asyncio.sleep(0)
        told.append((change.version_id, threading.get_ident()))

    async def subscribe() -> None:
        with changing.subscribe(note), changing.subscribe(lambda change: told.append((change.stage, 0))):
            await changing.move()
            await until(lambda: len(told) == 2)
            await changing.move()
            await until(lambda: len(told) == 4)

    run(subscribe())
    assert sorted(told) == sorted(
        [("AWSCURRENT", 0), ("AWSCURRENT", 0), ("v2", threading.get_ident()), ("v3", threading.get_ident())]
    )


def test_a_subscription_ends_with_its_event_loop_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    client, told = AsyncSecretsClient.sharing(setting.client), list[SecretChange]()

    async def subscribe() -> Subscription:
        return client.on_change("db", told.append)

    setting.text()
    subscription = run(subscribe())
    watch = setting.background.pop()
    setting.store.set("db", "secret 2")
    setting.client.refresh("db")
    assert client.stats().subscriptions == 1
    watch()  # the thread of the watcher, which has nothing to do any more
    assert client.stats().subscriptions == 0
    assert told == []
    assert [record.getMessage() for record in caplog.records] == [
        "Subscription('db', stage='AWSCURRENT') has ended, because its event loop is closed"
    ]
    subscription.close()


def test_an_event_loop_that_refuses_a_call_without_being_closed_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()

    async def subscribe() -> None:
        client = AsyncSecretsClient.sharing(setting.client)
        subscription = client.on_change("db", lambda _: None)

        def refuse(*_: object) -> None:
            raise RuntimeError("not now")

        asyncio.get_running_loop().call_soon_threadsafe = refuse  # type: ignore[assignment, method-assign]
        subscription.call(SecretChange("db", "arn", "AWSCURRENT", "v2", "v1"))

    run(subscribe())
    assert [record.getMessage() for record in caplog.records] == ["a callback of on_change raised"]


def test_a_callback_that_fails_in_the_event_loop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    changing = Changing()

    async def fail_later(_: SecretChange) -> None:
        raise ValueError("later")

    def fail(_: SecretChange) -> None:
        raise ValueError("at once")

    async def end(_: SecretChange) -> None:
        raise asyncio.CancelledError

    async def subscribe() -> None:
        for callback in (fail, fail_later, end):
            changing.subscribe(callback)
        await changing.move()
        await until(lambda: len(caplog.records) >= 2)
        await asyncio.sleep(0.01)

    with caplog.at_level(logging.ERROR, "envelope_secrets"):
        run(subscribe())
    raised = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert sorted(str(error) for error in raised) == ["at once", "later"]


def test_without_an_event_loop_there_is_nobody_to_call_back_in() -> None:
    client, _ = open_client()
    with pytest.raises(InvalidArgument, match="in a running event loop"):
        client.on_change("db", print)
    with pytest.raises(InvalidArgument, match="callback must be a function"):
        client.on_change("db", None)  # type: ignore[arg-type]


def test_an_outage_is_the_same_for_tasks() -> None:
    setting = Setting()
    client = AsyncSecretsClient.sharing(setting.client)

    async def read() -> str:
        await client.get("db")
        setting.clock.advance(301)
        with setting.store.failing(KeyUnavailable("outage")):
            secret = await client.get("db")
            setting.run_background()
            assert await client.get("db") is secret
        return secret.text

    setting.text()
    assert run(read()) == "secret 1"
    assert "outage" in setting.kinds()


# --- completeness -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocking", "asynchronous"),
    [
        (SecretsClient, AsyncSecretsClient),
        (StageOperations, AsyncStageOperations),
        (RotationControl, AsyncRotationControl),
        (PolicyControl, AsyncPolicyControl),
    ],
)
def test_it_has_everything_that_the_other_one_has_with_the_same_parameters(blocking: type, asynchronous: type) -> None:
    names = [name for name in vars(blocking) if not name.startswith("_")]
    assert names
    for name in names:
        one, other = inspect.getattr_static(blocking, name), inspect.getattr_static(asynchronous, name)
        if isinstance(one, property):
            assert isinstance(other, property), name
        else:
            assert inspect.signature(one).parameters == inspect.signature(other).parameters, name


def test_it_is_made_with_the_same_options() -> None:
    assert inspect.signature(SecretsClient).parameters == inspect.signature(AsyncSecretsClient).parameters
