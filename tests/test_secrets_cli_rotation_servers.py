"""`envelope secrets rotate --with` and `... rotation` on real servers, as a person uses them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from envelope_secrets.rotation.database import Database, DatabaseCredentials
from envelope_secrets.rotation.mariadb import MariaDb
from envelope_secrets.rotation.postgresql import PostgreSql
from envelope_secrets.rotation.redis import Redis
from tests.cli_for_tests import run_cli
from tests.secrets_cli_for_tests import LOCAL, create, done, labels, local, prepare, put
from tests.servers.logins import accepts, credentials, deadline
from tests.servers.redis import RunningRedis
from tests.servers.running import RunningServer

pytest_plugins = ["tests.servers.fixtures"]

PASSWORD = "hunter2-canary-first"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch)
    return tmp_path


def value(server: RunningServer, username: str, password: str = PASSWORD, **others: Any) -> str:
    fields = {"engine": server.engine, "host": server.host, "port": server.port, "dbname": server.database}
    return json.dumps({**fields, "username": username, "password": password, **others})


def works(database: Database, server: RunningServer, stage: str = "AWSCURRENT") -> bool:
    fields = json.loads(done("get", "prod/db", "--stage", stage))
    return accepts(database, server, fields["username"], fields["password"])


def spoken(*arguments: object) -> str:
    """What a command about ``prod/db`` says altogether; it goes well and shows no password."""
    command, *rest = arguments
    ended = run_cli(
        "secrets", *(("rotation", command) if command in ("status", "repair") else (command,)), *LOCAL, *rest
    )
    text = ended.out.decode() + ended.errors
    assert ended.status == 0, text
    for stage in labels():
        assert json.loads(done("get", "prod/db", "--stage", stage))["password"] not in text
    return text


@contextmanager
def session(database: Database, server: RunningServer, who: DatabaseCredentials | None = None) -> Iterator[Any]:
    with database.connect(who or credentials(server), deadline=deadline()) as opened:
        yield opened


def test_postgresql_with_a_single_user_from_a_dry_run_to_a_repair(postgresql_server: RunningServer) -> None:
    server, name = postgresql_server, f"app_{uuid.uuid4().hex[:8]}"
    database = PostgreSql(ca_file=server.ca_file)
    with session(database, server) as admin:
        admin.prepare_account(name, server.admin)
        admin.set_password(name, PASSWORD)
    create("prod/db", value(server, name))
    how = ("prod/db", "--with", "postgresql", "--strategy", "single-user", "--ca-file", server.ca_file)
    assert "would make a new version" in spoken("rotate", *how, "--dry-run")
    assert works(database, server)
    assert "is current now" in spoken("rotate", *how)
    assert works(database, server)
    assert not works(database, server, "AWSPREVIOUS")

    stuck = "hunter2-canary-stuck"  # L8: set in the server, and not promoted
    put("prod/db", value(server, name, stuck), "--stage", "AWSPENDING")
    assert "repair would: drop-pending" in spoken("status", *how, "--min-age", "0")
    assert "may still run" in spoken("status", *how)
    with session(database, server) as admin:
        admin.set_password(name, stuck)
    assert "repair would: promote-pending" in spoken("status", *how)
    assert "AWSCURRENT is on version" in spoken("repair", *how, "--yes")
    assert works(database, server)
    assert "the current version works" in spoken("status", *how)
    assert stuck not in server.log_text()


def test_an_administrator_of_postgresql_who_may_make_no_account_is_told_by_a_dry_run(
    postgresql_server: RunningServer,
) -> None:
    server, name = postgresql_server, f"app_{uuid.uuid4().hex[:8]}"
    import psycopg

    dsn = f"host={server.host} port={server.port} user={server.admin} password={server.password} dbname=postgres"
    with psycopg.connect(dsn, sslmode="require") as other:
        other.execute(f"CREATE ROLE {name}_weak LOGIN PASSWORD 'logged'")
        other.execute(f"CREATE ROLE {name}_plain LOGIN PASSWORD 'logged'")
    create("prod/root", value(server, f"{name}_weak", "logged"))
    create("prod/db", value(server, f"{name}_plain", "logged", masterarn="prod/root"))
    how = ("prod/db", "--with", "postgresql", "--strategy", "alternating-users", "--ca-file", server.ca_file)
    ended = local("rotate", *how, "--dry-run")
    assert (ended.status, "the administrator may make no accounts" in ended.errors) == (3, True), ended.errors
    assert "hint: ALTER ROLE" in ended.errors
    assert list(labels()) == ["AWSCURRENT"]
    put("prod/root", value(server, server.admin, server.password))
    assert "would make a new version" in spoken("rotate", *how, "--dry-run")


def test_postgresql_without_its_authority_is_not_taken_for_a_wrong_password(postgresql_server: RunningServer) -> None:
    create("prod/db", value(postgresql_server, "nobody"))
    how = ("prod/db", "--with", "postgresql", "--strategy", "single-user")
    ended = local("rotate", *how, "--ca-file", postgresql_server.other_ca_file)
    assert (ended.status, "hint: see --ca-file" in ended.errors) == (4, True)
    planned = local("rotate", *how, "--ca-file", postgresql_server.other_ca_file, "--dry-run")
    assert (planned.status, "hint: see --ca-file" in planned.errors) == (3, True), planned.errors
    shown = spoken("status", *how, "--ca-file", postgresql_server.other_ca_file)
    assert "the target does not tell which version works" in shown


def test_an_interrupt_while_the_server_sets_a_password_loses_nothing(
    postgresql_server: RunningServer, folder: Path
) -> None:
    """The table of accounts is locked, so that the statement waits until the signal has come."""
    server, name = postgresql_server, f"app_{uuid.uuid4().hex[:8]}"
    database = PostgreSql(ca_file=server.ca_file)
    with session(database, server) as admin:
        admin.prepare_account(name, server.admin)
        admin.set_password(name, PASSWORD)
    create("prod/db", value(server, name))
    how = ("prod/db", "--with", "postgresql", "--strategy", "single-user", "--ca-file", server.ca_file)
    import psycopg

    dsn = f"host={server.host} port={server.port} user={server.admin} password={server.password} dbname=postgres"
    with psycopg.connect(dsn, sslmode="require", options="-c lock_timeout=10s") as other:
        other.execute("LOCK TABLE pg_authid IN SHARE MODE")
        started = subprocess.Popen(
            [sys.executable, "-m", "envelope.cli", "secrets", "rotate", *LOCAL, "-v", *how],
            env=dict(os.environ),
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert started.stderr is not None
        for line in started.stderr:
            if "setSecret begins" in line:
                break
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        for _ in range(500):
            if other.execute(waiting).fetchone() != (0,):
                break
            time.sleep(0.01)
        started.send_signal(signal.SIGINT)
        rest = started.stderr.read()
        assert started.wait(30) == -signal.SIGINT
    started.stderr.close()
    assert "it stopped in setSecret of version" in rest
    assert "is current now, taken up from an earlier run" in spoken("rotate", *how)
    assert works(database, server)


def test_mariadb_with_alternating_users(mariadb_server: RunningServer) -> None:
    server, name = mariadb_server, f"app_{uuid.uuid4().hex[:8]}"
    database = MariaDb(ca_file=server.ca_file)
    with session(database, server) as admin:
        admin.prepare_account(name, server.admin)
        admin.set_password(name, PASSWORD)
    create("prod/root", value(server, server.admin, server.password))
    create("prod/db", value(server, name, masterarn="prod/root"))
    how = ("prod/db", "--with", "mariadb", "--strategy", "alternating-users", "--ca-file", server.ca_file)
    assert "would make a new version" in spoken("rotate", *how, "--clone-suffix", "_2", "--dry-run")
    spoken("rotate", *how, "--clone-suffix", "_2")
    assert json.loads(done("get", "prod/db"))["username"] == f"{name}_2"
    assert works(database, server)
    assert works(database, server, "AWSPREVIOUS")
    shown = spoken("status", *how, "--clone-suffix", "_2")
    assert shown.count("the target accepts it") == 2


def test_redis_with_two_passwords(redis_server: RunningRedis) -> None:
    server, name = redis_server.tls, f"app_{uuid.uuid4().hex[:8]}"
    database = Redis(ca_file=server.ca_file, persistence="none")
    with session(database, server) as admin:
        admin.prepare_account(name, server.admin)
        admin.set_password(name, PASSWORD)
    create("prod/db", value(server, name))
    how = ("prod/db", "--with", "redis", "--strategy", "dual-password", "--ca-file", server.ca_file)
    spoken("rotate", *how, "--persistence", "none")
    assert works(database, server)
    assert works(database, server, "AWSPREVIOUS")
    pending = put("prod/db", value(server, name, "hunter2-canary-next"), "--stage", "AWSPENDING")
    done_with = ("repair", *how, "--persistence", "none", "--min-age", "0", "--yes")
    assert f"took AWSPENDING away from version {pending}" in spoken(*done_with)
    assert "nothing is to be done" in spoken(*done_with)
