"""No password, key or administrator's token is in a frame or a text of a rotation over an API that fails."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import envelope
import envelope_secrets
from envelope.errors import EnvelopeError
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation import rotator
from envelope_secrets.rotation.elasticache_user import ElastiCacheUser
from envelope_secrets.rotation.http_issuer import HttpIssuer
from envelope_secrets.rotation.iam_access_key import IamAccessKey
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.oauth_client import OAuthClient
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.writing import new_secret
from tests.elasticache_for_tests import USER_ID, USER_NAME, FakeElastiCache
from tests.iam_for_tests import ADMIN_SECRET, USER, FakeIam
from tests.iam_for_tests import serving as serving_iam
from tests.local_secrets_for_tests import local_store
from tests.oauth_for_tests import ADMIN, CLIENT, FakeOAuth, serving_oauth
from tests.query_api_for_tests import serving

CANARY = "canary-5d1c"
NAME = "prod/key"
OWN_FOLDERS = tuple(str(Path(str(package.__file__)).parent) for package in (envelope, envelope_secrets))


@pytest.fixture
def store(tmp_path: Path) -> LocalSecretStore:
    return local_store(tmp_path / "secrets.db")


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def failure_of(store: LocalSecretStore, target: object, *secrets: str) -> EnvelopeError:
    """What a rotation raises, once it was looked at."""
    with pytest.raises(EnvelopeError) as caught:
        rotate(store, NAME, target, timeout_s=5)
    for error in chain(caught.value):
        stack = traceback.TracebackException.from_exception(error, capture_locals=True).stack
        own = [frame for frame in stack if frame.filename.startswith(OWN_FOLDERS)]
        for secret in (CANARY, *secrets):
            assert not [(frame.name, frame.locals) for frame in own if secret in repr(frame.locals)]
            assert secret not in f"{error!s}{error!r}{error.args!r}{vars(error)!r}"
    return caught.value


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("DescribeUsers", "AccessDenied"),
        ("ListTagsForResource", "AccessDenied"),
        ("ModifyUser", "AccessDenied"),
        ("ModifyUser", "InvalidParameterValue"),
        ("AddTagsToResource", "Throttling"),
    ],
)
def test_no_frame_of_a_cache_users_rotation_holds_a_password(
    store: LocalSecretStore, monkeypatch: pytest.MonkeyPatch, action: str, code: str
) -> None:
    numbers = count()

    def known(_: PasswordPolicy) -> str:
        return f"{CANARY}-new-password-{next(numbers)}"

    monkeypatch.setattr(rotator, "random_password", known)
    first = {"username": USER_NAME, "password": f"{CANARY}-the-first"}
    store.create(new_secret(NAME, first))
    cache = FakeElastiCache()
    cache.passwords, cache.failures = (first["password"],), {action: code}
    with serving(cache) as aws:
        failure_of(store, ElastiCacheUser(USER_ID, aws=aws))


@pytest.mark.parametrize("action", ["ListAccessKeys", "CreateAccessKey", "GetCallerIdentity", "TagUser"])
def test_no_frame_of_an_access_keys_rotation_holds_a_key(store: LocalSecretStore, action: str) -> None:
    iam = FakeIam()
    key_id = iam.make()
    store.create(new_secret(NAME, {"AccessKeyId": key_id, "SecretAccessKey": iam.keys[key_id]}))
    iam.failures = {action: "AccessDenied"}
    with serving_iam(iam) as aws:
        failure_of(store, IamAccessKey(USER, aws=aws), "secret+part", ADMIN_SECRET)


ANSWERS: list[Any] = [
    (500, CANARY),
    (200, {"id": None, "secret": CANARY}),
    (200, [CANARY]),
    (200, {"items": [CANARY], "next": CANARY}),
    (200, {"items": [], "next": "https://elsewhere.example/"}),
    (200, CANARY * 100_000),
    (302, CANARY),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer[0]} {json.dumps(answer[1])[:30]}")
@pytest.mark.parametrize("number", [0, 1])
def test_no_frame_of_an_oauth_clients_rotation_holds_a_key_or_the_administrators_token(
    store: LocalSecretStore, number: int, answer: tuple[int, object]
) -> None:
    oauth = NthAnswer(number, answer)
    store.create(new_secret(NAME, {"client_id": CLIENT, "client_secret": f"{CANARY}-first", "secret_id": "1"}))
    with serving_oauth(oauth) as url:
        issuer = HttpIssuer(
            f"{url}/secrets",
            authorization=lambda rotation: ADMIN,
            items_field="items",
            next_field="next",
            stored_as="client_secret",
        )
        target = OAuthClient(issuer, token_url=f"{url}/token", client_id=CLIENT, propagation_s=0.01)
        failure_of(store, target, "the administrator's token", "secret & part")


@pytest.mark.parametrize("body", [{"refresh_token": CANARY}, CANARY, [CANARY]])
def test_no_frame_of_a_token_request_holds_the_answer(store: LocalSecretStore, body: object) -> None:
    oauth = FakeOAuth()
    oauth.token_body = body
    store.create(new_secret(NAME, {"client_id": CLIENT, "client_secret": f"{CANARY}-first", "secret_id": "1"}))
    with serving_oauth(oauth) as url:
        issuer = HttpIssuer(
            f"{url}/secrets", authorization=lambda rotation: ADMIN, items_field="items", stored_as="client_secret"
        )
        failure_of(store, OAuthClient(issuer, token_url=f"{url}/token"), "secret & part", "the administrator's token")


class NthAnswer(FakeOAuth):
    """Answers one request of the management API with something else."""

    def __init__(self, number: int, answer: tuple[int, object]) -> None:
        super().__init__()
        self.number, self.instead = number, answer

    def manage(self, method: str, path: str, body: str) -> tuple[int, object]:
        self.number -= 1
        return self.instead if self.number == -1 else super().manage(method, path, body)
