"""Policy statements for what the keyrings of AWS KMS call, with conditions on the encryption context.

Source: KMS Developer Guide, "AWS KMS condition keys" (kms:EncryptionContext:context-key, kms:EncryptionContextKeys) and
"Key policies in AWS KMS"; IAM User Guide, "IAM JSON policy elements".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from envelope.context import PUBLIC_KEY_NAME, RESERVED_PREFIX
from envelope.errors import InvalidArgument

__all__ = ["ContextRule", "iam_policy", "key_policy_statements"]

_PRINCIPAL = re.compile(r"arn:[a-z-]+:(iam|sts)::[0-9]{12}:(root|(user|role|assumed-role)/[\w+=,.@/-]+)", re.ASCII)

Statement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContextRule:
    """What the encryption context of every call must be.

    Attributes:
        pairs: must be there with this value.
        names: must be there with any value.
        is_open: whether there may be other pairs too.
    """

    pairs: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    is_open: bool = False

    @classmethod
    def of(cls, rules: Iterable[str], *, is_open: bool) -> Self:
        """The rule of ``name=value`` and ``name``.

        Raises:
            InvalidArgument: a name that is empty, reserved or given twice (condition keys do not mind the case), an
                empty value, or text that a policy would read as a pattern or a variable.
        """
        pairs: dict[str, str] = {}
        names: list[str] = []
        for rule in rules:
            name, equals, value = rule.partition("=")
            _check_name(name, [*pairs, *names])
            if equals and not value:
                raise InvalidArgument(
                    f"{name!r:.200} has an empty value, which KMS does not take", hint="-c name=value"
                )
            if "${" in value:
                raise InvalidArgument(f"the value of {name!r:.200} would be read as a policy variable: ${{")
            if equals:
                pairs[name] = value
            else:
                names.append(name)
        return cls(pairs, tuple(names), is_open)

    def condition(self) -> dict[str, Any]:
        """The Condition of a statement, empty without a rule."""
        if not (self.pairs or self.names):
            return {}
        condition: dict[str, Any] = {}
        if self.pairs:
            condition["StringEquals"] = {f"kms:EncryptionContext:{name}": value for name, value in self.pairs.items()}
        if self.names:
            condition["Null"] = {f"kms:EncryptionContext:{name}": "false" for name in self.names}
        if not self.is_open:
            # True for a call without any context as well: the conditions above are what asks for one.
            allowed = sorted({*self.pairs, *self.names, PUBLIC_KEY_NAME})
            condition["ForAllValues:StringEquals"] = {"kms:EncryptionContextKeys": allowed}
        return {"Condition": condition}


def iam_policy(
    key_arns: Sequence[str],
    context: ContextRule,
    *,
    by_alias: Sequence[str] = (),
    may_encrypt: bool = True,
    may_decrypt: bool = True,
) -> dict[str, Any]:
    """The identity policy of a caller: GenerateDataKey on the first key, Encrypt on the others, Decrypt on all.

    Args:
        by_alias: of these keys, those that the caller names by an alias, and so has to resolve.
    """
    wanted = [
        ("GenerateDataKeys", "kms:GenerateDataKey", list(key_arns[:1]) if may_encrypt else []),
        ("WrapDataKeys", "kms:Encrypt", list(key_arns[1:]) if may_encrypt else []),
        ("UnwrapDataKeys", "kms:Decrypt", list(key_arns) if may_decrypt else []),
    ]
    statements = [
        {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resources, **context.condition()}
        for sid, action, resources in wanted
        if resources
    ]
    if by_alias:
        statements.append(_resolving("ResolveAliases", list(by_alias)))
    return {"Version": "2012-10-17", "Statement": statements}


def key_policy_statements(
    principal: str,
    context: ContextRule,
    *,
    is_first: bool,
    is_alias: bool = False,
    may_encrypt: bool = True,
    may_decrypt: bool = True,
) -> list[Statement]:
    """What is added to the policy of one key; in a key policy, the resource ``*`` is the key itself.

    Args:
        principal: ARN of a user or role.
        is_first: whether this key generates the data keys, or wraps those of another.
        is_alias: whether the caller names it by an alias.

    Raises:
        InvalidArgument: the principal is no ARN of a user, a role or an account.
    """
    if _PRINCIPAL.fullmatch(principal) is None:
        raise InvalidArgument(
            "--role must be the ARN of a role, a user or an account's root",
            hint="for example arn:aws:iam::111122223333:role/application",
        )
    encrypting = ["kms:GenerateDataKey" if is_first else "kms:Encrypt"] if may_encrypt else []
    actions = encrypting + (["kms:Decrypt"] if may_decrypt else [])
    statement = {
        "Sid": f"Envelope{''.join(action.removeprefix('kms:') for action in actions)}",
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": actions,
        "Resource": "*",
        **context.condition(),
    }
    resolving = [{**_resolving("EnvelopeDescribeKey", "*"), "Principal": {"AWS": principal}}] if is_alias else []
    return [statement, *resolving]


def _resolving(sid: str, resource: str | list[str]) -> Statement:
    """What an alias needs in each run. Its call has no encryption context that a condition could ask for."""
    return {"Sid": sid, "Effect": "Allow", "Action": "kms:DescribeKey", "Resource": resource}


def _check_name(name: str, given: Iterable[str]) -> None:
    if not name or name.startswith(RESERVED_PREFIX):
        raise InvalidArgument(f"{name!r:.200} cannot be a name of an encryption context", hint="--context tenant=42")
    if "${" in name or "*" in name or "?" in name:
        raise InvalidArgument(f"{name!r:.200} would be read as a pattern in a policy")
    if name.lower() in {other.lower() for other in given}:
        raise InvalidArgument(f"{name!r:.200} is given twice", hint="in conditions, upper and lower case are the same")
