"""Requests over HTTP: servers that are slow, huge, false or hostile, and credentials that go nowhere else."""

from __future__ import annotations

import contextlib
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from envelope.errors import InvalidArgument
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import (
    LoginRefused,
    OutOfTime,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)
from envelope_secrets.rotation.http_requests import (
    HttpAnswer,
    HttpRequest,
    check_answer,
    check_http_options,
    is_private_url,
    same_origin,
    send,
)
from tests.oauth_for_tests import ADMIN, FakeOAuth, serving_oauth
from tests.servers.certificates import certificates

Talk = Callable[[socket.socket], object]


@contextmanager
def raw_server(talk: Talk, heard: list[bytes] | None = None) -> Iterator[str]:
    """A server that answers one connection with whatever `talk` sends, and keeps what it hears."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            received = connection.recv(65_536)
            if heard is not None:
                heard.append(received)
            talk(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        with contextlib.suppress(OSError), socket.create_connection(listener.getsockname()):
            pass  # where nobody has come
        thread.join()
        listener.close()


def asked(url: str, *, timeout_s: float = 5.0, left_s: float = 60.0, **options: Any) -> HttpAnswer:
    headers = options.pop("headers", {"Authorization": ADMIN})
    return send(HttpRequest("GET", url, headers), deadline=Deadline(left_s), timeout_s=timeout_s, **options)


def sends(text: str) -> Talk:
    return lambda connection: connection.sendall(text.encode())


def test_an_answer_is_read_whole() -> None:
    chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"
    with raw_server(sends(chunks)) as url:
        assert asked(url).json() == [1, 2]
    with raw_server(sends("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}")) as url:
        assert asked(url).status == 500


def test_what_is_sent_names_the_host_and_the_query() -> None:
    heard: list[bytes] = []
    with raw_server(sends("HTTP/1.1 204 No Content\r\n\r\n"), heard) as url:
        assert asked(f"{url}keys?page=2").status == 204
    first, *headers = heard[0].decode().split("\r\n")
    assert first == "GET /keys?page=2 HTTP/1.1"
    assert f"Host: {url.removeprefix('http://').rstrip('/')}" in headers
    assert "Connection: close" in headers


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", TargetUnreachable, "the answer was cut"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", TargetUnreachable, "does not answer"),
        ("HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n", TargetError, "redirect .302., which is not"),
        ("SSH-2.0-OpenSSH\r\n", TargetUnreachable, "or not with HTTP"),
        ("", TargetUnreachable, "does not answer"),
        ("HTTP/1.1 200 OK\r\n" + "X: y\r\n" * 200 + "\r\n", TargetUnreachable, "does not answer"),
        ("HTTP/1.1 200 OK\r\nX: " + "y" * 70_000 + "\r\n\r\n", TargetUnreachable, "does not answer"),
        (f"HTTP/1.1 200 OK\r\n\r\n{'[' * 2_000_000}", TargetError, "longer than 1,048,576 bytes"),
    ],
    ids=["cut", "cut chunk", "redirect", "not HTTP", "nothing", "many headers", "long header", "long body"],
)
def test_an_answer_that_is_not_one_is_an_error(text: str, kind: type[TargetError], said: str) -> None:
    with raw_server(sends(text)) as url, pytest.raises(kind, match=said) as caught:
        asked(url)
    assert caught.value.__context__ is None
    assert ADMIN not in f"{caught.value} {caught.value.hint}"


def test_an_answer_that_comes_byte_by_byte_ends_when_its_time_is_over() -> None:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not stop.wait(0.02):
            connection.sendall(b"y")

    with raw_server(drip) as url:
        try:
            with pytest.raises(TargetUnreachable, match="or not in time"):
                asked(url, timeout_s=0.15)
        finally:
            stop.set()


def test_no_request_is_begun_without_time() -> None:
    with pytest.raises(OutOfTime):
        asked("http://127.0.0.1:9/", left_s=1.0)


def test_a_time_that_is_over_before_it_begins_is_over() -> None:
    with pytest.raises(TargetUnreachable, match="or not in time"):
        asked("http://127.0.0.1:9/", timeout_s=1e-9)


def test_a_header_that_would_begin_another_one_is_not_sent_and_not_quoted() -> None:
    with raw_server(sends("")) as url, pytest.raises(TargetError, match="has a character that it must not") as caught:
        asked(url, headers={"Authorization": "canary\r\nX-Admin: 1"})
    assert "canary" not in f"{caught.value!r} {caught.value.__context__!r} {caught.value.__cause__!r}"


def test_a_host_that_is_not_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TargetUnreachable, match=r"127\.0\.0\.1 does not answer"):
        asked(f"http://127.0.0.1:{port}/")


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    pem = certificates()
    for name in ("ca", "other_ca", "certificate", "key"):
        (tmp_path / f"{name}.pem").write_bytes(getattr(pem, name))
    return {name: str(tmp_path / f"{name}.pem") for name in ("ca", "other_ca", "certificate", "key")}


def test_tls_is_verified_against_the_given_authority_and_the_name(files: dict[str, str]) -> None:
    fake = FakeOAuth()
    with serving_oauth(fake, (files["certificate"], files["key"])) as url:
        assert asked(f"{url}/secrets", ca_file=files["ca"]).status == 200
        assert fake.asked == ["GET /secrets"]
        for other_url, ca_file in (
            (url, files["other_ca"]),
            (url, None),
            (url.replace("localhost", "127.0.0.1"), files["ca"]),
        ):
            with pytest.raises(TlsFailed, match="no TLS connection to"):
                asked(f"{other_url}/secrets", ca_file=ca_file)
    assert fake.asked == ["GET /secrets"]


def test_a_server_without_tls_gets_nothing(files: dict[str, str]) -> None:
    heard: list[bytes] = []
    with raw_server(sends("HTTP/1.1 200 OK\r\n\r\n"), heard) as url, pytest.raises(TlsFailed):
        asked(url.replace("http:", "https:").replace("127.0.0.1", "localhost"), ca_file=files["ca"])
    assert b"administrator" not in heard[0]


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, TargetError),
        (401, LoginRefused),
        (403, PrivilegeMissing),
        (404, TargetError),
        (409, TargetError),
        (429, TargetUnreachable),
        (500, TargetUnreachable),
        (503, TargetUnreachable),
        (199, TargetError),
    ],
)
def test_a_status_has_a_meaning(status: int, kind: type[TargetError]) -> None:
    with pytest.raises(kind) as caught:
        check_answer(HttpAnswer(status, b"canary"), "making a key")
    assert type(caught.value) is kind
    assert str(status) in str(caught.value)
    assert "canary" not in f"{caught.value} {caught.value.hint}"


def test_what_was_done_is_given_back() -> None:
    for status in (200, 204, 299):
        assert check_answer(HttpAnswer(status, b""), "making a key").status == status


@pytest.mark.parametrize("body", [b"", b"canary", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_not_quoted(body: bytes) -> None:
    with pytest.raises(TargetError, match="the answer is no JSON") as caught:
        HttpAnswer(200, body).json()
    assert caught.value.__context__ is None


def test_neither_a_request_nor_an_answer_shows_or_gives_away_what_it_holds() -> None:
    request = HttpRequest("GET", "https://id.example/", {"Authorization": "canary"}, b"canary")
    for value in (request, HttpAnswer(200, b"canary")):
        assert "canary" not in repr(value)
        with pytest.raises(TypeError):
            pickle.dumps(value)


@pytest.mark.parametrize(
    ("url", "is_private"),
    [
        ("https://id.example/keys?page=2", True),
        ("http://localhost:8080/keys", True),
        ("http://id.example/keys", False),
        ("https://admin:pw@id.example/", False),
        ("https://id.example:99999/", False),
        ("https://id.example:0/", False),
        ("", False),
    ],
)
def test_credentials_are_sent_in_private_only(url: str, is_private: bool) -> None:
    assert is_private_url(url) is is_private


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ("https://id.example:443/other", True),
        ("https://ID.example/", True),
        ("https://id.example:8443/", False),
        ("https://id.example.org/", False),
        ("http://id.example:443/", False),
    ],
)
def test_a_server_is_scheme_host_and_port(other: str, is_same: bool) -> None:
    assert same_origin("https://id.example/keys", other) is is_same
    assert same_origin("http://localhost/", "http://localhost:80/x")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("http://id.example/", None, 5.0), "url must be an https URL"),
        (("https://id.example/?a=b", None, 5.0), "url must be an https URL"),
        ((7, None, 5.0), "url must be an https URL"),
        (("https://id.example/", "", 5.0), "ca_file must be the path of a PEM file"),
        (("https://id.example/", None, 0), "timeout_s must be"),
    ],
)
def test_options_are_checked(arguments: tuple[Any, Any, Any], said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_http_options("url", *arguments)
    assert str(caught.value).startswith(said)
