"""Statements of a test itself on MySQL or MariaDB, beside the sessions that it tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pymysql

from tests.servers.logins import credentials
from tests.servers.running import RunningServer

__all__ = ["Sql", "statements_of"]


class Sql:
    """A connection, the administrator's unless another login is given."""

    def __init__(self, server: RunningServer, username: str | None = None, password: str | None = None) -> None:
        login = credentials(server, username, password)
        self.connection = pymysql.connect(
            host="localhost",
            port=login.port,
            user=login.username,
            password=login.password.encode(),
            autocommit=True,
            ssl_ca=server.ca_file,
        )

    def run(self, statement: str, *values: str) -> tuple[Any, ...]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return tuple(cursor.fetchall())


@contextmanager
def statements_of(server: RunningServer, *login: str) -> Iterator[Sql]:
    statements = Sql(server, *login)
    try:
        yield statements
    finally:
        with suppress(pymysql.Error):
            statements.connection.close()
