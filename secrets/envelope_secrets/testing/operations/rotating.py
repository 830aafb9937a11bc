"""RotateSecret and CancelRotateSecret. What a rotation does is in `rotations`."""

from __future__ import annotations

from typing import Any

from envelope_secrets.service_rules.rotation import cancelled, check_startable, configured, started
from envelope_secrets.stages import AWSPENDING
from envelope_secrets.testing.access import Call, written
from envelope_secrets.testing.faults import ServiceFault
from envelope_secrets.testing.request_checks import token_of
from envelope_secrets.testing.service_state import PendingRotation

__all__ = ["cancel_rotate_secret", "rotate_secret"]


def rotate_secret(call: Call) -> dict[str, Any]:
    token = token_of(call.operation, call.parameters)
    record = written(call)
    rules = call.get("RotationRules", {})
    state = configured(
        record.state,
        now_s=call.now_s,
        lambda_arn=call.get("RotationLambdaARN"),
        schedule=rules.get("ScheduleExpression"),
        after_days=rules.get("AutomaticallyAfterDays"),
        window=rules.get("Duration"),
    )
    rotation = state.rotation
    if rotation is None or rotation.lambda_arn not in call.state.functions:
        raise ServiceFault(
            "AccessDeniedException",
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants "
            "access to the principal secretsmanager.amazonaws.com.",
        )
    is_trial = not call.get("RotateImmediately", True)
    if is_trial:
        check_startable(state, token)
    else:
        state = started(state, token, now_s=call.now_s)
    call.state.commit(record, state)
    call.state.begin(PendingRotation(record, token, call.caller, is_trial))
    call.version_id = token
    return {"ARN": state.arn, "Name": state.name, "VersionId": token}


def cancel_rotate_secret(call: Call) -> dict[str, Any]:
    record = written(call)
    state = record.state
    call.state.commit(record, cancelled(state, now_s=call.now_s))
    pending = state.labels.holder(AWSPENDING)
    began = state.rotation is not None and pending == state.rotation.token
    version = {"VersionId": pending} if began and pending else {}
    return {"ARN": state.arn, "Name": state.name, **version}
