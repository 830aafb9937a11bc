"""The event that Secrets Manager sends to a rotation function, checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.value import HidesValue

__all__ = ["RotationEvent", "Step"]


class Step(Enum):
    """The four steps, by the names that events have."""

    CREATE = "createSecret"
    SET = "setSecret"
    TEST = "testSecret"
    FINISH = "finishSecret"


# Secrets Manager API reference: ClientRequestToken, RotationToken, SecretId. ARNs and names have no other characters,
# so nothing that is written to a log can begin a line of its own there.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")
_ROTATION_TOKEN = re.compile(r"[A-Za-z0-9-]{36,256}")
_SECRET_ID = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,2048}")


@dataclass(frozen=True, slots=True)
class RotationEvent(HidesValue):
    """One invocation of a rotation function.

    Attributes:
        secret_id: the ARN of the secret.
        token: the ClientRequestToken, which is the id of the version that is being made.
        rotation_token: what PutSecretValue must be given where the function's role is not the secret owner's; never
            shown.
        is_announced: whether the service has announced the version by AWSPENDING; False for a rotation in this process.
    """

    step: Step
    secret_id: str
    token: str
    rotation_token: str | None = field(default=None, repr=False)
    is_announced: bool = True

    @classmethod
    def parse(cls, event: object) -> RotationEvent:
        """The event of an invocation, which anybody may have sent who may invoke the function.

        Raises:
            RotationRefused: a field is missing, or has a value that Secrets Manager does not send. No value is shown.
        """
        if not isinstance(event, Mapping):
            raise _refused("it is no JSON object")
        rotation_token = event.get("RotationToken")
        if rotation_token is not None:
            rotation_token = _field(event, "RotationToken", _ROTATION_TOKEN)
        return cls(
            step=_step(event.get("Step")),
            secret_id=_field(event, "SecretId", _SECRET_ID),
            token=_field(event, "ClientRequestToken", _TOKEN),
            rotation_token=rotation_token,
        )


def _step(value: object) -> Step:
    step = next((step for step in Step if step.value == value), None)
    if step is None:
        raise _refused("its field Step names none of the four steps")
    return step


def _field(event: Mapping[object, object], name: str, form: re.Pattern[str]) -> str:
    value = event.get(name)
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise _refused(f"its field {name} is missing or malformed")
    return value


def _refused(why: str) -> RotationRefused:
    return RotationRefused(
        f"this is no event of a rotation: {why}",
        hint="only Secrets Manager should be allowed to invoke the function; to rotate now, call RotateSecret",
    )
