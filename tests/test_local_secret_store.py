"""LocalSecretStore as its users see it: the semantics of Secrets Manager over one file."""

from __future__ import annotations

import gc
import logging
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from envelope import Client, DataKeyCache, KeyUnavailable, KmsKeyring, LocalKeyring, LocalKeystore, WrapRequest
from envelope.errors import AwsUnavailable, EnvelopeError, InvalidArgument
from envelope.materials import DataKey, UnwrappedDataKey, UnwrapRequest
from envelope.testing import FakeClock, FakeKms
from envelope_secrets.errors import (
    NotSupported,
    SecretConflict,
    SecretDeleted,
    SecretKeyUnavailable,
    SecretNotFound,
    SecretRefused,
    SecretsError,
    StoreFailed,
)
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StageMove
from envelope_secrets.stores.local import MOST_RACES, LocalSecretStore
from envelope_secrets.stores.protocol import (
    HasPolicies,
    HasTrees,
    NewSecret,
    NewVersion,
    Replicates,
    Rotates,
    SecretStore,
    SecretVersion,
    VersionPlace,
)
from envelope_secrets.value import Secret
from tests.fake_kms_for_tests import new_key
from tests.keyrings_for_tests import raw_aes
from tests.local_secrets_for_tests import DAY_S, NAME, edited, local_store, secret, stages, token, version
from tests.python_child import run_python

CANARY = "canary-7f3a9c"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets.db"


@pytest.fixture
def store(path: Path, clock: FakeClock) -> Iterator[LocalSecretStore]:
    with local_store(path, clock=clock) as store:
        yield store


def test_it_is_a_store_without_policies_replicas_trees_and_rotations_of_its_own(store: LocalSecretStore) -> None:
    assert isinstance(store, SecretStore)
    for protocol in (Rotates, HasPolicies, Replicates, HasTrees):
        assert not isinstance(store, protocol)


@pytest.mark.parametrize("value", ["pässwörd", b"\x00\xff", "x" * 65_536, b"t", "b"], ids=repr)
def test_a_value_comes_back_as_it_was_and_of_its_type(store: LocalSecretStore, value: str | bytes) -> None:
    place = store.create(secret(value))
    found = store.read(NAME)
    assert (found.binary if isinstance(value, bytes) else found.text) == value
    assert found.is_binary is isinstance(value, bytes)
    assert (found.name, found.arn, found.version_id, found.stages) == (NAME, place.arn, token(1), (AWSCURRENT,))
    assert found.created == datetime(2026, 1, 1, tzinfo=UTC)


def test_another_process_finds_what_was_stored(path: Path) -> None:
    with local_store(path) as store:
        arn = store.create(secret("value")).arn
    with local_store(path) as store:
        assert store.read(NAME).text == "value"
        assert store.read(NAME).arn == arn


def test_neither_value_nor_key_is_in_the_file(path: Path, store: LocalSecretStore) -> None:
    store.create(secret(CANARY))
    for file in path.parent.iterdir():
        assert CANARY.encode() not in file.read_bytes()
        assert bytes([1]) * 32 not in file.read_bytes()


def test_names_full_arns_and_partial_arns_find_a_secret(store: LocalSecretStore) -> None:
    arn = store.create(secret("value")).arn
    assert arn[:-6].endswith(f":secret:{NAME}-")
    assert arn.startswith("arn:aws:secretsmanager:local:")
    for known in (NAME, arn, arn[:-7]):
        assert store.read(known).text == "value"
    others = [
        "prod",
        "PROD/DB",
        arn[:-1],
        f"{arn}x",
        arn.replace(":local:", ":eu-west-1:"),
        arn.replace(":secret:", ":key:"),
        arn[:-6] + "aaaaaa",
        f"{arn[:29]}{'9' * 12 if arn[29] != '9' else '8' * 12}{arn[41:]}",
        "arn:",
    ]
    for unknown in others:
        with pytest.raises(SecretNotFound, match="there is no such secret"):
            store.read(unknown)


