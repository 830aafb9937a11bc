"""The judge of rotations that died and were repeated: the ends that must never be, each by its name."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from envelope_secrets.rotation.failures import LoginRefused
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, StagingLabels

__all__ = [
    "LEAKED",
    "LOST",
    "NOT_ALLOWED",
    "NO_LOGIN",
    "SECOND_VALUE",
    "STUCK",
    "problems_of_keys",
    "problems_of_labels",
    "problems_of_use",
    "problems_of_versions",
]

NO_LOGIN = "AWSCURRENT does not log in"
NOT_ALLOWED = "AWSCURRENT may not do all that the account could"
STUCK = "AWSPENDING is stuck"
SECOND_VALUE = "a second pending value"
LEAKED = "a key leaked"
LOST = "a key that a version holds is gone"


def problems_of_labels(labels: StagingLabels) -> list[str]:
    """Labels that the service's rules do not allow after a rotation, and an AWSPENDING that blocks the next one."""
    pending = labels.holder(AWSPENDING)
    return [*labels.problems(), *([] if pending in (None, labels.holder(AWSCURRENT)) else [STUCK])]


def problems_of_versions(stored: int, allowed: int) -> list[str]:
    """Each rotation stores one value, however often it is repeated."""
    return [] if stored == allowed else [SECOND_VALUE]


def problems_of_keys(
    held: AbstractSet[str], there: AbstractSet[str], *, spare: AbstractSet[str] = frozenset()
) -> list[str]:
    """Keys that no version holds, and versions without their key.

    Args:
        held: the keys of the versions with a label.
        there: the keys that the issuer has.
        spare: keys that may be there still: those which have lost their label just now.
    """
    return [*([] if held <= there else [LOST]), *([] if there <= held | spare else [LEAKED])]


def problems_of_use(
    use: Callable[[], object],
    *,
    refused: type[Exception] | tuple[type[Exception], ...] = LoginRefused,
    denied: type[Exception] | tuple[type[Exception], ...] = (),
) -> list[str]:
    """What logging in as AWSCURRENT, and doing all that the account could do, comes to.

    Args:
        use: logs in, and does it.
        refused: what says that the login was refused.
        denied: what says that something else was.
    """
    try:
        use()
    except refused:
        return [NO_LOGIN]
    except denied:
        return [NOT_ALLOWED]
    return []
