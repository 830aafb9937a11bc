"""Servers that send a byte now and then: a driver's own timeout begins again with each of them."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_timeouts import ends_after
from envelope_secrets.rotation.failures import TargetUnreachable
from envelope_secrets.rotation.mariadb import MariaDb
from envelope_secrets.rotation.mysql import MySql
from envelope_secrets.rotation.postgresql import PostgreSql
from envelope_secrets.rotation.redis import Redis

Answer = Callable[[socket.socket], bytes]
"""Takes what must be taken, and gives what is sent then, byte by byte."""


@contextmanager
def dripping(answer: Answer) -> Iterator[int]:
    """The port of a server that sends 20 bytes a second, as long as somebody listens."""
    is_over = threading.Event()

    def serve() -> None:
        line, _ = listener.accept()
        with line, suppress(OSError):
            for byte in answer(line):
                line.sendall(bytes([byte]))
                if is_over.wait(0.05):
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            is_over.set()
            thread.join()


def postgresql(line: socket.socket) -> bytes:
    line.recv(1_000)
    return b"S" + struct.pack("!i", 60_000) + bytes(59_996)


def mysql(_: socket.socket) -> bytes:
    return b"\x50\x00\x00\x00\x0a8.0.0-" + b"x" * 1_000


def redis(line: socket.socket) -> bytes:
    line.recv(1_000)
    return b"-" + b"x" * 1_000


@pytest.mark.parametrize(
    ("target", "engine", "answer"),
    [
        (PostgreSql(tls="disable", connect_timeout_s=2.0), "postgres", postgresql),
        (MySql(tls="disable", connect_timeout_s=0.3), "mysql", mysql),
        (MariaDb(tls="disable", connect_timeout_s=0.3), "mariadb", mysql),
        (Redis(tls="disable", connect_timeout_s=0.3), "redis", redis),
    ],
    ids=lambda given: type(given).__name__ if hasattr(given, "tls") else "",
)
def test_a_login_has_an_end_though_its_answer_goes_on(target: Any, engine: str, answer: Answer) -> None:
    with dripping(answer) as port:
        login = DatabaseCredentials(engine, "127.0.0.1", port, "app", "password")
        with pytest.raises(TargetUnreachable):
            target.connect(login, deadline=Deadline(60.0))


def test_a_command_has_an_end_though_its_answer_goes_on() -> None:
    def after_the_login(line: socket.socket) -> bytes:
        while b"PING" not in (commands := line.recv(1_000)):
            line.sendall(b"+OK\r\n" * commands.count(b"*"))
        return b"-" + b"x" * 1_000

    with dripping(after_the_login) as port:
        login = DatabaseCredentials("redis", "127.0.0.1", port, "app", "password")
        session = Redis(tls="disable", statement_timeout_s=0.3).connect(login, deadline=Deadline(60.0))
        with session, pytest.raises(TargetUnreachable):
            session.check_use()


def test_what_ends_in_time_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with ends_after(60.0, ours.fileno):
            pass
        theirs.sendall(b"still open")
        assert ours.recv(100) == b"still open"


def test_nothing_happens_where_there_is_no_connection_yet() -> None:
    asked = threading.Event()

    def no_socket() -> int:
        asked.set()
        raise AttributeError

    with ends_after(0.0, no_socket):
        assert asked.wait(60)
