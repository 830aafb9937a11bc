"""The FAKE of MongoDB, asked by the real driver: it refuses what the real server's manual says is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

from tests.servers.mongodb_fake import FakeMongo, fake_mongo


@pytest.fixture(scope="module")
def server() -> Iterator[FakeMongo]:
    with fake_mongo() as (member,):
        member.state.add("root", "rootpw", "root@admin")
        member.state.add("reader", "pw", "read@shop")
        yield member


def client(
    server: FakeMongo, username: str | None, password: str | None = None, mechanism: str | None = None
) -> pymongo.MongoClient[Any]:
    named: dict[str, Any] = {} if mechanism is None else {"authMechanism": mechanism}
    return pymongo.MongoClient(server.host, server.port, username=username, password=password, **named)


def code_of(database: Any, command: dict[str, Any]) -> int | None:
    with pytest.raises(pymongo.errors.OperationFailure) as raised:
        database.command(command)
    return raised.value.code


def test_nobody_does_anything_without_a_login_but_say_hello(server: FakeMongo) -> None:
    with client(server, None) as anonymous:
        assert anonymous.admin.command("ping")["ok"]
        assert code_of(anonymous.admin, {"usersInfo": {"user": "root", "db": "admin"}}) == 13
        assert code_of(anonymous.shop, {"find": "orders"}) == 13
        assert anonymous.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"] == []


def test_what_is_unknown_is_refused(server: FakeMongo) -> None:
    with client(server, "root", "rootpw") as root:
        assert code_of(root.admin, {"setPassword": "root"}) == 59
        assert code_of(root.admin, {"updateUser": "root", "password": "x"}) == 40_415
        assert code_of(root.admin, {"updateUser": "root"}) == 2
        assert code_of(root.admin, {"updateUser": "nobody", "pwd": "x"}) == 11
        assert code_of(root.admin, {"createUser": "root", "pwd": "x", "roles": []}) == 51_003
        assert code_of(root.admin, {"createUser": "new", "pwd": "x", "roles": [{"role": "no", "db": "shop"}]}) == 31
        assert code_of(root.admin, {"updateUser": "reader", "mechanisms": ["SCRAM-SHA-512"]}) == 2


def test_roles_decide_who_may_read_and_write(server: FakeMongo) -> None:
    with client(server, "reader", "pw") as reader, client(server, "root", "rootpw") as root:
        assert list(reader.shop.things.find()) == []
        assert code_of(reader.shop, {"insert": "things", "documents": [{"x": 1}]}) == 13
        assert code_of(reader.other, {"find": "things"}) == 13
        assert code_of(reader.admin, {"updateUser": "reader", "pwd": "x"}) == 13
        root.admin.command({"grantRolesToUser": "reader", "roles": [{"role": "readWrite", "db": "shop"}]})
        reader.shop.things.insert_one({"x": 1})
        assert [found["x"] for found in reader.shop.things.find()] == [1]
        root.admin.command({"revokeRolesFromUser": "reader", "roles": [{"role": "readWrite", "db": "shop"}]})
        assert code_of(reader.shop, {"insert": "things", "documents": [{"x": 2}]}) == 13


def test_a_user_that_is_dropped_logs_in_no_more(server: FakeMongo) -> None:
    with client(server, "root", "rootpw") as root:
        root.admin.command({"createUser": "brief", "pwd": "pw", "roles": [{"role": "read", "db": "shop"}]})
        with client(server, "brief", "pw") as brief:
            assert list(brief.shop.nothing.find()) == []
        root.admin.command({"dropUser": "brief"})
    with client(server, "brief", "pw") as brief:
        assert code_of(brief.admin, {"ping": 1}) == 18


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_both_ways_to_log_in_work_and_know_a_wrong_password(server: FakeMongo, mechanism: str) -> None:
    with client(server, "root", "rootpw", mechanism) as right:
        assert right.admin.command("ping")["ok"]
    with client(server, "root", "wrong", mechanism) as wrong:
        assert code_of(wrong.admin, {"ping": 1}) == 18
