"""One request over HTTP, for targets with a REST API: bounded in time and size, and sent to nobody else.

No redirect is followed, because the credentials would go with it; no proxy and no setting of the environment is used;
and the time is that of the whole exchange, so that an answer that comes byte by byte ends when its time is over.
"""

from __future__ import annotations

import io
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import SplitResult, urlsplit

from envelope.arguments import check_seconds
from envelope.aws.transport import is_private
from envelope.errors import InvalidArgument
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_tls import ssl_context
from envelope_secrets.rotation.failures import LoginRefused, PrivilegeMissing, TargetError, TargetUnreachable, TlsFailed
from envelope_secrets.rotation.tls import Tls
from envelope_secrets.stores.hidden_values import hidden_bytes
from envelope_secrets.value import HidesValue

__all__ = [
    "MOST_ANSWER_BYTES",
    "HttpAnswer",
    "HttpRequest",
    "check_answer",
    "check_http_options",
    "same_origin",
    "send",
]

MOST_ANSWER_BYTES = 1024 * 1024
"""Of a body. Lists of keys come in pages; nothing else that is asked for is as long."""


@dataclass(frozen=True, slots=True)
class HttpRequest(HidesValue):
    """What is asked.

    Attributes:
        url: https, or http on loopback.
        headers: hidden, because credentials are among them.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class HttpAnswer(HidesValue):
    """What came back, whole."""

    status: int
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            TargetError: it is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            pass  # the exception would quote the body
        raise TargetError("the answer is no JSON", hint="is it the URL of an API?")


def check_http_options(url_name: str, url: object, ca_file: object, timeout_s: object) -> None:
    """Check what every target with an HTTP API is made with.

    Raises:
        InvalidArgument: an option of the wrong type or range, or a URL that would send credentials in the clear.
    """
    if not isinstance(url, str) or "?" in url or not is_private_url(url):
        raise InvalidArgument(
            f"{url_name} must be an https URL without user name and query",
            hint='for example "https://id.example/clients/app/secrets"; http on loopback only',
        )
    Tls(ca_file=ca_file)  # type: ignore[arg-type]  # checks it
    check_seconds("timeout_s", timeout_s)


def send(request: HttpRequest, *, deadline: Deadline, timeout_s: float, ca_file: str | None = None) -> HttpAnswer:
    """Send a request and read the whole answer, whatever its status.

    Args:
        timeout_s: for all of it, but for finding the host's address.

    Raises:
        TargetUnreachable: no answer, or not the whole of it in time.
        TlsFailed: no private connection.
        TargetError: a redirect, or an answer that is too long.
        OutOfTime: no time is left.
    """
    ends_s = time.monotonic() + deadline.at_most(timeout_s)
    parts = urlsplit(request.url)
    try:
        return _exchanged(request, parts, ends_s, ca_file)
    except ssl.SSLError:
        failure: TargetError = TlsFailed(
            f"no TLS connection to {parts.hostname} could be made that the settings allow",
            hint="check ca_file, and the host's name in the certificate",
        )
    except (OSError, HTTPException):
        failure = TargetUnreachable(
            f"{parts.hostname} does not answer, or not in time, or not with HTTP", hint="check URL and network"
        )
    except ValueError:  # http.client quotes the header that it does not take
        failure = TargetError("the request cannot be sent: a header, or the URL, has a character that it must not have")
    raise failure


def check_answer(answer: HttpAnswer, what: str) -> HttpAnswer:
    """The answer, if its status says that it was done.

    Raises:
        LoginRefused: 401.
        PrivilegeMissing: 403.
        TargetUnreachable: 429, or a failure inside the service.
        TargetError: any other failure. No text of the answer is shown, because it may quote credentials.
    """
    status = answer.status
    if 200 <= status < 300:
        return answer
    if status == 401:
        raise LoginRefused(f"{what} was refused: the service does not know these credentials (401)")
    if status == 403:
        raise PrivilegeMissing(f"{what} was refused: the credentials are not allowed to (403)")
    if status == 429 or status >= 500:
        raise TargetUnreachable(f"{what} failed: the service is not able to at this moment ({status})")
    raise TargetError(f"{what} failed: the service answered {status}")


def is_private_url(url: str) -> bool:
    """Whether it is https, or http on loopback, and means one server to every parser; it may have a query."""
    try:
        return is_private(url.partition("?")[0]) and urlsplit(url).port != 0
    except ValueError:  # a port above 65,535
        return False


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs mean one server, so that what may be told the one may be told the other."""
    return _origin(urlsplit(one)) == _origin(urlsplit(other))


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _exchanged(request: HttpRequest, parts: SplitResult, ends_s: float, ca_file: str | None) -> HttpAnswer:
    connection = HTTPConnection(parts.hostname or "")
    with _connected(parts, ends_s, ca_file) as plain:
        connection.sock = _BoundSocket(plain, ends_s)
        target = parts._replace(scheme="", netloc="").geturl() or "/"
        headers = {"Host": parts.netloc, "Connection": "close", "Accept": "application/json"}
        connection.request(request.method, target, request.body or None, {**headers, **request.headers})
        with connection.getresponse() as response:
            return HttpAnswer(response.status, _whole_body(response))


def _whole_body(response: HTTPResponse) -> bytes:
    if 300 <= response.status < 400:
        raise TargetError(
            f"the service answered with a redirect ({response.status}), which is not followed",
            hint="give the URL to which it leads, if it is the right one: credentials are sent there",
        )
    body = hidden_bytes(response.read(MOST_ANSWER_BYTES + 1))  # a new key may be in it
    if len(body) > MOST_ANSWER_BYTES:
        raise TargetError(f"the answer is longer than {MOST_ANSWER_BYTES:,} bytes")
    if response.length:
        raise TargetUnreachable("the answer was cut")
    return body


def _connected(parts: SplitResult, ends_s: float, ca_file: str | None) -> socket.socket:
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    context = ssl_context(Tls(ca_file=ca_file)) if is_tls else None
    plain = socket.create_connection((host, _origin(parts)[2]), timeout=_left_s(ends_s))
    if context is None:
        return plain
    try:
        plain.settimeout(_left_s(ends_s))
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


class _BoundSocket:
    """As much of a socket as `HTTPConnection` uses; every wait ends at one moment."""

    def __init__(self, plain: socket.socket, ends_s: float) -> None:
        self._plain = plain
        self._ends_s = ends_s

    def sendall(self, content: bytes) -> None:
        self._plain.settimeout(_left_s(self._ends_s))
        self._plain.sendall(content)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundReader(self._plain, self._ends_s))

    def close(self) -> None:
        """Nothing: `HTTPConnection` calls it before the answer was read. Whoever has connected closes."""


class _BoundReader(io.RawIOBase):
    """What the socket receives."""

    def __init__(self, plain: socket.socket, ends_s: float) -> None:
        super().__init__()
        self._plain = plain
        self._ends_s = ends_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._plain.settimeout(_left_s(self._ends_s))
        return self._plain.recv_into(buffer)


def _left_s(ends_s: float) -> float:
    left_s = ends_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
