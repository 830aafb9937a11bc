"""Local secret stores that tests can look into, from the inside and as somebody else."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from envelope.testing import FakeClock
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import NewSecret, NewVersion
from tests.keyrings_for_tests import raw_aes

NAME = "prod/db"
DAY_S = 86_400


def token(number: int) -> str:
    """A ClientRequestToken, and with it a version id."""
    return f"{number:032d}"


def version(value: str | bytes, number: int, *stages: str) -> NewVersion:
    """A new version; with AWSCURRENT unless other labels are named."""
    return NewVersion(value, token(number), stages or ("AWSCURRENT",))


def secret(value: str | bytes = "first", number: int = 1, *, name: str = NAME, **options: Any) -> NewSecret:
    return NewSecret(name, version(value, number), **options)


def local_store(path: Path, *, fill: int = 1, **options: Any) -> LocalSecretStore:
    """A store under the key of these bytes, on a clock that stands still."""
    return LocalSecretStore(path, raw_aes(fill=fill), **{"clock": FakeClock(), **options})


def stages(store: LocalSecretStore, name: str = NAME) -> dict[str, str]:
    """The labels of a secret as short text: ``{"1": "AWSPREVIOUS", "2": "AWSCURRENT AWSPENDING"}``."""
    labels = store.describe(name).labels.by_version
    return {version_id.lstrip("0"): " ".join(sorted(on)) for version_id, on in labels.items() if on}


@contextlib.contextmanager
def edited(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as somebody sees it who has its bytes and not the key."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        yield connection
