"""OAuth clients and keys behind a REST API of the usual kind: two secrets in turn, tried as applications use them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from envelope.errors import EnvelopeError, InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.rotation import oauth_client
from envelope_secrets.rotation.api_key import ApiKey
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import (
    LoginRefused,
    PrivilegeMissing,
    RotationRefused,
    TargetError,
    TargetUnreachable,
)
from envelope_secrets.rotation.http_issuer import HttpIssuer
from envelope_secrets.rotation.http_requests import HttpAnswer, HttpRequest
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.oauth_client import OAuthClient
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.two_keys import ListedKey, NewKey
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import NewVersion
from envelope_secrets.value import Secret
from envelope_secrets.writing import new_secret
from tests.bad_ends import NO_LOGIN, problems_of_keys
from tests.crash_points import CrashPoints, rehearse
from tests.local_secrets_for_tests import local_store
from tests.oauth_for_tests import ADMIN, CLIENT, FakeOAuth, serving_oauth
from tests.rotation_stops import SAMPLES, STORES, Stops, repeated, stopping, stopping_store, store_of, store_problems
from tests.thoroughness import POINTS, Recorder

NAME = "prod/oauth"
ADMIN_NAME = "prod/oauth-admin"
T1, T2, T3, T4 = (f"{number:032d}" for number in (1, 2, 3, 4))
FIRST = {"client_id": CLIENT, "client_secret": "first: the sécret&", "secret_id": "1", "url": "https://api.example"}


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[FakeOAuth, str]]:
    fake = FakeOAuth()
    with serving_oauth(fake) as url:
        yield fake, url


@pytest.fixture
def oauth(server: tuple[FakeOAuth, str]) -> FakeOAuth:
    FakeOAuth.__init__(server[0])
    return server[0]


@pytest.fixture
def url(server: tuple[FakeOAuth, str]) -> str:
    return server[1]


@pytest.fixture
def store(tmp_path: Path) -> LocalSecretStore:
    made = local_store(tmp_path / "secrets.db")
    made.create(new_secret(ADMIN_NAME, ADMIN))
    made.create(new_secret(NAME, FIRST, token=T1))
    return made


def admin_token(rotation: Rotation) -> str:
    return rotation.other_secret(ADMIN_NAME).text


def issuer(url: str, **options: Any) -> HttpIssuer:
    chosen = {"authorization": admin_token, "items_field": "items", "stored_as": "client_secret", **options}
    return HttpIssuer(f"{url}/secrets", **chosen)


def client(url: str, *, issued_by: Any = None, **options: Any) -> OAuthClient:
    chosen = {"token_url": f"{url}/token", "client_id": CLIENT, **options}
    return OAuthClient(issued_by or issuer(url), **chosen)


def rotated(store: LocalSecretStore, target: object, *, token: str | None = None) -> None:
    clock = FakeClock()
    rotate(store, NAME, target, token=token, clock=clock.now, sleep=clock.advance)


def works(oauth: FakeOAuth, store: LocalSecretStore, stage: str = "AWSCURRENT") -> bool:
    return oauth.works(store.read(NAME, stage=stage).json["client_secret"])


def rotation_of(store: LocalSecretStore) -> Rotation:
    clock = FakeClock()
    return Rotation(
        store.describe(NAME).arn, T2, store, Deadline(60, clock=clock.now, sleep=clock.advance), store.read(NAME)
    )


def pending_of(value: object) -> Secret:
    return Secret(json.dumps(value), name=NAME, arn="arn", version_id=T2, stages=("AWSPENDING",))


def test_secrets_of_a_client_take_turns(oauth: FakeOAuth, url: str, store: LocalSecretStore) -> None:
    for _ in range(3):
        rotated(store, client(url))
        assert works(oauth, store)
        assert works(oauth, store, "AWSPREVIOUS")
    assert list(oauth.secrets) == ["2", "3", "4"]
    assert store.read(NAME).json["url"] == FIRST["url"]
    assert store.read(NAME).json["client_id"] == CLIENT


def test_a_new_secret_is_tried_by_a_token_request(oauth: FakeOAuth, url: str, store: LocalSecretStore) -> None:
    rotated(store, client(url, scope="invoices.read"))
    assert oauth.asked == [
        *("GET /secrets", "POST /secrets"),  # createSecret
        "GET /secrets",  # setSecret
        "POST /token",  # testSecret
        "GET /secrets",  # finishSecret
    ]
    assert oauth.scopes == ["invoices.read"]


def test_a_client_may_send_its_secret_in_the_body(oauth: FakeOAuth, url: str, store: LocalSecretStore) -> None:
    rotated(store, client(url, authentication="post", parameters={"audience": "https://api.example"}))
    assert oauth.scopes == [""]


def test_a_secret_that_the_server_does_not_know_yet_is_tried_again(
    oauth: FakeOAuth, url: str, store: LocalSecretStore
) -> None:
    oauth.unknown = 3
    rotated(store, client(url))
    assert oauth.asked.count("POST /token") == 4


def test_a_secret_that_the_server_never_knows_is_refused_and_not_shown(
    oauth: FakeOAuth, url: str, store: LocalSecretStore
) -> None:
    oauth.unknown = 1_000
    with pytest.raises(LoginRefused, match="does not know the client's secret") as caught:
        rotated(store, client(url, propagation_s=2))
    assert "secret & part" not in f"{caught.value!r} {caught.value.hint} {caught.value.__context__!r}"
    assert works(oauth, store)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("invalid_scope", PrivilegeMissing, r"gets no such token \(invalid_scope\)"),
        ("unauthorized_client", PrivilegeMissing, r"gets no such token \(unauthorized_client\)"),
        ("invalid_request", TargetError, r"does not take the token request \(invalid_request\)"),
        ("canary", LoginRefused, "does not know the client's secret"),
        ("busy", TargetUnreachable, r"asking for a token failed: .* \(429\)"),
    ],
)
def test_answers_of_the_token_endpoint_are_told_apart(
    oauth: FakeOAuth, url: str, store: LocalSecretStore, code: str, kind: type[EnvelopeError], said: str
) -> None:
    oauth.token_error = code
    with pytest.raises(kind, match=said) as caught:
        client(url, propagation_s=0.5).verify(rotation_of(store), pending_of(FIRST))
    assert type(caught.value) is kind
    assert "canary" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("body", [{}, [], {"access_token": 7}, "a token"])
def test_an_answer_without_a_token_is_an_error(
    oauth: FakeOAuth, url: str, store: LocalSecretStore, body: object
) -> None:
    oauth.token_body = body
    with pytest.raises(TargetError, match="the answer to asking for a token has none"):
        client(url).verify(rotation_of(store), pending_of(FIRST))


def test_a_refusal_that_is_no_json_is_a_refusal() -> None:
    assert type(oauth_client._refusal(HttpAnswer(401, b"<html>canary"))) is LoginRefused


# --- whose secret it is ---------------------------------------------------------------------------------------------


def test_a_version_for_another_client_is_refused_before_anything_is_asked(
    oauth: FakeOAuth, url: str, store: LocalSecretStore
) -> None:
    other = {**FIRST, "client_id": "admin"}
    for step in ("apply", "verify"):
        with pytest.raises(RotationRefused, match="is for another client than the one that is rotated"):
            getattr(client(url), step)(rotation_of(store), pending_of(other))
    store.put(NAME, NewVersion(json.dumps(other), T3, ("AWSCURRENT",)))
    with pytest.raises(RotationRefused, match="is for another client"):
        rotated(store, client(url))
    assert oauth.asked == []


def test_a_first_value_is_made_by_the_rotation(oauth: FakeOAuth, url: str, store: LocalSecretStore) -> None:
    store.create(new_secret("prod/new", None))
    rotate(store, "prod/new", client(url))
    assert dict(store.read("prod/new").json) == {
        "client_id": CLIENT,
        "client_secret": "secret & part: 2",
        "secret_id": "2",
    }


def test_a_made_up_first_value_is_replaced(oauth: FakeOAuth, url: str, store: LocalSecretStore) -> None:
    store.put(NAME, NewVersion("to be rotated", T3, ("AWSCURRENT",)))
    rotated(store, client(url))
    assert works(oauth, store)


def test_a_pending_version_without_a_secret_is_refused(oauth: FakeOAuth, url: str, store: LocalSecretStore) -> None:
    with pytest.raises(RotationRefused, match="has no field client_secret that is text"):
        client(url).verify(rotation_of(store), pending_of({**FIRST, "client_secret": ""}))


class Clients:
    """An issuer that can make whole clients alone."""

    def __init__(self, oauth: FakeOAuth) -> None:
        self.oauth = oauth

    def create(self, rotation: Rotation, name: str) -> NewKey:
        made = self.oauth.make(name)
        return NewKey(f"client-{made['id']}", {"client_secret": made["secret"]})

    def list(self, rotation: Rotation) -> list[ListedKey]:
        return [ListedKey(f"client-{number}", name) for number, (name, _) in self.oauth.secrets.items()]

    def delete(self, rotation: Rotation, key_id: str) -> None:
        self.oauth.secrets.pop(key_id.removeprefix("client-"), None)


def test_two_clients_take_turns_where_a_client_has_one_secret(
    oauth: FakeOAuth, url: str, store: LocalSecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.oauth_for_tests.CLIENT", "client-2")
    target = client(url, issued_by=Clients(oauth), client_id=None, id_field="client_id")
    rotated(store, target)
    assert store.read(NAME).json["client_id"] == "client-2"
    assert works(oauth, store)


def test_a_value_of_the_issuer_that_is_no_object_is_passed_on(url: str, store: LocalSecretStore) -> None:
    target = client(url)
    object.__setattr__(target, "_keys", type("Keys", (), {"new_value": lambda self, rotation: "text"})())
    assert target.new_value(rotation_of(store)) == "text"


# --- interrupted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STORES)
def test_r7_a_rotation_that_dies_at_any_call_leaves_a_working_secret_and_no_orphan(
    url: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Recorder
) -> None:
    oauth, stops, numbers = FakeOAuth(), Stops(), count(1)
    store = store_of(kind, tmp_path)

    def answered(request: HttpRequest, **options: object) -> HttpAnswer:
        status, content = oauth.respond("POST", "/token", _lowered(request), request.body.decode())
        return HttpAnswer(status, json.dumps(content).encode())

    monkeypatch.setattr(oauth_client, "send", stops.around(answered, "POST /token"))
    target = client(url, issued_by=stopping(Secrets(oauth), stops, ("create", "list", "delete")))
    watched = stopping_store(store, stops)

    def run(points: CrashPoints) -> list[str]:
        FakeOAuth.__init__(oauth)
        name, found = f"prod/{next(numbers)}", []
        store.create(new_secret(name, FIRST, token=T1))
        rotate(store, name, target, token=T2)

        def look() -> None:
            found.extend([] if oauth.works(store.read(name).json["client_secret"]) else [NO_LOGIN])

        stops.points = points
        repeated(lambda: rotate(watched, name, target, token=T3), look)
        stops.points = CrashPoints()
        look()
        found.extend(store_problems(store, name, values=3))
        before = store.read(name, stage="AWSPREVIOUS").json["secret_id"]
        rotate(store, name, target, token=T4)
        held = {store.read(name, stage=stage).json["secret_id"] for stage in ("AWSCURRENT", "AWSPREVIOUS")}
        return found + problems_of_keys(held, oauth.secrets.keys(), spare={before})

    outcome = rehearse(run, sample=SAMPLES[kind])
    record_property(POINTS, f"OAuth client, {kind}: {outcome}")
    assert outcome.points >= 50
    assert not outcome.bad


class Secrets:
    """An issuer without the network."""

    def __init__(self, oauth: FakeOAuth) -> None:
        self.oauth = oauth

    def create(self, rotation: Rotation, name: str) -> NewKey:
        made = self.oauth.make(name)
        return NewKey(str(made["id"]), {"client_secret": made["secret"]})

    def list(self, rotation: Rotation) -> list[ListedKey]:
        return [ListedKey(number, name) for number, (name, _) in self.oauth.secrets.items()]

    def delete(self, rotation: Rotation, key_id: str) -> None:
        self.oauth.secrets.pop(key_id, None)


def _lowered(request: HttpRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


# --- the REST API ---------------------------------------------------------------------------------------------------


def api_key(url: str, **options: Any) -> ApiKey:
    chosen = {
        "check_url": f"{url}/me",
        "check_authorization": lambda fields: "secret%20%26%20part%3A%20" + fields["key"].rpartition(" ")[2],
        "stored_as": "key",
        **options,
    }
    return ApiKey(issuer(url, **chosen))


def test_a_key_of_a_rest_api_is_rotated_without_code(oauth: FakeOAuth, url: str, store: LocalSecretStore) -> None:
    store.create(new_secret("prod/key", {"key_id": "1", "key": "first"}))
    rotate(store, "prod/key", api_key(url))
    assert oauth.works(store.read("prod/key").json["key"])
    assert oauth.asked[-2:] == ["GET /me", "GET /secrets"]


def test_a_function_that_gives_no_header_is_a_mistake_of_the_code(url: str, store: LocalSecretStore) -> None:
    nothing: Any = lambda given: None  # noqa: E731
    with pytest.raises(InvalidArgument, match="authorization must give text, not NoneType"):
        list(issuer(url, authorization=nothing).list(rotation_of(store)))


def test_a_key_that_does_not_work_is_refused(oauth: FakeOAuth, url: str, store: LocalSecretStore) -> None:
    target = api_key(url, check_authorization=lambda fields: "another")
    with pytest.raises(LoginRefused, match=r"using the new key was refused: .* \(401\)"):
        rotated(store, target)


def test_apikey_needs_a_url_to_try_a_key(oauth: FakeOAuth, url: str, store: LocalSecretStore) -> None:
    with pytest.raises(InvalidArgument, match="has no check_url"):
        issuer(url).check(rotation_of(store), store.read(NAME).json)


def test_every_page_of_a_list_is_read(oauth: FakeOAuth, url: str, store: LocalSecretStore) -> None:
    oauth.page = 2
    for number in range(4):
        oauth.make(f"by hand {number}")
    listed = list(issuer(url, next_field="next").list(rotation_of(store)))
    assert [key.key_id for key in listed] == ["1", "2", "3", "4", "5"]
    assert oauth.asked == ["GET /secrets", "GET /secrets?start=2", "GET /secrets?start=4"]


@pytest.mark.parametrize(
    "following", ["https://elsewhere.example/", "http://127.0.0.1:1/", "//elsewhere/", "http://[::1", 7]
)
def test_the_administrators_credentials_go_to_no_other_server(
    oauth: FakeOAuth, url: str, store: LocalSecretStore, following: Any
) -> None:
    oauth.next_page = following
    with pytest.raises(TargetError, match="goes on at another server"):
        list(issuer(url, next_field="next").list(rotation_of(store)))
    assert oauth.asked == ["GET /secrets"]


def test_a_list_without_an_end_is_an_error(oauth: FakeOAuth, url: str, store: LocalSecretStore) -> None:
    oauth.next_page = "?start=0"
    with pytest.raises(TargetError, match="more than 100 pages"):
        list(issuer(url, next_field="next").list(rotation_of(store)))


@pytest.mark.parametrize(
    ("answer", "call", "said"),
    [
        ({"id": "2"}, "create", "has no id, or no secret part"),
        ({"secret": "canary"}, "create", "has no id, or no secret part"),
        ({"id": True, "secret": "canary"}, "create", "has no id, or no secret part"),
        ({"id": "2", "secret": ""}, "create", "has no id, or no secret part"),
        (["canary"], "create", "has no id, or no secret part"),
        ({"items": "canary"}, "list", "has no array"),
        ({}, "list", "has no array"),
        ({"items": ""}, "list", "has no array"),
        ({"items": [{"name": "canary"}]}, "list", "has no array of objects with an id"),
        ({"items": [{"id": "..", "name": "canary"}]}, "list", "has no array of objects with an id"),
        ({"items": ["canary"]}, "list", "has no array of objects with an id"),
    ],
)
def test_an_answer_that_does_not_fit_is_an_error_that_does_not_quote_it(
    oauth: FakeOAuth, url: str, store: LocalSecretStore, answer: object, call: str, said: str
) -> None:
    oauth.status = (200, answer)
    calls: dict[str, Callable[[], object]] = {
        "create": lambda: issuer(url).create(rotation_of(store), "name"),
        "list": lambda: list(issuer(url).list(rotation_of(store))),
    }
    with pytest.raises(TargetError, match=said) as caught:
        calls[call]()
    assert "canary" not in f"{caught.value} {caught.value.hint}"


def test_a_list_may_be_the_answer_itself_and_a_key_without_a_name(
    oauth: FakeOAuth, url: str, store: LocalSecretStore
) -> None:
    oauth.status = (200, [{"id": 7}, {"id": "8", "name": "eight"}])
    assert list(issuer(url, items_field=None).list(rotation_of(store))) == [ListedKey("7"), ListedKey("8", "eight")]


def test_deleting_what_is_gone_is_no_error_and_an_id_is_quoted(
    oauth: FakeOAuth, url: str, store: LocalSecretStore
) -> None:
    issuer(url).delete(rotation_of(store), "../token?x")
    assert oauth.asked == ["DELETE /secrets/..%2Ftoken%3Fx"]
    oauth.status = (409, {})
    with pytest.raises(TargetError, match="deleting a key failed: the service answered 409"):
        issuer(url).delete(rotation_of(store), "1")


def test_an_administrator_that_is_refused_is_told_by_what_was_to_be_done(
    oauth: FakeOAuth, url: str, store: LocalSecretStore
) -> None:
    target = client(url, issued_by=issuer(url, authorization=lambda rotation: "wrong"))
    with pytest.raises(LoginRefused, match="listing the keys was refused"):
        rotated(store, target)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "http://id.example/"}, "url must be an https URL"),
        ({"authorization": "Bearer x"}, "authorization must be a function"),
        ({"id_field": ""}, "id_field must be the name of a field"),
        ({"items_field": ""}, "items_field must be the name of a field"),
        ({"name_field": None}, "name_field must be the name of a field"),
        ({"body": []}, "body must be a mapping, not list"),
        ({"check_url": "https://id.example/me"}, "check_url and check_authorization go together"),
        ({"check_authorization": str}, "check_url and check_authorization go together"),
        ({"check_url": "http://id.example/me", "check_authorization": str}, "check_url must be an https URL"),
        ({"check_url": "https://id.example/me", "check_authorization": 7}, "check_authorization must be a function"),
    ],
)
def test_options_of_an_issuer_are_checked(options: dict[str, Any], said: str) -> None:
    chosen: dict[str, Any] = {"url": "https://id.example/secrets", "authorization": admin_token, **options}
    with pytest.raises(InvalidArgument) as caught:
        HttpIssuer(chosen.pop("url"), **chosen)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"token_url": "http://id.example/"}, "token_url must be an https URL"),
        ({"issued_by": object()}, "issuer must be a ClientSecretIssuer, and has no create"),
        ({"client_id": ""}, "client_id must be text that is not empty"),
        ({"scope": 7}, "scope must be text"),
        ({"client_id_field": ""}, "client_id_field must be text"),
        ({"secret_field": "client_id"}, "secret_field must be another field"),
        ({"parameters": {"audience": 7}}, "parameters must be a mapping of texts"),
        ({"parameters": 7}, "parameters must be a mapping of texts"),
        ({"authentication": "mutual-tls"}, "authentication must be one of basic, post"),
        ({"id_field": "client_id"}, "where two clients take turns, client_id must be None"),
        ({"most_secrets": 1}, "most_keys must be"),
        ({"timeout_s": 0}, "timeout_s must be"),
    ],
)
def test_options_of_a_client_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        client("https://id.example", **options)
    assert str(caught.value).startswith(said)


def test_no_repr_shows_what_may_hold_credentials() -> None:
    shown = repr(client("https://id.example", parameters={"assertion": "canary"}))
    shown += repr(issuer("https://id.example", body={"token": "canary"}))
    assert "canary" not in shown
    assert "https://id.example/token" in shown
