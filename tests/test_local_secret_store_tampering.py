"""What somebody can do to a local secret store who can edit its file and has not the key."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection

import pytest

from envelope.testing import FakeClock
from envelope_secrets.errors import SecretNotFound, StoreFailed
from envelope_secrets.stages import AWSCURRENT, StageMove
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import NewSecret
from tests.local_secrets_for_tests import DAY_S, NAME, edited, local_store, secret, stages, token, version

OTHER = "prod/other"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with two secrets, one of them with three versions and an announced one."""
    path = tmp_path / "secrets.db"
    with local_store(path) as store:
        store.create(secret("first", 1, tags={"team": "a"}))
        store.put(NAME, version("second", 2))
        store.put(NAME, version("third", 3, "mine"))
        store.announce(NAME, token(4))
        store.create(secret("other", 1, name=OTHER))
    return path


def as_text(statement: str) -> str:
    """LIKE finds nothing in bytes, in some builds of SQLite."""
    return re.sub(r"(\w+) LIKE", r"CAST(\1 AS TEXT) LIKE", statement)


def edit(path: Path, statement: str, *values: object) -> None:
    with edited(path) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        assert connection.execute(as_text(statement), values).rowcount > 0, "nothing was edited"


def change_record(path: Path, old: str, new: str) -> None:
    edit(
        path,
        "UPDATE secrets SET record = CAST(replace(CAST(record AS TEXT), ?, ?) AS BLOB) WHERE name = ?",
        old,
        new,
        NAME.encode(),
    )


RECORD_EDITS = {
    "AWSCURRENT put on another version": ('"stages":["mine"]', '"stages":["AWSCURRENT"]'),
    "a label taken away": ('"stages":["AWSPREVIOUS"]', '"stages":[]'),
    "a version exchanged for another": (token(2), token(1)),
    "a version that never was": (token(4), token(5)),
    "an announced version with a value": ('"has_value":false', '"has_value":true'),
    "a version without its value": ('"has_value":true', '"has_value":false'),
    "another name": (NAME, "prod/dc"),
    "another description": ('"description":""', '"description":"x"'),
    "another tag": ('"team":"a"', '"team":"b"'),
    "a deletion": ('"deletes_s":null', '"deletes_s":1'),
    "another date": ('"created_s":1767225600.0', '"created_s":1767225601.0'),
    "no JSON": ("{", "["),
}


@pytest.mark.parametrize(("old", "new"), RECORD_EDITS.values(), ids=RECORD_EDITS)
def test_a_record_that_was_edited_is_refused_by_every_method(path: Path, old: str, new: str) -> None:
    change_record(path, old, new)
    with local_store(path) as store:
        calls: list[Callable[[], object]] = [
            lambda: store.read(NAME),
            lambda: store.describe(NAME),
            lambda: store.versions(NAME),
            lambda: list(store.list()),
            lambda: store.put(NAME, version("next", 9)),
            lambda: store.create(secret("next", 9)),
            lambda: store.move_stage(NAME, StageMove(AWSCURRENT, token(1), token(2))),
            lambda: store.delete(NAME),
        ]
        for call in calls:
            with pytest.raises(StoreFailed, match="the MAC of a record does not fit") as caught:
                call()
            assert "find out who can write it" in caught.value.hint
            assert not caught.value.can_retry
        assert store.read(OTHER).text == "other", "the others are as they were"


ROW_EDITS = {
    "the record of another secret": (
        "UPDATE secrets SET (record, mac) = (SELECT record, mac FROM secrets WHERE arn LIKE '%prod/other%')",
        "the record of 'prod/other' is in the place of another one",
    ),
    "another MAC": ("UPDATE secrets SET mac = zeroblob(32)", "the MAC of a record does not fit"),
    "half a MAC": ("UPDATE secrets SET mac = substr(mac, 1, 16)", "the MAC of a record does not fit"),
    "a MAC of another type": ("UPDATE secrets SET mac = 5", "a record is no record"),
    "a record of another type": ("UPDATE secrets SET record = CAST(record AS TEXT)", "a record is no record"),
    "another ARN": ("UPDATE secrets SET arn = arn || 'x'", "is in the place of another one"),
}


