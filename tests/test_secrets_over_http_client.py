"""`SecretsClient` on the strict fake and over real HTTP on moto: what a program does all day, with the same outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from envelope_secrets.client import SecretsClient
from envelope_secrets.errors import SecretConflict, SecretDeleted, SecretNotFound
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS
from envelope_secrets.value import Secret
from tests.secrets_peers import Peer, fake_peer, moto_peer, new_name, token


@pytest.fixture(scope="module", name="moto")
def _moto() -> Peer:
    return moto_peer()


@pytest.fixture(scope="module", name="fake")
def _fake() -> Peer:
    return fake_peer()


Story = Callable[[SecretsClient, Peer], Any]


def read_written(secrets: SecretsClient, peer: Peer) -> Any:
    name = new_name()
    secrets.create(name, {"user": "app", "password": "one"})
    first = secrets.get(name).json["password"]
    secrets.put(name, {"user": "app", "password": "two"})
    return first, secrets.get(name).json["password"], secrets.get(name, stage=AWSPREVIOUS).json["password"]


def cached(secrets: SecretsClient, peer: Peer) -> Any:
    name = peer.secret()
    before = secrets.get(name)
    peer.put(name)
    kept = secrets.get(name)
    renewed = secrets.refresh(name)
    secrets.invalidate(name)
    return before is kept, renewed.text, secrets.get(name).text


def staged(secrets: SecretsClient, peer: Peer) -> Any:
    """M1: moto's default version stays the old one after a move of the label; the client never asks for the default."""
    name = peer.secret()
    place = secrets.put(name, "two", stages=(AWSPENDING,))
    seen = [secrets.get(name).text, secrets.get(name, stage=AWSPENDING).text]
    secrets.stages.promote(name, place.version_id)
    seen += [secrets.get(name).text]
    again = secrets.stages.promote(name, place.version_id)
    secrets.stages.rollback(name)
    seen += [secrets.get(name).text, secrets.get(name, stage=AWSPREVIOUS).text]
    secrets.stages.drop_pending(name)
    return seen, again, peer.labels(name)


def many(secrets: SecretsClient, peer: Peer) -> Any:
    names = [peer.secret(str(number)) for number in range(23)]
    batch = secrets.get_many([*names, "app/none"])
    return [batch[name].text for name in names[-2:]], len(batch.errors), type(batch.errors["app/none"])


def ring(secrets: SecretsClient, peer: Peer) -> Any:
    name = peer.secret()
    peer.put(name)
    peer.put(name, "three", AWSPENDING)
    ring = secrets.key_ring(name)
    return [key.text for key in ring], ring.current.text, ring.previous and ring.previous.text


def deleted(secrets: SecretsClient, peer: Peer) -> Any:
    name = peer.secret()
    secrets.get(name)
    secrets.delete(name)
    seen = [_outcome(lambda: secrets.get(name))]
    secrets.restore(name)
    return [*seen, secrets.get(name).text]


def disagreed(secrets: SecretsClient, peer: Peer) -> Any:
    name = peer.secret()
    pending = peer.put(name, "two", AWSPENDING)
    return _outcome(lambda: secrets.get(name, stage=AWSCURRENT, version_id=pending)), secrets.get(name).text


def opened_to_others(secrets: SecretsClient, peer: Peer) -> Any:
    name = new_name()
    secrets.create(name, "one")
    reader = "arn:aws:iam::222233334444:root"
    statement = {"Effect": "Allow", "Principal": {"AWS": reader}, "Action": "secretsmanager:GetSecretValue"}
    policy = {"Version": "2012-10-17", "Statement": [statement | {"Resource": "*"}]}
    secrets.policy.put(name, policy)
    put = json.loads(secrets.policy.get(name) or "")
    secrets.policy.delete(name)
    return put == policy, secrets.policy.get(name)


def missing(secrets: SecretsClient, peer: Peer) -> Any:
    return [
        _outcome(lambda: secrets.get("app/none")),
        _outcome(lambda: secrets.get(peer.secret(), version_id=token())),
        _outcome(lambda: secrets.get(peer.secret(), stage="mine")),
    ]


def _outcome(call: Callable[[], Secret]) -> Any:
    try:
        return call().text
    except (SecretNotFound, SecretDeleted, SecretConflict) as error:
        return type(error)


STORIES: dict[str, tuple[Story, Any]] = {
    "what was written is read": (read_written, ("one", "two", "one")),
    "what is cached is kept until it is refreshed": (cached, (True, "two", "two")),
    "a version is staged, promoted and rolled back": (
        staged,
        (["one", "two", "two", "one", "two"], None, {"one": {AWSCURRENT}, "two": {AWSPREVIOUS}}),
    ),
    "many are read, each with its own error": (many, (["21", "22"], 1, SecretNotFound)),
    "a key ring": (ring, (["two", "one", "three"], "two", "one")),
    "a secret that waits for its deletion": (deleted, [SecretDeleted, "one"]),
    "a version without the label": (disagreed, (SecretConflict, "one")),
    "a policy": (opened_to_others, (True, None)),
    "what is missing": (missing, [SecretNotFound] * 3),
}


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("on", ["fake", "moto"])
def test_a_client_does_the_same_on_both(name: str, on: str, moto: Peer, fake: Peer) -> None:
    story, expected = STORIES[name]
    peer = {"fake": fake, "moto": moto}[on]
    with SecretsClient(peer.store) as secrets:
        assert story(secrets, peer) == expected
