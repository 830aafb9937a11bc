"""`SecretsClient`: its arguments, batches, key rings and trees, what it writes, and what it forgets after that."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

import envelope_secrets
from envelope import AwsAccessDenied, EnvelopeError, InvalidArgument, KeyUnavailable
from envelope_secrets import (
    AsyncSecretsClient,
    CacheLimits,
    NotSupported,
    PolicyFinding,
    Replica,
    Secret,
    SecretConflict,
    SecretDeleted,
    SecretNotFound,
    SecretsClient,
    StageMove,
    StoreFailed,
    VersionPlace,
)
from envelope_secrets.cache.secrets import MAX_IDS
from envelope_secrets.events import EventTeller
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from tests.secret_stores_for_tests import AwsLikeStore, MemoryStore, Setting, TreeStore, until

TOKEN = "0123456789abcdef0123456789abcdef"


def test_every_public_name_is_there() -> None:
    assert set(envelope_secrets.__all__) <= set(dir(envelope_secrets))
    assert all(hasattr(envelope_secrets, name) for name in envelope_secrets.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        getattr(envelope_secrets, "other")  # noqa: B009 - mypy knows that it is not there


def test_importing_it_and_making_a_client_loads_no_boto3_no_sqlite_and_no_event_loop() -> None:
    code = """
