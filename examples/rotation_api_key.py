"""Rotate the key of a REST API: the next key is made while the current one works, and what was interrupted is cleaned.

The four methods of `Billing` are all that a service needs to be rotated. The API itself is made up, and runs here.
"""

import json
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from envelope import LocalKeyring, LocalKeystore
from envelope_secrets import LocalSecretStore, SecretsClient
from envelope_secrets.rotation.api_key import ApiKey
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import LoginRefused, TargetUnreachable
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.two_keys import ListedKey, NewKey
from envelope_secrets.value import SecretFields

KEY = "prod/billing/key"
ADMIN = "prod/billing/admin"


class Billing:
    """The keys of the billing API, managed with a token that is a secret of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create(self, rotation: Rotation, name: str) -> NewKey:
        made = self._asked(rotation, "POST", "/keys", json={"name": name}).json()
        return NewKey(made["id"], {"secret": made["secret"]})

    def list(self, rotation: Rotation) -> list[ListedKey]:
        return [ListedKey(key["id"], key["name"]) for key in self._asked(rotation, "GET", "/keys").json()]

    def delete(self, rotation: Rotation, key_id: str) -> None:
        self._asked(rotation, "DELETE", f"/keys/{key_id}")

    def check(self, rotation: Rotation, fields: SecretFields) -> None:
        self._asked(rotation, "GET", "/invoices", key=f"{fields['key_id']}:{fields['secret']}")

    def _asked(
        self, rotation: Rotation, method: str, path: str, *, key: str | None = None, json: object = None
    ) -> httpx.Response:
        key = rotation.other_secret(ADMIN).text if key is None else key
        timeout_s = rotation.deadline.at_most(5.0)
        try:
            answer = httpx.request(
                method, self.url + path, json=json, headers={"authorization": key}, timeout=timeout_s
            )
        except httpx.TransportError:
            raise TargetUnreachable(f"{self.url} does not answer") from None
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise LoginRefused("the billing API does not know the key")
        if answer.status_code != httpx.codes.NOT_FOUND or method != "DELETE":
            answer.raise_for_status()
        return answer


def main(folder: Path) -> None:
    keystore = LocalKeystore.create(folder / "app.keys", passphrase="correct horse battery staple")
    keystore.create_key("secrets")
    store = LocalSecretStore(folder / "secrets.db", LocalKeyring(keystore, "secrets"))
    secrets = SecretsClient(store)
    with billing_api() as (url, issued):
        issued["K-1"] = ("made by hand", "first")
        secrets.create(ADMIN, "the token of an administrator")
        secrets.create(KEY, {"url": url, "key_id": "K-1", "secret": "first"})

        rotate(store, KEY, ApiKey(Billing(url)))
        print("keys after a rotation:", len(issued), "- both work, whichever one a client still has")

        # A process that died after it had made a key: the key is there, and its secret part is lost.
        ApiKey(Billing(url)).new_value(a_rotation(store))
        print("keys after a rotation that was interrupted:", len(issued))
        rotate(store, KEY, ApiKey(Billing(url)))
        print("keys after the next one:", len(issued), "- AWSCURRENT, AWSPREVIOUS, and the one that was that before")
        rotate(store, KEY, ApiKey(Billing(url)))
        assert "K-1" not in issued
        assert len(issued) == 3


def a_rotation(store: LocalSecretStore) -> Rotation:
    return Rotation(store.describe(KEY).arn, str(uuid.uuid4()), store, Deadline(60.0), store.read(KEY))


@contextmanager
def billing_api() -> Iterator[tuple[str, dict[str, tuple[str, str]]]]:
    """An API on a free port of this machine, and its keys: name and secret part by id."""
    issued: dict[str, tuple[str, str]] = {}

    class Api(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            key = self.headers["authorization"]
            if self.path == "/invoices":
                key_id, _, secret = key.partition(":")
                return self.send(200 if key_id in issued and issued[key_id][1] == secret else 401, [])
            if key != "the token of an administrator":
                return self.send(401, [])
            if self.command == "GET":
                return self.send(200, [{"id": key_id, "name": name} for key_id, (name, _) in issued.items()])
            if self.command == "POST":
                key_id, secret = f"K-{uuid.uuid4()}", str(uuid.uuid4())
                issued[key_id] = (json.loads(body)["name"], secret)
                return self.send(201, {"id": key_id, "secret": secret})
            return self.send(404 if issued.pop(self.path.removeprefix("/keys/"), None) is None else 200, {})

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names that the standard library looks for

        def send(self, status: int, content: object) -> None:
            written = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", issued
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
