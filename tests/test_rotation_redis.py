"""Redis users on a real server: hashes instead of passwords, two of them at a time, and nothing lost by a restart."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis as driver

from envelope.errors import InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.errors import SecretConflict
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.database import Database, DatabaseCredentials, KeepsTwoPasswords
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    OutOfTime,
    PasswordRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
)
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.redis import Redis, RedisSession
from envelope_secrets.rotation.redis_acl import hash_rule, parse_user
from envelope_secrets.rotation.redis_connection import RedisConnection
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import SecretStore
from envelope_secrets.writing import new_secret
from tests.bad_ends import NO_LOGIN, NOT_ALLOWED
from tests.crash_points import CrashPoints, rehearse
from tests.local_secrets_for_tests import local_store
from tests.rotation_stops import LOCAL, STORES, Stops, repeated, stopping_store, store_of, store_problems
from tests.servers.processes import find_binary, free_port, server_folder
from tests.servers.redis import RunningRedis
from tests.servers.starting import started
from tests.thoroughness import POINTS, Recorder

pytest_plugins = ["tests.servers.fixtures"]

NAME = "prod/redis"
T2, T3 = (f"{number:032d}" for number in (2, 3))
EACH, SAMPLE = {LOCAL: 4}, 9
"""How many points a kind of store takes the next of, and either where not all is taken; all, if it is not here."""
APP_RULES = ("on", "~app:*", "&events:*", "-@all", "+@read", "+set", "+ping", "(+get ~shared:*)")


@dataclass(frozen=True)
class Users:
    """The server, seen by its administrator over the port without TLS."""

    running: RunningRedis
    admin: Any

    def add(self, name: str, password: str, *rules: str) -> None:
        self.admin.execute_command("ACL", "SETUSER", name, "reset", *(rules or APP_RULES), f">{password}")

    def rules(self, name: str) -> dict[str, Any]:
        """What ACL LIST tells, but for the passwords."""
        answer = self.admin.execute_command("ACL", "GETUSER", name)
        return {key: value for key, value in answer.items() if key != "passwords"}

    def hashes(self, name: str) -> set[str]:
        return set(self.admin.execute_command("ACL", "GETUSER", name)["passwords"])

    def accepts(self, name: str, password: str) -> bool:
        try:
            with plain().connect(self.credentials(name, password), deadline=Deadline(60.0)):
                return True
        except LoginRefused:
            return False

    def credentials(self, name: str, password: str) -> DatabaseCredentials:
        return DatabaseCredentials("redis", "localhost", self.running.plain_port, name, password)

    def session(self, target: Redis | None = None) -> RedisSession:
        """One of the administrator's."""
        found = self.credentials("default", self.running.tls.password)
        return (target or plain()).connect(found, deadline=Deadline(60.0))


def plain(**options: Any) -> Redis:
    return Redis(**{"tls": "disable", "persistence": "none", **options})


def digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


@pytest.fixture(scope="module")
def users(redis_server: RunningRedis) -> Iterator[Users]:
    password = redis_server.tls.password
    with driver.Redis(port=redis_server.plain_port, password=password, decode_responses=True, protocol=3) as admin:
        yield Users(redis_server, admin)


@pytest.fixture
def store(tmp_path: Path) -> LocalSecretStore:
    return local_store(tmp_path / "secrets.db")


def with_secrets(store: SecretStore, users: Users, name: str, username: str, *, has_admin: bool = True) -> None:
    """A user with its secret, and the administrator's."""
    users.add(username, "first password")
    where = {"engine": "redis", "host": "localhost", "port": users.running.plain_port}
    admin = {**where, "username": "default", "password": users.running.tls.password}
    with contextlib.suppress(SecretConflict):
        store.create(new_secret("prod/admin", admin))
    value: dict[str, Any] = {**where, "username": username, "password": "first password", "team": "payments"}
    if has_admin:
        value["masterarn"] = store.describe("prod/admin").arn
    store.create(new_secret(name, value))


def works(users: Users, store: SecretStore, name: str = NAME, stage: str = "AWSCURRENT") -> bool:
    value = store.read(name, stage=stage).json
    return users.accepts(value["username"], value["password"])


