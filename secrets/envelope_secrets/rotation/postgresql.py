"""PostgreSQL, on RDS, Aurora or anywhere else. Not Redshift, whose roles and statements are others."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_loading import load_driver
from envelope_secrets.rotation.driver_options import check_credentials, check_options, check_test_statements
from envelope_secrets.rotation.driver_tls import trusted_certificates
from envelope_secrets.rotation.failures import TargetUnreachable
from envelope_secrets.rotation.postgresql_login import check_login
from envelope_secrets.rotation.postgresql_session import PostgreSqlSession, check_name
from envelope_secrets.rotation.tls import Tls, TlsMode

__all__ = ["PostgreSql"]

SHORTEST_CONNECT_S = 2
"""The driver counts whole seconds, and makes 2 of 1."""

REPEAT = "let the step be repeated; if it stays so, look for variables of libpq in the environment, like PGSERVICE"

NOWHERE = os.devnull + "/none"
"""A path at which there can be no file, so that none is taken from the home folder."""

FIRST_LIBPQ_WITH_REQUIRE_AUTH = 160_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgreSql:
    """PostgreSQL 12 or later, by psycopg 3. No password is ever sent to it: it is hashed here, for SCRAM-SHA-256.

    Attributes:
        tls: see `Tls`.
        ca_file: see `Tls`.
        password_policy: by default what RDS takes, without the colon, which files of passwords cannot have.
        connect_timeout_s: for one login, at most, of which the driver has the second part: whole seconds, 2 at least.
        statement_timeout_s: for one statement, at most.
        most_refusals: so many refused logins of one account in one step, 1 to 100. The server itself locks none.
        test_statements: what the application must be able to do, like ``SELECT 1 FROM orders LIMIT 1``: testSecret runs
            these statements with the new password, in a transaction that it rolls back. At most 20.

    Raises:
        InvalidArgument: an option of the wrong type or range.
    """

    tls: TlsMode = "verify-full"
    ca_file: str | None = None
    password_policy: PasswordPolicy = field(default_factory=lambda: PasswordPolicy(exclude=":/@\"'\\"))
    connect_timeout_s: float = 5.0
    statement_timeout_s: float = 10.0
    most_refusals: int = 4
    test_statements: tuple[str, ...] = ()

    engines: ClassVar[frozenset[str]] = frozenset({"postgres", "aurora-postgresql"})
    default_port: ClassVar[int] = 5432
    max_username_characters: ClassVar[int] = 63
    keeps_two_passwords: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Tls(self.tls, self.ca_file)
        check_options(self.password_policy, self.connect_timeout_s, self.statement_timeout_s, self.most_refusals)
        check_test_statements(self.test_statements)

    def connect(self, credentials: DatabaseCredentials, *, deadline: Deadline) -> PostgreSqlSession:
        """See `Database.connect`.

        The driver tells of a failed login in the server's language only. So a login by a few messages of our own comes
        first, for the server's code, and the driver's comes only if that worked: a wrong password is sent once.
        """
        check_credentials(credentials)
        check_name(credentials.username)
        driver = load_driver("psycopg", "postgresql")
        deadline.require(SHORTEST_CONNECT_S, "a login")
        tls = Tls(self.tls, self.ca_file)
        before_s = deadline.left_s
        check_login(credentials, tls, deadline.at_most(self.connect_timeout_s))
        deadline.require(SHORTEST_CONNECT_S, "a login")
        left_s = min(self.connect_timeout_s - (before_s - deadline.left_s), deadline.left_s)
        timeout_s = max(math.floor(left_s), SHORTEST_CONNECT_S)
        raw = _connected(driver, _parameters(credentials, tls, timeout_s, driver.pq.version()))
        if raw is None:
            raise TargetUnreachable("the login worked a moment ago, and the driver's after it failed", hint=REPEAT)
        return PostgreSqlSession(
            raw,
            driver,
            credentials.username,
            deadline=deadline,
            statement_timeout_s=self.statement_timeout_s,
            test_statements=self.test_statements,
        )


def _connected(driver: Any, parameters: Mapping[str, Any]) -> Any:
    """A connection, or None; the driver's errors can quote the parameters."""
    try:
        return driver.connect(**parameters)
    except Exception:  # noqa: BLE001 - see above
        return None


def _parameters(credentials: DatabaseCredentials, tls: Tls, timeout_s: int, libpq: int) -> dict[str, Any]:
    """All that could otherwise come from the environment or the home folder is said."""
    is_verified = tls.mode in ("verify-full", "verify-ca")
    parameters = {
        "host": credentials.host,
        "hostaddr": "",
        "port": credentials.port,
        "user": credentials.username,
        "password": credentials.password,
        "dbname": credentials.database or "postgres",
        "passfile": os.devnull,
        "options": "",
        "connect_timeout": timeout_s,
        "tcp_user_timeout": timeout_s * 1_000,
        "sslmode": tls.mode,
        "sslrootcert": trusted_certificates(tls) if is_verified else NOWHERE,
        "sslcert": NOWHERE,
        "gssencmode": "disable",
        "target_session_attrs": "any",
        "client_encoding": "utf8",
        "application_name": "envelope secrets rotation",
        "autocommit": True,
    }
    if libpq >= FIRST_LIBPQ_WITH_REQUIRE_AUTH:
        # Where nobody knows who is at the other end, the password itself is not sent.
        parameters["require_auth"] = "scram-sha-256,md5" + (",password" if is_verified else "")
    return parameters
