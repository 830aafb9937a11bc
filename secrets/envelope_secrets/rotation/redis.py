"""Redis 7 and Valkey: users of the access control list, whose passwords are sent and stored as hashes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import ClassVar, Literal, Self, get_args

from envelope.errors import InvalidArgument
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_options import check_new_password, check_options, check_two_names
from envelope_secrets.rotation.failures import PrivilegeMissing, TargetError
from envelope_secrets.rotation.redis_acl import AclUser, hash_rule, like_rules, missing_from, parse_user
from envelope_secrets.rotation.redis_connection import RedisConnection, connect
from envelope_secrets.rotation.tls import Tls, TlsMode

__all__ = ["Redis", "RedisPersistence", "RedisSession"]

RedisPersistence = Literal["acl-file", "config-file", "none"]

MOST_PASSWORD_BYTES = 4_096

_SAVES: Mapping[str, tuple[str, str] | None] = {
    "acl-file": ("ACL", "SAVE"),
    "config-file": ("CONFIG", "REWRITE"),
    "none": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """Redis 7 or later and Valkey, by redis-py. For `DualPassword`, `AlternatingUsers` and `SingleUser`.

    A change is one command, which other commands cannot get between. A user that sets its own password must be allowed
    ``acl|setuser``, by which it can give itself every other right too; better let an administrator do it, whose secret
    the field ``masterarn`` names. A user with ``nopass`` logs in with any password, so that none seems to be missing:
    give it one first. `AlternatingUsers` refuses such an account, the others cannot see it. Each node has its own list
    of users: replicas and other nodes of a cluster hear of no change.

    Attributes:
        tls: see `Tls`. ``require`` and ``disable`` let whoever is in between learn the password.
        ca_file: see `Tls`.
        persistence: where the server keeps its users over a restart: ``acl-file`` (ACL SAVE), ``config-file`` (CONFIG
            REWRITE), or ``none``, if whoever starts the server reads the password from the secret. Nothing is changed
            where it cannot be saved; that a server with an ACL file saves no users by CONFIG REWRITE is seen by logins
            that may do ``config|get``. Other changes that somebody has not saved yet are saved with it.
        password_policy: by default what stands in URLs as it is.
        probe: a command that the application's user may use, and that changes nothing; testSecret tries it.
        connect_timeout_s: for one login, at most.
        statement_timeout_s: for one command, at most.
        most_refusals: so many refused logins of one account in one step, 1 to 100. The server itself locks none.

    Raises:
        InvalidArgument: an option of the wrong type or range.
    """

    tls: TlsMode = "verify-full"
    ca_file: str | None = None
    persistence: RedisPersistence = "acl-file"
    password_policy: PasswordPolicy = field(
        default_factory=lambda: PasswordPolicy(exclude="\"#%&'/:;<>?@[\\]^`{|}", length=40)
    )
    probe: tuple[str, ...] = ("PING",)
    connect_timeout_s: float = 5.0
    statement_timeout_s: float = 5.0
    most_refusals: int = 4

    engines: ClassVar[frozenset[str]] = frozenset({"redis", "valkey"})
    default_port: ClassVar[int] = 6379
    max_username_characters: ClassVar[int] = 1_024

    def __post_init__(self) -> None:
        Tls(self.tls, self.ca_file)
        check_options(self.password_policy, self.connect_timeout_s, self.statement_timeout_s, self.most_refusals)
        persistence: object = self.persistence
        if persistence not in get_args(RedisPersistence):
            raise InvalidArgument(f"persistence must be one of {', '.join(get_args(RedisPersistence))}")
        probe: object = self.probe
        if not isinstance(probe, tuple) or not probe or not all(isinstance(word, str) and word for word in probe):
            raise InvalidArgument('probe must be the words of a command, like ("GET", "app:health")')

    def connect(self, credentials: DatabaseCredentials, *, deadline: Deadline) -> RedisSession:
        """See `Database.connect`. A database is a number; 0 where the secret has none."""
        connection = connect(
            credentials,
            deadline=deadline,
            tls=Tls(self.tls, self.ca_file),
            connect_timeout_s=self.connect_timeout_s,
            statement_timeout_s=self.statement_timeout_s,
        )
        return RedisSession(connection, credentials.username, self)


class RedisSession:
    """See `DatabaseSession` and `KeepsTwoPasswords`.

    Args:
        connection: is closed with the session.
        username: who has logged in.
    """

    __slots__ = ("_connection", "_options", "_username")

    def __init__(self, connection: RedisConnection, username: str, options: Redis) -> None:
        self._connection = connection
        self._username = username
        self._options = options

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def set_password(self, username: str, password: str) -> None:
        """See `DatabaseSession.set_password`. Every other password of the user is gone after that."""
        check_new_password(password, most_bytes=MOST_PASSWORD_BYTES)
        self._change(username, "resetpass", hash_rule(password), what="setting a password")

    def add_password(self, username: str, password: str, *, current: str) -> None:
        """See `KeepsTwoPasswords.add_password`."""
        check_new_password(password, most_bytes=MOST_PASSWORD_BYTES)
        check_new_password(current, most_bytes=MOST_PASSWORD_BYTES)
        self._change(username, "resetpass", hash_rule(current), hash_rule(password), what="adding a password")

    def prepare_account(self, username: str, like: str) -> None:
        """See `DatabaseSession.prepare_account`. A user without a password cannot log in."""
        check_two_names(username, like)
        account, user = self._known(like), self._user(username)
        if account.takes_any_password:
            raise TargetError(
                "the account logs in with any password (nopass), so a rotation would change nothing",
                hint="give it the password of AWSCURRENT first: ACL SETUSER ... resetpass #<SHA-256 of it>",
            )
        lock = ("resetpass",) if user is not None and user.takes_any_password else ()
        self._save_and_do(("ACL", "SETUSER", username, *lock, *like_rules(account)), what="preparing a user")

    def missing_privileges(self, username: str, like: str) -> tuple[str, ...]:
        """See `DatabaseSession.missing_privileges`: in what their rules differ, which are the same after the above."""
        check_two_names(username, like)
        user = self._user(username)
        return ("everything: there is no such user",) if user is None else missing_from(user, self._known(like))

    def check_use(self) -> None:
        """See `DatabaseSession.check_use`: tries the command `Redis.probe`."""
        self._connection.ask(*self._options.probe, what=f"the command {self._options.probe[0]}")

    def save_accounts(self) -> None:
        """See `SavesAccounts`."""
        save = _SAVES[self._options.persistence]
        if save is not None:
            self._connection.ask(*save, what="saving the users")

    def _change(self, username: str, *rules: str, what: str) -> None:
        if username != self._username:
            self._known(username)  # ACL SETUSER would make it
        self._save_and_do(("ACL", "SETUSER", username, *rules), what=what)

    def _save_and_do(self, command: tuple[str | bytes, ...], *, what: str) -> None:
        """Change a user and save it at once.

        The users are saved before that too: if they cannot be, nothing has been changed. Otherwise a repeated step
        would find that the new password works, and nobody would notice that a restart brings back the old one.
        """
        save = _SAVES[self._options.persistence]
        if save is None:
            self._connection.ask(*command, what=what)
            return
        if self._options.persistence == "config-file":
            self._check_has_no_acl_file()
        try:
            self._connection.ask(*save, what="saving the users")
        except TargetError as error:
            error.hint = error.hint or (
                'say where the server keeps its users: persistence="acl-file" or "config-file"; or "none", if they '
                "need not outlast a restart"
            )
            raise
        self._connection.together(command, save, what=what)

    def _check_has_no_acl_file(self) -> None:
        """With one, CONFIG REWRITE succeeds and writes no users."""
        try:
            answer = self._connection.ask("CONFIG", "GET", "aclfile", what="looking for the ACL file")
        except PrivilegeMissing:
            return
        if isinstance(answer, list) and answer[1:2] not in ([], [b""]):
            raise TargetError(
                "the server keeps its users in an ACL file, where CONFIG REWRITE does not write; nothing was changed",
                hint='say so: persistence="acl-file"',
            )

    def _known(self, username: str) -> AclUser:
        user = self._user(username)
        if user is None:
            raise TargetError("the server has no user of the name in the secret", hint="nothing was changed")
        return user

    def _user(self, username: str) -> AclUser | None:
        answer = self._connection.ask("ACL", "GETUSER", username, what="looking at a user")
        try:
            return None if answer is None else parse_user(answer)
        except ValueError:
            pass
        raise TargetError("the server describes users in a form that is not known", hint="it must be Redis 7 or later")
