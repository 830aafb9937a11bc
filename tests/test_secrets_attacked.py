"""What attacking the client, its values and the local store has shown: ways to lose, leak or change a secret."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from envelope.errors import AwsError, InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets import (
    ParameterStore,
    SecretConflict,
    SecretFormatError,
    SecretsClient,
    SecretsManagerStore,
    StoreFailed,
)
from envelope_secrets.stage_operations import StageOperations
from envelope_secrets.value import Secret
from tests.local_secrets_for_tests import NAME, edited, local_store, secret, token, version
from tests.scripted_service import ScriptedService
from tests.secret_stores_for_tests import MemoryStore

VALUE = "correct horse battery staple"


def a_secret(value: str) -> Secret:
    return Secret(value, name="db", arn="arn", version_id="1" * 32)


def test_a_store_under_two_names_is_refused_because_each_would_have_a_log_of_its_own(tmp_path: Path) -> None:
    path, other = tmp_path / "a.db", tmp_path / "b.db"
    local_store(path).close()
    os.link(path, other)
    for name in (path, other):
        with pytest.raises(StoreFailed, match="has more than one name"):
            local_store(name)
    other.unlink()
    local_store(path).create(secret())


def test_a_name_that_a_killed_creator_has_left_is_taken_away(tmp_path: Path) -> None:
    path, leftover = tmp_path / "a.db", tmp_path / ".envelope-00.partial"
    local_store(path).close()
    os.link(path, leftover)
    stranger = tmp_path / ".envelope-11.partial"
    stranger.touch()
    local_store(path).create(secret())
    assert not leftover.exists()
    assert stranger.exists(), "somebody else's file, perhaps of a creator at work"


def test_a_trigger_that_takes_back_what_was_acknowledged_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    local_store(path).create(secret())
    with edited(path) as connection:
        connection.execute(
            "CREATE TRIGGER undo AFTER UPDATE ON secrets BEGIN "
            "UPDATE secrets SET record = old.record, mac = old.mac WHERE name = old.name; END"
        )
    with pytest.raises(StoreFailed, match="other tables, indexes, triggers or views"):
        local_store(path)


def test_a_file_that_was_opened_to_others_meanwhile_is_refused_when_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = local_store(path)
    store.create(secret())
    store.close()
    path.chmod(0o666)
    with pytest.raises(StoreFailed, match="is open to others"):
        store.read(NAME)


def test_a_callback_that_exits_ends_nothing_but_itself(caplog: pytest.LogCaptureFixture) -> None:
    store, clock = MemoryStore(db="old"), FakeClock(0)
    works: list[Any] = []
    client = SecretsClient(store, clock=clock, start_thread=works.append, on_event=lambda _: _exit())
    subscription = client.on_change("db", lambda _: _exit())
    assert client.get("db").text == "old"
    subscription.call(None)  # type: ignore[arg-type]  # what it is called with does not matter here
    assert [record.getMessage() for record in caplog.records] == [
        "on_event of a secrets client raised",
        "a callback of on_change raised",
    ]


def _exit() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    "value", [VALUE, f'["{VALUE}"]', f'{{"a": "{VALUE}", "a": 1}}', f'{{"a": NaN, "b": "{VALUE}"}}', "[" * 500]
)
def test_no_frame_of_a_failed_json_holds_the_value(value: str) -> None:
    read = a_secret(value)
    with pytest.raises(SecretFormatError) as caught:
        _ = read.json
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert value not in shown.replace(repr(value), "", 1), "the test's own variable, once"
    assert not any("text" in frame.f_locals for frame, _ in traceback.walk_tb(caught.tb))


def test_a_doubled_field_among_thousands_is_found_at_once() -> None:
    fields = ", ".join(f'"{number}": {number}' for number in range(7_000))
    with pytest.raises(SecretFormatError, match="has the field '6999' twice"):
        _ = a_secret(f'{{{fields}, "6999": 0}}').json


@dataclass(frozen=True)
class Node:
    leaf: int
    next: Node | None = None


def test_a_value_is_read_once_at_each_level_however_many_there_are() -> None:
    text = '{"leaf": "wrong"}'
    for _ in range(40):
        text = f'{{"leaf": 1, "next": {text}}}'
    with pytest.raises(SecretFormatError, match="must be a whole number"):
        a_secret(text).as_(Node)


def test_a_secret_does_not_give_its_state_away() -> None:
    with pytest.raises(TypeError, match="does not give its state away"):
        a_secret(VALUE).__getstate__()
    with pytest.raises(TypeError, match="does not give its state away"):
        object.__reduce_ex__(a_secret(VALUE), 2)


def test_a_key_ring_that_others_have_too_does_not_change() -> None:
    ring = SecretsClient(MemoryStore(db="old")).key_ring("db")
    with pytest.raises(AttributeError, match="does not change"):
        ring.name = "evil"
    with pytest.raises(AttributeError, match="does not change"):
        del ring.arn
    assert ring.name == "db"


def test_who_has_seen_a_new_version_is_shown_no_older_key_ring(tmp_path: Path) -> None:
    store = local_store(tmp_path / "a.db")
    store.create(secret())
    client = SecretsClient(store)
    assert client.key_ring(NAME).current.text == "first"
    store.put(NAME, version("second", 2))  # another process
    assert client.key_ring(NAME).current.text == "first", "still within its soft age"
    assert client.get(NAME).text == "second"
    ring = client.key_ring(NAME)
    assert [found.text for found in ring] == ["second", "first"]
    client.refresh(NAME)
    assert client.key_ring(NAME) is ring


def test_who_has_seen_a_new_version_is_shown_no_older_tree() -> None:
    service, values = ScriptedService("ssm"), iter([1, 2])
    arn = "arn:aws:ssm:eu-west-1:111122223333:parameter/app/a"

    def parameter(number: int) -> dict[str, object]:
        return {"Name": "/app/a", "Type": "String", "Value": f"value {number}", "Version": number, "ARN": arn}

    service.on("GetParametersByPath", lambda _: {"Parameters": [parameter(next(values))]})
    service.on("GetParameter", {"Parameter": parameter(2)})
    client = SecretsClient(ParameterStore(region="eu-west-1", client_for_region=service.client_for_region))
    assert client.get_tree("/app/")["/app/a"].text == "value 1"
    assert client.get("/app/a").text == "value 2"
    assert client.get_tree("/app/")["/app/a"].text == "value 2"
    client.refresh("/app/a")
    assert client.get_tree("/app/")["/app/a"].text == "value 2"


def test_a_promotion_by_somebody_else_is_noticed_by_who_finds_it_done(tmp_path: Path) -> None:
    store = local_store(tmp_path / "a.db")
    store.create(secret())
    store.put(NAME, version("second", 2, "AWSPENDING"))
    client = SecretsClient(store)
    assert client.get(NAME).text == "first"
    StageOperations(store).promote(NAME, token(2))  # another process
    assert client.stages.promote(NAME, token(2)) is None
    assert client.get(NAME).text == "second"


def test_a_list_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envelope_secrets.stores.service_calls.MAX_PAGES", 5)
    service, numbers = ScriptedService("secretsmanager"), iter(range(100))
    service.on("ListSecrets", lambda _: {"SecretList": [], "NextToken": f"page {next(numbers)}"})
    store = SecretsManagerStore(region="eu-west-1", client_for_region=service.client_for_region)
    with pytest.raises(AwsError, match="goes on after 5 pages"):
        list(store.list())
    assert len(service.asked) == 6


def test_one_id_that_is_none_costs_the_others_of_its_batch_nothing() -> None:
    service = ScriptedService("secretsmanager")
    found = {"ARN": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf", "Name": "db"}
    found |= {"VersionId": token(1), "SecretString": VALUE}
    answer = {**found, "VersionStages": ["AWSCURRENT"]}
    service.on("BatchGetSecretValue", {"SecretValues": [answer], "Errors": []})
    service.on("GetSecretValue", answer)
    secrets = SecretsClient(SecretsManagerStore(region="eu-west-1", client_for_region=service.client_for_region))
    batch = secrets.get_many(["db", "bad\nid"])
    assert batch["db"].text == VALUE
    assert list(batch.errors) == ["bad\nid"]
    assert secrets.get("db").text == VALUE


def test_one_parameter_name_that_is_none_costs_the_others_nothing() -> None:
    service = ScriptedService("ssm")
    found = {"Name": "/a", "Type": "SecureString", "Value": VALUE, "Version": 1}
    found |= {"ARN": "arn:aws:ssm:eu-west-1:111122223333:parameter/a"}
    service.on("GetParameters", {"Parameters": [found], "InvalidParameters": []})
    store = ParameterStore(region="eu-west-1", client_for_region=service.client_for_region)
    answers = store.read_many(["/a", "/bad name"])
    assert isinstance(answers["/a"], Secret)
    assert isinstance(answers["/bad name"], InvalidArgument)


def test_a_swap_for_a_version_that_never_was_is_a_conflict_also_where_there_is_no_version(tmp_path: Path) -> None:
    client = SecretsClient(local_store(tmp_path / "a.db"))
    client.create("empty")
    with pytest.raises(SecretConflict, match="no version was current"):
        client.put("empty", VALUE, expected_version_id=token(9))


def test_a_swap_that_is_repeated_finds_its_own_work(tmp_path: Path) -> None:
    client = SecretsClient(local_store(tmp_path / "a.db"))
    first = client.create("db", "first")
    for _ in range(2):
        place = client.put("db", VALUE, expected_version_id=first.version_id, token=token(2))
        assert place.version_id == token(2)
    assert client.get("db").text == VALUE