def test_a_partial_arn_that_looks_complete_finds_nothing_as_in_the_service(store: LocalSecretStore) -> None:
    arn = store.create(secret("value", name="name-abcdef")).arn
    assert store.read("name-abcdef").arn == arn
    assert store.read(arn).text == "value"
    with pytest.raises(SecretNotFound):
        store.read(arn[:-7])


def test_a_recreated_secret_is_another_one(store: LocalSecretStore) -> None:
    first = store.create(secret("first")).arn
    store.delete(NAME, recovery_window_days=None)
    second = store.create(secret("second")).arn
    assert first != second
    assert store.read(NAME).text == "second"
    with pytest.raises(SecretNotFound):
        store.read(first)


def test_two_stores_have_numbers_of_their_own(tmp_path: Path) -> None:
    arns = []
    for number in range(2):
        with local_store(tmp_path / str(number)) as store:
            arns.append(store.create(secret()).arn.split(":")[4])
    assert arns[0] != arns[1]
    assert all(len(number) == 12 and number.isdigit() for number in arns)


def test_a_secret_without_a_value_is_described_and_not_read(store: LocalSecretStore) -> None:
    place = store.create(NewSecret(NAME, description="first value by rotation"))
    assert place == VersionPlace(place.arn, NAME, "", ())
    assert store.versions(NAME) == ()
    with pytest.raises(SecretNotFound, match="no version with that id or staging label has a value") as caught:
        store.read(NAME)
    assert caught.value.code == "ResourceNotFoundException"


def test_creating_again_with_the_same_token_and_value_changes_nothing(store: LocalSecretStore) -> None:
    first = store.create(secret("value", 1))
    store.put(NAME, version("next", 2))
    again = store.create(secret("value", 1))
    assert (again.arn, again.version_id, again.stages) == (first.arn, token(1), (AWSPREVIOUS,))
    for other in (secret("other", 1), secret("value", 3), secret(b"value", 1), NewSecret(NAME)):
        with pytest.raises(SecretConflict, match="the name is in use already"):
            store.create(other)
    assert stages(store) == {"1": "AWSPREVIOUS", "2": "AWSCURRENT"}


def test_putting_again_with_the_same_token_and_value_moves_no_label(store: LocalSecretStore) -> None:
    store.create(secret("first", 1))
    store.put(NAME, version("second", 2))
    before = store.describe(NAME)
    assert store.put(NAME, version("first", 1)).stages == (AWSPREVIOUS,)
    assert store.put(NAME, version("second", 2, "other")).stages == (AWSCURRENT,)
    assert store.describe(NAME) == before


@pytest.mark.parametrize("value", ["other", b"first"], ids=repr)
def test_a_token_with_another_value_is_a_conflict_that_shows_no_value(
    store: LocalSecretStore, value: str | bytes
) -> None:
    store.create(secret("first", 1))
    with pytest.raises(SecretConflict, match="the token is that of a version with another value") as caught:
        store.put(NAME, version(value, 1))
    assert caught.value.code == "ResourceExistsException"
    assert "first" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__} {caught.value.__context__}"


def test_nothing_can_be_put_to_a_secret_that_is_not_there(store: LocalSecretStore) -> None:
    with pytest.raises(SecretNotFound, match="secret 'prod/db': there is no such secret"):
        store.put(NAME, version("value", 1))


def test_labels_move_with_puts(store: LocalSecretStore) -> None:
    store.create(secret("first", 1))
    assert store.put(NAME, version("second", 2)).stages == (AWSCURRENT,)
    assert store.put(NAME, version("third", 3, AWSPENDING, "mine")).stages == (AWSPENDING, "mine")
    assert stages(store) == {"1": "AWSPREVIOUS", "2": "AWSCURRENT", "3": "AWSPENDING mine"}
    assert store.read(NAME, stage=AWSPENDING).text == "third"
    assert store.read(NAME, stage=None, version_id=token(1)).text == "first"
    assert store.read(NAME, stage="mine", version_id=token(3)).stages == (AWSPENDING, "mine")


