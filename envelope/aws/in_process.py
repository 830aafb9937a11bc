"""A real boto3 client whose requests are answered in this process, without a socket.

Everything around the answer is botocore's own: parameter validation, serialization, signing, retries, parsing,
exceptions, paginators and waiters. For services that speak JSON (KMS, Secrets Manager; STS does not).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from envelope.process_state import reset_in_children

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.config import Config

__all__ = ["Answer", "JsonAnswer", "NoAnswer", "NoAnswerKind", "client_answered_by"]

NoAnswerKind = Literal["connection", "timeout"]


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

    No configuration of AWS reaches it, neither from the environment nor from files: credentials are made up, the
    endpoint is the service's own, every other setting is botocore's default.

    Args:
        max_attempts: attempts in total. Between attempts botocore sleeps in real time.
    """
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": max_attempts}
    # Endpoint URLs and proxies are looked up past the settings of the session.
    settings: dict[str, Any] = {"retries": retries, "ignore_configured_endpoint_urls": True, "proxies": {}}
    client = _session.client(service, region, Config(**settings))

    def before_send(request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse:
        return _answered(answer, event_name.rpartition(".")[2], request)

    client.meta.events.register(f"before-send.{client.meta.service_model.service_id.hyphenize()}", before_send)
    return client


class _Session:
    """One boto3 session for all clients: it remembers the models of the services, which take long to read."""

    def __init__(self) -> None:
        self._boto3_session: Any = None
        self._lock = threading.Lock()  # a boto3 session is not safe for threads; its clients are
        reset_in_children(self)

    def client(self, service: str, region: str, config: Config) -> Any:
        made_up = dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "made-up")
        with self._lock:
            if self._boto3_session is None:
                self._boto3_session = _unconfigured_session()
            return self._boto3_session.client(service, region_name=region, config=config, **made_up)

    def reset_after_fork(self) -> None:
        if self._lock.locked():  # a thread of the parent is making a client, and will never finish it here
            self._lock, self._boto3_session = threading.Lock(), None


_session = _Session()


def _unconfigured_session() -> Any:
    """A session whose settings have neither a variable of the environment nor a place in a file, but a default."""
    import boto3
    import botocore.session
    from botocore.loaders import Loader

    places = botocore.session.Session.SESSION_VARIABLES
    defaults = {name: (None, None, default, convert) for name, (_, _, default, convert) in places.items()}
    no_files = dict.fromkeys(("config_file", "credentials_file"), (None, None, None, None))
    session: Any = botocore.session.Session(session_vars={**defaults, **no_files})
    # The loader would also look for models in the home directory.
    own_models = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    session.register_component("data_loader", own_models)
    return boto3.Session(botocore_session=session)


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
