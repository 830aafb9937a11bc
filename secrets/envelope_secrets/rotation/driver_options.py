"""Checks of what all kinds of database take: seconds, a host, a name, a password."""

from __future__ import annotations

from envelope.arguments import check_count, check_seconds
from envelope.errors import InvalidArgument
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.database import MOST_REFUSALS, DatabaseCredentials
from envelope_secrets.rotation.failures import LoginRefused, PasswordRefused, TargetUnreachable

__all__ = ["check_credentials", "check_new_password", "check_options", "check_test_statements", "check_two_names"]

MOST_TEST_STATEMENTS = 20
MOST_STATEMENT_CHARACTERS = 10_000


def check_options(
    policy: object, connect_timeout_s: object, statement_timeout_s: object, most_refusals: object
) -> None:
    """Check what every kind of database is made with.

    Raises:
        InvalidArgument: an option of the wrong type or range.
    """
    if not isinstance(policy, PasswordPolicy):
        raise InvalidArgument(f"password_policy must be a PasswordPolicy, not {type(policy).__name__}")
    check_seconds("connect_timeout_s", connect_timeout_s)
    check_seconds("statement_timeout_s", statement_timeout_s)
    check_count("most_refusals", most_refusals, 1, MOST_REFUSALS)


def check_test_statements(statements: object) -> None:
    """Check what testSecret is to run.

    Raises:
        InvalidArgument: it is no tuple of at most 20 statements of 1 to 10,000 characters.
    """
    if not isinstance(statements, tuple) or len(statements) > MOST_TEST_STATEMENTS:
        raise InvalidArgument(
            f"test_statements must be a tuple of at most {MOST_TEST_STATEMENTS} statements",
            hint='like ("SELECT 1 FROM orders LIMIT 1",)',
        )
    for number, statement in enumerate(statements, start=1):
        if not isinstance(statement, str) or not 0 < len(statement.strip()) <= MOST_STATEMENT_CHARACTERS:
            raise InvalidArgument(
                f"test statement {number} must be text of 1 to {MOST_STATEMENT_CHARACTERS:,} characters, "
                f"not {type(statement).__name__}"
            )


def check_credentials(credentials: DatabaseCredentials) -> None:
    """Refuse what a driver would take to mean something else, before it is asked.

    Raises:
        TargetUnreachable: the host is no name or address: a socket's path, or several hosts.
        LoginRefused: no server knows an empty name or password, or one with a NUL.
    """
    host = credentials.host
    if not host or not host.isprintable() or set(host) & set("/@, \\'\""):
        raise TargetUnreachable("the secret's host is not the name or the address of one server")
    if not _is_text(credentials.username) or not _is_text(credentials.password) or "\0" in credentials.database:
        raise LoginRefused("no server takes an empty user name or password, or one with a NUL")


def check_new_password(password: str, *, most_bytes: int) -> None:
    """Raise `PasswordRefused` if no account can have this password."""
    if not _is_text(password):
        raise PasswordRefused("a password must not be empty, have a NUL, or half of a surrogate pair")
    if len(password.encode()) > most_bytes:
        raise PasswordRefused(
            f"the password has more than {most_bytes:,} bytes in UTF-8, which is the most it can have"
        )


def check_two_names(username: object, like: object) -> None:
    """Raise `InvalidArgument` unless these can be two accounts."""
    for name in (username, like):
        if not isinstance(name, str) or not _is_text(name):
            raise InvalidArgument("the name of an account must be text that is not empty, without a NUL")
    if username == like:
        raise InvalidArgument("an account cannot be prepared like itself")


def _is_text(text: str) -> bool:
    """Whether it can be sent: not empty, no NUL, no half of a surrogate pair."""
    return bool(text) and "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
