"""The words of `envelope secrets rotate --with`, and what they mean."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from envelope_secrets.cli import rotation_targets, store_options
from tests.elasticache_for_tests import USER_ID, USER_NAME, FakeElastiCache
from tests.oauth_for_tests import ADMIN, CLIENT, FakeOAuth, serving_oauth
from tests.query_api_for_tests import serving
from tests.secrets_cli_for_tests import create, done, local, prepare, refused

GUIDE = Path(__file__).parent.parent / "docs/secrets-cli.md"
CLIENT_OPTIONS = ("--client-id", CLIENT, "--token-url", "https://a", "--issuer-url", "https://b")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch)
    return tmp_path


def test_the_guide_lists_every_word_with_its_own_options() -> None:
    table = GUIDE.read_text().partition("| `--with` |")[2].partition("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    listed = {word: {*re.findall(r"`(--[a-z-]+)`", row[2])} for row in rows for word in re.findall("`(.+?)`", row[0])}
    assert listed.pop("MODULE:NAME") == set()
    names = rotation_targets._FLAG_NAMES
    assert listed == {word: {names[key] for key in keys} for word, keys in rotation_targets._OF_TARGETS.items()}


def test_the_secret_of_an_oauth_client_rotates_by_its_word() -> None:
    fake = FakeOAuth()
    create("prod/oauth-admin", ADMIN + "\n")
    create(
        "prod/oauth", json.dumps({"client_id": CLIENT, "client_secret": "first: the s\u00e9cret&", "secret_id": "1"})
    )
    with serving_oauth(fake) as url:
        how = (
            *("prod/oauth", "--with", "oauth-client", "--client-id", CLIENT, "--token-url", f"{url}/token"),
            *("--issuer-url", f"{url}/secrets", "--issuer-secret", "prod/oauth-admin", "--issuer-items", "items"),
        )
        assert "would make a new version" in done("rotate", *how, "--dry-run")
        ended = local("rotate", *how, "--scope", "invoices.read")
    assert ended.status == 0, ended.errors
    value = json.loads(done("get", "prod/oauth"))
    assert (value["client_id"], value["secret_id"], fake.works(value["client_secret"])) == (CLIENT, "2", True)
    assert ADMIN not in ended.errors


def test_an_elasticache_user_is_looked_at_by_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    kind = rotation_targets.RotationTarget

    def remember(target: Any, strategy: Any) -> Any:
        made.append(target)
        return kind(target, strategy)

    monkeypatch.setattr(rotation_targets, "RotationTarget", remember)
    create("prod/cache", json.dumps({"username": USER_NAME, "password": "the first password"}))
    how = ("prod/cache", "--with", "elasticache-user", "--user", USER_ID)
    with serving(FakeElastiCache()) as aws:
        monkeypatch.setattr(store_options, "shared_aws", lambda settings: aws)
        assert "would make a new version" in done("rotate", *how, "--dry-run", "--length", "50")
        local("rotate", *how, "--dry-run", "--cache-endpoint", "no.invalid", "--cache-port", "7", "--tls", "require")
    assert (made[0].aws, made[0].endpoint, made[0].port) == (aws, None, 6379)
    assert (made[1].endpoint, made[1].port, made[1].redis.tls) == ("no.invalid", 7, "require")
    create("prod/text", "no JSON")
    assert "is no JSON object, as ElastiCacheUser" in refused(3, "rotate", "prod/text", *how[1:])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("elasticache-user",), "--user says which user it is"),
        (("elasticache-user", "--user", "not an id"), "--user must be the id of an ElastiCache user"),
        (("elasticache-user", "--user", "a", "--cache-port", "7"), "--cache-port goes with --cache-endpoint"),
        (("elasticache-user", "--user", "a", "--strategy", "dual-password"), "is for accounts of a database"),
        (("elasticache-user", "--user", "a", "--scope", "b"), "--scope does not go with --with elasticache-user"),
        (("oauth-client",), "--token-url says where a token is asked for"),
        (("oauth-client", "--token-url", "https://a"), "for a client that needs other options, give MODULE:NAME"),
        (("oauth-client", *CLIENT_OPTIONS), "--issuer-secret says which secret holds the header"),
        (("oauth-client", *CLIENT_OPTIONS, "--issuer-secret", "c", "--token-url", "ftp://a"), "--token-url must"),
        (("oauth-client", *CLIENT_OPTIONS, "--issuer-secret", "c", "--no-digits"), "--no-digits is for passwords"),
        (("oauth-client", *CLIENT_OPTIONS, "--issuer-secret", "c", "--tls", "disable"), "--tls does not go with"),
    ],
)
def test_what_words_cannot_say_or_leave_out_is_usage(arguments: tuple[str, ...], text: str) -> None:
    create("prod/any", "{}")
    assert text in refused(2, "rotate", "prod/any", "--with", *arguments)