# --- passwords ------------------------------------------------------------------------------------------------------


def test_it_is_a_database_that_keeps_two_passwords(users: Users) -> None:
    assert isinstance(Redis(), Database)
    with users.session() as session:
        assert isinstance(session, KeepsTwoPasswords)


AWKWARD = [
    "plain",
    "with spaces and 'quotes\" and \\backslashes",
    "% ; # > < ! $(id) \r\n *3",
    "pässwörd пароль 密码",
    "x" * 1_000,
]


@pytest.mark.parametrize("password", AWKWARD, ids=range(len(AWKWARD)))
def test_a_user_logs_in_with_the_password_that_was_set_and_no_other(users: Users, password: str) -> None:
    users.add("app", "old")
    with users.session() as session:
        session.set_password("app", password)
        session.set_password("app", password)
    assert users.accepts("app", password)
    assert not users.accepts("app", "old")
    assert users.hashes("app") == {digest(password)}


@pytest.mark.parametrize("name", ["o'hara", 'a"b', "back\\slash", "100%;>x", "naïve-пользователь", "n" * 500])
def test_a_user_may_have_any_name(users: Users, name: str) -> None:
    users.add(name, "old")
    with users.session() as session:
        session.add_password(name, "new", current="old")
    assert users.accepts(name, "old")
    assert users.accepts(name, "new")


def test_two_passwords_work_and_the_third_oldest_does_not(users: Users) -> None:
    users.add("app", "one")
    with users.session() as session:
        session.add_password("app", "two", current="one")
        session.add_password("app", "three", current="two")
        session.add_password("app", "three", current="two")
    assert users.hashes("app") == {digest("two"), digest("three")}
    assert [users.accepts("app", password) for password in ("one", "two", "three")] == [False, True, True]


def test_a_user_sets_its_own_password_where_it_may(users: Users) -> None:
    users.add("app", "one", *APP_RULES, "+acl|setuser")
    with plain().connect(users.credentials("app", "one"), deadline=Deadline(60.0)) as session:
        session.add_password("app", "two", current="one")
        session.set_password("app", "three")
        session.check_use()
    assert users.hashes("app") == {digest("three")}


def test_a_user_that_may_not_says_so_and_nothing_is_changed(users: Users) -> None:
    users.add("app", "one")
    with (
        plain().connect(users.credentials("app", "one"), deadline=Deadline(60.0)) as session,
        pytest.raises(PrivilegeMissing, match="setting a password is not allowed to this user"),
    ):
        session.set_password("app", "two")
    assert users.hashes("app") == {digest("one")}


def test_a_session_that_is_open_goes_on(users: Users) -> None:
    users.add("app", "one")
    with plain().connect(users.credentials("app", "one"), deadline=Deadline(60.0)) as open_before, users.session() as s:
        s.set_password("app", "two")
        open_before.check_use()


