"""The account of an application on a real server, with a counter for each client, and what the server saw of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg
import pymysql
import redis

from envelope_secrets.rotation.database import Database
from envelope_secrets.rotation.mariadb import MariaDb
from envelope_secrets.rotation.mysql import MySql
from envelope_secrets.rotation.postgresql import PostgreSql
from envelope_secrets.rotation.redis import Redis
from tests.servers.redis import RunningRedis
from tests.servers.running import RunningServer

__all__ = ["Account", "MariaDbAccount", "PostgreSqlAccount", "RedisAccount"]

FIRST_PASSWORD = "first password"
LOGIN_TIMEOUT_S = 30
_numbers = itertools.count(1)


class Account(Protocol):
    """One account; the clone's name, where there is one, begins with its name."""

    name: str
    database: Database

    def make(self, clients: int) -> None:
        """Make the account, and a counter for each client."""

    def value(self) -> dict[str, Any]:
        """The first version of its secret."""

    def admin_value(self) -> dict[str, Any]:
        """The secret of the administrator."""

    def accepts(self, fields: Mapping[str, Any]) -> bool:
        """Log in once, as a program does that has read the secret."""

    def logins(self) -> tuple[int, int]:
        """How many logins the server has accepted and refused since the account was made."""


@dataclass(slots=True)
class PostgreSqlAccount:
    """See `Account`."""

    server: RunningServer
    database: Database = field(init=False)
    name: str = field(default_factory=lambda: f"load{next(_numbers)}")

    def __post_init__(self) -> None:
        self.database = PostgreSql(ca_file=self.server.ca_file)

    def make(self, clients: int) -> None:
        login = {**self.admin_value(), "user": self.server.admin}
        with psycopg.connect(**{key: login[key] for key in ("host", "port", "user", "password", "dbname")}) as admin:
            for statement in (
                f"CREATE ROLE {self.name} LOGIN PASSWORD '{FIRST_PASSWORD}'",
                f"CREATE TABLE counts_{self.name} (client int PRIMARY KEY, count int NOT NULL)",
                f"INSERT INTO counts_{self.name} SELECT client, 0 FROM generate_series(0, {clients - 1}) client",  # noqa: S608 - our own
                f"GRANT SELECT, UPDATE ON counts_{self.name} TO {self.name}",
            ):
                admin.execute(statement.encode())

    def value(self) -> dict[str, Any]:
        return _fields(self.server, self.name, FIRST_PASSWORD)

    def admin_value(self) -> dict[str, Any]:
        return _fields(self.server, self.server.admin, self.server.password)

    def accepts(self, fields: Mapping[str, Any]) -> bool:
        login = {"user": fields["username"], **{key: fields[key] for key in ("host", "port", "password", "dbname")}}
        try:
            psycopg.connect(**login, sslmode="disable", connect_timeout=LOGIN_TIMEOUT_S).close()
        except psycopg.OperationalError:
            return False
        return True

    def logins(self) -> tuple[int, int]:
        log = self.server.log_text()
        return (
            len(re.findall(rf"connection authorized: user={self.name}(?:_clone)? ", log)),
            len(re.findall(rf'authentication failed for user "{self.name}(?:_clone)?"', log)),
        )


