"""Deletion with a recovery window, and its undoing.

Source: AWS Secrets Manager API reference, DeleteSecret and RestoreSecret.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from envelope_secrets.limits import recovery_window_problem
from envelope_secrets.service_rules.broken import RuleBroken, check_parameter
from envelope_secrets.service_rules.state import SecretState

__all__ = ["check_deletable", "check_not_deleted", "is_gone", "restored", "scheduled"]

V = TypeVar("V")

DAY_S = 86_400.0


def check_not_deleted(state: SecretState[V]) -> None:
    """Raise InvalidRequestException for a secret that is scheduled for deletion."""
    if state.deletes_s is not None:
        raise RuleBroken(
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
        )


def check_deletable(state: SecretState[V]) -> None:
    """Raise InvalidParameterException for a secret that has replicas: those go first."""
    if state.replicas:
        regions = ",".join(replica.region for replica in state.replicas)
        raise RuleBroken(
            "InvalidParameterException",
            f"You can't delete secret {state.name} that still has replica regions [{regions}]",
        )


def scheduled(state: SecretState[V], days: int, now_s: float) -> SecretState[V]:
    """The secret with its deletion scheduled.

    Args:
        days: 7 to 30.

    Raises:
        RuleBroken: InvalidParameterException, also if it has replicas; InvalidRequestException if it is scheduled
            already.
    """
    check_parameter("RecoveryWindowInDays", recovery_window_problem(days))
    check_not_deleted(state)
    check_deletable(state)
    return replace(state, deleted_s=now_s, deletes_s=now_s + days * DAY_S)


def restored(state: SecretState[V]) -> SecretState[V]:
    """The secret with its deletion taken back.

    Raises:
        RuleBroken: InvalidRequestException if none was scheduled.
    """
    if state.deletes_s is None:
        raise RuleBroken(
            "InvalidRequestException",
            "You can't restore the secret because it is not scheduled for deletion.",
        )
    return replace(state, deleted_s=None, deletes_s=None)


def is_gone(state: SecretState[V], now_s: float) -> bool:
    """Whether its recovery window is over: it does not exist any more, and its name is free."""
    return state.deletes_s is not None and now_s >= state.deletes_s