def test_a_label_that_is_not_on_the_version_is_a_conflict(store: LocalSecretStore) -> None:
    store.create(secret("first", 1))
    with pytest.raises(SecretConflict, match="the version does not have the staging label"):
        store.read(NAME, stage=AWSPENDING, version_id=token(1))
    with pytest.raises(SecretNotFound):
        store.read(NAME, stage=AWSPENDING)
    with pytest.raises(SecretNotFound):
        store.read(NAME, stage=None, version_id=token(9))


def test_a_move_is_a_compare_and_swap(store: LocalSecretStore) -> None:
    store.create(secret("first", 1))
    store.put(NAME, version("second", 2, AWSPENDING))
    with pytest.raises(SecretConflict, match=f"AWSCURRENT is on version {token(1)}, not on version {token(2)}"):
        store.move_stage(NAME, StageMove(AWSCURRENT, token(1), token(2)))
    with pytest.raises(SecretConflict, match="currently attached to version"):
        store.move_stage(NAME, StageMove(AWSCURRENT, token(2), None))
    store.move_stage(NAME, StageMove(AWSCURRENT, token(2), token(1)))
    assert stages(store) == {"1": "AWSPREVIOUS", "2": "AWSCURRENT AWSPENDING"}
    store.move_stage(NAME, StageMove(AWSPENDING, None, token(2)))
    assert stages(store) == {"1": "AWSPREVIOUS", "2": "AWSCURRENT"}


def test_an_announced_version_has_a_label_and_no_value_until_it_is_put(store: LocalSecretStore) -> None:
    store.create(secret("first", 1))
    assert store.announce(NAME, token(2)).stages == (AWSPENDING,)
    assert store.announce(NAME, token(2)).stages == (AWSPENDING,)
    assert store.versions(NAME)[0] == SecretVersion(token(2), (AWSPENDING,), None, has_value=False)
    for selector in ({"stage": AWSPENDING}, {"stage": None, "version_id": token(2)}):
        with pytest.raises(SecretNotFound):
            store.read(NAME, **selector)
    with pytest.raises(SecretConflict, match="a rotation of the secret is not complete"):
        store.announce(NAME, token(3))
    store.put(NAME, version("second", 2, AWSPENDING))
    assert store.read(NAME, stage=AWSPENDING).text == "second"
    store.move_stage(NAME, StageMove(AWSCURRENT, token(2), token(1)))
    store.announce(NAME, token(3))
    assert stages(store) == {"1": "AWSPREVIOUS", "2": "AWSCURRENT", "3": "AWSPENDING"}


def test_versions_are_listed_the_youngest_first(store: LocalSecretStore, clock: FakeClock) -> None:
    store.create(secret("first", 1))
    for number in (2, 3):
        clock.advance(60)
        store.put(NAME, version("value", number))
    assert [one.version_id for one in store.versions(NAME)] == [token(3), token(2)]
    everything = store.versions(NAME, include_deprecated=True)
    assert [(one.version_id, one.stages) for one in everything] == [
        (token(3), (AWSCURRENT,)),
        (token(2), (AWSPREVIOUS,)),
        (token(1), ()),
    ]
    assert everything[1].created == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert store.read(NAME, stage=None, version_id=token(1)).stages == ()


def test_a_hundred_versions_are_kept_and_the_oldest_goes_with_its_value(
    store: LocalSecretStore, path: Path, clock: FakeClock
) -> None:
    store.create(secret("value", 1))
    for number in range(2, 101):
        store.put(NAME, version("value", number))
    with pytest.raises(SecretRefused, match="younger than 24 hours"):
        store.put(NAME, version("value", 101))
    clock.advance(DAY_S + 1)
    store.put(NAME, version("value", 101))
    with pytest.raises(SecretNotFound):
        store.read(NAME, stage=None, version_id=token(1))
    assert len(store.versions(NAME, include_deprecated=True)) == 100
    with edited(path) as connection:
        assert connection.execute("SELECT count(*) FROM sealed_values").fetchone() == (100,)


