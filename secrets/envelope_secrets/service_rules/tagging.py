"""Tags of a secret.

Source: AWS Secrets Manager API reference, TagResource and UntagResource.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from envelope_secrets.limits import tags_problem
from envelope_secrets.service_rules.broken import check_parameter
from envelope_secrets.service_rules.deletion import check_not_deleted
from envelope_secrets.service_rules.state import SecretState

__all__ = ["tagged", "untagged"]

V = TypeVar("V")


def tagged(state: SecretState[V], tags: Mapping[str, str], *, now_s: float) -> SecretState[V]:
    """The secret with these tags and the others that it has.

    Raises:
        RuleBroken: InvalidParameterException; InvalidRequestException if it is scheduled for deletion.
    """
    check_not_deleted(state)
    together = {**state.tags, **tags}
    check_parameter("Tags", tags_problem(together))
    return replace(state, tags=MappingProxyType(together), changed_s=now_s)


def untagged(state: SecretState[V], names: Iterable[str], *, now_s: float) -> SecretState[V]:
    """The secret without these tags; those that it does not have do not matter.

    Raises:
        RuleBroken: InvalidRequestException if it is scheduled for deletion.
    """
    check_not_deleted(state)
    gone = set(names)
    kept = {name: value for name, value in state.tags.items() if name not in gone}
    return replace(state, tags=MappingProxyType(kept), changed_s=now_s)
