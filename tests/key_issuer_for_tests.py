"""A REST API that issues keys, on loopback, strict: it shows a secret part once, counts keys, and forgets nothing."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
)
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.two_keys import ListedKey, NewKey
from envelope_secrets.value import SecretFields

__all__ = ["HttpIssuer", "KeyIssuer", "issuing"]

ADMIN = "the administrator's token"


class KeyIssuer:
    """The state behind the API.

    Attributes:
        keys: name and secret part by id.
        most_keys: how many there may be.
        refusals: statuses that the next uses of a key get, before the truth.
        made, deleted: how many there ever were.
    """

    def __init__(self, most_keys: int | None = None) -> None:
        self.keys: dict[str, tuple[str, str]] = {}
        self.most_keys = most_keys
        self.refusals: list[int] = []
        self.made = 0
        self.deleted = 0

    def make(self, name: str) -> tuple[int, dict[str, str]]:
        if self.most_keys is not None and len(self.keys) >= self.most_keys:
            return 409, {}
        self.made += 1
        key_id, secret = f"K{self.made:04d}", f"secret-part-{self.made}"
        self.keys[key_id] = (name, secret)
        return 201, {"id": key_id, "secret": secret}

    def works(self, key_id: str, secret: str) -> bool:
        return key_id in self.keys and self.keys[key_id][1] == secret

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, object]:
        if path == "/use":
            if self.refusals:
                return self.refusals.pop(0), {}
            key_id, _, secret = headers.get("x-key", "").partition(":")
            return (200 if self.works(key_id, secret) else 401), {}
        if headers.get("x-admin") != ADMIN:
            return 403, {}
        if (method, path) == ("GET", "/keys"):
            return 200, [{"id": key_id, "name": name} for key_id, (name, _) in self.keys.items()]
        if (method, path) == ("POST", "/keys"):
            return self.make(json.loads(body)["name"])
        key_id = path.removeprefix("/keys/")
        if method == "DELETE" and key_id in self.keys:
            del self.keys[key_id]
            self.deleted += 1
            return 200, {}
        return 404, {}


class HttpIssuer:
    """An `ApiKeyService` of that API."""

    def __init__(self, port: int, admin: str = ADMIN) -> None:
        self.port = port
        self.admin = admin

    def create(self, rotation: Rotation, name: str) -> NewKey:
        made = self._asked(rotation, "POST", "/keys", {"name": name})
        return NewKey(made["id"], {"secret": made["secret"]})

    def list(self, rotation: Rotation) -> list[ListedKey]:
        return [ListedKey(key["id"], key["name"]) for key in self._asked(rotation, "GET", "/keys")]

    def delete(self, rotation: Rotation, key_id: str) -> None:
        self._asked(rotation, "DELETE", f"/keys/{key_id}", absent=404)

    def check(self, rotation: Rotation, fields: SecretFields) -> None:
        self._asked(rotation, "GET", "/use", headers={"x-key": f"{fields['key_id']}:{fields['secret']}"})

    def _asked(
        self,
        rotation: Rotation,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        absent: int = 0,
    ) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=rotation.deadline.at_most(5.0))
        try:
            sent = {"x-admin": self.admin} if headers is None else dict(headers)
            connection.request(method, path, json.dumps(body).encode(), sent)
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
        except OSError:
            raise TargetUnreachable("the issuer does not answer") from None
        finally:
            connection.close()
        if status >= 400 and status != absent:
            kinds = {401: LoginRefused, 403: PrivilegeMissing, 423: AccountLocked}
            raise kinds.get(status, TargetError)(f"the issuer answers {status}")
        return json.loads(content)


@contextmanager
def issuing(issuer: KeyIssuer) -> Iterator[int]:
    """The port of a server for it, for as long as the block lasts."""

    class Answering(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            status, content = issuer.answer(self.command, self.path, self.headers, body)  # type: ignore[arg-type]
            written = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names that the standard library looks for

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