def test_more_than_twenty_labels_are_refused(store: LocalSecretStore) -> None:
    store.create(secret("first", 1))
    with pytest.raises(SecretRefused, match="20 staging labels"):
        store.put(NAME, version("second", 2, *(f"label {number}" for number in range(20))))
    assert stages(store) == {"1": "AWSCURRENT"}


def test_a_description_and_tags_change(store: LocalSecretStore, clock: FakeClock) -> None:
    store.create(secret(description="old", tags={"team": "a", "stage": "prod"}))
    clock.advance(5)
    store.update(NAME, description="new")
    store.tag(NAME, {"team": "b", "Größe": ""})
    store.untag(NAME, ["stage", "unknown"])
    described = store.describe(NAME)
    assert described.description == "new"
    assert described.tags == {"team": "b", "Größe": ""}
    assert described.created == datetime(2026, 1, 1, tzinfo=UTC)
    assert described.changed == datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert described.deleted is described.last_accessed is None


def test_secrets_are_listed_by_name_and_prefix(store: LocalSecretStore, clock: FakeClock) -> None:
    for number in range(230):
        store.create(NewSecret(f"many/{number:03}"))
    store.create(NewSecret("Other"))
    store.create(NewSecret("z/deleted"))
    store.delete("z/deleted")
    names = [f"many/{number:03}" for number in range(230)]
    assert [described.name for described in store.list()] == ["Other", *names]
    assert [described.name for described in store.list(prefix="many/1")] == names[100:200]
    assert [described.name for described in store.list(prefix="MANY")] == []
    (deleted,) = store.list(prefix="z", include_deleted=True)
    assert (deleted.name, deleted.deleted) == ("z/deleted", datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(30 * DAY_S)
    assert list(store.list(prefix="z", include_deleted=True)) == []


def test_many_are_read_with_an_error_for_each_that_cannot_be(store: LocalSecretStore) -> None:
    store.create(secret("a", name="a"))
    store.create(secret("b", name="b"))
    store.delete("b")
    found = store.read_many(["a", "b", "c", "", "a"])
    assert list(found) == ["a", "b", "c", ""]
    assert isinstance(found["a"], Secret)
    assert found["a"].text == "a"
    assert [type(found[one]) for one in ("b", "c", "")] == [SecretDeleted, SecretNotFound, InvalidArgument]


def test_a_deleted_secret_can_be_described_and_restored_and_nothing_else(store: LocalSecretStore) -> None:
    store.create(secret("first", 1))
    assert store.delete(NAME, recovery_window_days=7) == datetime(2026, 1, 8, tzinfo=UTC)
    calls: list[Callable[[], object]] = [
        lambda: store.read(NAME),
        lambda: store.put(NAME, version("second", 2)),
        lambda: store.put(NAME, version("first", 1)),
        lambda: store.announce(NAME, token(2)),
        lambda: store.update(NAME, description="x"),
        lambda: store.move_stage(NAME, StageMove("mine", token(1), None)),
        lambda: store.tag(NAME, {"a": "b"}),
        lambda: store.untag(NAME, ["a"]),
        lambda: store.delete(NAME),
        lambda: store.create(secret("first", 1)),
    ]
    for call in calls:
        with pytest.raises(SecretDeleted, match="is scheduled for deletion"):
            call()
    assert store.describe(NAME).deleted == datetime(2026, 1, 1, tzinfo=UTC)
    assert list(store.list()) == []
    store.restore(NAME)
    assert store.read(NAME).text == "first"
    with pytest.raises(SecretConflict):
        store.restore(NAME)


def test_a_deletion_that_is_scheduled_calls_no_key(path: Path) -> None:
    keyring = Spied()
    with LocalSecretStore(path, keyring, clock=FakeClock()) as store:
        store.create(secret())
        store.delete(NAME)
        before = keyring.wraps
        with pytest.raises(SecretDeleted):
            store.put(NAME, version("second", 2))
        assert keyring.wraps == before


def values_in(path: Path) -> int:
    with edited(path) as connection:
        (count,) = connection.execute("SELECT count(*) FROM sealed_values").fetchone()
    return int(count)


def test_a_secret_is_gone_for_good_after_its_recovery_window(
    store: LocalSecretStore, path: Path, clock: FakeClock
) -> None:
    arn = store.create(secret("first", 1)).arn
    store.delete(NAME, recovery_window_days=30)
    clock.advance(30 * DAY_S - 1)
    assert store.describe(NAME).name == NAME
    clock.advance(1)
    for call in (store.describe, store.read, store.restore):
        with pytest.raises(SecretNotFound):
            call(NAME)
    store.create(secret("second", 1))
    assert store.read(NAME).text == "second"
    with pytest.raises(SecretNotFound):
        store.read(arn)
    assert values_in(path) == 1


def test_a_change_purges_what_is_due_from_all_files_of_a_store(path: Path, clock: FakeClock) -> None:
    with local_store(path, clock=clock) as store:
        store.create(secret("first", 1, description="remember-me-not"))
        store.create(secret("stays", 1, name="stays"))
        store.delete(NAME, recovery_window_days=7)
        clock.advance(7 * DAY_S)
        assert any(b"remember-me-not" in file.read_bytes() for file in path.parent.iterdir())
        with local_store(path, clock=clock) as other:
            assert other.read("stays").text == "stays"
            assert values_in(path) == 2, "it was opened and read"
            other.tag("stays", {"team": "a"})
            assert values_in(path) == 1
            assert not any(b"remember-me-not" in file.read_bytes() for file in path.parent.iterdir())


def test_a_deletion_without_recovery_overwrites_the_secret(store: LocalSecretStore, path: Path) -> None:
    store.create(secret("first", 1, description="remember-me-not"))
    assert store.delete(NAME, recovery_window_days=None) == datetime(2026, 1, 1, tzinfo=UTC)
    assert not any(b"remember-me-not" in file.read_bytes() for file in path.parent.iterdir())
    assert store.delete(NAME, recovery_window_days=None) is not None, "to delete what is not there is no error"
    with pytest.raises(SecretNotFound):
        store.delete(NAME)


def test_what_is_being_deleted_can_be_deleted_at_once(store: LocalSecretStore) -> None:
    store.create(secret())
    store.delete(NAME)
    store.delete(NAME, recovery_window_days=None)
    store.create(secret("again", 1))
    assert store.read(NAME).text == "again"


def test_keys_and_copies_of_single_secrets_are_not_supported(store: LocalSecretStore) -> None:
    for new in (NewSecret(NAME, kms_key_id="alias/mine"), NewSecret(NAME, replica_regions={"eu-west-1": ""})):
        with pytest.raises(NotSupported) as caught:
            store.create(new)
        assert caught.value.hint
    store.create(secret())
    with pytest.raises(NotSupported):
        store.update(NAME, kms_key_id="alias/mine")
    store.update(NAME, kms_key_id="")


WRONG: list[tuple[str, Callable[[Any], object]]] = [
    ("secret_id must be a name or an ARN, not int", lambda store: store.read(1)),
    ("secret_id must be 1 to 2,048 printable characters", lambda store: store.read("")),
    ("secret_id must be 1 to 2,048 printable characters", lambda store: store.describe("x" * 2_049)),
    ("secret_id must be 1 to 2,048 printable characters", lambda store: store.versions("prod/db\n")),
    ("stage has a label that must be text, not int", lambda store: store.read(NAME, stage=1)),
    ("version_id must have 32 to 64", lambda store: store.read(NAME, version_id="short")),
    ("include_deprecated must be True or False", lambda store: store.versions(NAME, include_deprecated="no")),
    ("include_deleted must be True or False", lambda store: store.list(include_deleted=None)),
    ("prefix must be text, not NoneType", lambda store: store.list(prefix=None)),
    ("prefix must have only the letters", lambda store: store.list(prefix="%")),
    ("secret must be a NewSecret, not str", lambda store: store.create(NAME)),
    ("name must have only the letters", lambda store: store.create(NewSecret("a b"))),
    (
        "description must be text",
        lambda store: store.create(NewSecret(NAME, description=b"")),  # type: ignore[arg-type]
    ),
    ("tags must map names", lambda store: store.create(NewSecret(NAME, tags=["a"]))),  # type: ignore[arg-type]
    ("version must be a NewVersion, not str", lambda store: store.create(NewSecret(NAME, "value"))),  # type: ignore[arg-type]
    ("version must be a NewVersion, not str", lambda store: store.put(NAME, "value")),
    ("value must have 1 to 65,536 bytes", lambda store: store.put(NAME, version("", 1))),
    ("value must have 1 to 65,536 bytes", lambda store: store.put(NAME, version("ü" * 32_769, 1))),
    ("value must be text that can be written in UTF-8", lambda store: store.put(NAME, version("\ud800", 1))),
    ("token must have 32 to 64 characters", lambda store: store.put(NAME, NewVersion("value", "short"))),
    ("stages must have 1 to 20 labels", lambda store: store.put(NAME, NewVersion("value", token(1), ()))),
    ("token must have 32 to 64 characters", lambda store: store.announce(NAME, "short")),
    ("description must have 0 to 2,048", lambda store: store.update(NAME, description="x" * 2_049)),
    ("move must be a StageMove, not str", lambda store: store.move_stage(NAME, AWSCURRENT)),
    ("version_id must be text", lambda store: store.move_stage(NAME, StageMove("mine", token(1), 1))),  # type: ignore[arg-type]
    ("recovery_window_days must be 7 to 30 days", lambda store: store.delete(NAME, recovery_window_days=6)),
    ("recovery_window_days must be a whole number", lambda store: store.delete(NAME, recovery_window_days=True)),
    ("tags must map names to values", lambda store: store.tag(NAME, ["a"])),
    ("names must be several texts, not str", lambda store: store.untag(NAME, "team")),
    ("names must be several texts, not int", lambda store: store.untag(NAME, 1)),
    ("names must be several texts; one of them is int", lambda store: store.untag(NAME, [1])),
    ("names has a name that begins with aws:", lambda store: store.untag(NAME, ["aws:x"])),
    ("secret_ids must be several texts, not str", lambda store: store.read_many(NAME)),
]


@pytest.mark.parametrize(("text", "call"), WRONG, ids=[text for text, _ in WRONG])
def test_what_no_store_would_take_is_an_invalid_argument(
    store: LocalSecretStore, text: str, call: Callable[[Any], object]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call(store)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"clock": 1}, {"busy_timeout_s": 0}, {"busy_timeout_s": "5"}],
    ids=repr,
)
def test_options_are_checked_and_nothing_is_made(path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        LocalSecretStore(path, raw_aes(), **options)
    with pytest.raises(InvalidArgument):
        LocalSecretStore(path, None)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        LocalSecretStore("", raw_aes())
    assert not path.exists()


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "real.db")
    with local_store(link) as store:
        store.create(secret("value"))
    with local_store(tmp_path / "real.db") as store:
        assert store.read(NAME).text == "value"


