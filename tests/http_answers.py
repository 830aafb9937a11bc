"""An HTTP server on loopback that answers AWS's JSON protocol as a test says: also late, cut, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["CLOSE", "SILENCE", "Answer", "HttpAnswers", "Received", "error_answer", "serving"]


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived: operation, signing region and access key of the request, and its JSON."""

    operation: str
    region: str
    access_key: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. Its body is JSON, or bytes that need not be."""

    body: Mapping[str, Any] | bytes = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    lost_bytes: int = 0


CLOSE = Answer(status=0)
"""The connection is closed without an answer."""

SILENCE = Answer(status=-1)
"""Nothing happens until the server is closed."""

Answering = Callable[[Received], Answer]


def error_answer(code: str, message: str = "", status: int = 400) -> Answer:
    """An error as KMS answers it."""
    body = {"__type": code, "message": message} if message else {"__type": code}
    return Answer(body, status, {"x-amzn-RequestId": "0000-request-id"})


class HttpAnswers:
    """A running server.

    Attributes:
        url: where it listens.
        received: every request, in the order of arrival.
        answer: what it does with a request; may be replaced at any time.
    """

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def operations(self) -> list[str]:
        return [received.operation for received in self.received]

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(answer: Answering | Answer) -> Iterator[HttpAnswers]:
    """A server for the time of a block, which gives one answer or computes them."""
    server = HttpAnswers((lambda _: answer) if isinstance(answer, Answer) else answer)
    try:
        yield server
    finally:
        server.close()


def _handler(server: HttpAnswers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One packet an answer: otherwise the client's delayed acknowledgement costs 40 ms a call.
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received = Received(
                self.headers.get("X-Amz-Target", "").rpartition(".")[2],
                *_signed_by(self.headers.get("Authorization", "")),
                json.loads(body) if body.startswith(b"{") else {},
                dict(self.headers),
            )
            server.received.append(received)
            answer = server.answer(received)
            if answer.status > 0:
                self._send(answer)
                return
            if answer is SILENCE:
                server.closing.wait(30)
            self.close_connection = True

        def _send(self, answer: Answer) -> None:
            raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/x-amz-json-1.1", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw) + answer.lost_bytes))
            self.end_headers()
            self.wfile.write(raw)
            self.close_connection = bool(answer.lost_bytes)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def _signed_by(authorization: str) -> tuple[str, str]:
    """Region and access key of a version 4 signature."""
    scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    return (scope[2], scope[0]) if len(scope) == 5 else ("", "")
