"""A FAKE of MongoDB, because no server of it can be had from Debian or PyPI: real sockets, TLS, messages and SCRAM.

The real pymongo connects to it. It knows the commands that a rotation and a small application use, and answers with the
codes of the real one. What it does is read from MongoDB's manual; that the manual is right has not been tried here.

Source: MongoDB manual, "MongoDB Wire Protocol"; the message formats OP_MSG, OP_QUERY and OP_REPLY.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import bson

from tests.servers.certificates import certificates
from tests.servers.mongodb_fake_commands import FakeMongoConnection, FakeMongoState

__all__ = ["FakeMongo", "fake_mongo"]

OP_REPLY, OP_QUERY, OP_MSG = 1, 2_004, 2_013
SET_NAME = "rs0"
WIRE_VERSION = 21
"""Of MongoDB 7.0."""


class FakeMongo:
    """A running member.

    Attributes:
        state: shared by all members.
        port: speaks TLS only, where the fake has it.
        primary: in a replica set, the other members say that it is this one; None for a server of its own.
        ca_file, other_ca_file: the authority of its certificate, and one that it is not by.
        is_silent: takes connections and does not answer.
    """

    host = "localhost"

    def __init__(self, state: FakeMongoState, folder: Path, *, has_tls: bool, primary: FakeMongo | None = None) -> None:
        self.state = state
        self.ca_file, self.other_ca_file = str(folder / "ca.pem"), str(folder / "other_ca.pem")
        self.is_silent = False
        self.members: list[FakeMongo] = []
        self._primary = primary
        self._context = _context(folder) if has_tls else None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in list(self._open):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(10)

    def drop_connections(self) -> None:
        """As a network does: clients notice when they ask the next time."""
        for line in list(self._open):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def hello(self) -> dict[str, Any]:
        """What this member says of itself."""
        is_primary = self._primary is None
        answer: dict[str, Any] = {
            "isWritablePrimary": is_primary,
            "ismaster": is_primary,
            "helloOk": True,
            "maxBsonObjectSize": 16_777_216,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "logicalSessionTimeoutMinutes": 30,
            "minWireVersion": 0,
            "maxWireVersion": WIRE_VERSION,
            "readOnly": False,
        }
        if self.members:
            hosts = [f"{member.host}:{member.port}" for member in self.members]
            primary = self._primary or self
            answer |= {"setName": SET_NAME, "setVersion": 1, "hosts": hosts, "me": f"{self.host}:{self.port}"}
            answer |= {"secondary": not is_primary, "primary": f"{primary.host}:{primary.port}"}
        return answer

    def _accept(self) -> None:
        while True:
            try:
                line, (address, _) = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(line, address), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket, address: str) -> None:
        line = plain
        with contextlib.suppress(OSError, EOFError):
            try:
                self._open.add(plain)
                if self._context is not None:
                    line = self._context.wrap_socket(plain, server_side=True)
                    self._open.add(line)
                connection = FakeMongoConnection(self.state, self.hello, address)
                while True:
                    _answer(line, connection, self)
            finally:
                self._open -= {plain, line}
                line.close()
                plain.close()


def _answer(line: socket.socket, connection: FakeMongoConnection, server: FakeMongo) -> None:
    """Read one message, and answer it."""
    length, request, _, kind = struct.unpack("<iiii", _exactly(line, 16))
    body = _exactly(line, length - 16)
    while server.is_silent:
        if not line.recv(1):
            raise EOFError
    if kind == OP_QUERY:
        name_end = body.index(b"\0", 4)
        answer = bson.encode(connection.answer(_decoded(body[name_end + 9 :])))
        reply = struct.pack("<iqii", 8, 0, 0, 1) + answer
        line.sendall(struct.pack("<iiii", 16 + len(reply), 0, request, OP_REPLY) + reply)
        return
    answer = bson.encode(connection.answer(_command(body)))
    reply = struct.pack("<iB", 0, 0) + answer
    line.sendall(struct.pack("<iiii", 16 + len(reply), 0, request, OP_MSG) + reply)


def _command(body: bytes) -> dict[str, Any]:
    """The command of an OP_MSG: one section with it, and any number with long lists of its documents."""
    command: dict[str, Any] = {}
    lists: dict[str, list[Any]] = {}
    at = 4
    while at < len(body):
        kind, at = body[at], at + 1
        (size,) = struct.unpack_from("<i", body, at)
        section, at = body[at : at + size], at + size
        if kind == 0:
            command = _decoded(section)
        else:
            name, _, rest = section[4:].partition(b"\0")
            lists[name.decode()] = list(bson.decode_all(rest))
    return {**command, **lists}


def _decoded(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = bson.decode(data)
    return found


def _exactly(line: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = line.recv(count - len(received))
        if not part:
            raise EOFError
        received += part
    return received


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


@contextmanager
def fake_mongo(*, has_tls: bool = False, secondaries: int = 0, **options: Any) -> Iterator[list[FakeMongo]]:
    """Start a fake, the primary first; its options are those of `FakeMongoState`."""
    state, pem = FakeMongoState(**options), certificates()
    texts = {"ca": pem.ca, "other_ca": pem.other_ca, "certificate": pem.certificate, "key": pem.key}
    with tempfile.TemporaryDirectory(prefix="envelope-mongodb-") as name, ExitStack() as stack:
        folder = Path(name)
        for file, text in texts.items():
            (folder / f"{file}.pem").write_bytes(text)
        primary = FakeMongo(state, folder, has_tls=has_tls)
        members = [primary]
        for _ in range(secondaries):
            members.append(FakeMongo(state, folder, has_tls=has_tls, primary=primary))
        for member in members:
            stack.callback(member.close)
            member.members = members if secondaries else []
        yield members
