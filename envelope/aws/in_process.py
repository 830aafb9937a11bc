"""A real boto3 client whose requests are answered in this process, without a socket.

Everything around the answer is botocore's own: parameter validation, serialization, signing, retries, parsing,
exceptions, paginators and waiters. For services that speak JSON (KMS, Secrets Manager; STS does not).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse

__all__ = ["Answer", "JsonAnswer", "NoAnswer", "NoAnswerKind", "client_answered_by"]

NoAnswerKind = Literal["connection", "timeout"]

_making_a_client = threading.Lock()  # a boto3 session is not safe for threads; its clients are


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """What goes back to the client: HTTP status, JSON body, request id."""

    status: int
    body: Mapping[str, Any] = field(repr=False)
    request_id: str


class NoAnswer(Exception):
    """The service gives none: it cannot be reached, or it is silent until the client's read timeout."""

    def __init__(self, kind: NoAnswerKind) -> None:
        super().__init__(kind)
        self.kind = kind


Answer = Callable[[str, dict[str, Any]], JsonAnswer]
"""Takes the operation's name and the JSON of the request; may raise `NoAnswer`. Called by many threads at once."""


def client_answered_by(service: str, region: str, answer: Answer, *, max_attempts: int = 1) -> Any:
    """A boto3 client of `service` in `region` whose every request goes to `answer`.

    It reads neither environment nor configuration files: credentials are made up, the endpoint is the service's own.

    Args:
        max_attempts: attempts in total. Between attempts botocore sleeps in real time.
    """
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": max_attempts}
    settings: dict[str, Any] = {"retries": retries, "ignore_configured_endpoint_urls": True}
    made_up = dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "made-up")
    with _making_a_client:
        client = _session().client(service, region_name=region, config=Config(**settings), **made_up)

    def before_send(request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse:
        return _answered(answer, event_name.rpartition(".")[2], request)

    client.meta.events.register(f"before-send.{client.meta.service_model.service_id.hyphenize()}", before_send)
    return client


@cache
def _session() -> Any:
    """One for all clients: it remembers the models of the services, which take long to read."""
    import boto3
    import botocore.session

    nothing: tuple[None, None, None, None] = (None, None, None, None)  # no name, no variable, no default
    settings = (
        "profile",
        "config_file",
        "credentials_file",
        "ca_bundle",
        "use_fips_endpoint",
        "use_dualstack_endpoint",
    )
    return boto3.Session(botocore_session=botocore.session.Session(session_vars=dict.fromkeys(settings, nothing)))


def _answered(answer: Answer, operation: str, request: AWSPreparedRequest) -> AWSResponse:
    from botocore.awsrequest import AWSResponse
    from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

    try:
        answered = answer(operation, json.loads(_body_of(request)))
    except NoAnswer as silence:
        if silence.kind == "timeout":
            raise ReadTimeoutError(endpoint_url=request.url) from None
        raise EndpointConnectionError(endpoint_url=request.url) from None
    headers: Any = {"x-amzn-RequestId": answered.request_id, "Content-Type": "application/x-amz-json-1.1"}
    return AWSResponse(request.url, answered.status, headers, _Body(json.dumps(answered.body).encode()))


def _body_of(request: AWSPreparedRequest) -> bytes:
    body: Any = request.body  # bytes for services that speak JSON; for others it may be a file
    return bytes(body)


class _Body(BytesIO):
    """The part of urllib3's response that botocore reads."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()