@dataclass(slots=True)
class MariaDbAccount:
    """See `Account`. Of MySQL too, which takes a password over TLS only.

    Attributes:
        kind: of the server.
        transport: how drivers connect.
    """

    server: RunningServer
    kind: type[MariaDb] | type[MySql] = MariaDb
    database: Database = field(init=False)
    transport: dict[str, Any] = field(init=False)
    name: str = field(default_factory=lambda: f"load{next(_numbers)}")

    def __post_init__(self) -> None:
        self.database = self.kind(ca_file=self.server.ca_file)
        with_tls = {"ssl": {"ca": self.server.ca_file, "check_hostname": False}}
        self.transport = with_tls if self.kind is MySql else {"ssl_disabled": True}

    def make(self, clients: int) -> None:
        rows = ", ".join(f"({client}, 0)" for client in range(clients))
        admin = pymysql.connect(
            host="127.0.0.1",
            port=self.server.port,
            user=self.server.admin,
            password=self.server.password,
            **self.transport,
        )
        with admin, admin.cursor() as cursor:
            for statement in (
                f"CREATE USER {self.name}@'%' IDENTIFIED BY '{FIRST_PASSWORD}'",
                "CREATE DATABASE IF NOT EXISTS load_test",
                f"CREATE TABLE load_test.counts_{self.name} (client int PRIMARY KEY, count int NOT NULL)",
                f"INSERT INTO load_test.counts_{self.name} VALUES {rows}",  # noqa: S608
                f"GRANT SELECT, UPDATE ON load_test.counts_{self.name} TO {self.name}@'%'",
            ):
                cursor.execute(statement)
            admin.commit()

    def value(self) -> dict[str, Any]:
        return {**_fields(self.server, self.name, FIRST_PASSWORD), "dbname": "load_test"}

    def admin_value(self) -> dict[str, Any]:
        return _fields(self.server, self.server.admin, self.server.password)

    def accepts(self, fields: Mapping[str, Any]) -> bool:
        login = {"user": fields["username"], **{key: fields[key] for key in ("port", "password")}}
        try:
            pymysql.connect(host="127.0.0.1", **login, **self.transport, connect_timeout=LOGIN_TIMEOUT_S).close()
        except pymysql.OperationalError:
            return False
        return True

    def logins(self) -> tuple[int, int]:
        log = self.server.log_text()
        tried = len(re.findall(rf"Connect\t{self.name}(?:_clone)?@", log))
        refused = len(re.findall(rf"Connect\tAccess denied for user '{self.name}(?:_clone)?'", log))
        return tried - refused, refused


@dataclass(slots=True)
class RedisAccount:
    """See `Account`. The server counts logins of all its users together, so nobody else should use it."""

    server: RunningRedis
    database: Database = field(init=False)
    name: str = field(default_factory=lambda: f"load{next(_numbers)}")
    _before: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.database = Redis(tls="disable", persistence="none")

    def make(self, clients: int) -> None:  # noqa: ARG002 - its counters need no making
        with self._admin() as admin:
            rules = ("on", f"~{self.name}:*", "-@all", "+get", "+incrby", "+ping", "+client", "+hello")
            admin.execute_command("ACL", "SETUSER", self.name, "reset", *rules, f">{FIRST_PASSWORD}")
        self._before = self._counted()

    def value(self) -> dict[str, Any]:
        return {**self.admin_value(), "username": self.name, "password": FIRST_PASSWORD}

    def admin_value(self) -> dict[str, Any]:
        admin = {"username": "default", "password": self.server.tls.password}
        return {"engine": "redis", "host": "localhost", "port": self.server.plain_port, **admin}

    def accepts(self, fields: Mapping[str, Any]) -> bool:
        login = {key: fields[key] for key in ("host", "port", "username", "password")}
        connection = redis.Connection(**login, socket_timeout=LOGIN_TIMEOUT_S)
        try:
            connection.connect()
        except redis.AuthenticationError:
            return False
        finally:
            connection.disconnect()
        return True

    def logins(self) -> tuple[int, int]:
        (accepted, refused), before = self._counted(), self._before
        return accepted - before[0], refused - before[1]

    def _counted(self) -> tuple[int, int]:
        with self._admin() as admin:
            known: Any = admin.info("commandstats")
        commands = [known[name] for name in ("cmdstat_hello", "cmdstat_auth") if name in known]
        refused = sum(command["failed_calls"] for command in commands)
        return sum(command["calls"] for command in commands) - refused, refused

    @contextmanager
    def _admin(self) -> Iterator[redis.Redis]:
        with redis.Redis(port=self.server.plain_port, password=self.server.tls.password) as admin:
            yield admin


def _fields(server: RunningServer, username: str, password: str) -> dict[str, Any]:
    login = {"username": username, "password": password, "dbname": server.database}
    return {"engine": server.engine, "host": server.host, "port": server.port, **login}