@pytest.mark.parametrize(("statement", "text"), ROW_EDITS.values(), ids=ROW_EDITS)
def test_a_row_that_was_edited_is_refused(path: Path, statement: str, text: str) -> None:
    edit(path, statement)
    with local_store(path) as store, pytest.raises(StoreFailed, match=text):
        store.read(NAME)


def test_a_copy_of_a_secret_under_another_name_does_not_open(path: Path) -> None:
    edit(path, "INSERT INTO secrets SELECT CAST('copy' AS BLOB), arn || 'x', NULL, record, mac FROM secrets LIMIT 1")
    with local_store(path) as store:
        for call in (lambda: store.read("copy"), lambda: list(store.list())):
            with pytest.raises(StoreFailed, match="is in the place of another one"):
                call()


VALUE_EDITS = {
    "of another version": "(SELECT sealed FROM sealed_values WHERE version_id LIKE '%3')",
    "of another secret": "(SELECT sealed FROM sealed_values WHERE arn LIKE '%other%')",
    "cut": "substr(sealed, 1, length(sealed) - 1)",
    "longer": "CAST(sealed || x'00' AS BLOB)",
    "changed": "CAST(substr(sealed, 1, length(sealed) - 1) || x'55' AS BLOB)",
    "empty": "x''",
    "no bytes": "'text'",
}


@pytest.mark.parametrize("sealed", VALUE_EDITS.values(), ids=VALUE_EDITS)
def test_a_value_that_was_swapped_or_edited_does_not_open(path: Path, sealed: str) -> None:
    with edited(path) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        changed = connection.execute(
            f"UPDATE sealed_values SET sealed = {as_text(sealed)} "  # noqa: S608
            "WHERE version_id = ? AND CAST(arn AS TEXT) LIKE '%prod/db%'",
            (token(2).encode(),),
        )
        assert changed.rowcount == 1
    with local_store(path) as store:
        with pytest.raises(StoreFailed, match=f"the value of version {token(2)} (does not open|is gone)"):
            store.read(NAME)
        with pytest.raises(StoreFailed):
            store.put(NAME, version("second", 2))
        assert store.read(NAME, stage="mine").text == "third"


def test_a_value_that_was_removed_is_missed(path: Path) -> None:
    edit(path, "DELETE FROM sealed_values WHERE version_id = ?", token(2).encode())
    with local_store(path) as store, pytest.raises(StoreFailed, match=f"the value of version {token(2)} is gone"):
        store.read(NAME)


def test_a_secret_of_another_store_under_the_same_key_does_not_open(path: Path, tmp_path: Path) -> None:
    with local_store(tmp_path / "second.db") as store:
        store.create(secret("of the second", 1))
    with edited(path) as connection:
        connection.execute("DELETE FROM secrets")
        connection.execute("ATTACH ? AS second", (str(tmp_path / "second.db"),))
        for table in ("secrets", "sealed_values"):
            connection.execute(f"INSERT INTO {table} SELECT * FROM second.{table}")  # noqa: S608
        connection.commit()
    with local_store(path) as store, pytest.raises(StoreFailed, match="the MAC of a record does not fit"):
        store.read(NAME)


STORE_EDITS = {
    "another number": (
        "UPDATE store SET store_id = CAST('999999999999' AS BLOB)",
        "the key of the store does not open",
    ),
    "no digits": ("UPDATE store SET store_id = x'ff'", "the key of the store does not open"),
    "another type": ("UPDATE store SET store_id = 5", "the row about the store itself is no such row"),
    "a changed key": (
        "UPDATE store SET sealed_key = CAST(substr(sealed_key, 1, length(sealed_key) - 1) || x'55' AS BLOB)",
        "the key of the store does not open",
    ),
    "a value for a key": (
        "UPDATE store SET sealed_key = (SELECT sealed FROM sealed_values LIMIT 1)",
        "the keyring does not open the key of the store",
    ),
    "no bytes": ("UPDATE store SET sealed_key = 'text'", "the row about the store itself is no such row"),
}


