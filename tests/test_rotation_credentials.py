"""Database secrets read strictly: which values are refused before anything connects, and what the refusal shows."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from envelope.errors import InvalidArgument
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.credentials import parse_credentials, with_login
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.hosts import EqualHosts, HostAliases
from envelope_secrets.rotation.tls import Tls
from envelope_secrets.value import Secret
from tests.database_rotations import fields
from tests.fake_databases import FakeDatabase, FakeServer
from tests.fake_secrets_for_tests import V1

CANARY = "canary-9f2e"


def secret(value: dict[str, Any] | str | bytes, *stages: str) -> Secret:
    text = json.dumps(value) if isinstance(value, dict) else value
    return Secret(text, name="prod/db", arn="arn", version_id=V1, stages=stages)


def database(**options: Any) -> FakeDatabase:
    return FakeDatabase(FakeServer(), **options)


def test_a_secret_of_the_console_is_read_with_its_port_as_text() -> None:
    given = fields(port="6432", dbname="shop", masterarn="arn:admin", ssl="true", dbInstanceIdentifier="one")
    found = parse_credentials(secret(given), database())
    assert (found.engine, found.host, found.port) == ("postgres", "db.example", 6432)
    assert (found.username, found.password, found.database) == ("app", "first", "shop")
    assert found.admin_secret_id == "arn:admin"
    assert found.others == {"ssl": "true", "dbInstanceIdentifier": "one"}


def test_what_a_secret_does_not_say_is_the_engines_own() -> None:
    given = fields()
    del given["port"]
    found = parse_credentials(secret({**given, "dbname": None, "masterarn": ""}), database())
    assert (found.port, found.database, found.admin_secret_id) == (5432, "", "")


def test_credentials_show_and_give_away_nothing() -> None:
    found = parse_credentials(secret(fields(password=CANARY, token=CANARY)), database())
    assert CANARY not in repr(found)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(found)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (CANARY, "is no JSON"),
        (f'["{CANARY}"]', "is JSON, but no object"),
        (b"\x00canary-9f2e", "is binary, not text"),
        (fields(engine=CANARY), "its field engine is none of aurora-postgresql, postgres"),
        (fields(engine=None), "its field engine is missing"),
        ({"engine": "postgres", "password": CANARY}, "its field username is missing"),
        (fields("u" * 64, CANARY), "its field username has more than 63 characters"),
        (fields(CANARY + "\0"), "its field username is missing, or is no text"),
        (json.dumps(fields("half \ud800")), "its field username is missing, or is no text"),
        (fields(password=""), "its field password is missing"),
        (fields(password=[CANARY]), "its field password is missing, or is no text"),
        (fields(password="p" * 4097), "its field password is missing, or is no text of 1 to 4,096 characters"),
        (fields(host=f"/run/{CANARY}"), "its field host is no name or address of a host"),
        (fields(host=f"a,{CANARY}"), "its field host is no name"),
        (fields(host=f"a {CANARY}=b"), "its field host is no name"),
        (fields(host=f"-o{CANARY}"), "its field host is no name"),
        (fields(port=0), "its field port is no number of 1 to 65,535"),
        (fields(port=65_536), "its field port is no number"),
        (fields(port=True), "its field port is no number"),
        (fields(port=f"1{CANARY}"), "its field port is no number"),
        (fields(port=None), "its field port is no number"),
        (fields(dbname=5), "its field dbname is missing, or is no text"),
        (fields(masterarn=["x"]), "its field masterarn is missing, or is no text"),
        (fields(ssl=CANARY), "its field ssl is neither true nor false"),
        (fields(ssl=1), "its field ssl is neither true nor false"),
    ],
)
def test_a_malformed_secret_is_refused_without_showing_a_value(value: Any, problem: str) -> None:
    with pytest.raises(RotationRefused) as caught:
        parse_credentials(secret(value), database())
    error = caught.value
    assert problem in str(error)
    assert V1 in str(error)
    assert "put a version that is a JSON object" in error.hint
    assert CANARY not in f"{error}{error.hint}{error.__cause__!r}{error.__context__!r}"


def test_for_a_pending_version_the_advice_is_to_take_awspending_away() -> None:
    with pytest.raises(RotationRefused) as caught:
        parse_credentials(secret("no json", "AWSPENDING"), database())
    assert "take AWSPENDING away" in caught.value.hint
    with pytest.raises(RotationRefused) as caught:
        parse_credentials(secret("no json", "AWSPENDING", "AWSCURRENT"), database())
    assert "put a version" in caught.value.hint


@pytest.mark.parametrize("tls", ["disable", Tls("disable")])
def test_a_secret_that_asks_for_tls_is_refused_where_the_rotation_does_without(tls: Any) -> None:
    with pytest.raises(RotationRefused, match="asks for TLS"):
        parse_credentials(secret(fields(ssl=True)), database(tls=tls))
    assert parse_credentials(secret(fields(ssl=False)), database(tls=tls)).username == "app"


@pytest.mark.parametrize("tls", ["verify-full", Tls()])
@pytest.mark.parametrize("ssl", [True, False, "true", "false"])
def test_a_secret_cannot_weaken_the_tls_of_the_rotation(ssl: Any, tls: Any) -> None:
    used = database(tls=tls)
    assert parse_credentials(secret(fields(ssl=ssl)), used).username == "app"
    assert used.tls == tls


def test_the_next_value_has_every_field_of_the_current_one() -> None:
    given = fields(ssl=True, nested={"a": [1, None]}, masterarn="arn:admin")
    assert with_login(secret(given), "app_clone", "new") == {
        **secret(given).json,
        "username": "app_clone",
        "password": "new",
    }


def host(name: str, port: int = 5432) -> Any:
    return parse_credentials(secret(fields(host=name, port=port)), database(password_policy=PasswordPolicy()))


def test_hosts_are_the_same_by_name_and_port() -> None:
    same = EqualHosts()
    assert same(host("DB.example."), host("db.example"))
    assert not same(host("db.example"), host("db.example", 5433))
    assert not same(host("db.example"), host("db.example.evil"))


def test_a_replica_and_a_proxy_are_the_same_server_if_somebody_says_so() -> None:
    same = HostAliases("writer.example", "reader.example", "PROXY.example")
    assert same(host("writer.example"), host("proxy.example.", 6432))
    assert same(host("other.example"), host("other.example"))
    assert not same(host("writer.example"), host("other.example"))


@pytest.mark.parametrize("names", [(), ("one.example",), ("one.example", ""), ("one.example", 2)])
def test_aliases_are_two_names_at_least(names: Any) -> None:
    with pytest.raises(InvalidArgument, match="two or more names"):
        HostAliases(*names)
