"""A FastAPI service that reads its secrets at memory speed, and goes on through a rotation without a restart.

Requests are signed by whoever sends them with a key that rotates: the service verifies with the current key, then with
the one before and the one that comes next.
"""

import hashlib
import hmac
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request

from envelope import LocalKeyring, LocalKeystore
from envelope_secrets import AsyncSecretsClient, LocalSecretStore, SecretsClient

SIGNING_KEY = "prod/signing-key"
DATABASE = "prod/db"


@dataclass(frozen=True)
class DatabaseCredentials:
    host: str
    port: int
    username: str
    password: str = field(repr=False)


def signature(key: str, body: bytes) -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def make_app(secrets: AsyncSecretsClient) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # What is missing or forbidden shows when the service starts, and not with its first request.
        errors = await secrets.prefetch([DATABASE, SIGNING_KEY])
        for error in errors.values():
            raise error
        async with secrets:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, str]:
        database = (await secrets.get(DATABASE)).as_(DatabaseCredentials)
        return {"database": f"{database.username}@{database.host}:{database.port}"}

    @app.post("/orders")
    async def order(request: Request, x_signature: str = Header()) -> dict[str, str]:
        body = await request.body()
        for key in await secrets.key_ring(SIGNING_KEY):
            if hmac.compare_digest(signature(key.text, body), x_signature):
                return {"signed_by": key.stages[0]}
        raise HTTPException(401, "the signature is none of a known key")

    return app


def main(folder: Path) -> None:
    keystore = LocalKeystore.create(folder / "app.keys", passphrase="correct horse battery staple")
    keystore.create_key("secrets")
    store = LocalSecretStore(folder / "secrets.db", LocalKeyring(keystore, "secrets"))
    operator = SecretsClient(store)  # in production: SecretsClient(), and AsyncSecretsClient() in the service
    operator.create(DATABASE, {"host": "db.internal", "port": 5432, "username": "app", "password": "Tr0ub4dor"})
    operator.create(SIGNING_KEY, "the first key")
    client = AsyncSecretsClient(store)

    with serving(make_app(client)) as address, httpx.Client(base_url=address) as service:
        print("the service talks to", service.get("/health").json()["database"])

        def place_order(key: str) -> str:
            body = b'{"article": 7}'
            answer = service.post("/orders", content=body, headers={"x-signature": signature(key, body)})
            return str(answer.json().get("signed_by", answer.status_code))

        print("an order under the first key:", place_order("the first key"))
        operator.put(SIGNING_KEY, "the second key")
        # Without this the service would follow within the soft age: five minutes, unless another one is set.
        client.invalidate(SIGNING_KEY)
        print("after a rotation, the first key:", place_order("the first key"), "- the second:", end=" ")
        print(place_order("the second key"), "- a stranger's:", place_order("a guess"))
        assert place_order("a guess") == "401"


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """A server on a free port of this machine, in a thread, for as long as the block lasts."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
        if not thread.is_alive():
            raise SystemExit("the service did not start")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
