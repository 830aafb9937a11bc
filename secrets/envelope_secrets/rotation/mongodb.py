"""MongoDB and Amazon DocumentDB: accounts of SCRAM, by the commands for users."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, Self

from envelope.arguments import check_flag
from envelope.errors import InvalidArgument
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_loading import load_driver
from envelope_secrets.rotation.driver_options import check_new_password, check_options, check_two_names
from envelope_secrets.rotation.failures import PasswordRefused, PrivilegeMissing, TargetError
from envelope_secrets.rotation.mongodb_connection import MongoDbConnection, connect
from envelope_secrets.rotation.mongodb_users import MongoDbUser, changes, fields_like, missing_from, parse_user
from envelope_secrets.rotation.tls import Tls, TlsMode

__all__ = ["MongoDb", "MongoDbSession"]

MOST_PASSWORD_BYTES = 4_096
MOST_DATABASE_BYTES = 63

BAD_VALUE = frozenset({2})
USER_EXISTS = frozenset({51_003})

AUTH_DATABASE_FIELD = "authSource"


@dataclass(frozen=True, slots=True, kw_only=True)
class MongoDb:
    """MongoDB 4.2 or later and Amazon DocumentDB, by pymongo 4. For `SingleUser` and `AlternatingUsers`.

    The server makes the SCRAM hashes itself, so that a new password is sent to it as it is: only TLS hides it on the
    way. The server leaves it out of its log. Changes go to the primary, and most members must have them.

    Attributes:
        tls: see `Tls`. ``require`` and ``disable`` let whoever is in between learn a new password.
        ca_file: see `Tls`; `RDS_CERTIFICATES` for DocumentDB.
        auth_database: where the accounts are that a rotation changes; 1 to 63 bytes. A login is to the same, unless the
            secret has a field ``authSource``, as that of an administrator in another database should.
        direct_connection: talk to the secret's host alone, as through a tunnel. Otherwise the members of a replica set
            are found by asking it, and the primary is used.
        password_policy: by default what RDS takes for DocumentDB, without what a connection string must escape.
        connect_timeout_s: to find the primary and log in, at most.
        statement_timeout_s: for one command, at most.
        most_refusals: so many refused logins of one account in one step, 1 to 100.

    Raises:
        InvalidArgument: an option of the wrong type or range.
    """

    tls: TlsMode = "verify-full"
    ca_file: str | None = None
    auth_database: str = "admin"
    direct_connection: bool = False
    password_policy: PasswordPolicy = field(
        default_factory=lambda: PasswordPolicy(exclude="\"#$%&'+,/:;=?@[\\]", length=40)
    )
    connect_timeout_s: float = 5.0
    statement_timeout_s: float = 10.0
    most_refusals: int = 4

    engines: ClassVar[frozenset[str]] = frozenset({"mongo", "mongodb", "documentdb"})
    default_port: ClassVar[int] = 27017
    max_username_characters: ClassVar[int] = 1_024
    keeps_two_passwords: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Tls(self.tls, self.ca_file)
        check_options(self.password_policy, self.connect_timeout_s, self.statement_timeout_s, self.most_refusals)
        check_flag("direct_connection", self.direct_connection)
        if not _is_database(self.auth_database):
            raise InvalidArgument(
                f"auth_database must be the name of a database of 1 to {MOST_DATABASE_BYTES} bytes",
                hint='"admin" is the default',
            )

    def connect(self, credentials: DatabaseCredentials, *, deadline: Deadline) -> MongoDbSession:
        """See `Database.connect`. The secret's ``dbname`` is what `MongoDbSession.check_use` looks at."""
        auth_database = credentials.others.get(AUTH_DATABASE_FIELD) or self.auth_database
        if not isinstance(auth_database, str) or not _is_database(auth_database):
            raise TargetError(f"the secret's field {AUTH_DATABASE_FIELD} is not the name of a database")
        connection = connect(
            credentials,
            deadline=deadline,
            tls=Tls(self.tls, self.ca_file),
            auth_database=auth_database,
            is_direct=self.direct_connection,
            connect_timeout_s=self.connect_timeout_s,
            statement_timeout_s=self.statement_timeout_s,
        )
        return MongoDbSession(connection, self.auth_database, application_database=credentials.database)


