"""The conditions of policy statements, on what is known of one call.

Only what the fake understands can be put: an operator or key it does not know is refused, never ignored.

Source: IAM User Guide, "IAM JSON policy elements: Condition"; KMS Developer Guide, "AWS KMS condition keys".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from envelope.testing.kms_faults import KmsFault

__all__ = ["Condition", "Facts", "as_texts", "malformed", "matches_pattern", "parse_conditions"]

Facts = Mapping[str, tuple[str, ...]]
"""Condition keys in lower case and their values in this call; a key that the call does not have is not there."""

_KEYS = frozenset(
    {"aws:principalaccount", "aws:principalarn", "kms:calleraccount", "kms:encryptioncontextkeys", "kms:viaservice"}
)
_CONTEXT_PREFIX = "kms:encryptioncontext:"
_MULTI_VALUED = "kms:encryptioncontextkeys"


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.replace("[", "[[]")))  # IAM knows * and ?, and no sets


def matches_pattern(text: str, pattern: str) -> bool:
    """Whether `text` is `pattern`, where * stands for any text and ? for one character."""
    return _compiled(pattern).match(text) is not None


_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda actual, wanted: actual == wanted,
    "StringEqualsIgnoreCase": lambda actual, wanted: actual.lower() == wanted.lower(),
    "StringLike": matches_pattern,
    "ArnEquals": matches_pattern,
    "ArnLike": matches_pattern,
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key.

    Attributes:
        comparison: a name of `_COMPARISONS`, or ``Null``.
        quantifier: ``ForAllValues``, ``ForAnyValue`` or empty.
        wanted: the values of the policy, of which one must fit; for a negated operator none.
    """

    comparison: str
    is_negated: bool
    quantifier: str
    if_exists: bool
    key: str
    wanted: tuple[str, ...]

    def holds(self, facts: Facts) -> bool:
        """Whether this call fulfils it."""
        actual = facts.get(self.key)
        if self.comparison == "Null":
            return all((actual is None) == (wanted == "true") for wanted in self.wanted)
        if actual is None:
            return self._holds_without_value()
        if self.quantifier == "ForAnyValue":
            return any(self._fits(value) for value in actual)
        return all(self._fits(value) for value in actual)

    def _holds_without_value(self) -> bool:
        if self.if_exists or self.quantifier == "ForAllValues":
            return True
        return self.is_negated and not self.quantifier

    def _fits(self, value: str) -> bool:
        compare = _COMPARISONS[self.comparison]
        return any(compare(value, wanted) for wanted in self.wanted) != self.is_negated


def parse_conditions(element: object) -> tuple[Condition, ...]:
    """The conditions of one statement; all of them must hold.

    Raises:
        KmsFault: MalformedPolicyDocumentException, also for what the fake does not know.
    """
    if not isinstance(element, dict):
        raise malformed("Condition must be an object")
    conditions = []
    for operator, pairs in element.items():
        if not isinstance(pairs, dict):
            raise malformed(f"Condition {operator} must be an object")
        conditions += [_parse_condition(operator, key, values) for key, values in pairs.items()]
    return tuple(conditions)


def _parse_condition(operator: str, key: str, values: object) -> Condition:
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    comparison = _NEGATED.get(name, name)
    if quantifier not in ("", "ForAllValues", "ForAnyValue") or comparison not in (*_COMPARISONS, "Null"):
        raise malformed(f"FakeKms does not know the condition operator {operator}")
    return Condition(
        comparison, name in _NEGATED, quantifier, if_exists, _checked_key(key, quantifier, comparison), as_texts(values)
    )


def _checked_key(key: str, quantifier: str, comparison: str) -> str:
    known = key.lower()  # condition keys do not mind the case, nor do context names inside them
    if known not in _KEYS and not known.startswith(_CONTEXT_PREFIX):
        raise malformed(f"FakeKms does not know the condition key {key}")
    if known == _MULTI_VALUED and not quantifier and comparison != "Null":
        raise malformed(f"{key} has many values and needs ForAllValues or ForAnyValue")
    return known


def as_texts(values: object) -> tuple[str, ...]:
    """A text or a list of texts, as elements of a policy are written; true and false as in a Null condition."""
    listed = values if isinstance(values, list) else [values]
    return tuple(_as_text(value) for value in listed)


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        raise malformed("every value must be a text")
    if "${" in value:
        raise malformed(f"FakeKms does not know policy variables: {value}")
    return value


def malformed(message: str) -> KmsFault:
    return KmsFault("MalformedPolicyDocumentException", message)
