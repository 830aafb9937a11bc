"""What drivers raise and what they are called with: failures told apart without their words, arguments by name."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types
import mysql.connector
import psycopg
import psycopg2  # type: ignore[import-untyped]
import pymysql
import pytest
import redis

from envelope import InvalidArgument
from envelope_secrets import AsyncSecretsClient, NotSupported, Secret, SecretFormatError, SecretsClient
from envelope_secrets.connectors import RedisLogin, async_pool, connection_class, engine, pool
from envelope_secrets.connectors.attempts import Failure
from envelope_secrets.connectors.django_settings import connect_by_settings, without_own_options
from envelope_secrets.connectors.driver_arguments import check_arguments, driver_arguments, driver_of
from envelope_secrets.connectors.driver_failures import BY_ERRNO, error_for, failure_of
from envelope_secrets.connectors.libraries import load_library
from envelope_secrets.rotation.failures import AccountLocked, LoginRefused, PrivilegeMissing, TargetError, TlsFailed
from tests.python_child import run_python
from tests.secret_stores_for_tests import MemoryStore

SECRETS = SecretsClient(MemoryStore(db=json.dumps({"username": "app", "password": "p1", "host": "db"})))


def libpq(text: str, *, used_password: bool) -> psycopg.OperationalError:
    """As psycopg raises it: no code, libpq's text, and the facts of the connection."""
    return psycopg.OperationalError(text, pgconn=SimpleNamespace(used_password=used_password))  # type: ignore[arg-type]


class OfAnotherDriver(Exception):
    def __init__(self, sqlstate: object) -> None:
        super().__init__("postgresql://app:hunter2@db")
        self.sqlstate = sqlstate


def pymysql_over_tls() -> pymysql.OperationalError:
    error = pymysql.OperationalError(2003, "cannot connect")
    error.original_exception = ssl.SSLCertVerificationError("wrong")  # type: ignore[attr-defined]
    return error


def pymysql_with_sqlstate() -> pymysql.OperationalError:
    error = pymysql.OperationalError(3955, "blocked")
    error.sqlstate = "HY000"  # as newer versions set it
    return error


class OfMariaDb(Exception):
    """As MariaDB's own driver raises it."""

    __module__ = "mariadb"
    errno = 4151


def aiomysql_over_tls() -> pymysql.OperationalError:
    error = pymysql.OperationalError(2003, "cannot connect")
    error.__cause__ = ssl.SSLCertVerificationError("wrong")
    return error


def of_psycopg2(text: str) -> psycopg2.OperationalError:
    """As psycopg2 raises it: libpq's text and nothing else."""
    return psycopg2.OperationalError(f'connection to server at "db", port 5432 failed: {text}\n')


