"""The servers that other tests start: alone, as an unprivileged user, and gone afterwards."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.mysql import FOLDER_VARIABLE, running_mysql
from tests.servers.processes import NOBODY, NoServer, find_binary, server_folder
from tests.servers.redis import RunningRedis
from tests.servers.running import RunningServer
from tests.servers.starting import REQUIRED_VARIABLE, started

pytest_plugins = ["tests.servers.fixtures"]

ROOT = Path(__file__).parent.parent
SLEEPER = ["/bin/sh", "-c", "echo ready; exec sleep 600"]


@contextmanager
def missing() -> Iterator[RunningServer]:
    yield from ()
    raise NoServer("there is no sled on this machine: install the package sled")


def test_a_missing_server_skips_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRED_VARIABLE, raising=False)
    with ExitStack() as stack, pytest.raises(pytest.skip.Exception, match="install the package sled"):
        started(stack, missing())


def test_a_missing_server_fails_where_servers_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED_VARIABLE, "1")
    with ExitStack() as stack, pytest.raises(pytest.fail.Exception, match="install the package sled"):
        started(stack, missing())
    with ExitStack() as stack, pytest.raises(pytest.skip.Exception):
        started(stack, missing(), is_optional=True)


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(NoServer, match="there is no sledd on this machine: install the package sled"):
        find_binary("sledd", "/nowhere/*/bin", package="sled")


def test_mysql_is_there_only_where_its_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    with pytest.raises(NoServer, match=FOLDER_VARIABLE), running_mysql():
        raise AssertionError


def test_a_server_and_its_folder_are_gone_afterwards() -> None:
    with server_folder("test") as folder:
        with folder.serving(SLEEPER, lambda: "ready" in folder.log_text(), signal.SIGKILL):
            assert folder.path.exists()
        assert not folder.path.exists()


def test_a_server_may_take_its_time_to_stop() -> None:
    with server_folder("test") as folder, folder.serving(SLEEPER, lambda: "ready" in folder.log_text(), signal.SIGINT):
        pass
    assert not folder.path.exists()


def test_a_server_that_does_not_start_says_why() -> None:
    command = ["/bin/sh", "-c", "echo no port is free; exit 3"]
    with (
        server_folder("test") as folder,
        pytest.raises(RuntimeError, match="no port is free"),
        folder.serving(command, lambda: False, signal.SIGKILL),
    ):
        raise AssertionError
    assert not folder.path.exists()


CHILD = """
import signal, time
from tests.servers.processes import server_folder
with server_folder("test") as folder:
    command = ["/bin/sh", "-c", "echo $$ $PPID ready; exec sleep 600"]
    with folder.serving(command, lambda: "ready" in folder.log_text(), signal.SIGKILL):
        print(folder.path, *folder.log_text().split()[:2], flush=True)
        time.sleep(600)
"""


def test_nothing_is_left_when_the_tests_are_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, cwd=ROOT, text=True) as child:
        assert child.stdout is not None
        path, server, guardian = child.stdout.readline().split()
        handles = [os.pidfd_open(int(process)) for process in (server, guardian)]
        child.kill()
    for handle in handles:
        assert select.select([handle], [], [], 20)[0], "it still runs"
        os.close(handle)
    assert not Path(path).exists()


def check_runs_alone(server: RunningServer) -> None:
    """It listens on loopback, and its files belong to a user without privileges."""
    with socket.create_connection(("127.0.0.1", server.port), 5):
        pass
    if os.geteuid() == 0:
        assert server.folder.path.stat().st_uid == NOBODY


def test_postgresql_runs_alone(postgresql_server: RunningServer) -> None:
    check_runs_alone(postgresql_server)


def test_mariadb_runs_alone(mariadb_server: RunningServer) -> None:
    check_runs_alone(mariadb_server)


def test_mysql_runs_alone(mysql_server: RunningServer) -> None:
    check_runs_alone(mysql_server)


def test_redis_has_passwords_and_tls(redis_server: RunningRedis) -> None:
    server = redis_server.tls
    check_runs_alone(server)
    private = {"ssl": True, "ssl_ca_certs": server.ca_file}
    with redis.Redis("localhost", server.port, password=server.password, **private) as client:  # type: ignore[arg-type]
        assert client.ping()
    with redis.Redis("localhost", redis_server.plain_port, password=server.password) as client:
        assert client.ping()
    with (
        redis.Redis("localhost", redis_server.plain_port, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()
