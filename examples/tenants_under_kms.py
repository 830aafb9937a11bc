"""A service for several tenants under one KMS key: a cache, metrics, and a role that may open one tenant's data only.

It runs on a KMS in memory. In production `fake.aws()` becomes `Aws()`, and the policy belongs to the real key.
"""

import json
from collections import Counter
from threading import Lock

from envelope import Client, DataKeyCache, DataKeyEvent, KeyUnavailable, KmsKeyring
from envelope.testing import FakeKms

KEY_ADMIN = "arn:aws:iam::111122223333:role/key-admin"
APPLICATION = "arn:aws:iam::111122223333:role/application"
SUPPORT_OF_42 = "arn:aws:iam::111122223333:role/support-of-42"

KEY_POLICY = {
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": KEY_ADMIN},
            "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:Put*", "kms:Enable*", "kms:Disable*"],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Principal": {"AWS": APPLICATION},
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
            "Resource": "*",
            "Condition": {"Null": {"kms:EncryptionContext:tenant": "false"}},
        },
        {
            "Effect": "Allow",
            "Principal": {"AWS": SUPPORT_OF_42},
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": "42"}},
        },
    ]
}


class Metrics:
    """Counts what the cache tells. The cache calls it in the thread where something happens, so it is quick."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self._lock = Lock()

    def __call__(self, event: DataKeyEvent) -> None:
        with self._lock:
            self.events[f"{event.operation}.{event.kind}"] += 1


def main() -> None:
    fake = FakeKms()
    key_arn = fake.client(principal=KEY_ADMIN).create_key(Policy=json.dumps(KEY_POLICY))["KeyMetadata"]["Arn"]

    metrics = Metrics()
    keyring = KmsKeyring(key_arn, aws=fake.aws(principal=APPLICATION))
    cache = DataKeyCache(keyring, max_age_s=300, on_event=metrics)
    service = Client(cache)
    records = [
        (tenant, service.encrypt(f"record {number}".encode(), {"tenant": tenant}))
        for number in range(1_000)
        for tenant in ("41", "42", "43")
    ]
    assert all(service.decrypt(message, {"tenant": tenant}) for tenant, message in records)
    stats = cache.stats()
    print(f"{len(records):,} records written: {stats.wrap.kms_calls} calls to KMS; read: {stats.unwrap.kms_calls}")
    print(", ".join(f"{name} {count}" for name, count in sorted(metrics.events.items())))

    support = Client(KmsKeyring(key_arn, aws=fake.aws(principal=SUPPORT_OF_42)))
    for tenant, message in records[:3]:
        try:
            print(f"support of tenant 42 reads of tenant {tenant}: {support.decrypt(message)!r}")
        except KeyUnavailable as error:
            print(f"support of tenant 42 reads of tenant {tenant}: {error}\n  {error.hint}")


if __name__ == "__main__":
    main()
