"""A small KMS behind HTTP, strict where it matters for keyrings: key ids, accounts, regions, replicas, contexts."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from envelope import Aws
from envelope.aws.arn import KeyArn
from tests.aws_environment import made_up_session
from tests.http_answers import Answer, HttpAnswers, Received, error_answer, serving

__all__ = ["ACCOUNT", "OTHER_ACCOUNT", "StrictKms", "arn_of", "asked", "aws", "kms", "server"]

ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"


def arn_of(key_id: str, region: str = "eu-west-1", account: str = ACCOUNT) -> str:
    return f"arn:aws:kms:{region}:{account}:key/{key_id}"


@dataclass(slots=True)
class StrictKms:
    """Answers for `HttpAnswers`. A key exists where its ARN was added; ids beginning with ``mrk-`` share material.

    Attributes:
        materials: for each key id its versions; the newest encrypts, all of them decrypt.
        refusals: what to answer instead for a key ARN.
        changes: replaces members of every good answer.
    """

    materials: dict[str, list[AESGCM]] = field(default_factory=dict)
    arns: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, Answer] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)

    def add(self, key_id: str, region: str = "eu-west-1", account: str = ACCOUNT) -> str:
        arn = arn_of(key_id, region, account)
        self.arns.add(arn)
        self.materials.setdefault(key_id, [AESGCM(os.urandom(32))])
        return arn

    def rotate(self, arn: str) -> None:
        self.materials[KeyArn.parse(arn).resource_id].append(AESGCM(os.urandom(32)))

    def __call__(self, received: Received) -> Answer:
        body = received.body
        asked = self.aliases.get(body["KeyId"], body["KeyId"])
        if asked in self.refusals:
            return self.refusals[asked]
        if asked not in self.arns or KeyArn.parse(asked).region != received.region:
            return error_answer("NotFoundException", "no such key")
        context = json.dumps(body.get("EncryptionContext", {}), sort_keys=True).encode()
        answered = getattr(self, f"_{received.operation}")(asked, body, context)
        if isinstance(answered, Answer):
            return answered
        return Answer({**answered, **self.changes})

    def _GenerateDataKey(self, arn: str, body: Any, context: bytes) -> Any:  # noqa: N802 - the operation's name
        plaintext = os.urandom(body.get("NumberOfBytes") or {"AES_128": 16, "AES_256": 32}[body["KeySpec"]])
        return {**self._sealed(arn, plaintext, context), "Plaintext": base64.b64encode(plaintext).decode()}

    def _Encrypt(self, arn: str, body: Any, context: bytes) -> Any:  # noqa: N802
        return self._sealed(arn, base64.b64decode(body["Plaintext"]), context)

    def _Decrypt(self, arn: str, body: Any, context: bytes) -> Any:  # noqa: N802
        blob = base64.b64decode(body["CiphertextBlob"])
        key_id, _, sealed = blob.partition(b"|")
        asked_id = KeyArn.parse(arn).resource_id
        if key_id.decode(errors="replace") not in self.materials:
            return error_answer("InvalidCiphertextException")
        if key_id.decode() != asked_id:
            return error_answer("IncorrectKeyException", "The key ID in the request does not identify")
        for material in self.materials[asked_id]:
            try:
                plaintext = material.decrypt(sealed[:12], sealed[12:], context)
            except InvalidTag:
                continue
            return {"KeyId": arn, "Plaintext": base64.b64encode(plaintext).decode()}
        return error_answer("InvalidCiphertextException")

    def _DescribeKey(self, arn: str, body: Any, context: bytes) -> Any:  # noqa: N802
        return {"KeyMetadata": {"Arn": arn, "KeyId": KeyArn.parse(arn).resource_id}}

    def _sealed(self, arn: str, plaintext: bytes, context: bytes) -> dict[str, str]:
        key_id, iv = KeyArn.parse(arn).resource_id, os.urandom(12)
        sealed = key_id.encode() + b"|" + iv + self.materials[key_id][-1].encrypt(iv, plaintext, context)
        return {"KeyId": arn, "CiphertextBlob": base64.b64encode(sealed).decode()}


@pytest.fixture
def kms() -> StrictKms:
    return StrictKms()


@pytest.fixture
def server(kms: StrictKms) -> Iterator[HttpAnswers]:
    with serving(kms) as running:
        yield running


@pytest.fixture
def aws(server: HttpAnswers) -> Aws:
    return Aws(made_up_session(), endpoint_url=server.url, max_attempts=1, read_timeout_s=10)


def asked(server: HttpAnswers) -> list[tuple[str, str]]:
    """Operation and key of every request."""
    return [(received.operation, received.body["KeyId"]) for received in server.received]