FAILURES: list[tuple[Exception, Failure]] = [
    (libpq('FATAL:  password authentication failed for user "app"', used_password=True), Failure.REFUSED),
    (libpq("FATAL:  Passwort-Authentifizierung fehlgeschlagen", used_password=True), Failure.REFUSED),
    (libpq('FATAL:  database "app" does not exist', used_password=True), Failure.OTHER),
    (libpq('FATAL:  too many connections for role "app"', used_password=True), Failure.LOCKED),
    (libpq('FATAL:  permission denied for database "app"', used_password=True), Failure.PRIVILEGE),
    (libpq("server closed the connection unexpectedly", used_password=True), Failure.UNREACHABLE),
    (libpq("SSL error: certificate verify failed", used_password=False), Failure.TLS),
    (libpq("FATAL:  pg_hba.conf rejects connection", used_password=False), Failure.OTHER),
    (libpq("Connection refused", used_password=False), Failure.UNREACHABLE),
    (libpq("FATAL:  the database system is starting up", used_password=True), Failure.UNREACHABLE),
    (psycopg.OperationalError("no such host"), Failure.UNREACHABLE),
    (of_psycopg2('FATAL:  password authentication failed for user "app"'), Failure.REFUSED),
    (of_psycopg2("FATAL:  Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen"), Failure.REFUSED),
    (of_psycopg2('ВАЖНО:  пользователь "app" не прошёл проверку'), Failure.REFUSED),
    (of_psycopg2('FATAL:  database "app" does not exist'), Failure.OTHER),
    (of_psycopg2('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "app", no encryption'), Failure.OTHER),
    (of_psycopg2("FATAL:  remaining connection slots are reserved"), Failure.LOCKED),
    (of_psycopg2("FATAL:  the database system is starting up"), Failure.UNREACHABLE),
    (of_psycopg2("SSL error: certificate verify failed"), Failure.TLS),
    (psycopg2.OperationalError('FATAL:  password authentication failed for user "app"\n'), Failure.REFUSED),
    (psycopg2.OperationalError("could not connect to server: Connection refused\n"), Failure.UNREACHABLE),
    (of_psycopg2("Connection refused"), Failure.UNREACHABLE),
    (of_psycopg2("timeout expired"), Failure.UNREACHABLE),
    (asyncpg.InvalidPasswordError("x"), Failure.REFUSED),
    (asyncpg.TooManyConnectionsError("x"), Failure.LOCKED),
    (asyncpg.CannotConnectNowError("x"), Failure.UNREACHABLE),
    (asyncpg.InterfaceError("x"), Failure.OTHER),
    (mysql.connector.Error("x", errno=1045, sqlstate="28000"), Failure.REFUSED),
    (mysql.connector.Error("x", errno=3118, sqlstate="HY000"), Failure.LOCKED),
    (mysql.connector.Error("no number"), Failure.OTHER),
    (OfMariaDb("x"), Failure.LOCKED),
    (aiomysql_over_tls(), Failure.TLS),
    (psycopg.errors.ConnectionTimeout("expired"), Failure.UNREACHABLE),
    (psycopg.errors.InvalidPassword("x"), Failure.REFUSED),
    (psycopg.ProgrammingError("no such option"), Failure.OTHER),
    (OfAnotherDriver("28000"), Failure.REFUSED),
    (OfAnotherDriver("28999"), Failure.REFUSED),
    (OfAnotherDriver("08006"), Failure.UNREACHABLE),
    (OfAnotherDriver("57P03"), Failure.UNREACHABLE),
    (OfAnotherDriver("3D000"), Failure.OTHER),
    (OfAnotherDriver("hunter2"), Failure.OTHER),
    (OfAnotherDriver(5), Failure.OTHER),
    (pymysql.OperationalError(1045, "Access denied"), Failure.REFUSED),
    (pymysql.OperationalError(3955, "blocked"), Failure.LOCKED),
    (pymysql.OperationalError(1049, "Unknown database"), Failure.OTHER),
    (pymysql.OperationalError(2003, "cannot connect"), Failure.UNREACHABLE),
    (pymysql.OperationalError("no number"), Failure.OTHER),
    (pymysql.OperationalError(), Failure.OTHER),
    (pymysql_over_tls(), Failure.TLS),
    (pymysql_with_sqlstate(), Failure.LOCKED),
    (redis.AuthenticationError("WRONGPASS"), Failure.REFUSED),
    (redis.exceptions.AuthenticationWrongNumberOfArgsError("x"), Failure.REFUSED),
    (redis.exceptions.NoPermissionError("NOPERM"), Failure.PRIVILEGE),
    (redis.ConnectionError("refused"), Failure.UNREACHABLE),
    (redis.TimeoutError("slow"), Failure.UNREACHABLE),
    (redis.ResponseError("ERR"), Failure.OTHER),
    (ssl.SSLCertVerificationError("wrong"), Failure.TLS),
    (TimeoutError("slow"), Failure.UNREACHABLE),
    (ValueError("hunter2"), Failure.OTHER),
]


@pytest.mark.parametrize(("error", "failure"), FAILURES, ids=lambda part: repr(part)[:60])
def test_a_failure_is_told_by_codes_and_by_facts_of_the_protocol(error: Exception, failure: Failure) -> None:
    assert failure_of(error).failure is failure


def test_the_codes_of_mysql_that_mean_more_attempts_would_lock_the_account() -> None:
    assert {errno for errno, failure in BY_ERRNO.items() if failure is Failure.LOCKED} >= {3955, 1862, 4151, 1203, 1226}


