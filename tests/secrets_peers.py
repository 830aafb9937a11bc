"""Secrets Manager twice: the strict fake, and moto behind real HTTP on loopback. Stories are told to both."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from botocore.exceptions import ClientError

from envelope import Aws, EnvelopeError
from envelope.testing import FakeClock, FakeKms
from envelope_secrets.stages import AWSCURRENT
from envelope_secrets.stores.protocol import NewSecret, NewVersion
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.testing import FaultySecretsManager
from tests.moto_server import FIRST_ACCOUNT, REGIONS, moto_url, session_of

__all__ = [
    "FUNCTION",
    "NO_FUNCTION",
    "Peer",
    "Story",
    "fake_peer",
    "moto_aws",
    "moto_peer",
    "new_name",
    "outcome",
    "token",
]

FUNCTION = f"arn:aws:lambda:{REGIONS[0]}:{FIRST_ACCOUNT}:function:rotate"
"""Known to the fake; moto would run it in Docker."""
NO_FUNCTION = f"arn:aws:lambda:{REGIONS[0]}:{FIRST_ACCOUNT}:function:none"

_numbers = count()


@dataclass(frozen=True)
class Peer:
    """One of the two: a store on it, and a boto3 client for what a store never asks.

    Attributes:
        replicas: a store in another region.
    """

    store: SecretsManagerStore
    replicas: SecretsManagerStore
    client: Any

    def secret(self, value: str | bytes = "one") -> str:
        """The name of a new secret."""
        name = new_name()
        self.store.create(NewSecret(name, NewVersion(value, token())))
        return name

    def put(self, name: str, value: str | bytes = "two", *stages: str) -> str:
        """The id of a new version."""
        return self.store.put(name, NewVersion(value, token(), stages or (AWSCURRENT,))).version_id

    def labels(self, name: str) -> dict[str, set[str]]:
        """The labels of each value, deprecated versions too."""
        told = self.store.versions(name, include_deprecated=True)
        return {
            self.store.read(name, stage=None, version_id=version.version_id).text: set(version.stages)
            for version in told
            if version.has_value
        }


def new_name() -> str:
    return f"app/{next(_numbers)}"


def token() -> str:
    return str(uuid.uuid4())


def moto_aws() -> Aws:
    return Aws(session_of(FIRST_ACCOUNT), region=REGIONS[0], endpoint_url=moto_url(), max_attempts=1)


def moto_peer() -> Peer:
    aws = moto_aws()
    return Peer(SecretsManagerStore(aws), SecretsManagerStore(aws, region=REGIONS[1]), aws.client("secretsmanager"))


def fake_peer() -> Peer:
    """The fake, whose values are encrypted under keys of the fake KMS."""
    clock = FakeClock()
    fake = FaultySecretsManager(clock=clock, kms=FakeKms(clock=clock))
    fake.register_function(FUNCTION, lambda event, context: None)
    clients = fake.client_for(account=FIRST_ACCOUNT)
    return Peer(
        SecretsManagerStore(region=REGIONS[0], client_for_region=clients),
        SecretsManagerStore(region=REGIONS[1], client_for_region=clients),
        clients(REGIONS[0]),
    )


Story = Callable[[Peer], Any]


def outcome(story: Story, peer: Peer) -> Any:
    """What a story ends with: a value, the class of our error, or the code of botocore's."""
    try:
        return story(peer)
    except EnvelopeError as error:
        return type(error)
    except ClientError as error:
        return error.response["Error"]["Code"]
