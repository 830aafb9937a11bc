"""Labels, rotations and policies for an event loop: each call in a worker thread, which a cancelled task waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from envelope.aio.worker import to_its_end
from envelope_secrets.policies import PolicyControl, ReadAccess
from envelope_secrets.rotation_control import RotationControl, RotationReport
from envelope_secrets.stage_operations import Repair, RepairAction, StageOperations
from envelope_secrets.stages import StageMove
from envelope_secrets.stores.protocol import PolicyFinding, VersionPlace

__all__ = ["AsyncPolicyControl", "AsyncRotationControl", "AsyncStageOperations"]


class AsyncStageOperations:
    """See `StageOperations`."""

    def __init__(self, blocking: StageOperations) -> None:
        self._blocking = blocking

    async def promote(self, secret_id: str, version_id: str) -> StageMove | None:
        """See `StageOperations.promote`."""
        return await to_its_end(self._blocking.promote, secret_id, version_id)

    async def rollback(self, secret_id: str) -> StageMove:
        """See `StageOperations.rollback`."""
        return await to_its_end(self._blocking.rollback, secret_id)

    async def drop_pending(self, secret_id: str) -> StageMove | None:
        """See `StageOperations.drop_pending`."""
        return await to_its_end(self._blocking.drop_pending, secret_id)

    async def move(self, secret_id: str, stage: str, *, to: str | None, from_: str | None) -> StageMove:
        """See `StageOperations.move`."""
        return await to_its_end(self._blocking.move, secret_id, stage, to=to, from_=from_)

    async def repair(self, secret_id: str, *, action: RepairAction | str | None = None) -> Repair:
        """See `StageOperations.repair`."""
        return await to_its_end(self._blocking.repair, secret_id, action=action)


class AsyncRotationControl:
    """See `RotationControl`."""

    def __init__(self, blocking: RotationControl) -> None:
        self._blocking = blocking

    async def start(self, secret_id: str, *, token: str | None = None) -> VersionPlace:
        """See `RotationControl.start`."""
        return await to_its_end(self._blocking.start, secret_id, token=token)

    async def configure(
        self,
        secret_id: str,
        lambda_arn: str | None,
        *,
        schedule: str = "rate(30 days)",
        window: str | None = "2h",
        immediately: bool = False,
        token: str | None = None,
    ) -> VersionPlace:
        """See `RotationControl.configure`."""
        return await to_its_end(
            self._blocking.configure,
            secret_id,
            lambda_arn,
            schedule=schedule,
            window=window,
            immediately=immediately,
            token=token,
        )

    async def cancel(self, secret_id: str) -> VersionPlace:
        """See `RotationControl.cancel`."""
        return await to_its_end(self._blocking.cancel, secret_id)

    async def status(self, secret_id: str) -> RotationReport:
        """See `RotationControl.status`."""
        return await to_its_end(self._blocking.status, secret_id)


class AsyncPolicyControl:
    """See `PolicyControl`."""

    def __init__(self, blocking: PolicyControl) -> None:
        self._blocking = blocking

    async def get(self, secret_id: str) -> str | None:
        """See `PolicyControl.get`."""
        return await to_its_end(self._blocking.get, secret_id)

    async def put(self, secret_id: str, policy: str | Mapping[str, Any], *, block_public: bool = True) -> None:
        """See `PolicyControl.put`."""
        await to_its_end(self._blocking.put, secret_id, policy, block_public=block_public)

    async def delete(self, secret_id: str) -> None:
        """See `PolicyControl.delete`."""
        await to_its_end(self._blocking.delete, secret_id)

    async def validate(
        self, policy: str | Mapping[str, Any], *, secret_id: str | None = None
    ) -> tuple[PolicyFinding, ...]:
        """See `PolicyControl.validate`."""
        return await to_its_end(self._blocking.validate, policy, secret_id=secret_id)

    async def allow_read(self, secret_id: str, principals: Iterable[str], *, key_arn: str | None = None) -> ReadAccess:
        """See `PolicyControl.allow_read`."""
        return await to_its_end(self._blocking.allow_read, secret_id, principals, key_arn=key_arn)

    async def revoke_read(self, secret_id: str, principals: Iterable[str] | None = None) -> str | None:
        """See `PolicyControl.revoke_read`."""
        return await to_its_end(self._blocking.revoke_read, secret_id, principals)