class Spied:
    """A keyring that counts, does something before it wraps, and can stop working."""

    def __init__(self) -> None:
        self.inner = raw_aes()
        self.wraps = self.unwraps = 0
        self.error: EnvelopeError | None = None
        self.before_wrap: Callable[[WrapRequest], object] = lambda request: None

    def __repr__(self) -> str:
        return "Spied()"

    def wrap(self, request: WrapRequest) -> DataKey:
        self.wraps += 1
        if self.error:
            raise self.error
        self.before_wrap(request)
        return self.inner.wrap(request)

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        self.unwraps += 1
        if self.error:
            raise self.error
        return self.inner.unwrap(request)


def test_values_are_sealed_in_the_encryption_context_of_the_service(path: Path, store: LocalSecretStore) -> None:
    arn = store.create(secret("value")).arn
    with edited(path) as connection:
        (sealed,) = connection.execute("SELECT sealed FROM sealed_values").fetchone()
    opened = Client(raw_aes()).decrypt_message(sealed)
    assert opened.encryption_context == {"SecretARN": arn, "SecretVersionId": token(1)}


def test_a_keyring_is_asked_once_for_many_reads(path: Path) -> None:
    keyring = Spied()
    with LocalSecretStore(path, keyring, clock=FakeClock()) as store:
        store.create(secret())
        for _ in range(20):
            store.read(NAME)
            store.describe(NAME)
        assert keyring.unwraps == 2, "the key of the store, and the value"