def test_a_predicate_decides_whether_it_was_a_refusal_and_nothing_else() -> None:
    lost, refused = TimeoutError(), OfAnotherDriver("28P01")
    assert failure_of(lost, lambda _: True).failure is Failure.REFUSED
    assert failure_of(lost, lambda _: False).failure is Failure.UNREACHABLE
    assert failure_of(refused, lambda _: False).failure is Failure.OTHER


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure.REFUSED, LoginRefused),
        (Failure.LOCKED, AccountLocked),
        (Failure.TLS, TlsFailed),
        (Failure.PRIVILEGE, PrivilegeMissing),
        (Failure.OTHER, TargetError),
    ],
)
def test_an_error_names_the_class_and_the_code_of_the_driver_and_not_its_text(
    failure: Failure, kind: type[TargetError]
) -> None:
    error = next(error for error, expected in FAILURES if expected is failure)
    raised = error_for(failure_of(error), "prod/db")
    assert type(raised) is kind
    assert "prod/db" in str(raised)
    assert type(error).__name__ in str(raised)
    assert str(error) not in str(raised)
    assert "28P01" in str(error_for(failure_of(OfAnotherDriver("28P01")), "prod/db"))
    assert "1045" in str(error_for(failure_of(pymysql.OperationalError(1045, "app")), "prod/db"))


# --- arguments ----------------------------------------------------------------------------------------


def secret_of(**fields: object) -> Secret:
    value = json.dumps({"username": "app", "password": "p1", **fields})
    return Secret(value, name="db", arn="arn", version_id="v1")


WHOLE = secret_of(host="db", port="5432", dbname="shop", engine="postgres")


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        ("psycopg", {"user": "app", "password": "p1", "host": "db", "port": 5432, "dbname": "shop"}),
        ("pymysql", {"user": "app", "password": "p1", "host": "db", "port": 5432, "database": "shop"}),
        ("psycopg2", {"user": "app", "password": "p1", "host": "db", "port": 5432, "dbname": "shop"}),
        ("aiomysql", {"user": "app", "password": "p1", "host": "db", "port": 5432, "db": "shop"}),
        ("another", {"user": "app", "password": "p1", "host": "db", "port": 5432, "database": "shop"}),
        ("redis", {"username": "app", "password": "p1", "host": "db", "port": 5432}),
    ],
)
def test_fields_have_the_names_that_the_driver_takes(driver: str, expected: dict[str, object]) -> None:
    assert driver_arguments(WHOLE, driver, {}) == expected


def test_arguments_of_the_caller_win() -> None:
    given = driver_arguments(WHOLE, "psycopg", {"host": "reader", "user": "other", "connect_timeout": 3})
    assert (given["host"], given["user"], given["connect_timeout"]) == ("reader", "other", 3)


def test_what_the_secret_does_not_have_is_left_to_the_driver() -> None:
    assert driver_arguments(secret_of(username="", database="shop"), "psycopg", {}) == {
        "password": "p1",
        "dbname": "shop",
    }


def test_a_secret_that_asks_for_tls_has_certificate_and_host_name_checked() -> None:
    secret = secret_of(ssl="true")
    assert driver_arguments(secret, "psycopg", {})["sslmode"] == "verify-full"
    assert driver_arguments(secret, "psycopg2", {})["sslmode"] == "verify-full"
    for driver in ("pymysql", "aiomysql", "asyncpg"):
        context: Any = driver_arguments(secret, driver, {})["ssl"]
        assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert driver_arguments(secret, "MySQLdb", {})["ssl_mode"] == "VERIFY_IDENTITY"
    assert driver_arguments(secret, "redis", {})["ssl"] is True
    assert driver_arguments(secret, "psycopg", {"sslmode": "verify-ca"})["sslmode"] == "verify-ca"
    assert "ssl" not in driver_arguments(secret, "another", {"sslcontext": 5})
    with pytest.raises(InvalidArgument, match="TLS"):
        driver_arguments(secret, "another", {})


def test_a_secret_that_asks_for_no_tls_takes_none_away() -> None:
    assert "sslmode" not in driver_arguments(secret_of(ssl=False), "psycopg", {})


@pytest.mark.parametrize(
    "fields",
    [
        {"password": ""},
        {"password": 5},
        {"password": "hunter\0"},
        {"username": 5},
        {"host": ["db"]},
        {"port": "many"},
        {"port": "99999"},
        {"port": 0},
        {"port": True},
        {"ssl": "yes"},
        {"ssl": 1.5},
        {"dbname": 5},
    ],
)
def test_a_malformed_field_is_named_and_not_shown(fields: dict[str, object]) -> None:
    with pytest.raises(SecretFormatError, match=f"field {next(iter(fields))}") as caught:
        driver_arguments(secret_of(**fields), "psycopg", {})
    assert "hunter" not in str(caught.value)


