"""How long a caller waits for one call of AWS, and what becomes of the call."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.retries.standard import ExponentialBackoff

from envelope import AwsError, AwsUnavailable
from envelope.aws import call_limit
from envelope.aws.call_limit import CallTimeoutError, TooManyCallsError, limit_calls
from tests.aws_environment import clean_aws_environment, made_up_session
from tests.aws_failures import KEY, VALUE, aws_at, check_form, failed_call
from tests.http_answers import SILENCE, Answer, HttpAnswers, Received, error_answer, serving

__all__ = ["clean_aws_environment"]

PATIENT_S = 30.0
SHORT_S = 0.001


@pytest.fixture
def server() -> Iterator[HttpAnswers]:
    with serving(Answer()) as running:
        yield running


def test_a_caller_waits_no_longer_than_he_said_for_a_host_that_is_silent(server: HttpAnswers) -> None:
    server.answer = lambda _: SILENCE
    error = failed_call(aws_at(server.url, read_timeout_s=PATIENT_S, call_timeout_s=0.05), AwsUnavailable)
    check_form(error)
    assert error.code == "CallTimeoutError"
    assert "call_timeout_s" in error.hint
    assert VALUE not in "".join(traceback.format_exception(error))
    assert isinstance(error.__cause__, CallTimeoutError)
    assert error.__cause__.__traceback__ is None, "its frames hold the request"


def test_what_the_service_answers_in_time_is_what_comes_out(server: HttpAnswers) -> None:
    client = aws_at(server.url, call_timeout_s=PATIENT_S).client("kms", KEY.region)
    server.answer = lambda _: Answer({"KeyId": str(KEY)})
    assert client.decrypt(CiphertextBlob=b"wrapped")["KeyId"] == str(KEY)
    server.answer = lambda _: error_answer("DisabledException")
    error = failed_call(aws_at(server.url, call_timeout_s=PATIENT_S), AwsError)
    assert error.code == "DisabledException"


def test_a_call_that_nobody_waits_for_any_more_begins_no_other_attempt(
    server: HttpAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    arrived, given_up, threads = threading.Event(), threading.Event(), []

    def late_error(_: Received) -> Answer:
        arrived.set()
        given_up.wait(PATIENT_S)
        return error_answer("KMSInternalException", status=500)

    def start_thread(work: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=work))
        threads[-1].start()
        assert arrived.wait(PATIENT_S)

    def client(limit_s: float) -> Any:
        config = Config(retries={"mode": "standard", "total_max_attempts": 3})
        made = made_up_session().client("kms", region_name=KEY.region, endpoint_url=server.url, config=config)
        limit_calls(made, limit_s, start_thread=start_thread)
        return made

    server.answer = late_error
    with pytest.raises(CallTimeoutError):
        client(SHORT_S).decrypt(CiphertextBlob=b"wrapped")
    given_up.set()
    threads[0].join()
    assert len(server.received) == 1

    with pytest.raises(ClientError, match="KMSInternalException"):
        client(PATIENT_S).decrypt(CiphertextBlob=b"wrapped")
    assert len(server.received) == 1 + 3, "while somebody waits"


# --- with a client of our own


class Client:
    """As much of a boto3 client as is needed; its one operation does what a test says."""

    def __init__(self, act: Callable[[str, Any], Any]) -> None:
        self.meta = SimpleNamespace(events=SimpleNamespace(register_first=lambda *_: None))
        self._make_api_call = act


def test_no_more_calls_than_a_number_have_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_limit, "MOST_CALLS", 2)
    left_behind: list[Callable[[], None]] = []
    client = Client(lambda operation, request: (operation, request))
    limit_calls(client, SHORT_S, start_thread=left_behind.append)
    for _ in range(2):
        with pytest.raises(CallTimeoutError, match=r"longer than 0\.001 seconds"):
            client._make_api_call("Decrypt", {})
    with pytest.raises(TooManyCallsError, match="2 calls"):
        client._make_api_call("Decrypt", {})
    left_behind.pop()()
    with pytest.raises(CallTimeoutError):
        client._make_api_call("Decrypt", {})
    with pytest.raises(TooManyCallsError):
        client._make_api_call("Decrypt", {})


def test_a_thread_that_cannot_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_limit, "MOST_CALLS", 1)

    def no_thread(_: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    client = Client(lambda *_: None)
    limit_calls(client, SHORT_S, start_thread=no_thread)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="new thread"):
            client._make_api_call("Decrypt", {})


@pytest.mark.parametrize("error", [TimeoutError("its own"), KeyboardInterrupt("its own"), ValueError("its own")])
def test_an_error_of_the_call_is_raised_where_the_caller_waits(error: BaseException) -> None:
    def act(*_: object) -> None:
        raise error

    client = Client(act)
    limit_calls(client, PATIENT_S, start_thread=lambda work: work())
    with pytest.raises(type(error), match="its own"):
        client._make_api_call("Decrypt", {})


def test_the_call_sees_what_its_caller_has_set() -> None:
    trace: ContextVar[str] = ContextVar("trace")
    trace.set("of the caller")
    client = Client(lambda *_: trace.get())
    limit_calls(client, PATIENT_S)
    assert client._make_api_call("Decrypt", {}) == "of the caller"


def test_an_answer_that_comes_in_the_last_moment_is_taken() -> None:
    class Late(Future[str]):
        def result(self, timeout: float | None = None) -> str:
            if timeout is not None:
                self.set_result("just in time")
                raise TimeoutError
            return super().result()

    assert call_limit._waited_for(Late(), call_limit._Call(), SHORT_S) == "just in time"
