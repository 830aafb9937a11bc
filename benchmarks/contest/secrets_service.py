"""A Secrets Manager of one secret in this process, that takes its time and counts its calls."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from envelope.aws.in_process import JsonAnswer, client_answered_by

__all__ = ["ARN", "NAME", "REGION", "VALUE", "SlowSecretsManager"]

REGION = "eu-west-1"
NAME = "prod/db"
ARN = f"arn:aws:secretsmanager:{REGION}:111122223333:secret:{NAME}-AbCdEf"
VALUE = json.dumps({"username": "app", "password": "correct horse battery staple", "host": "db.internal", "port": 5432})
VERSION_ID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
STAGES = ["AWSCURRENT"]


class SlowSecretsManager:
    """Answers the two calls that caches make.

    Attributes:
        latency_s: seconds that each call takes; can be set at any time.
        calls: how often each operation was called.
    """

    def __init__(self) -> None:
        self.latency_s = 0.0
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def client(self) -> Any:
        """A boto3 client whose requests come here."""
        return client_answered_by("secretsmanager", REGION, self._answer)

    def _answer(self, operation: str, _: dict[str, Any]) -> JsonAnswer:
        with self._lock:
            self.calls[operation] += 1
        time.sleep(self.latency_s)
        return JsonAnswer(200, _ANSWERS[operation], "00000000-0000-4000-8000-000000000000")


_COMMON = {"ARN": ARN, "Name": NAME, "CreatedDate": 1_767_225_600.0}
_ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "GetSecretValue": {**_COMMON, "VersionId": VERSION_ID, "SecretString": VALUE, "VersionStages": STAGES},
    "DescribeSecret": {**_COMMON, "VersionIdsToStages": {VERSION_ID: STAGES}},
}