def test_the_driver_is_known_by_the_module_of_its_function() -> None:
    assert driver_of(psycopg.connect) == "psycopg"
    assert driver_of(partial(partial(pymysql.connect), charset="utf8mb4")) == "pymysql"
    assert driver_of(SimpleNamespace(__module__=None)) == ""  # type: ignore[arg-type]


def test_a_function_makes_all_arguments() -> None:
    check_arguments(lambda _: {})
    assert driver_arguments(WHOLE, "psycopg", lambda secret: {"dsn": secret.version_id}) == {"dsn": "v1"}


# --- what needs no server -----------------------------------------------------------------------------


def test_a_library_that_is_not_installed_is_named() -> None:
    with pytest.raises(NotSupported, match="no_such_driver is not installed") as caught:
        load_library("no_such_driver", "driver[pool]")
    assert caught.value.hint == "pip install 'driver[pool]'"
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("no url: hunter2", "one of SQLAlchemy's"),
        ("postgresql+psycopg://app:hunter2@db", "must not have a password"),
        ("postgresql+psycopg_async://", "driver for threads"),
    ],
)
def test_an_engine_takes_no_url_with_a_password(url: str, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem) as caught:
        engine(SECRETS, "db", url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("make", [RedisLogin, pool, async_pool, connection_class, partial(engine, url="sqlite://")])
def test_what_connects_later_checks_its_options_at_once(make: Callable[..., object]) -> None:
    secrets = AsyncSecretsClient.sharing(SECRETS) if make is async_pool else SECRETS
    for wrong in ({"attempts": 0}, {"budget_s": -1}, {"secret_id": ""}, {"secrets": 5}):
        with pytest.raises(InvalidArgument, match=next(iter(wrong))):
            make(**{"secrets": secrets, "secret_id": "db", **wrong})


@pytest.mark.parametrize("make", [pool, async_pool])
def test_a_pool_takes_no_password(make: Callable[..., object]) -> None:
    with pytest.raises(InvalidArgument, match="password"):
        make(SECRETS, "db", arguments={"password": "hunter2"})


def test_a_redis_login_has_a_user_or_a_password_alone() -> None:
    assert RedisLogin(SECRETS, "db").get_credentials() == ("app", "p1")
    alone = SecretsClient(MemoryStore(cache=json.dumps({"password": "p1"})))
    assert RedisLogin(alone, "cache").get_credentials() == ("p1",)


def test_importing_the_connectors_imports_no_driver() -> None:
    imports = "import sys, envelope_secrets.connectors, envelope_secrets.connectors.django.postgresql"
    drivers = "{'psycopg', 'psycopg_pool', 'pymysql', 'redis', 'sqlalchemy', 'django', 'boto3'}"
    assert run_python(f"{imports}; print(sorted({drivers} & set(sys.modules)))").strip() == b"[]"


@pytest.mark.parametrize("path", ["tests.test_connectors_drivers.WHOLE", "tests.test_connectors_drivers.x", "y", "", 5])
def test_settings_for_django_name_a_client(path: object) -> None:
    with pytest.raises(InvalidArgument, match="OPTIONS must have secrets"):
        connect_by_settings({"OPTIONS": {"secrets": path}}, dict, {}, "psycopg")


def test_settings_for_django_must_not_ask_for_a_pool_that_keeps_a_password() -> None:
    with pytest.raises(InvalidArgument, match="pool"):
        connect_by_settings({"OPTIONS": {"pool": True}}, dict, {}, "psycopg")


def test_settings_for_django_are_no_arguments_of_the_driver() -> None:
    options = {
        "secrets": "tests.test_connectors_drivers.SECRETS",
        "secret_id": "db",
        "attempts": 2,
        "sslmode": "require",
    }
    assert without_own_options(options) == {"sslmode": "require"}
    made = connect_by_settings({"OPTIONS": options}, dict, {"dbname": "shop"}, "psycopg")
    assert made == {"user": "app", "password": "p1", "host": "db", "dbname": "shop"}
