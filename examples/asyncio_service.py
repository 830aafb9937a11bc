"""A service for tasks: uploads are encrypted as they come in, downloads decrypted as they go out.

Whatever the number of requests, KMS is called once for each tenant and direction, and the event loop never waits.
"""

import asyncio
from collections.abc import AsyncIterator

from envelope import AsyncClient, DataKeyCache, KmsKeyring
from envelope.testing import FakeKms

UPLOADS = 200
TENANTS = ("red", "blue")


class Vault:
    """Speaks a protocol of one line: `PUT tenant name`, then the document; or `GET tenant name`."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._messages: dict[tuple[str, str], bytes] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb, tenant, name = (await reader.readline()).decode().split()
        if verb == "PUT":
            parts = self._client.encrypt_chunks(received(reader), {"tenant": tenant})
            self._messages[tenant, name] = b"".join([part async for part in parts])
        else:
            # Each part is authentic when it comes. The last one comes only after everything was verified.
            async for part in self._client.decrypt_chunks([self._messages[tenant, name]], {"tenant": tenant}):
                writer.write(part)
                await writer.drain()
        writer.close()
        await writer.wait_closed()


async def received(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The rest of a connection in chunks, as web frameworks give the body of a request."""
    while chunk := await reader.read(65_536):
        yield chunk


async def ask(port: int, line: str, document: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{line}\n".encode() + document)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def main() -> None:
    kms = FakeKms()  # a KMS in memory: for an example only
    key_arn = kms.client().create_key()["KeyMetadata"]["Arn"]
    vault = Vault(AsyncClient(DataKeyCache(KmsKeyring(key_arn, aws=kms.aws()))))
    documents = {f"{TENANTS[number % 2]} {number}": bytes([number]) * 1_000 * number for number in range(UPLOADS)}
    async with await asyncio.start_server(vault.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await asyncio.gather(*(ask(port, f"PUT {name}", document) for name, document in documents.items()))
        answers = await asyncio.gather(*(ask(port, f"GET {name}") for name in documents))
    assert answers == list(documents.values())
    calls = f"{kms.count('GenerateDataKey')} calls to GenerateDataKey and {kms.count('Decrypt')} to Decrypt"
    print(f"{UPLOADS} uploads and as many downloads for {len(TENANTS)} tenants took {calls}")


if __name__ == "__main__":
    asyncio.run(main())