def test_a_data_key_cache_is_taken_as_it_is(path: Path) -> None:
    keyring = Spied()
    cache = DataKeyCache(keyring)
    with LocalSecretStore(path, cache, clock=FakeClock()) as store:
        store.create(secret())
        store.read(NAME)
        cache.clear()
        store.read(NAME)
        assert keyring.unwraps == 4


def test_the_keyring_may_be_a_local_keystore_or_kms(tmp_path: Path) -> None:
    keystore = LocalKeystore.create_unprotected_for_development(tmp_path / "keystore.json")
    keystore.create_key("secrets")
    fake = FakeKms()
    of_kms = KmsKeyring(new_key(fake), aws=fake.aws())
    for name, keyring in (("local", LocalKeyring(keystore, "secrets")), ("kms", of_kms)):
        with LocalSecretStore(tmp_path / name, keyring, clock=FakeClock()) as store:
            store.create(secret("value"))
            assert store.read(NAME).text == "value"


def test_another_key_does_not_open_the_store(path: Path) -> None:
    with local_store(path) as store:
        store.create(secret())
    with pytest.raises(StoreFailed, match="the keyring does not open the key of the store") as caught:
        local_store(path, fill=2)
    assert "the keyring under which the store was made" in caught.value.hint
    assert not caught.value.can_retry