@pytest.mark.parametrize(("statement", "text"), STORE_EDITS.values(), ids=STORE_EDITS)
def test_a_store_whose_own_row_was_edited_is_refused(path: Path, statement: str, text: str) -> None:
    edit(path, statement)
    with pytest.raises(StoreFailed, match=text):
        local_store(path)


def test_a_date_of_deletion_beside_the_record_purges_nothing(path: Path) -> None:
    edit(path, "UPDATE secrets SET deletes_s = 1")
    with local_store(path) as store:
        assert store.read(NAME).text == "second"
        store.put(NAME, version("fifth", 5))
        assert store.read(OTHER).text == "other"


def test_no_function_of_the_file_is_called(path: Path) -> None:
    """A file with a trigger is no store."""
    with edited(path) as connection:
        connection.execute(
            "CREATE TRIGGER evil AFTER INSERT ON sealed_values BEGIN SELECT load_extension('/tmp/evil.so'); END"
        )
    with pytest.raises(StoreFailed, match="other tables, indexes, triggers or views"):
        local_store(path)


def test_what_is_not_noticed_is_a_secret_removed_and_an_older_state_put_back(path: Path, tmp_path: Path) -> None:
    """No file can tell that it is an older one. The documentation says so, and this test that it is the truth."""
    older = tmp_path / "older.db"
    shutil.copy(path, older)
    with local_store(path) as store:
        store.put(NAME, version("fifth", 5))
        assert stages(store)["5"] == "AWSCURRENT"

    def put_back(connection: Connection) -> None:
        connection.execute("ATTACH ? AS older", (str(older),))
        for table in ("sealed_values", "secrets"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
        for table in ("secrets", "sealed_values"):
            connection.execute(f"INSERT INTO {table} SELECT * FROM older.{table}")  # noqa: S608
        connection.execute("DELETE FROM secrets WHERE name = ?", (OTHER.encode(),))
        connection.commit()

    with edited(path) as connection:
        put_back(connection)
    with local_store(path) as store:
        assert store.read(NAME).text == "second"
        with pytest.raises(SecretNotFound):
            store.read(OTHER)


def test_a_record_that_was_edited_is_not_purged_and_does_not_hinder_the_others(path: Path) -> None:
    clock = FakeClock()
    with local_store(path, clock=clock) as store:
        store.delete(NAME)
        store.delete(OTHER)
        clock.advance(30 * DAY_S)
        change_record(path, "prod/db", "prod/dc")
        store.create(NewSecret("next"))
        with pytest.raises(StoreFailed, match="the MAC of a record does not fit"):
            store.describe(NAME)
    with edited(path) as connection:
        names = connection.execute("SELECT CAST(name AS TEXT) FROM secrets ORDER BY name").fetchall()
    assert names == [("next",), (NAME,)]


def test_the_store_has_no_method_that_skips_the_check(path: Path) -> None:
    """Every public method that is given a secret finds the edit."""
    change_record(path, '"team":"a"', '"team":"b"')
    given: dict[str, tuple[object, ...]] = {
        "announce": (NAME, token(9)),
        "create": (secret("x", 9),),
        "delete": (NAME,),
        "describe": (NAME,),
        "move_stage": (NAME, StageMove("mine", None, token(3))),
        "put": (NAME, version("x", 9)),
        "read": (NAME,),
        "restore": (NAME,),
        "tag": (NAME, {"a": "b"}),
        "untag": (NAME, ["a"]),
        "update": (NAME,),
        "versions": (NAME,),
    }
    methods = {name for name in dir(LocalSecretStore) if not name.startswith("_")}
    assert methods - given.keys() == {"check_version_id", "close", "list", "read_many"}
    with local_store(path) as store:
        for name, arguments in given.items():
            with pytest.raises(StoreFailed):
                getattr(store, name)(*arguments, **({"description": "x"} if name == "update" else {}))
        assert isinstance(store.read_many([NAME])[NAME], StoreFailed)
