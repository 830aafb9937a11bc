"""Two rotations of a database's secret, in either kind of store, that die at any login, statement and call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from envelope_secrets.rotation.database import DatabaseCredentials, DatabaseSession
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stores.protocol import SecretStore
from envelope_secrets.testing import Stopped
from tests.bad_ends import problems_of_labels, problems_of_versions
from tests.crash_points import CrashPoints
from tests.database_rotations import RotationWorld
from tests.local_rotations import LocalWorld
from tests.rotation_stops import Stops

__all__ = ["DatabaseCrashes", "StoppingDatabase"]


@dataclass(frozen=True)
class StoppingDatabase:
    """A kind of database, each login of which is two points."""

    inner: Any
    points: CrashPoints

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def connect(self, login: DatabaseCredentials, *, deadline: Deadline) -> DatabaseSession:
        self.points.point("before connect")
        session: DatabaseSession = self.inner.connect(login, deadline=deadline)
        try:
            self.points.point("after connect")
        except Stopped:
            session.__exit__(None, None, None)  # as the operating system does for a process that is gone
            raise
        return session


@dataclass(slots=True)
class DatabaseCrashes:
    """Rotations of one kind of database by one strategy, with another secret for each run.

    Attributes:
        stops: around the statements; they are points while a rotation runs, and none while a test looks.
        local: the store; None for a service of each run's own, because it searches all its secrets at each call.
    """

    database: Any
    strategy: Strategy
    admin_value: Mapping[str, Any]
    stops: Stops
    local: SecretStore | None = None

    def rotated_twice(
        self, points: CrashPoints, value: Mapping[str, Any], look: Callable[[SecretStore, str], list[str]]
    ) -> list[str]:
        """Two rotations, each repeated up to three times; what is wrong after them.

        Args:
            value: the first value; its user is another one in each run.
            look: given the store and the secret's name, says what is wrong with the accounts.
        """
        name, found = f"prod/{value['username']}", list[str]()
        with points.nobody_watches():
            store, rotated = (self._in_service if self.local is None else self._in_file)(points, name, value)
        for number in (2, 3):
            self.stops.points = points
            found += rotated(number)
            self.stops.points = CrashPoints()
            with points.nobody_watches():  # what comes now are calls of the test
                found += look(store, name)
        return found

    def _in_service(self, points: CrashPoints, name: str, value: Mapping[str, Any]) -> _Rotated:
        world = RotationWorld(self.strategy, **self._options(points, name, value))

        def rotated(number: int) -> list[str]:
            run = world.rotate(number, attempts=4)
            found = [] if run.succeeded else [f"failed: {[(one.step, one.error) for one in run.steps if one.error]}"]
            return found + problems_of_labels(world.labels) + problems_of_versions(world.values_stored(), number)

        return world.store, rotated

    def _in_file(self, points: CrashPoints, name: str, value: Mapping[str, Any]) -> _Rotated:
        assert self.local is not None
        options = self._options(points, name, value)
        database = options.pop("database")(None)
        return self.local, LocalWorld(self.local, database, self.strategy, **options).rotated

    def _options(self, points: CrashPoints, name: str, value: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "points": points,
            "name": name,
            "database": lambda _: StoppingDatabase(self.database, points),
            "value": value,
            "admin_value": self.admin_value,
            "with_admin": not isinstance(self.strategy, SingleUser),
        }


_Rotated = tuple[SecretStore, Callable[[int], list[str]]]
