"""A fake KMS behind HTTP on loopback, for commands, which are processes of their own."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from envelope.testing import FakeKms

__all__ = ["kms_server"]

_CALLS = {"GenerateDataKey": "generate_data_key", "Encrypt": "encrypt", "Decrypt": "decrypt"}
_BLOBS = ("Plaintext", "CiphertextBlob")


@contextmanager
def kms_server() -> Iterator[tuple[str, str]]:
    """Its URL and the ARN of a key in it, for the time of a block."""
    client = FakeKms().client()
    key_arn = client.create_key()["KeyMetadata"]["Arn"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(client))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", key_arn
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(client: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer: the client's delayed acknowledgement would cost 40 ms a call

        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            given |= {name: base64.b64decode(given[name]) for name in _BLOBS if name in given}
            call = getattr(client, _CALLS[self.headers["X-Amz-Target"].rpartition(".")[2]])
            answer = call(**given)
            del answer["ResponseMetadata"]
            answer |= {name: base64.b64encode(answer[name]).decode() for name in _BLOBS if name in answer}
            raw = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