def test_no_command_carries_a_password(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    """MONITOR does not show commands about users, so this looks at what is given to the driver."""
    sent: list[tuple[Any, ...]] = []
    send = driver.Connection.send_command

    def noted(self: Any, *words: Any, **options: Any) -> None:
        sent.append(words)
        send(self, *words, **options)

    monkeypatch.setattr(driver.Connection, "send_command", noted)
    users.add("app", "one")
    with users.session() as session:
        sent.clear()
        session.add_password("app", "canary", current="one")
        session.set_password("app", "canary")
    assert [words[:2] for words in sent if "SETUSER" in words] == [("ACL", "SETUSER")] * 2
    assert "canary" not in str(sent)


def test_a_user_that_is_not_there_is_not_made(users: Users) -> None:
    with users.session() as session, pytest.raises(TargetError, match="the server has no user of the name"):
        session.set_password("nobody-here", "password")
    assert users.admin.execute_command("ACL", "GETUSER", "nobody-here") is None


def test_passwords_that_no_server_takes_are_refused(users: Users) -> None:
    with users.session() as session:
        for password in ("", "nul\0", "\ud800", "x" * 4_097):
            with pytest.raises(PasswordRefused):
                session.set_password("app", password)
            with pytest.raises(PasswordRefused):
                session.add_password("app", "new", current=password)


def test_a_refusal_of_the_server_shows_nothing_of_what_was_sent(users: Users) -> None:
    users.add("app", "one")
    with users.session() as session, pytest.raises(TargetError) as caught:
        session._connection.ask("ACL", "SETUSER", "app", "canary", what="a rule")
    assert str(caught.value) == "a rule failed: the server answered with an error (ResponseError)"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


# --- accounts -------------------------------------------------------------------------------------------------------


def test_a_clone_may_do_what_the_account_may_and_cannot_log_in_yet(users: Users) -> None:
    users.add("base", "one", *APP_RULES, "skip-sanitize-payload")
    with users.session() as session:
        assert session.missing_privileges("base_clone", "base") == ("everything: there is no such user",)
        session.prepare_account("base_clone", "base")
        assert session.missing_privileges("base_clone", "base") == ()
        assert users.hashes("base_clone") == set()
        assert not users.accepts("base_clone", "one")
        session.set_password("base_clone", "two")
    assert users.accepts("base_clone", "two")
    assert users.rules("base_clone") == users.rules("base")


@pytest.mark.parametrize(
    ("rules", "lacking"),
    [
        (("+del",), ("commands",)),
        (("-@all",), ("commands",)),
        (("allcommands",), ("commands",)),
        (("~other:*",), ("keys",)),
        (("resetkeys",), ("keys",)),
        (("resetchannels",), ("channels",)),
        (("clearselectors",), ("selectors",)),
        (("(+set %W~x)",), ("selectors",)),
        (("skip-sanitize-payload",), ("the handling of payloads",)),
        (("off",), ("the right to log in",)),
        (("resetkeys", "clearselectors"), ("keys", "selectors")),
    ],
)
def test_what_the_account_gained_or_lost_is_seen_and_made_good(
    users: Users, rules: tuple[str, ...], lacking: tuple[str, ...]
) -> None:
    users.add("base", "one")
    users.add("base_clone", "two")
    with users.session() as session:
        session.prepare_account("base_clone", "base")
        users.admin.execute_command("ACL", "SETUSER", "base", *rules)
        assert session.missing_privileges("base_clone", "base") == lacking
        session.prepare_account("base_clone", "base")
        session.prepare_account("base_clone", "base")
        assert session.missing_privileges("base_clone", "base") == ()
    assert users.hashes("base_clone") == {digest("two")}, "its own password stays"


def test_a_clone_that_took_any_password_takes_none_before_it_has_one_of_its_own(users: Users) -> None:
    users.add("base", "one")
    users.admin.execute_command("ACL", "SETUSER", "base_clone", "reset", "on", "nopass")
    with users.session() as session:
        session.prepare_account("base_clone", "base")
    assert users.rules("base_clone") == users.rules("base")
    assert not users.accepts("base_clone", "any")


def test_nothing_is_made_like_an_account_that_takes_any_password(users: Users) -> None:
    users.add("base", "one")
    users.admin.execute_command("ACL", "SETUSER", "base", "nopass")
    users.admin.execute_command("ACL", "DELUSER", "base_clone")
    with users.session() as session, pytest.raises(TargetError, match="logs in with any password") as caught:
        session.prepare_account("base_clone", "base")
    assert caught.value.hint.startswith("give it the password of AWSCURRENT first")
    assert users.admin.execute_command("ACL", "GETUSER", "base_clone") is None


def test_an_account_is_not_prepared_like_itself_or_like_nobody(users: Users) -> None:
    with users.session() as session:
        with pytest.raises(InvalidArgument):
            session.prepare_account("base", "base")
        with pytest.raises(InvalidArgument):
            session.missing_privileges("base", "base")
        with pytest.raises(TargetError, match="the server has no user of the name"):
            session.prepare_account("base_clone", "nobody-here")


@pytest.mark.parametrize(
    "answer",
    [
        7,
        [b"flags"],
        ["flags", [b"on"]],
        [b"flags", [b"on"], b"passwords", []],
        [b"flags", b"on", b"selectors", []],
        [b"flags", [b"on"], b"commands", b"+@all", b"keys", [b"*"], b"channels", [b"*"], b"selectors", []],
        [b"flags", [b"on"], b"commands", b"+@all", b"keys", b"~*", b"channels", b"&*", b"selectors", [7]],
    ],
)
def test_a_description_of_another_version_is_refused(answer: Any, users: Users) -> None:
    with pytest.raises(ValueError, match="a user"):
        parse_user(answer)
    with users.session() as session:
        session._connection._raw.read_response = lambda: answer
        with pytest.raises(TargetError, match="the server describes users in a form that is not known") as caught:
            session.missing_privileges("one", "other")
    assert caught.value.__context__ is None


def test_the_application_must_be_able_to_use_the_server(users: Users) -> None:
    users.add("app", "one", "on", "~app:*", "+get")
    found = users.credentials("app", "one")
    refused = pytest.raises(PrivilegeMissing, match="the command PING is not allowed to this user")
    with plain().connect(found, deadline=Deadline(60.0)) as session, refused:
        session.check_use()
    with plain(probe=("GET", "app:health")).connect(found, deadline=Deadline(60.0)) as session:
        session.check_use()


# --- over a restart -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server_with_acl_file() -> Iterator[Any]:
    """One that keeps its users in a file of their own: its port, its administrator's client, the file."""
    with ExitStack() as stack:
        yield started(stack, _server_with_acl_file())


@contextlib.contextmanager
def _server_with_acl_file() -> Iterator[Any]:
    server = find_binary("redis-server", package="redis-server")
    with server_folder("redis-acl") as folder:
        port = free_port()
        acl = folder.write("users.acl", "user default on >admin ~* &* +@all\n")
        settings = folder.write(
            "redis.conf", f'bind 127.0.0.1\nport {port}\nsave ""\nappendonly no\ndir {folder.path}\naclfile {acl}\n'
        )
        with (
            folder.serving([server, str(settings)], lambda: "Ready to accept" in folder.log_text(), signal.SIGKILL),
            driver.Redis(port=port, password="admin", decode_responses=True, protocol=3) as admin,
        ):
            yield port, admin, acl


def credentials_of(port: int, name: str, password: str) -> DatabaseCredentials:
    return DatabaseCredentials("redis", "localhost", port, name, password)


def test_what_was_changed_is_in_the_acl_file(server_with_acl_file: Any) -> None:
    port, admin, acl = server_with_acl_file
    admin.execute_command("ACL", "SETUSER", "app", "reset", *APP_RULES, ">one")
    target = plain(persistence="acl-file")
    with target.connect(credentials_of(port, "default", "admin"), deadline=Deadline(60.0)) as session:
        session.add_password("app", "two", current="one")
        assert digest("two") in acl.read_text()
        session.prepare_account("app_clone", "app")
        assert "user app_clone on" in acl.read_text()
        session.set_password("app", "three")
    admin.execute_command("ACL", "LOAD")
    assert admin.execute_command("ACL", "GETUSER", "app")["passwords"] == [digest("three")]


SAVED_BY = (*APP_RULES, "+acl|setuser", "+acl|save", "+multi", "+exec", "+discard")


@pytest.mark.parametrize(
    "strategy",
    [SingleUser(), SingleUser(recover_with_admin=True), DualPassword()],
    ids=["single user", "recovering", "dual password"],
)
@pytest.mark.parametrize(("has_admin", "may_save"), [(False, True), (False, False), (True, False)])
def test_a_password_that_was_set_and_not_saved_is_saved_by_the_repeated_step(
    server_with_acl_file: Any,
    tmp_path: Path,
    strategy: Strategy,
    has_admin: bool,
    may_save: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, admin, acl = server_with_acl_file
    admin.execute_command("ACL", "SETUSER", "app", "reset", *SAVED_BY, ">one")
    target = plain(persistence="acl-file")
    where = {"engine": "redis", "host": "localhost", "port": port}
    login = {**where, "username": "app", "password": "one"}
    store = local_store(tmp_path / "secrets.db")
    if has_admin:
        store.create(new_secret("prod/admin", {**where, "username": "default", "password": "admin"}))
        login["masterarn"] = store.describe("prod/admin").arn
    store.create(new_secret(NAME, login, token=T2))

    def half_done(self: RedisConnection, *commands: tuple[str | bytes, ...], what: str) -> None:
        self.ask(*commands[0], what=what)
        raise TargetError("the disk of the server is full")

    with monkeypatch.context() as patched:
        patched.setattr(RedisConnection, "together", half_done)
        with pytest.raises(TargetError, match="is full"):
            rotate(store, NAME, target, strategy, token=T3)
    pending = digest(store.read(NAME, stage="AWSPENDING").json["password"])
    assert pending not in acl.read_text()
    if not may_save:
        admin.execute_command("ACL", "SETUSER", "app", "-acl|save")
    assert rotate(store, NAME, target, strategy).version_id == T3
    asks_admin = has_admin and strategy != SingleUser()
    assert (pending in acl.read_text()) is (may_save or asks_admin)


def test_a_server_with_an_acl_file_is_not_told_to_rewrite_its_configuration(server_with_acl_file: Any) -> None:
    """It would answer OK, and write no users."""
    port, admin, _ = server_with_acl_file
    admin.execute_command("ACL", "SETUSER", "app", "reset", *APP_RULES, ">one")
    target = plain(persistence="config-file")
    with target.connect(credentials_of(port, "default", "admin"), deadline=Deadline(60.0)) as session:
        with pytest.raises(TargetError, match="nothing was changed") as caught:
            session.add_password("app", "two", current="one")
        assert caught.value.hint == 'say so: persistence="acl-file"'
    assert admin.execute_command("ACL", "GETUSER", "app")["passwords"] == [digest("one")]


def test_a_login_that_may_not_ask_for_the_acl_file_saves_in_the_configuration(users: Users) -> None:
    rules = (*APP_RULES, "+acl|setuser", "+config|rewrite", "+multi", "+exec", "+discard")
    users.add("app", "one", *rules)
    target = plain(persistence="config-file")
    with target.connect(users.credentials("app", "one"), deadline=Deadline(60.0)) as session:
        session.set_password("app", "two")
    assert digest("two") in (users.running.tls.folder.path / "redis.conf").read_text()


def test_a_user_that_may_not_do_what_is_tried_keeps_its_password(users: Users, store: LocalSecretStore) -> None:
    with_secrets(store, users, NAME, "app", has_admin=False)
    users.add("app", "first password", "on", "~app:*", "+get", "+acl|setuser")
    with pytest.raises(PrivilegeMissing, match="the command PING is not allowed"):
        rotate(store, NAME, plain(), SingleUser())
    assert works(users, store)
    rotate(store, NAME, plain(probe=("GET", "app:health")), SingleUser())
    assert works(users, store)


def test_what_was_changed_is_in_the_configuration_file(users: Users) -> None:
    users.add("app", "one")
    with users.session(plain(persistence="config-file")) as session:
        session.add_password("app", "two", current="one")
    assert digest("two") in (users.running.tls.folder.path / "redis.conf").read_text()


def test_nothing_is_changed_where_it_cannot_be_saved(users: Users, server_with_acl_file: Any) -> None:
    users.add("app", "one")
    with users.session(Redis(tls="disable")) as session, pytest.raises(TargetError) as caught:
        session.add_password("app", "two", current="one")
    assert str(caught.value).startswith("saving the users failed")
    assert caught.value.hint.startswith("say where the server keeps its users: persistence=")
    assert users.hashes("app") == {digest("one")}


def test_nothing_is_changed_by_a_user_that_may_not_save(users: Users) -> None:
    users.add("app", "one", *APP_RULES, "+acl|setuser", "+multi", "+exec", "+discard")
    target = plain(persistence="config-file")
    with target.connect(users.credentials("app", "one"), deadline=Deadline(60.0)) as session:
        with pytest.raises(PrivilegeMissing, match="saving the users is not allowed"):
            session.set_password("app", "two")
        with pytest.raises(PrivilegeMissing, match="both is not allowed"):
            session._connection.together(
                ("ACL", "SETUSER", "app", "resetpass", hash_rule("two")), ("CONFIG", "REWRITE"), what="both"
            )
        session.check_use()  # and the transaction is over
    assert users.hashes("app") == {digest("one")}


def test_a_change_that_the_server_refuses_at_last_is_a_failure(users: Users) -> None:
    users.add("app", "one")
    with users.session() as session, pytest.raises(TargetError, match="a change failed: the server answered"):
        session._connection.together(("ACL", "SETUSER", "app", "no-such-rule"), what="a change")


# --- TLS ------------------------------------------------------------------------------------------------------------


def over_tls(users: Users, *, host: str = "localhost", port: int | None = None, **options: Any) -> str:
    """Log in, and tell the name of what came of it."""
    tls = users.running.tls
    credentials = DatabaseCredentials("redis", host, port or tls.port, tls.admin, tls.password)
    outcome = "ok"
    try:
        with Redis(**options).connect(credentials, deadline=Deadline(60.0)) as session:
            session.check_use()
    except TargetError as error:
        outcome = type(error).__name__ if error.__context__ is None else "a driver's exception in the chain"
    return outcome


def test_the_modes_of_tls_are_what_they_say(users: Users) -> None:
    own, other = users.running.tls.ca_file, users.running.tls.other_ca_file
    assert over_tls(users, ca_file=own) == "ok"
    assert over_tls(users, ca_file=own, host="127.0.0.1") == "TlsFailed", "the certificate has another name"
    assert over_tls(users, ca_file=own, host="127.0.0.1", tls="verify-ca") == "ok"
    assert over_tls(users, ca_file=other) == "TlsFailed"
    assert over_tls(users, ca_file=other, tls="verify-ca") == "TlsFailed"
    assert over_tls(users) == "TlsFailed", "the system does not trust it"
    assert over_tls(users, tls="require") == "ok"


def test_no_certificates_are_trusted_but_those_that_were_given(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's own context would trust those of the system too."""
    monkeypatch.setattr(ssl, "create_default_context", lambda: pytest.fail("the driver makes a context of its own"))
    assert over_tls(users, ca_file=users.running.tls.ca_file) == "ok"


def test_there_is_no_second_try_without_tls(users: Users) -> None:
    outcome = over_tls(users, port=users.running.plain_port, tls="require", statement_timeout_s=0.3)
    assert outcome in ("TlsFailed", "TargetUnreachable")
    assert over_tls(users, tls="disable") == "TargetUnreachable"


def test_a_file_without_certificates_is_no_private_connection(users: Users, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("canary")
    assert over_tls(users, ca_file=str(tmp_path / "ca.pem")) == "TlsFailed"
    assert over_tls(users, ca_file=str(tmp_path / "none.pem")) == "TlsFailed"


# --- failures -------------------------------------------------------------------------------------------------------


def login(users: Users, **changes: Any) -> None:
    found = replace(users.credentials("default", users.running.tls.password), **changes)
    with plain(connect_timeout_s=0.5, statement_timeout_s=0.5).connect(found, deadline=Deadline(60.0)):
        pass


@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"username": "nobody-here"}, {"password": ""}])
def test_wrong_credentials_are_refused(users: Users, changes: dict[str, str]) -> None:
    with pytest.raises(LoginRefused) as caught:
        login(users, **changes)
    assert not isinstance(caught.value, AccountLocked)
    assert caught.value.__context__ is None


def test_a_user_that_is_off_is_refused(users: Users) -> None:
    users.add("app", "one", "off", "+@all")
    assert not users.accepts("app", "one")


def test_a_wrong_password_is_sent_once(users: Users) -> None:
    users.admin.execute_command("ACL", "LOG", "RESET")
    with pytest.raises(LoginRefused):
        login(users, password="wrong")
    (entry,) = users.admin.execute_command("ACL", "LOG")
    assert entry["count"] == 1


def test_what_is_not_there_is_not_reached(users: Users) -> None:
    for changes in ({"port": free_port()}, {"host": "no-such-host.invalid"}, {"host": "two,hosts"}):
        with pytest.raises(TargetUnreachable):
            login(users, **changes)


def test_a_server_that_says_nothing_is_not_waited_for(users: Users) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TargetUnreachable):
        login(users, host="127.0.0.1", port=silent.getsockname()[1])


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """The port of a server that gives one answer to everything."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while connection.recv(10_000):
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"-ERR max number of clients reached\r\n", AccountLocked),
        (b"-LOADING Redis is loading the dataset in memory\r\n", TargetUnreachable),
        (b"-NOPERM canary\r\n", PrivilegeMissing),
        (b"-ERR canary\r\n", TargetError),
        (b"canary\r\n", TargetError),
        (b"$canary\r\n", TargetError),
    ],
)
def test_other_answers_are_told_apart_and_not_quoted(users: Users, answer: bytes, kind: type[TargetError]) -> None:
    with answering(answer) as port, pytest.raises(TargetError) as caught:
        login(users, host="127.0.0.1", port=port)
    assert type(caught.value) in (kind, TargetUnreachable)
    assert isinstance(caught.value, kind)
    assert "canary" not in str(caught.value) + caught.value.hint
    assert caught.value.__context__ is None


def test_a_database_is_a_number_of_one_that_is_there(users: Users) -> None:
    login(users, database="1")
    for database in ("prod", "-1", "1000000", "\N{ARABIC-INDIC DIGIT ONE}"):
        with pytest.raises(TargetError, match="the secret's dbname is not the number of a database"):
            login(users, database=database)
    with pytest.raises(TargetError, match="the login failed") as caught:
        login(users, database="99")
    assert not isinstance(caught.value, LoginRefused)


def test_a_connection_that_broke_is_not_reached(users: Users) -> None:
    users.add("app", "one")
    with plain().connect(users.credentials("app", "one"), deadline=Deadline(60.0)) as session:
        users.admin.execute_command("CLIENT", "KILL", "USER", "app")
        with pytest.raises(TargetUnreachable):
            session._connection.together(("PING",), what="two commands")
    with users.session() as session, pytest.raises(TargetUnreachable):
        session._connection.together(("QUIT",), ("PING",), what="two commands")


def test_nothing_is_begun_without_time(users: Users) -> None:
    clock = FakeClock()
    deadline = Deadline(30.0, clock=clock.now, sleep=clock.advance)
    with plain().connect(users.credentials("default", users.running.tls.password), deadline=deadline) as session:
        clock.advance(30)
        with pytest.raises(OutOfTime):
            session.check_use()
    with pytest.raises(OutOfTime):
        plain().connect(users.credentials("default", "never sent"), deadline=deadline)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tls": "prefer"}, "tls must be one of verify-full"),
        ({"persistence": "aof"}, "persistence must be one of acl-file, config-file, none"),
        ({"password_policy": "strong"}, "password_policy must be a PasswordPolicy"),
        ({"probe": "PING"}, "probe must be the words of a command"),
        ({"probe": ()}, "probe must be the words of a command"),
        ({"probe": ("GET", 7)}, "probe must be the words of a command"),
        ({"statement_timeout_s": 0}, "statement_timeout_s must be more than 0"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Redis(**options)
    assert str(caught.value).startswith(said)


def test_the_default_password_stands_in_a_url_as_it_is() -> None:
    policy = Redis().password_policy
    assert isinstance(policy, PasswordPolicy)
    safe = {character for character in map(chr, range(33, 127)) if character not in policy.exclude}
    assert all(quote(character, safe="!$()*+,=-._~") == character for character in safe)


# --- rotations ------------------------------------------------------------------------------------------------------


def test_no_login_fails_while_a_password_rotates(users: Users, store: LocalSecretStore) -> None:
    with_secrets(store, users, NAME, "app")
    for _ in range(3):
        rotate(store, NAME, plain(), DualPassword())
        assert works(users, store)
        assert works(users, store, stage="AWSPREVIOUS")
        assert len(users.hashes("app")) == 2
    assert store.read(NAME).json["team"] == "payments"


def clone_or_user(strategy: Strategy) -> tuple[bool, tuple[str, ...]]:
    """Whether an administrator rotates with this strategy; the rules of a user who rotates its own password if not."""
    own = ("+acl|setuser", "+@transaction", "+config|rewrite")
    return (False, (*APP_RULES, *own)) if isinstance(strategy, SingleUser) else (True, APP_RULES)


def problems_of_users(users: Users, store: SecretStore, name: str, username: str) -> list[str]:
    """What is wrong with the login of AWSCURRENT, and with what it may do."""
    value = store.read(name).json
    return [
        *([] if works(users, store, name) else [NO_LOGIN]),
        *([] if users.rules(value["username"]) == users.rules(username) else [NOT_ALLOWED]),
        *([] if may_read_and_write(users, value) else [NOT_ALLOWED]),
    ]


def may_read_and_write(users: Users, value: Mapping[str, Any]) -> bool:
    """Whether it does what the user could: write its keys, and read them."""
    login = {"username": value["username"], "password": value["password"], "port": users.running.plain_port}
    try:
        with driver.Redis(**login, decode_responses=True) as client:
            client.set("app:crash", "7")
            return client.get("app:crash") == "7"
    except driver.RedisError:
        return False


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("strategy", [DualPassword(), AlternatingUsers(), SingleUser()], ids=lambda s: type(s).__name__)
def test_a_rotation_that_dies_at_any_point_locks_no_client_out(
    users: Users, strategy: Strategy, kind: str, tmp_path: Path, record_property: Recorder
) -> None:
    store, stops, numbers = store_of(kind, tmp_path), Stops(), count(1)
    target, watched = plain(persistence="config-file"), stopping_store(store, stops)
    has_admin, rules = clone_or_user(strategy)
    prefix = f"{'local' if kind == LOCAL else 'strict'}{type(strategy).__name__.lower()}"

    def run(points: CrashPoints) -> list[str]:
        number = next(numbers)
        name, username, found = f"prod/{number}", f"{prefix}{number}", []
        with_secrets(store, users, name, username, has_admin=has_admin)
        users.add(username, "first password", *rules)

        def look() -> None:
            is_served = works(users, store, name) or (not has_admin and works_pending(users, store, name))
            found.extend([] if is_served else ["nobody can log in"])

        stops.points = points
        repeated(partial(rotate, watched, name, target, strategy, token=T2), partial(unwatched, stops, look))
        stops.points = CrashPoints()
        found.extend(problems_of_users(users, store, name, username) + store_problems(store, name, values=2))
        rotate(store, name, target, strategy, token=T3)
        found.extend(problems_of_users(users, store, name, username) + store_problems(store, name, values=3))
        for each in (username, f"{username}_clone"):
            users.admin.execute_command("ACL", "DELUSER", each)  # the server writes all of them with each rotation
        return found

    with pytest.MonkeyPatch.context() as patch:
        for command in ("ask", "together"):
            patch.setattr(RedisConnection, command, stops.around(getattr(RedisConnection, command), command))
        outcome = rehearse(run, each=EACH.get(kind), sample=SAMPLE)
    record_property(POINTS, f"Redis, {type(strategy).__name__}, {kind}: {outcome}")
    assert outcome.points >= 40
    assert not outcome.bad


def test_the_judge_sees_a_user_that_does_not_log_in_or_may_not_do_all(users: Users, store: LocalSecretStore) -> None:
    with_secrets(store, users, NAME, "judged")
    assert problems_of_users(users, store, NAME, "judged") == []
    users.add("judged_model", "x", *APP_RULES, "+del")
    assert problems_of_users(users, store, NAME, "judged_model") == [NOT_ALLOWED], "other rules"
    users.admin.execute_command("ACL", "SETUSER", "judged", "-set")
    assert problems_of_users(users, store, NAME, "judged") == [NOT_ALLOWED], "it logs in and reads, and may not write"
    users.add("judged", "another")
    assert NO_LOGIN in problems_of_users(users, store, NAME, "judged")


def works_pending(users: Users, store: SecretStore, name: str) -> bool:
    pending = store.describe(name).labels.holder("AWSPENDING")
    return pending is not None and works(users, store, name, "AWSPENDING")


def unwatched(stops: Stops, look: Callable[[], None]) -> None:
    """Commands of the test itself are no points."""
    with stops.points.nobody_watches():
        look()


def test_no_log_shows_a_password(users: Users, store: LocalSecretStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with_secrets(store, users, NAME, "app")
    list(map(partial(rotate, store, NAME, plain()), [DualPassword()] * 2))
    shown = caplog.text + users.running.tls.log_text()
    for stage in ("AWSCURRENT", "AWSPREVIOUS"):
        assert store.read(NAME, stage=stage).json["password"] not in shown
