"""Filters of ListSecrets and BatchGetSecretValue.

Values of one filter are alternatives; several filters must all fit. A value that begins with ! stands for all that it
does not fit.

Source: AWS Secrets Manager API reference, Filter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from envelope_secrets.testing.faults import bad_parameter
from envelope_secrets.testing.service_state import Found

__all__ = ["check_filters", "matching"]

_KEYS = frozenset({"all", "description", "name", "owning-service", "primary-region", "tag-key", "tag-value"})
_VALUE = re.compile(r"!?[a-zA-Z0-9 :_@/+=.!-]{0,511}")
MAX_VALUES = 10


def check_filters(filters: Iterable[Mapping[str, Any]]) -> None:
    """Raise InvalidParameterException for a filter that the service does not know."""
    for one in filters:
        values = one.get("Values") or []
        if one.get("Key") not in _KEYS:
            raise bad_parameter("The parameter Filters has an unknown key.")
        if not 1 <= len(values) <= MAX_VALUES or not all(map(_VALUE.fullmatch, values)):
            raise bad_parameter(f"The parameter Filters must have 1 to {MAX_VALUES} values of allowed characters.")


def matching(secret: Found, filters: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a secret passes all the filters."""
    return all(_passes(_attributes(secret, one["Key"]), one["Key"], one["Values"]) for one in filters)


def _passes(attributes: list[str], key: str, values: list[str]) -> bool:
    return any(_fits(attributes, key, value.removeprefix("!")) != value.startswith("!") for value in values)


def _fits(attributes: list[str], key: str, value: str) -> bool:
    if key == "all":
        return any(word in attribute.lower() for word in value.lower().split() for attribute in attributes)
    if key == "description":
        return any(attribute.lower().startswith(value.lower()) for attribute in attributes)
    return any(attribute.startswith(value) for attribute in attributes)


def _attributes(secret: Found, key: str) -> list[str]:
    state = secret.record.state
    known = {
        "name": [state.name],
        "description": [state.description],
        "owning-service": [secret.record.owner],
        "primary-region": [secret.record.region] if state.replicas else [],
        "tag-key": list(state.tags),
        "tag-value": list(state.tags.values()),
    }
    return [text for texts in known.values() for text in texts] if key == "all" else known[key]
