"""Accounts on real servers whose passwords a test changes step by step, and what the servers know of their logins."""

from __future__ import annotations

import itertools
import json
from typing import Any, Self

import psycopg
import pymysql
import redis
from psycopg import sql

from envelope_secrets import SecretsClient, StageMove
from envelope_secrets.connectors import RedisLogin, connect
from tests.secret_stores_for_tests import MemoryStore
from tests.servers.redis import RunningRedis
from tests.servers.running import RunningServer

__all__ = ["MariaDbAccount", "PostgreSqlAccount", "RedisAccount"]

NUMBERS = itertools.count(1)
REFUSED = "password authentication failed for user"


class PostgreSqlAccount:
    """An account of a PostgreSQL server, and its secret ``db`` in a store.

    Attributes:
        versions: how many there are; the newest is ``v`` and this number.
    """

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.name = f"o'app {next(NUMBERS)}"
        self.versions = 1
        self.admin = psycopg.connect(
            host=server.host,
            port=server.port,
            user=server.admin,
            password=server.password,
            dbname=server.database,
            autocommit=True,
        )
        self.admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(self.name)))
        self.store = MemoryStore(db=self.value(1))
        self.set_password(1)
        self.secrets = SecretsClient(self.store)

    def password(self, number: int) -> str:
        return f"pass'word {number} of {self.name}"

    def value(self, number: int) -> str:
        fields = {"engine": "postgres", "host": "127.0.0.1", "port": str(self.server.port), "dbname": "postgres"}
        return json.dumps({**fields, "username": self.name, "password": self.password(number)})

    def set_password(self, number: int) -> None:
        password = sql.Literal(self.password(number))
        self.admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(self.name), password))

    def begin(self) -> None:
        """The first steps of a rotation: the new password is in force, and its version pending."""
        self.versions += 1
        self.store.set("db", self.value(self.versions), stages=["AWSPENDING"])
        self.set_password(self.versions)

    def finish(self) -> None:
        """Its last: the pending version becomes the current one."""
        move = StageMove("AWSCURRENT", to_version=f"v{self.versions}", from_version=f"v{self.versions - 1}")
        self.store.move_stage("db", move)

    def refusals(self) -> int:
        """Failed logins, as the server has logged them."""
        return sum(self.name in line for line in self.server.log_text().splitlines() if REFUSED in line)

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        return connect(self.secrets, "db", psycopg.connect, **{"arguments": {"sslmode": "disable"}, **options})

    def who(self, **options: Any) -> object:
        with self.connect(**options) as connection:
            return connection.execute("SELECT current_user").fetchone()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.admin.close()


class MariaDbAccount:
    """An account of a MariaDB server, and its secret ``db``."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.name = f"app{next(NUMBERS)}"
        self.admin = pymysql.connect(
            host="127.0.0.1", port=server.port, user=server.admin, password=server.password, ssl_ca=server.ca_file
        )
        self.fields = {"username": self.name, "host": "127.0.0.1", "port": server.port, "database": server.database}
        self.store = MemoryStore(db=json.dumps({**self.fields, "password": "p1"}))
        self.secrets = SecretsClient(self.store)
        with self.admin.cursor() as cursor:
            cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY 'p1'", (self.name,))
            cursor.execute(f"GRANT ALL ON {server.database}.* TO %s@'%%'", (self.name,))

    def begin(self) -> None:
        self.store.set("db", json.dumps({**self.fields, "password": "p2"}), stages=["AWSPENDING"])
        self.set_password("p2")

    def set_password(self, password: str) -> None:
        with self.admin.cursor() as cursor:
            cursor.execute("SET PASSWORD FOR %s@'%%' = PASSWORD(%s)", (self.name, password))

    def refusals(self) -> int:
        """Failed logins, as the server has logged them."""
        return self.server.log_text().count(f"Connect\tAccess denied for user '{self.name}'")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.admin.close()


class RedisAccount:
    """A user of a Redis server, and its secret ``cache``."""

    def __init__(self, server: RunningRedis) -> None:
        self.port = server.plain_port
        self.name = f"app{next(NUMBERS)}"
        self.admin = redis.Redis(port=self.port, password=server.tls.password)
        self.store = MemoryStore(cache=json.dumps({"username": self.name, "password": "p1"}))
        self.secrets = SecretsClient(self.store)
        self.set_password("p1")

    def set_password(self, password: str) -> None:
        self.admin.execute_command("ACL", "SETUSER", self.name, "on", "resetpass", f">{password}", "~*", "+@all")

    def refusals(self) -> int:
        """Failed logins, as the server has counted them."""
        entries: list[Any] = self.admin.acl_log()
        return sum(int(entry["count"]) for entry in entries if entry["username"] == self.name)

    def put(self, password: str) -> None:
        """Another version of the secret."""
        self.store.set("cache", json.dumps({"username": self.name, "password": password}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.admin.close()

    def who(self, login: RedisLogin, **options: Any) -> object:
        client = redis.Redis(port=self.port, decode_responses=True, **login.options, **options)
        with client:
            return client.execute_command("ACL", "WHOAMI")