class MongoDbSession:
    """See `DatabaseSession`.

    Args:
        connection: is closed with the session.
        database: where the accounts are.
        application_database: what the application uses; may be empty.
    """

    __slots__ = ("_application_database", "_connection", "_database", "_mechanisms")

    def __init__(self, connection: MongoDbConnection, database: str, *, application_database: str = "") -> None:
        self._connection = connection
        self._database = database
        self._application_database = application_database
        self._mechanisms: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def set_password(self, username: str, password: str) -> None:
        """See `DatabaseSession.set_password`. Needs ``changeOwnPassword``, or ``changePassword`` for others' accounts.

        The ways to log in stay what they are, or become those of the account that this session has made it like: a
        server that is not told would add all that it has, SCRAM-SHA-1 too.
        """
        _check_password(password)
        mechanisms = self._mechanisms.get(username) or self._existing(username).mechanisms
        command: dict[str, Any] = {"updateUser": username, "pwd": password}
        if mechanisms:
            command["mechanisms"] = list(mechanisms)
        if not self._connection.change(self._database, command, what="setting a password", expected=BAD_VALUE):
            raise PasswordRefused("the server does not take the new password; the old one is in force")

    def prepare_account(self, username: str, like: str) -> None:
        """See `DatabaseSession.prepare_account`. A new account has a random password, which nobody is told."""
        check_two_names(username, like)
        model = self._existing(like)
        self._mechanisms[username] = model.mechanisms
        user = self._user(username)
        if user is None and self._is_made(username, model):
            return
        fields = changes(user or self._existing(username), model)
        if fields:
            self._connection.change(self._database, {"updateUser": username, **fields}, what="changing an account")

    def missing_privileges(self, username: str, like: str) -> tuple[str, ...]:
        """See `DatabaseSession.missing_privileges`: roles, addresses and customData."""
        check_two_names(username, like)
        user, model = self._user(username), self._existing(like)
        return ("everything: there is no such account",) if user is None else missing_from(user, model)

    def check_use(self) -> None:
        """See `DatabaseSession.check_use`: a role, and a privilege on the database that the secret names."""
        answer = self._connection.ask_fully(
            self._database, {"connectionStatus": 1}, more={"showPrivileges": True}, what="looking at the own privileges"
        )
        known: Mapping[str, Any] = answer.get("authInfo", {})
        if not known.get("authenticatedUserRoles"):
            raise PrivilegeMissing("the login works, and the account has no role", hint="see grantRolesToUser")
        privileges = known.get("authenticatedUserPrivileges")
        database = self._application_database
        if database and privileges is not None and not any(_covers(privilege, database) for privilege in privileges):
            raise PrivilegeMissing("the login works, and has no privilege on the database that the secret names")

    def _is_made(self, username: str, model: MongoDbUser) -> bool:
        """Make the account, in one command; False if somebody else just has."""
        command = {"createUser": username, "pwd": secrets.token_urlsafe(32), **fields_like(model)}
        return self._connection.change(self._database, command, what="a new account", expected=USER_EXISTS)

    def _existing(self, username: str) -> MongoDbUser:
        user = self._user(username)
        if user is None:
            raise TargetError(
                "the server has no account of the name in the secret",
                hint="nothing was changed; accounts belong to a database: see auth_database",
            )
        return user

    def _user(self, username: str) -> MongoDbUser | None:
        answer = self._connection.ask_fully(
            self._database,
            {"usersInfo": {"user": username, "db": self._database}},
            more={"showAuthenticationRestrictions": True},
            what="looking at an account",
        )
        try:
            return parse_user(answer)
        except ValueError:
            pass
        raise TargetError("the server describes accounts in a form that is not known")


def _check_password(password: str) -> None:
    """Raise `PasswordRefused` if nobody could log in with it."""
    check_new_password(password, most_bytes=MOST_PASSWORD_BYTES)
    try:
        load_driver("pymongo.saslprep", "mongodb").saslprep(password)
        return
    except (ValueError, IndexError):  # the latter where nothing is left
        pass
    raise PasswordRefused(
        "the password has characters that SCRAM-SHA-256 forbids",
        hint="control characters, mixed directions of writing, and characters younger than Unicode 3.2, like emoji",
    )


def _covers(privilege: Mapping[str, Any], database: str) -> bool:
    """Whether a privilege is for something of a database: by its name, or by none, which means all."""
    resource = privilege.get("resource", {})
    return bool(resource.get("anyResource")) or resource.get("db") in ("", database)


def _is_database(name: object) -> bool:
    if not isinstance(name, str) or not name.isprintable():
        return False
    return 0 < len(name.encode()) <= MOST_DATABASE_BYTES and not set(name) & set('/\\. "$')
