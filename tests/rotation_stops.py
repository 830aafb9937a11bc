"""A rotation that dies before or after its calls, of the store and of the target, and is repeated in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from envelope_secrets.stages import StagingLabels
from envelope_secrets.stores.protocol import SecretStore
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.testing import FaultySecretsManager, Stopped
from tests.bad_ends import problems_of_labels, problems_of_versions
from tests.crash_points import CrashPoints
from tests.local_secrets_for_tests import local_store

__all__ = [
    "LOCAL",
    "SAMPLES",
    "STORES",
    "STRICT",
    "Stops",
    "repeated",
    "stopping",
    "stopping_store",
    "store_of",
    "store_problems",
]

T = TypeVar("T")

STRICT, LOCAL = STORES = ("Secrets Manager", "local store")
"""Every kind of target is rotated in both: in the strict fake of the service, and in a file."""

SAMPLES = {STRICT: 5, LOCAL: 11}
"""Where not all is taken, a rotation in such a store dies at each so many-th point."""

MOST_ATTEMPTS = 4
STORE_METHODS = (
    *("read", "read_many", "describe", "versions", "list", "create", "put", "update", "move_stage"),
    *("delete", "restore", "tag", "untag"),
)


class Stops:
    """Calls that are points of whichever rotation runs now.

    Attributes:
        points: those of the rotation.
    """

    def __init__(self) -> None:
        self.points = CrashPoints()

    def around(self, call: Callable[..., T], name: str) -> Callable[..., T]:
        """The same function, with a point before it and one after it."""

        def stopped_around(*args: Any, **options: Any) -> T:
            with self.points.around(name):
                return call(*args, **options)

        return stopped_around


def stopping(target: Any, stops: Stops, methods: tuple[str, ...]) -> Any:
    """The same object, with points before and after these methods."""
    made = type("Stopping", (), {})()
    for name in methods:
        setattr(made, name, stops.around(getattr(target, name), name))
    return made


def stopping_store(store: SecretStore, stops: Stops) -> SecretStore:
    """The same store, with points before and after each of its methods."""
    announces = ("announce",) if hasattr(store, "announce") else ()
    made: SecretStore = stopping(store, stops, (*STORE_METHODS, *announces))
    assert isinstance(made, SecretStore)
    return made


def store_of(kind: str, folder: Path) -> SecretStore:
    """A store of one of the `STORES`."""
    if kind == LOCAL:
        return local_store(folder / "secrets.db")
    return SecretsManagerStore(FaultySecretsManager().aws(), region="eu-west-1")


def repeated(rotation: Callable[[], T], after_death: Callable[[], object] = lambda: None) -> T:
    """The rotation, again after each death, up to three more times."""
    for _ in range(MOST_ATTEMPTS - 1):
        try:
            return rotation()
        except Stopped:
            after_death()
    return rotation()


def store_problems(store: SecretStore, name: str, *, values: int) -> list[str]:
    """What must not be in a store after a rotation has ended.

    Args:
        values: how many versions the secret may have: one for the first value and one for each rotation.
    """
    labels: StagingLabels = store.describe(name).labels
    return problems_of_labels(labels) + problems_of_versions(len(store.versions(name, include_deprecated=True)), values)
