"""An OAuth server on loopback: one client with several secrets, an API that manages them, and a token endpoint."""

from __future__ import annotations

import json
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, unquote_plus

__all__ = ["ADMIN", "CLIENT", "FakeOAuth", "serving_oauth"]

CLIENT = "billing app/1"
ADMIN = "Bearer the administrator's token"


class FakeOAuth:
    """One client.

    Attributes:
        secrets: name and text by id.
        unknown: so many further token requests find that the newest secret is not known yet.
        token_error: an error code for the next token request.
        status: of the next answer of the management API, and its body; None for what is asked.
        asked: method and path of each request.
        scopes: those of the tokens so far.
        page: so many secrets are on one page of the list; 0 for all.
    """

    def __init__(self) -> None:
        self.secrets: dict[str, tuple[str, str]] = {"1": ("made by hand", "first: the sécret&")}
        self.unknown = 0
        self.token_error: str | None = None
        self.token_body: object = {"access_token": "a token", "token_type": "Bearer"}
        self.status: tuple[int, object] | None = None
        self.asked: list[str] = []
        self.scopes: list[str] = []
        self.page = 0
        self.next_page: str | None = None
        self._made = 1

    def works(self, secret: str) -> bool:
        return secret in [text for _, text in self.secrets.values()]

    def make(self, name: str) -> dict[str, Any]:
        self._made += 1
        self.secrets[str(self._made)] = (name, f"secret & part: {self._made}")
        return {"id": self._made, "name": name, "secret": self.secrets[str(self._made)][1]}

    def listed(self, start: int) -> dict[str, Any]:
        shown = [{"id": number, "name": name} for number, (name, _) in self.secrets.items()]
        size = self.page or len(shown)
        following = f"?start={start + size}" if start + size < len(shown) else None
        return {"items": shown[start : start + size], "next": self.next_page or following}

    def token(self, form: dict[str, str], authorization: str | None) -> tuple[int, object]:
        if authorization is not None:
            pair = b64decode(authorization.removeprefix("Basic ")).decode()
            client, secret = map(unquote_plus, pair.split(":"))
        else:
            client, secret = form["client_id"], form["client_secret"]
        assert form["grant_type"] == "client_credentials"
        if self.token_error is not None:
            code, self.token_error = self.token_error, None
            return (429, "busy") if code == "busy" else (400, {"error": code, "error_description": f"not {secret}"})
        if self.unknown or client != CLIENT or not self.works(secret):
            self.unknown -= bool(self.unknown)
            return 401, {"error": "invalid_client", "error_description": f"not {secret}"}
        self.scopes.append(form.get("scope", ""))
        return 200, self.token_body

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: str) -> tuple[int, object]:
        """Status and content."""
        self.asked.append(f"{method} {path}")
        if path == "/token":
            form = {name: values[0] for name, values in parse_qs(body).items()}
            return self.token(form, headers.get("authorization"))
        if self.status is not None:
            answer, self.status = self.status, None
            return answer
        if path == "/me":
            return (200 if self.works(unquote(headers["authorization"])) else 401), {}
        return self.manage(method, path, body) if headers["authorization"] == ADMIN else (401, {})

    def manage(self, method: str, path: str, body: str) -> tuple[int, object]:
        """What an administrator gets."""
        if method == "POST":
            return 201, self.make(json.loads(body)["name"])
        if method == "GET":
            return 200, self.listed(int(path.partition("start=")[2] or 0))
        return (404 if self.secrets.pop(path.rpartition("/")[2], None) is None else 204), None


@contextmanager
def serving_oauth(fake: FakeOAuth, certificate: tuple[str, str] | None = None) -> Iterator[str]:
    """Its URL, for as long as the block lasts; with TLS where there is a certificate and its key."""

    class Answering(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send(*fake.respond(self.command, self.path, headers, body))

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names that the standard library looks for

        def send(self, status: int, content: object) -> None:
            written = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("location", "/secrets")
            self.send_header("content-length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that do not trust the certificate hang up."""

    server = Server(("127.0.0.1", 0), Answering)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        scheme, host = ("http", "127.0.0.1") if certificate is None else ("https", "localhost")
        yield f"{scheme}://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