import sys, envelope_secrets
envelope_secrets.SecretsClient(), envelope_secrets.CacheLimits(), envelope_secrets.Secret
print(sorted({"boto3", "botocore", "sqlite3", "asyncio", "click", "pydantic"} & sys.modules.keys()))
"""
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert child.stdout.strip() == "[]"


def test_without_a_store_it_is_secrets_manager_made_when_it_is_needed() -> None:
    client = SecretsClient()
    assert repr(client) == "SecretsClient(SecretsManagerStore())"
    assert client._access._store is None
    assert isinstance(client._access.store(), SecretsManagerStore)
    assert client._access.store() is client._access.store()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"store": object()}, "store must be a SecretStore, not object"),
        ({"limits": {"soft_age_s": 3}}, "limits must be CacheLimits, not dict"),
        ({"on_event": 3}, "on_event must be a function"),
        ({"clock": 3}, "clock must be a function"),
        ({"random": 3}, "random must be a function"),
        ({"start_thread": 3}, "start_thread must be a function"),
        ({"wait": 3}, "wait must be a function"),
    ],
)
def test_options_of_a_wrong_kind_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidArgument, match=what):
        SecretsClient(**options)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"soft_age_s": 0}, "soft_age_s must be more than 0"),
        ({"hard_age_s": "4 h"}, "hard_age_s must be a number of seconds"),
        ({"soft_age_s": 300, "hard_age_s": 300}, "soft_age_s must be less than hard_age_s, not 300 with 300 seconds"),
        ({"capacity": 0}, "capacity must be 1 to"),
        ({"serves_after_denial": 1}, "serves_after_denial must be True or False"),
    ],
)
def test_limits_out_of_their_range_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidArgument, match=what):
        CacheLimits(**options)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda client: client.get(3), "secret_id must be text, not int"),
        (lambda client: client.get(["db"]), "secret_id must be text, not list"),
        (lambda client: client.get(""), "secret_id must have 1 to 2,048 characters, not 0"),
        (lambda client: client.get("x" * 2_049), "secret_id must have 1 to 2,048 characters, not 2,049"),
        (lambda client: client.get("db", stage=""), "stage must have 1 to 256"),
        (lambda client: client.get("db", stage=b"AWSCURRENT"), "stage must be text, not bytes"),
        (lambda client: client.get("db", version_id="x" * 65), "version_id must have 1 to 64"),
        (lambda client: client.refresh("db", replacing="secret"), "replacing must be the Secret that did not work"),
        (lambda client: client.refresh(None), "secret_id must be text, not NoneType"),
        (lambda client: client.get_many("db"), "secret_ids must be several ids"),
        (lambda client: client.get_many(7), "secret_ids must be several ids"),
        (lambda client: client.get_many([7]), "secret_id must be text"),
        (lambda client: client.get_many(str(n) for n in range(MAX_IDS + 1)), "secret_ids must be 100,000 at most"),
        (lambda client: client.key_ring({}), "secret_id must be text, not dict"),
        (lambda client: client.invalidate(3), "secret_id must be text, not int"),
        (lambda client: client.put(3, "value"), "secret_id must be text, not int"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_any_call(call: Callable[[Any], object], what: str) -> None:
    setting = Setting()
    with pytest.raises(InvalidArgument, match=what):
        call(setting.client)
    assert setting.store.calls == []


def test_an_error_of_a_store_that_is_none_of_ours_is_told_by_its_kind_alone() -> None:
    setting = Setting()
    with (
        setting.store.failing(ValueError("hunter2")),
        pytest.raises(StoreFailed, match="the store raised ValueError") as caught,
    ):
        setting.text()
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_store_that_gives_no_secret_is_told_so() -> None:
    setting = Setting()
    setting.store._read = lambda *_: "hunter2"  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreFailed, match="a value of type str"):
        setting.text()
    batch = setting.client.get_many(["other"])
    assert "no answer" in str(batch.errors["other"])
    setting.store.read_many = lambda _: 3  # type: ignore[method-assign, assignment, return-value]
    assert "raised TypeError" in str(setting.client.get_many(["third"]).errors["third"])
    setting.store._read = lambda *_: Secret("x", name="db", arn=["arn"], version_id="v1")  # type: ignore[method-assign, arg-type]
    with pytest.raises(StoreFailed, match="a Secret whose name, ARN or version id is no text"):
        setting.text("fourth")


def test_a_tree_of_something_else_than_secrets_is_refused() -> None:
    store = TreeStore(db="secret 1")
    store.read_tree = lambda _: {"db": "hunter2"}  # type: ignore[method-assign, assignment, dict-item]
    with pytest.raises(StoreFailed, match="a value of type str"):
        Setting(store).client.get_tree("/")


def test_a_store_that_asks_the_client_for_the_same_secret_is_told_so() -> None:
    setting = Setting()
    setting.store.before = setting.client.get
    with pytest.raises(InvalidArgument, match="asked for by the call that gets it"):
        setting.text()
    batch = setting.client.get_many(["other"])
    with pytest.raises(InvalidArgument, match="asked for by the call that gets it"):
        _ = batch["other"]


def test_where_no_thread_can_be_started_a_task_is_told_so() -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    client = AsyncSecretsClient(MemoryStore(db="secret 1"), start_thread=refuse)
    with pytest.raises(StoreFailed, match="no thread could be started"):
        asyncio.run(client.get("db"))


def test_an_event_hook_that_raises_is_logged_and_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise ValueError("a fault of the hook")

    client = SecretsClient(MemoryStore(db="secret 1"), on_event=fail)
    assert client.get("db").text == "secret 1"
    assert "on_event of a secrets client raised" in caplog.text
    EventTeller(None).tell("read", "db", None)


def test_events_tell_what_happened_without_values() -> None:
    setting = Setting(MemoryStore(a="1", b="2"), capacity=1)
    setting.client.get("a")
    setting.client.get("b", version_id="v1")
    setting.client.key_ring("a")
    with pytest.raises(SecretNotFound):
        setting.client.get("none", version_id="v9")
    assert [(event.kind, event.secret_id, event.stage, event.version_id) for event in setting.events] == [
        ("read", "a", "AWSCURRENT", "v1"),
        ("read", "b", None, "v1"),
        ("eviction", "a", "AWSCURRENT", "v1"),
        ("read", "a", "key ring", ""),
        ("eviction", "b", None, "v1"),
        ("failure", "none", None, "v9"),
    ]


def test_the_age_of_an_evicted_value_is_told() -> None:
    setting = Setting(MemoryStore(a="1", b="2"), capacity=1)
    setting.client.get("a")
    setting.clock.advance(7)
    setting.client.get("b")
    assert setting.events[-1].age_s == 7


# --- refresh ------------------------------------------------------------------------------------------------------


def test_refresh_asks_at_once_and_everybody_has_the_answer() -> None:
    setting = Setting()
    setting.text()
    setting.store.set("db", "secret 2")
    assert setting.client.refresh("db").text == "secret 2"
    assert setting.text() == "secret 2"
    assert setting.client.refresh("db", version_id="v1").text == "secret 1"


def test_a_refresh_that_fails_leaves_the_value_to_the_others() -> None:
    setting = Setting()
    setting.text()
    with setting.store.failing(KeyUnavailable("outage")), pytest.raises(KeyUnavailable):
        setting.client.refresh("db")
    assert setting.text() == "secret 1"
    assert setting.kinds() == ["read", "outage"]
    with setting.store.failing(SecretDeleted("deleted")), pytest.raises(SecretDeleted):
        setting.client.refresh("db")
    with pytest.raises(SecretDeleted):
        setting.text()


def test_refreshes_that_come_during_one_share_the_next_one() -> None:
    store = MemoryStore(db="secret 1")
    client, gate, begun = SecretsClient(store), threading.Event(), threading.Semaphore(0)

    def wait(_: str) -> None:
        begun.release()
        gate.wait()

    store.before = wait
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(client.refresh, "db")
        begun.acquire()
        others = [pool.submit(client.refresh, "db") for _ in range(8)]
        until(lambda: client.stats().waits == 8)
        gate.set()
        assert {one.result().text for one in [first, *others]} == {"secret 1"}
    assert store.count("read") == 2


# --- many ---------------------------------------------------------------------------------------------------------


def test_prefetched_secrets_are_there_and_errors_are_told_and_not_raised() -> None:
    setting = Setting(MemoryStore(a="1", b="2"))
    errors = setting.client.prefetch(["a", "b", "none"])
    assert {name: type(error) for name, error in errors.items()} == {"none": SecretNotFound}
    assert setting.client.get("a").text + setting.client.get("b").text == "12"
    assert setting.store.calls == [("read_many", "a", "b", "none")]
    assert setting.client.prefetch([]) == {}


def test_a_prefetched_secret_is_renewed_by_a_call_of_its_own() -> None:
    setting = Setting()
    setting.client.prefetch(["db"])
    setting.store.set("db", "secret 2")
    assert setting.renewed_text(301) == "secret 2"
    assert setting.store.calls[1:] == [("read", "db", "AWSCURRENT", "")]


def test_a_batch_that_fails_as_a_whole_is_an_error_for_each_of_its_secrets_and_none_of_the_others() -> None:
    names = [f"s{number:02d}" for number in range(30)]
    setting = Setting(MemoryStore(**dict.fromkeys(names, "value")))

    def fail_first(_: str) -> None:
        setting.store.before = lambda _: None
        raise KeyUnavailable("outage")

    setting.store.before = fail_first
    batch = setting.client.get_many(names)
    assert (len(batch), len(batch.errors)) == (10, 20)
    with pytest.raises(KeyUnavailable):
        _ = batch["s00"]


def test_a_batch_is_a_mapping_that_shows_no_value() -> None:
    batch = SecretsClient(MemoryStore(a="hunter2")).get_many(["a", "b"])
    assert repr(batch) == "SecretBatch(1 secrets, 1 errors)"
    with pytest.raises(AttributeError):
        batch.errors = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        batch.errors["db"] = SecretNotFound("none")  # type: ignore[index]
    assert list(batch) == ["a"]
    assert [name in batch for name in ("a", "b", 3)] == [True, False, False]
    assert batch.get("c") is None
    with pytest.raises(KeyError, match="not asked for"):
        _ = batch["c"]
    with pytest.raises(InvalidArgument):
        _ = batch["c"]


# --- key rings ----------------------------------------------------------------------------------------------------


def ring_setting() -> Setting:
    store = MemoryStore(key="k1")
    store.set("key", "k2")
    return Setting(store)


def test_a_key_ring_has_the_versions_in_the_order_of_their_use_each_once() -> None:
    setting = ring_setting()
    setting.store.set("key", "k3", stages=["AWSPENDING", "other"])
    setting.store.set("key", "k4", stages=["mine"])
    setting.store.move_stage("key", StageMove("AWSCURRENT", "v3", "v2"))
    ring = setting.client.key_ring("key")
    assert [(one.text, one.stages) for one in ring] == [
        ("k3", ("AWSCURRENT", "AWSPENDING", "other")),
        ("k2", ("AWSPREVIOUS",)),
        ("k4", ("mine",)),
    ]
    assert len(ring) == 3
    assert ring.current is ring.pending
    assert repr(ring) == ("KeyRing('key': v3 AWSCURRENT+AWSPENDING+other, v2 AWSPREVIOUS, v4 mine)")
    assert (ring.name, ring.arn) == ("key", ring.current.arn)


def test_an_announced_version_without_a_value_is_left_out() -> None:
    setting = ring_setting()
    setting.store.announce("key", "v9")
    ring = setting.client.key_ring("key")
    assert [one.text for one in ring] == ["k2", "k1"]
    assert ring.pending is None


def test_a_secret_whose_first_value_is_still_to_come_has_a_key_ring_without_a_current_version() -> None:
    setting = Setting(MemoryStore(key="k1"))
    setting.store.move_stage("key", StageMove("AWSCURRENT", None, "v1"))
    ring = setting.client.key_ring("key")
    assert (len(ring), repr(ring), ring.previous) == (0, "KeyRing('key': no versions)", None)
    with pytest.raises(SecretNotFound, match="no current version"):
        _ = ring.current


def test_a_version_that_vanishes_while_its_value_is_read_is_looked_for_again() -> None:
    setting = ring_setting()
    store = setting.store

    def purge(_: str) -> None:
        if store.count("read") == 1:
            store.before = lambda _: None
            store.set("key", "k3")
            del store._secrets["key"].values["v1"]

    store.before = purge
    ring = setting.client.key_ring("key")
    assert [one.text for one in ring] == ["k3", "k2"]
    assert store.count("describe") == 2


def test_labels_that_never_stand_still_are_a_conflict() -> None:
    setting = ring_setting()
    store, purged = setting.store, 0

    def purge(_: str) -> None:
        nonlocal purged
        if store.calls[-1][0] == "read":
            purged += 1
            store.set("key", "later", f"w{purged}")
            store._secrets["key"].values.clear()

    store.before = purge
    with pytest.raises(SecretConflict, match="moved 4 times"):
        setting.client.key_ring("key")
    assert store.count("describe") == 5


def test_a_key_ring_is_renewed_as_one_thing_with_one_value_read_again() -> None:
    setting = ring_setting()
    assert [one.text for one in setting.client.key_ring("key")] == ["k2", "k1"]
    setting.store.set("key", "k3")
    setting.store.calls.clear()
    setting.clock.advance(301)
    assert [one.text for one in setting.client.key_ring("key")] == ["k2", "k1"]
    setting.run_background()
    assert [(one.text, one.stages) for one in setting.client.key_ring("key")] == [
        ("k3", ("AWSCURRENT",)),
        ("k2", ("AWSPREVIOUS",)),
    ]
    assert setting.store.calls == [("describe", "key"), ("read", "key", "", "v3")]


def test_a_key_ring_of_a_secret_that_may_not_be_read_any_more_is_dropped() -> None:
    setting = ring_setting()
    setting.client.key_ring("key")
    setting.store.delete("key")
    setting.clock.advance(301)
    setting.client.key_ring("key")
    setting.run_background()
    with pytest.raises(SecretDeleted, match="scheduled for deletion"):
        setting.client.key_ring("key")


def test_a_key_ring_whose_values_may_not_be_read_any_more_is_dropped_though_it_can_be_described() -> None:
    setting = ring_setting()
    setting.client.key_ring("key")
    setting.clock.advance(301)
    setting.client.key_ring("key")

    def deny(_: str) -> None:
        if setting.store.calls[-1][0] == "read":
            raise AwsAccessDenied("denied", operation="secretsmanager:GetSecretValue", code="AccessDeniedException")

    setting.store.before = deny
    setting.run_background()
    with pytest.raises(AwsAccessDenied):
        setting.client.key_ring("key")


def test_a_deleted_secret_has_no_key_ring_though_nothing_of_it_would_have_to_be_read() -> None:
    setting = ring_setting()
    setting.store.move_stage("key", StageMove("AWSCURRENT", None, "v2"))
    assert [one.text for one in setting.client.key_ring("key")] == ["k1"]
    setting.store.delete("key")
    setting.clock.advance(301)
    setting.client.key_ring("key")
    setting.run_background()
    with pytest.raises(SecretDeleted, match="key is scheduled for deletion"):
        setting.client.key_ring("key")


def test_values_of_a_recreated_secret_are_read_anew() -> None:
    setting = ring_setting()
    setting.client.key_ring("key")
    setting.store.remove("key")
    setting.store.set("key", "new k1")
    setting.clock.advance(301)
    setting.client.key_ring("key")
    setting.run_background()
    assert [one.text for one in setting.client.key_ring("key")] == ["new k1"]


def test_a_binary_key_keeps_its_kind_and_its_date_under_the_labels_of_the_look() -> None:
    setting = Setting(MemoryStore(key=b"\x00\x01"))
    read = setting.store._read

    def relabelled(secret_id: str, stage: str | None, version_id: str | None) -> Secret:
        secret = read(secret_id, stage, version_id)
        return Secret(
            secret.binary, name=secret.name, arn=secret.arn, version_id=secret.version_id, stages=("AWSCURRENT", "x")
        )

    setting.store._read = relabelled  # type: ignore[method-assign]
    ring = setting.client.key_ring("key")
    assert (ring.current.binary, ring.current.stages) == (b"\x00\x01", ("AWSCURRENT",))


# --- trees --------------------------------------------------------------------------------------------------------


def test_a_tree_is_kept_as_one_thing() -> None:
    setting = Setting(TreeStore(**{"/app/a": "1", "/app/b": "2", "/other": "3"}))
    tree = setting.client.get_tree("/app/")
    assert {name: secret.text for name, secret in tree.items()} == {"/app/a": "1", "/app/b": "2"}
    assert setting.client.get_tree("/app/") is tree
    assert setting.store.calls == [("read_tree", "/app/")]
    assert setting.events[-1].stage == "tree"
    with pytest.raises(TypeError):
        tree["/app/c"] = tree["/app/a"]  # type: ignore[index]


def test_a_change_of_what_is_in_a_tree_forgets_the_tree() -> None:
    setting = Setting(TreeStore(**{"/app/a": "1", "/other": "3"}))
    setting.client.get_tree("/app/")
    setting.client.invalidate("/other")
    setting.client.get_tree("/app/")
    assert setting.store.count("read_tree") == 1
    setting.client.put("/app/a", "2")
    assert setting.client.get_tree("/app/")["/app/a"].text == "2"


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda client: client.get_tree("/app/"), "no hierarchies"),
        (lambda client: client.replicate("db", {"eu-west-2": ""}), "no copies in other regions"),
        (lambda client: client.remove_replicas("db", ["eu-west-2"]), "no copies in other regions"),
        (lambda client: client.stop_replication("db"), "no copies in other regions"),
        (lambda client: client.validate_policy("{}"), "have no policies"),
        (lambda client: client.policy.get("db"), "have no policies"),
        (lambda client: client.rotation.start("db"), "starts no rotations"),
    ],
)
def test_what_a_store_cannot_do_is_not_supported(call: Callable[[SecretsClient], object], what: str) -> None:
    with pytest.raises(NotSupported, match=what):
        call(Setting().client)


# --- writing ------------------------------------------------------------------------------------------------------


def test_what_this_client_puts_is_what_it_reads_next() -> None:
    setting = Setting()
    assert setting.text() == "secret 1"
    place = setting.client.put("db", {"password": "secret 2"}, token=TOKEN)
    assert place == VersionPlace(place.arn, "db", TOKEN, ("AWSCURRENT",))
    assert setting.client.get("db").json["password"] == "secret 2"
    setting.client.put("db", b"secret 3", stages=["AWSPENDING"])
    assert setting.client.get("db", stage="AWSPENDING").binary == b"secret 3"


def test_a_version_is_swapped_in_only_for_the_expected_one() -> None:
    setting = Setting()
    setting.text()
    setting.client.put("db", "secret 2", token=TOKEN, expected_version_id="v1")
    assert setting.text() == "secret 2"
    with pytest.raises(SecretConflict):
        setting.client.put("db", "secret 3", expected_version_id="v1")
    assert setting.text() == "secret 2"


def test_everything_can_be_forgotten_at_once() -> None:
    setting = Setting(MemoryStore(a="1", b="2"))
    setting.client.prefetch(["a", "b"])
    setting.client.invalidate()
    assert setting.client.stats().secrets == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda client: client.put("db", "x"),
        lambda client: client.update("db", description="x"),
        lambda client: client.delete("db"),
        lambda client: client.restore("db"),
        lambda client: client.stages.promote("db", "v2"),
    ],
)
def test_after_a_change_nothing_of_the_secret_is_kept_under_any_of_its_names(
    change: Callable[[SecretsClient], object],
) -> None:
    setting = Setting(MemoryStore(db="secret 1", other="secret 2"))
    setting.store.set("db", "secret 2", stages=["AWSPENDING"])
    arn = setting.client.get("db").arn
    setting.client.get("db", stage="AWSPENDING")
    setting.client.get(arn)
    setting.client.get(arn[:-7])
    setting.client.key_ring(arn)
    setting.client.get("other")
    assert setting.client.stats().secrets == 6
    change(setting.client)
    assert setting.client.stats().secrets == 1


def test_a_change_by_an_arn_that_nothing_is_kept_under_forgets_the_name_too() -> None:
    setting = Setting()
    arn = setting.client.get("db").arn
    setting.client.put(arn, "secret 2")
    assert setting.text() == "secret 2"


def test_a_change_whose_reply_is_lost_forgets_what_was_known_too() -> None:
    setting = Setting()
    setting.text()
    put = setting.store.put

    def lost(*arguments: Any) -> None:
        put(*arguments)
        raise KeyUnavailable("no reply")

    setting.store.put = lost  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyUnavailable):
        setting.client.put("db", "secret 2")
    assert setting.text() == "secret 2"


def test_a_secret_that_was_missing_a_moment_ago_is_there_once_it_is_created() -> None:
    setting = Setting()
    with pytest.raises(SecretNotFound):
        setting.client.get("new")
    setting.client.create("new", {"password": "x"}, token=TOKEN)
    assert setting.client.get("new").version_id == TOKEN


def test_the_rest_is_the_store_s() -> None:
    setting = Setting()
    client = setting.client
    assert client.describe("db").name == "db"
    assert [one.version_id for one in client.versions("db", include_deprecated=True)] == ["v1"]
    assert [one.name for one in client.list(prefix="d")] == ["db"]
    client.tag("db", {"team": "a"})
    client.untag("db", ["team"])
    assert client.delete("db", recovery_window_days=7) is not None
    assert client.describe("db").deleted is not None
    assert [call[0] for call in setting.store.calls] == [
        "describe", "versions", "list", "tag", "untag", "delete", "describe"
    ]  # fmt: skip
    assert client.rotation.status("db").enabled is None
    client.restore("db")
    client.stages.repair("db")


def test_copies_and_policies_are_the_store_s() -> None:
    client = SecretsClient(AwsLikeStore(db="secret 1"))
    assert client.replicate("db", {"eu-west-2": "key"}, overwrite=True) == (
        Replica("eu-west-2", "InSync", "key", "True"),
    )
    assert client.remove_replicas("db", ["eu-west-2"]) == ()
    assert client.stop_replication("db") == "arn"
    assert client.policy.get("db") == "{}"
    assert client.validate_policy("{}", secret_id="db") == (PolicyFinding("check", "{} db"),)


# --- the rest -----------------------------------------------------------------------------------------------------


def test_functions_are_given_secrets_when_they_are_called() -> None:
    setting = Setting(MemoryStore(db='{"password": "old"}'))

    @setting.client.inject(password="db:password")
    def connect(user: str, password: str = "") -> str:
        return f"{user} {password}"

    assert connect("me") == "me old"
    setting.client.put("db", {"password": "new"})
    assert connect("me") == "me new"


def test_a_secret_is_an_object_of_a_class() -> None:
    @dataclass
    class Database:
        port: int

    assert SecretsClient(MemoryStore(db='{"port": "5432"}')).get("db").as_(Database) == Database(5_432)


CALLS: list[Callable[[SecretsClient], object]] = [
    lambda client: client.get("db"),
    lambda client: client.refresh("db"),
    lambda client: client.get_tree("/"),
    lambda client: client.key_ring("db"),
    lambda client: client.invalidate(),
    lambda client: client.on_change("db", print),
    lambda client: client.create("new", "x"),
    lambda client: client.put("db", "x"),
    lambda client: client.describe("db"),
    lambda client: client.stages,
    lambda client: client.rotation,
    lambda client: client.policy,
    lambda client: client.list(),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_client_refuses_everything(call: Callable[[SecretsClient], object]) -> None:
    setting = Setting()
    setting.text()
    setting.client.close()
    with pytest.raises(InvalidArgument, match="the secrets client is closed"):
        call(setting.client)
    assert setting.client.get_many(["db"]).errors.keys() == {"db"}
    assert setting.store.count("read") == 1


def test_what_comes_in_after_the_client_was_closed_is_not_kept() -> None:
    setting = Setting()
    setting.store.before = lambda _: setting.client.close()
    with pytest.raises(InvalidArgument, match="closed"):
        setting.text()
    assert setting.client.stats().secrets == 0


def test_nothing_of_a_client_can_be_pickled_or_copied() -> None:
    import copy
    import pickle

    setting = Setting()
    for thing in (
        setting.client,
        setting.client.get("db"),
        setting.client.get_many(["db"]),
        setting.client.key_ring("db"),
    ):
        for way in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="holds a secret"):
                way(thing)


def test_everything_it_raises_is_of_one_family() -> None:
    assert issubclass(StoreFailed, EnvelopeError)
