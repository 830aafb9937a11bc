"""One secret under several names: what is learned of it by one of them soon shows under the others, too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from envelope import AwsAccessDenied, EnvelopeError
from envelope_secrets import KeyRing, Secret, SecretDeleted, SecretNotFound
from envelope_secrets.cache.keys import CacheKey, Whole
from envelope_secrets.cache.known_keys import LEAST_NOTES, KnownKeys
from tests.secret_stores_for_tests import MemoryStore, Setting, TreeStore

DENIED = AwsAccessDenied("denied", operation="secretsmanager:GetSecretValue", code="AccessDeniedException")
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-000001"
NAMES = ("db", ARN, ARN[:-7])


def reading(*names: str, store: MemoryStore | None = None, **options: Any) -> Setting:
    """A client that has read a secret by these names."""
    setting = Setting(store, **options)
    for name in names:
        setting.client.get(name)
    return setting


def after_renewal(setting: Setting, name: str) -> str:
    """What a name gives once the renewal has run that its use may start."""
    setting.text(name)
    setting.run_background()
    return setting.text(name)


@pytest.mark.parametrize("seen_by", NAMES)
def test_a_new_version_that_was_seen_by_one_name_soon_shows_under_the_others(seen_by: str) -> None:
    setting = reading(*NAMES)
    setting.store.set("db", "secret 2")
    setting.client.refresh(seen_by)
    for name in NAMES:
        assert setting.text(name) in ("secret 1", "secret 2"), "nobody waits"
        assert after_renewal(setting, name) == "secret 2"
    assert setting.store.count("read") == 6, "one more call for each"


def test_a_new_version_that_a_new_name_brings_soon_shows_under_the_others() -> None:
    setting = reading("db")
    setting.store.set("db", "secret 2")
    setting.text(ARN)
    assert after_renewal(setting, "db") == "secret 2"


def test_another_secret_under_the_name_is_looked_for_under_the_old_arn() -> None:
    setting = reading("db", ARN)
    setting.store.remove("db")
    setting.store.set("db", "another")
    setting.client.refresh("db")
    with pytest.raises(SecretNotFound):
        after_renewal(setting, ARN)


def test_the_same_version_again_costs_no_other_name_a_call() -> None:
    setting = reading(*NAMES)
    for name in NAMES * 3:
        setting.client.refresh(name)
        setting.text(name)
    assert not setting.background
    assert setting.store.count("read") == 12


def test_other_labels_are_let_alone() -> None:
    setting = reading("db")
    setting.store.set("db", "secret 2", stages=["AWSPENDING"])
    setting.client.get(ARN, stage="AWSPENDING")
    setting.client.get(ARN, version_id="v2")
    setting.store.set("db", "secret 3", stages=["AWSPENDING"])
    setting.client.refresh(ARN, stage="AWSPENDING")
    setting.text()
    setting.client.get(ARN, version_id="v2")
    assert not setting.background


def test_two_names_whose_answers_differ_do_not_drive_each_other_on() -> None:
    setting = reading(*NAMES)
    read = setting.store._read
    setting.store.set("db", "secret 2")

    def late(secret_id: str, stage: str | None, version_id: str | None) -> Secret:
        """A copy of the service that has not heard of the change, and answers for one of the names."""
        return read(secret_id, None, "v2" if secret_id == "db" else "v1")

    setting.store._read = late  # type: ignore[method-assign]
    setting.client.refresh("db")
    for _ in range(20):
        for name in NAMES:
            setting.text(name)
            setting.run_background()
    assert setting.store.count("read") == 6


REFUSALS: dict[str, Callable[[Setting], object]] = {
    "name": lambda setting: setting.client.get("db"),
    "arn": lambda setting: setting.client.get(ARN),
    "version": lambda setting: setting.client.get("db", version_id="v1"),
    "ring": lambda setting: setting.client.key_ring("db"),
    "tree": lambda setting: setting.client.get_tree("d"),
}


@pytest.mark.parametrize("error", [DENIED, SecretDeleted("it is scheduled for deletion")])
@pytest.mark.parametrize("refused", [lambda client: client.refresh("db"), lambda client: client.refresh(ARN)])
def test_a_denial_by_one_name_soon_is_one_by_all_and_in_wholes(
    error: EnvelopeError, refused: Callable[..., Any]
) -> None:
    setting = reading("db", ARN, store=TreeStore(db="secret 1"))
    for read in REFUSALS.values():
        read(setting)
    with setting.store.failing(error):
        with pytest.raises(type(error)):
            refused(setting.client)
        for read in REFUSALS.values():
            try:
                read(setting)  # what is in memory serves until the store has said no
            except type(error):
                continue
            setting.run_background()
            with pytest.raises(type(error)):
                read(setting)


def test_a_key_ring_that_is_denied_has_the_versions_asked_for() -> None:
    setting = reading(ARN)
    ring = setting.client.key_ring("db")
    assert isinstance(ring, KeyRing)
    setting.clock.advance(301)
    with setting.store.failing(DENIED):
        setting.client.key_ring("db")
        setting.run_background()
        setting.text(ARN)
        setting.run_background()
        with pytest.raises(AwsAccessDenied):
            setting.text(ARN)


def test_a_label_that_is_gone_says_nothing_of_the_others() -> None:
    setting = reading("db", ARN)
    setting.store.set("db", "secret 2", stages=["AWSPENDING"])
    for name in ("db", ARN):
        setting.client.get(name, stage="AWSPENDING")
    setting.client.key_ring("db")
    setting.store._secrets["db"].labels = setting.store._secrets["db"].labels.of({"v1": ("AWSCURRENT",)})
    with pytest.raises(SecretNotFound):
        setting.client.refresh("db", stage="AWSPENDING")
    assert [setting.text(name) for name in ("db", ARN)] == ["secret 1"] * 2
    assert not setting.background, "of the current version nothing else is known"
    setting.client.get(ARN, stage="AWSPENDING")
    setting.client.key_ring("db")
    setting.run_background()
    with pytest.raises(SecretNotFound):
        setting.client.get(ARN, stage="AWSPENDING")
    assert setting.client.key_ring("db").pending is None


def test_a_tree_that_is_denied_is_a_denial_of_nothing_else() -> None:
    setting = reading("db", store=TreeStore(db="secret 1"))
    setting.client.get_tree("d")
    setting.clock.advance(301)
    setting.client.get("db")
    setting.run_background()
    with setting.store.failing(DENIED):
        setting.client.get_tree("d")
        setting.run_background()
    setting.text()
    assert not setting.background


def test_what_serves_after_a_denial_goes_on_and_pauses_after_its_own_failure() -> None:
    setting = reading("db", ARN, serves_after_denial=True)
    with setting.store.failing(DENIED):
        for _ in range(50):
            for name in ("db", ARN):
                with pytest.raises(AwsAccessDenied):
                    setting.client.refresh(name)
                assert after_renewal(setting, name) == "secret 1"
    assert setting.store.count("read") <= 2 + 100 + 2


# --- the index ------------------------------------------------------------------------------------------------------


def a_secret(arn: str) -> Secret:
    return Secret("x", name=arn, arn=arn, version_id="v1")


def test_what_many_secrets_are_is_not_looked_at_for_each_of_them() -> None:
    names = [f"a{number}" for number in range(1_000)]
    setting = Setting(MemoryStore(**dict.fromkeys(names, "x")))
    cache, looks = setting.client._cache, list[int]()
    items = cache._entries.items

    def look() -> list[tuple[CacheKey, Any]]:
        looks.append(1)
        return items()

    cache._known._items = cache._entries.items = look  # type: ignore[method-assign]
    setting.client.prefetch(names)
    assert (len(cache._entries), looks) == (1_000, [])


def test_an_index_that_has_become_too_long_is_made_anew_of_what_is_kept() -> None:
    kept: dict[CacheKey, Any] = {("kept", "AWSCURRENT", None): a_secret("kept"), ("/app/", Whole.TREE, None): {}}
    known = KnownKeys(kept.items, capacity=10)
    for key, value in kept.items():
        known.note(key, value)
        known.note(key, value)
    assert (known.of("kept"), known.trees()) == ((("kept", "AWSCURRENT", None),), (("/app/", Whole.TREE, None),))
    for number in range(LEAST_NOTES + 20):
        known.note((f"a{number}", "AWSCURRENT", None), a_secret(f"a{number}"))
    assert known.of("a0") == ()
    assert known.of("kept") == (("kept", "AWSCURRENT", None),)
    assert known.trees() == (("/app/", Whole.TREE, None),)
    assert known.of(f"a{LEAST_NOTES + 19}"), "what came after that is there, too"


def test_an_index_names_what_is_not_kept_any_more_and_nobody_minds() -> None:
    setting = reading("db", ARN, store=TreeStore(db="secret 1"))
    setting.client.key_ring("db")
    setting.client.get_tree("d")
    setting.client.invalidate()
    setting.store.set("db", "secret 2")
    assert setting.text() == "secret 2"
    assert len(setting.client._cache._entries) == 1


def test_the_index_of_a_forked_child_has_a_lock_of_its_own() -> None:
    known = KnownKeys(list, capacity=10)
    known.note(("a", "AWSCURRENT", None), a_secret("a"))
    with known._lock:
        known.reset_after_fork()
        assert known.of("a") == ()
    assert isinstance(known._lock, type(threading.Lock()))