@pytest.mark.parametrize("can_retry", [True, False])
def test_a_key_that_cannot_be_used_now_is_told_from_another_key(path: Path, can_retry: bool) -> None:
    keyring = Spied()
    with LocalSecretStore(path, DataKeyCache(keyring, max_age_s=0.000_001), clock=FakeClock()) as store:
        store.create(secret())
        error = AwsUnavailable("unreachable", operation="kms:Decrypt", code="Timeout", can_retry=can_retry)
        keyring.error = KeyUnavailable("no key", hint="look there", errors=(error,))
        calls: list[Callable[[], object]] = [
            lambda: store.read(NAME),
            lambda: store.put(NAME, version("second", 2)),
            lambda: store.describe(NAME),
        ]
        for call in calls:
            with pytest.raises(SecretKeyUnavailable) as caught:
                call()
            assert (caught.value.can_retry, caught.value.hint) == (can_retry, "look there")


def test_a_secret_recreated_while_a_value_is_sealed_gets_it_under_its_new_arn(path: Path) -> None:
    keyring = Spied()
    with LocalSecretStore(path, keyring, clock=FakeClock()) as store, local_store(path) as other:
        store.create(secret("first", 1))

        def recreate(request: WrapRequest) -> None:
            keyring.before_wrap = lambda request: None
            other.delete(NAME, recovery_window_days=None)
            other.create(secret("recreated", 1))

        keyring.before_wrap = recreate
        place = store.put(NAME, version("second", 2))
        assert place.arn == other.describe(NAME).arn
        assert other.read(NAME).text == "second"


def test_a_token_taken_while_a_value_is_sealed_is_compared(path: Path) -> None:
    keyring = Spied()
    with LocalSecretStore(path, keyring, clock=FakeClock()) as store, local_store(path) as other:
        store.create(secret("first", 1))

        def take(number: int, value: str) -> None:
            keyring.before_wrap = lambda request: None
            other.put(NAME, version(value, number))

        keyring.before_wrap = lambda request: take(2, "mine")
        assert store.put(NAME, version("mine", 2)).stages == (AWSCURRENT,)
        keyring.before_wrap = lambda request: take(3, "theirs")
        with pytest.raises(SecretConflict, match="the token is that of a version with another value"):
            store.put(NAME, version("mine", 3))
        assert store.read(NAME).text == "theirs"


