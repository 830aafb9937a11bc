"""A secret of a database in a local store, and its rotation in this process, which may die at points."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from envelope.testing import FakeClock
from envelope_secrets.errors import SecretConflict
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stores.protocol import SecretStore
from envelope_secrets.value import Secret
from envelope_secrets.writing import new_secret
from tests.crash_points import CrashPoints
from tests.fake_secrets_for_tests import token
from tests.rotation_stops import Stops, repeated, stopping_store, store_problems

__all__ = ["LocalWorld", "secret_of"]

ADMIN_NAME = "prod/admin"


def secret_of(value: Mapping[str, Any]) -> Secret:
    """A version with these fields, which no store has."""
    return Secret(json.dumps(value), name="prod/db", arn="arn", version_id=token(1))


class LocalWorld:
    """What `RotationWorld` is for Secrets Manager, as far as tests that let rotations die need it.

    Attributes:
        store: its calls by the test are no points.
    """

    def __init__(
        self,
        store: SecretStore,
        database: object,
        strategy: Strategy,
        *,
        points: CrashPoints,
        name: str,
        value: Mapping[str, Any],
        admin_value: Mapping[str, Any],
        with_admin: bool,
    ) -> None:
        self.store, self.database, self.strategy, self.name = store, database, strategy, name
        self.points = points
        self._stops, self._clock = Stops(), FakeClock()
        self._stops.points = points
        self._watched = stopping_store(store, self._stops)
        with contextlib.suppress(SecretConflict):  # one administrator for all runs
            store.create(new_secret(ADMIN_NAME, dict(admin_value)))
        given = {**value, "masterarn": store.describe(ADMIN_NAME).arn} if with_admin else dict(value)
        store.create(new_secret(name, given, token=token(1)))

    def rotated(self, number: int) -> list[str]:
        """Rotate to the version of this number, again after each death; what is wrong with the store then."""
        self._clock.advance(60)
        repeated(self._rotate_to(number))
        return store_problems(self.store, self.name, values=number)

    def _rotate_to(self, number: int) -> Any:
        return lambda: rotate(
            self._watched,
            self.name,
            self.database,
            self.strategy,
            token=token(number),
            clock=self._clock.now,
            sleep=self._clock.advance,
        )
