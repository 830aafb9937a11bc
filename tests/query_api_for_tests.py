"""Services of AWS with the query protocol, on loopback behind boto3's own client: forms in, XML out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import boto3

from envelope import Aws

__all__ = ["QueryApi", "Refused", "serving", "xml"]


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.status = status


class QueryApi(Protocol):
    """What answers."""

    def perform(self, action: str, given: Mapping[str, str]) -> Any:
        """The result of an action, as dictionaries, lists and texts; `Refused` for an error."""
        ...


def xml(value: Any) -> str:
    """As the services write it: lists as members."""
    if isinstance(value, Mapping):
        return "".join(f"<{name}>{xml(member)}</{name}>" for name, member in value.items() if member is not None)
    if isinstance(value, list):
        return "".join(f"<member>{xml(member)}</member>" for member in value)
    return escape(str(value))


@contextmanager
def serving(api: QueryApi) -> Iterator[Aws]:
    """How to reach it, for as long as the block lasts."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            given = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
            action = given["Action"]
            try:
                result = f"<{action}Result>{xml(api.perform(action, given))}</{action}Result>"
                self.send(200, f"<{action}Response>{result}</{action}Response>")
            except Refused as error:
                inner = f"<Type>Sender</Type><Code>{error}</Code><Message>refused: {escape(str(given))}</Message>"
                self.send(error.status, f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>")

        def send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    session = boto3.Session(aws_access_key_id="AKIATESTS00000000000", aws_secret_access_key="a secret part")
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield Aws(session, region="eu-west-1", endpoint_url=url, max_attempts=1)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
