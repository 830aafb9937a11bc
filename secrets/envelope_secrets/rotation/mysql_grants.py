"""What SHOW GRANTS says, as a set that can be compared, and the statements that make two such sets equal. Pure.

The server's own text is taken apart where privileges, objects and the account meet, and nowhere else: names of objects
are quoted by the server, and go back as they came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from envelope_secrets.rotation.failures import TargetError

__all__ = ["Grant", "changes", "describe", "parse_grants"]

_NAME = r"`(?:[^`]|``)*`"
_TEXT = r"'(?:[^'\\]|''|\\.)*'"
_TOKEN = re.compile(
    rf"(?:{_NAME}|\*)\.(?:{_NAME}|\*)"  # an object
    rf"|{_NAME}(?:@{_NAME})?"  # an account, a role or a column
    rf"|{_TEXT}(?:@{_TEXT})?"  # an account as MariaDB writes it for PROXY, or a value
    r"|[(),]|[^\s`'(),]+",
    re.DOTALL,
)

ALL = "ALL PRIVILEGES"
GRANT_OPTION = "GRANT OPTION"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One privilege on one object, or one role.

    Attributes:
        privilege: like ``SELECT`` or ``SELECT (`column`)``; a role's quoted name; `GRANT_OPTION`.
        on: the object as the server writes it; empty for a role.
        can_pass_on: a role or a dynamic privilege with its own grant or admin option.
        is_taken: a partial revoke: the privilege that is held for all objects is not for this one.
    """

    privilege: str
    on: str
    can_pass_on: bool = False
    is_taken: bool = False


def parse_grants(lines: Iterable[str], name: str, host: str) -> frozenset[Grant]:
    """The grants of an account, from the lines of SHOW GRANTS; lines for others, like the role PUBLIC, are left out.

    Raises:
        TargetError: a line that is not understood. Guessing could leave out a privilege.
    """
    accounts = ["@".join(_quoted(part, quote) for part in (name, host)) for quote in "`'"]
    return frozenset(grant for line in lines for grant in _grants_of(line, accounts))


def _quoted(text: str, quote: str) -> str:
    """As the server quotes it."""
    return quote + text.replace(quote, quote * 2) + quote


def changes(has: frozenset[Grant], wanted: frozenset[Grant], account: str) -> Iterator[str]:
    """Statements that give `account` what is wanted and take away the rest. What goes is taken first."""
    for grant in sorted(has - wanted):
        if grant.privilege != GRANT_OPTION and Grant(ALL, grant.on) in wanted:
            continue  # it is a part of what comes
        yield _taken(grant, account) if not grant.is_taken else _given(_positive(grant), account)
    for grant in sorted(wanted - has, key=lambda grant: (grant.is_taken, grant)):
        yield _given(grant, account) if not grant.is_taken else _taken(_positive(grant), account)


def describe(grant: Grant) -> str:
    """In words: ``SELECT on `app`.*``."""
    option = " with the right to pass it on" if grant.can_pass_on else ""
    if not grant.on:
        return f"role {grant.privilege}{option}"
    return f"{'no ' if grant.is_taken else ''}{grant.privilege} on {grant.on}{option}"


def _positive(grant: Grant) -> Grant:
    return Grant(grant.privilege, grant.on)


def _given(grant: Grant, account: str) -> str:
    if not grant.on:
        return f"GRANT {grant.privilege} TO {account}" + (" WITH ADMIN OPTION" if grant.can_pass_on else "")
    if grant.privilege == GRANT_OPTION:
        return f"GRANT USAGE ON {grant.on} TO {account} WITH GRANT OPTION"
    option = " WITH GRANT OPTION" if grant.can_pass_on else ""
    return f"GRANT {grant.privilege} ON {grant.on} TO {account}{option}"


def _taken(grant: Grant, account: str) -> str:
    on = f" ON {grant.on}" if grant.on else ""
    return f"REVOKE {grant.privilege}{on} FROM {account}"


def _grants_of(line: str, accounts: list[str]) -> Iterator[Grant]:
    tokens = _TOKEN.findall(line)
    if tokens[:1] == ["SET"]:
        return  # MariaDB's line about the default role, which is compared elsewhere
    before, whom, after = _split(tokens, "FROM" if tokens[:1] == ["REVOKE"] else "TO", line)
    if whom not in accounts:
        return
    at = before.index("ON") if "ON" in before else len(before)
    privileges, on = before[:at], " ".join(before[at + 1 :])
    can_pass_on = _ends_with_option(after)
    is_taken = tokens[0] == "REVOKE"
    for privilege in _listed(privileges):
        keeps_own_option = not on or "_" in privilege.partition("(")[0]
        if privilege != "USAGE":
            yield Grant(privilege, on, can_pass_on=can_pass_on and keeps_own_option, is_taken=is_taken)
        if can_pass_on and not keeps_own_option:
            yield Grant(GRANT_OPTION, on)


def _split(tokens: list[str], word: str, line: str) -> tuple[list[str], str, list[str]]:
    """What is between GRANT and TO, the account, and what comes after."""
    if tokens[:1] not in (["GRANT"], ["REVOKE"]) or word not in tokens:
        raise TargetError(
            "the server describes a privilege in a way that is not understood",
            hint=f"it begins with {line[:20]!r}; please report it, with the version of the server",
        )
    at = len(tokens) - 1 - tokens[::-1].index(word)
    account = tokens[at + 1] if at + 1 < len(tokens) else ""
    return tokens[1:at], account, tokens[at + 2 :]


def _ends_with_option(after: list[str]) -> bool:
    return any(pair in (("GRANT", "OPTION"), ("ADMIN", "OPTION")) for pair in pairwise(after))


def _listed(tokens: list[str]) -> Iterator[str]:
    """The privileges of a list; one with columns is one for each column."""
    words: list[str] = []
    columns: list[str] | None = None
    for part in [*tokens, ","]:
        if part == "(":
            columns = []
        elif part == ")":
            yield from (f"{' '.join(words)} ({column})" for column in columns or ())
            words, columns = [], None
        elif columns is not None:
            columns.extend([part] if part != "," else [])
        elif part != ",":
            words.append(part)
        elif words:
            yield " ".join(words)
            words = []