def test_a_name_taken_while_a_value_is_sealed_is_a_conflict(path: Path) -> None:
    keyring = Spied()
    with LocalSecretStore(path, keyring, clock=FakeClock()) as store, local_store(path) as other:
        keyring.before_wrap = lambda request: other.create(secret("theirs", 9)) if "SecretARN" in names(request) else 0
        with pytest.raises(SecretConflict, match="the name is in use already"):
            store.create(secret("mine", 1))
        assert store.read(NAME).text == "theirs"


def names(request: WrapRequest) -> set[str]:
    return set(request.encryption_context)


def test_a_secret_that_changes_all_the_time_is_given_up(path: Path) -> None:
    keyring = Spied()
    with LocalSecretStore(path, keyring, clock=FakeClock()) as store, local_store(path) as other:
        other.create(secret("first", 1))

        def recreate(request: WrapRequest) -> None:
            other.delete(NAME, recovery_window_days=None)
            other.create(secret("recreated", 1))

        keyring.before_wrap = recreate
        with pytest.raises(StoreFailed, match=f"changed by others in each of {MOST_RACES} attempts") as caught:
            store.put(NAME, version("second", 2))
        assert caught.value.can_retry


def test_a_name_that_comes_and_goes_all_the_time_is_given_up(path: Path) -> None:
    keyring = Spied()
    with LocalSecretStore(path, keyring, clock=FakeClock()) as store, local_store(path) as other:
        known = store._known

        def gone(secret_id: str, new: NewVersion | None) -> object:
            other.delete(NAME, recovery_window_days=None)
            return known(secret_id, new)

        keyring.before_wrap = lambda request: other.create(secret("theirs", 9))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LocalSecretStore, "_known", staticmethod(gone))
            with pytest.raises(StoreFailed, match="changed by others"):
                store.create(secret("mine", 1))


def test_many_threads_write_and_read_one_store(store: LocalSecretStore) -> None:
    store.create(secret("first", 1))

    def work(thread: int) -> None:
        for number in range(10):
            own = 100 * thread + number
            store.put(NAME, version(f"value {own}", own))
            assert store.read(NAME, stage=None, version_id=token(own)).text == f"value {own}"
            assert store.describe(NAME).labels.problems() == []

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(1, 9))) == [None] * 8
    assert len(store.versions(NAME, include_deprecated=True)) == 81


def test_nothing_shows_a_value(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with local_store(path) as store:
        new = secret(CANARY)
        store.create(new)
        found = store.read(NAME)
        shown = [repr(store), repr(store._sealing), repr(new), repr(found), repr(store.describe(NAME))]
        for call in (
            lambda: store.put(NAME, version("other", 1)),
            lambda: store.create(secret(CANARY, 2)),
            lambda: pickle.dumps(store),
            lambda: pickle.dumps(found),
        ):
            with pytest.raises((SecretsError, TypeError)) as caught:
                call()
            shown.append(f"{caught.value!r} {caught.value} {caught.value.__dict__}")
        shown.append(repr(store._sealing.macs(store._store_id, store._sealed_key)))
    assert CANARY not in "".join(shown) + caplog.text


def test_sqlite_is_imported_by_the_first_store_and_boto3_never(path: Path) -> None:
    output = run_python(
        """
from envelope_secrets.stores.local import LocalSecretStore
print("sqlite3" in sys.modules, "boto3" in sys.modules)
LocalSecretStore(sys.argv[1], RawAesKeyring("tests", "key", bytes(32))).close()
print("sqlite3" in sys.modules, "boto3" in sys.modules)
""",
        path,
    )
    assert output.decode().split() == ["False", "False", "True", "False"]


def test_a_store_that_nobody_closed_is_no_leak(path: Path) -> None:
    store = local_store(path)
    store.create(secret())
    assert path.with_name("secrets.db-wal").exists()
    del store
    gc.collect()
    assert not path.with_name("secrets.db-wal").exists()


def test_a_closed_store_opens_again(store: LocalSecretStore) -> None:
    store.create(secret("value"))
    store.close()
    assert store.read(NAME).text == "value"
