"""A secret of a database and its rotation, on a fake service and a server: what the tests of rotations begin with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.database import Database
from envelope_secrets.rotation.handler import Handler, rotation_handler
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StagingLabels
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.testing import RotationRun
from tests.crash_points import CrashPoints, StoppingService
from tests.fake_databases import HOST, Account, FakeDatabase, FakeServer
from tests.fake_secrets_for_tests import NAME, V1, token

ADMIN = "admin"
REGION = "eu-west-1"
GRANTS = {"read a", "read b", "write b"}


def fields(username: str = "app", password: Any = "first", **others: Any) -> dict[str, Any]:
    """What a database secret has."""
    return {"engine": "postgres", "host": HOST, "port": 5432, "username": username, "password": password, **others}


class RotationWorld:
    """A service with the secrets of an application and an administrator, a server that knows both, and a handler."""

    def __init__(
        self,
        strategy: Strategy,
        *,
        points: CrashPoints | None = None,
        server: FakeServer | None = None,
        database: Callable[[FakeServer], Any] = FakeDatabase,
        service: StoppingService | None = None,
        name: str = NAME,
        value: Mapping[str, Any] | str | None = None,
        admin_value: Mapping[str, Any] | None = None,
        password_policy: PasswordPolicy | None = None,
        with_admin: bool = True,
        **options: Any,
    ) -> None:
        self.points = points or CrashPoints()
        self.service = service or StoppingService(**options)
        self.service.points = self.points
        self.fake = self.service.fake
        self.clock = self.fake.clock
        self.name = name
        self.server = server or FakeServer(self.points)
        self.server.accounts.setdefault("app", Account(("first",), set(GRANTS), requires_tls=True))
        self.server.accounts.setdefault("root", Account(("rootpw",), {"all"}, is_admin=True))
        self.client: Any = self.fake.client()
        admin = self.client.create_secret(
            Name=f"{name}-{ADMIN}", SecretString=json.dumps(admin_value or fields("root", "rootpw"))
        )
        given = fields(masterarn=admin["ARN"]) if with_admin else fields()
        given = {**given, **value} if isinstance(value, Mapping) else given
        text = value if isinstance(value, str) else json.dumps(given)
        self.arn = self.client.create_secret(Name=name, SecretString=text, ClientRequestToken=V1)["ARN"]
        self.store = SecretsManagerStore(client_for_region=self.service.client_for_region, region=REGION)
        self.database: Database = database(self.server)
        self.handler = self.handler_of(self.database, strategy, password_policy)

    def handler_of(
        self, target: object, strategy: Strategy | None = None, password_policy: PasswordPolicy | None = None
    ) -> Handler:
        """A handler for the secrets of this service."""
        return rotation_handler(
            target,
            strategy,
            store=self.store,
            password_policy=password_policy,
            clock=self.clock,
            sleep=self.clock.advance,
        )

    def rotate(self, number: int | None = None, *, attempts: int = 1, immediately: bool = True) -> RotationRun:
        """Run a rotation whose version is V<number>."""
        self.clock.advance(60)
        return self.fake.rotate(
            self.name,
            self.handler,
            token=None if number is None else token(number),
            attempts=attempts,
            immediately=immediately,
        )

    def step(self, name: str, number: int) -> None:
        """Deliver one event."""
        self.handler({"Step": name, "SecretId": self.arn, "ClientRequestToken": token(number)}, None)

    def put(self, number: int, value: Mapping[str, Any] | str | bytes, *stages: str) -> None:
        """Put a version as an operator does."""
        self.clock.advance(1)
        chosen = {"VersionStages": list(stages)} if stages else {}
        given: dict[str, Any] = {"SecretBinary": value} if isinstance(value, bytes) else {}
        given = given or {"SecretString": value if isinstance(value, str) else json.dumps(value)}
        self.client.put_secret_value(SecretId=self.name, ClientRequestToken=token(number), **given, **chosen)

    def cancel(self) -> None:
        """What an operator does who gives a rotation up: cancel it, and take AWSPENDING away."""
        self.fake.start_again()
        self.client.cancel_rotate_secret(SecretId=self.name)
        pending = self.labels.holder(AWSPENDING)
        if pending is not None:
            self.client.update_secret_version_stage(
                SecretId=self.name, VersionStage=AWSPENDING, RemoveFromVersionId=pending
            )

    @property
    def labels(self) -> StagingLabels:
        described = self.client.describe_secret(SecretId=self.name)
        return StagingLabels.of(described.get("VersionIdsToStages", {}))

    def value(self, stage: str = AWSCURRENT) -> dict[str, Any]:
        """The fields of a version."""
        answer = self.client.get_secret_value(SecretId=self.name, VersionStage=stage)
        found: dict[str, Any] = json.loads(answer["SecretString"])
        return found

    def works(self, stage: str = AWSCURRENT) -> bool:
        """Whether the server takes what a version says. No attempt to log in."""
        try:
            value = self.value(stage)
        except self.client.exceptions.ResourceNotFoundException:
            return False
        return self.server.accepts(value["username"], value["password"])

    def value_of(self, number: int) -> str:
        """The text of one version."""
        text: str = self.client.get_secret_value(SecretId=self.name, VersionId=token(number))["SecretString"]
        return text

    def values_stored(self) -> int:
        """How many versions have a value."""
        listed = self.client.list_secret_version_ids(SecretId=self.name, IncludeDeprecated=True)["Versions"]
        return len(listed)

    def problems(self) -> list[str]:
        """What must not be after a rotation has ended; empty if all is well."""
        found = self.labels.problems()
        found += [] if self.works() else ["AWSCURRENT does not log in"]
        found += [] if AWSPREVIOUS in self._stages() else ["AWSPREVIOUS is nowhere"]
        pending = self.labels.holder(AWSPENDING)
        found += [] if pending in (None, self.labels.holder(AWSCURRENT)) else ["AWSPENDING is stuck"]
        model = self.server.accounts["app"]
        for name, account in self.server.accounts.items():
            if not account.is_admin and (account.grants, account.requires_tls) != (model.grants, model.requires_tls):
                found.append(f"{name} is half granted")
        found += [] if self.server.open_sessions <= 0 or self.points.died else ["a session was left open"]
        return found

    def _stages(self) -> set[str]:
        return {stage for stages in self.labels.by_version.values() for stage in stages}
