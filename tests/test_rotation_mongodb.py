"""MongoDB's accounts on a FAKE server, which the real driver talks to: no MongoDB has been asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pymongo
import pytest

from envelope.errors import EnvelopeError, InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.rotation.database import Database, DatabaseCredentials, KeepsTwoPasswords
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    OutOfTime,
    PasswordRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)
from envelope_secrets.rotation.mongodb import MongoDb, MongoDbSession
from envelope_secrets.rotation.mongodb_connection import login_failure
from tests.servers.logins import HARD_NAMES, HARD_PASSWORDS, fails_of
from tests.servers.mongodb_fake import FakeMongo, fake_mongo
from tests.servers.mongodb_fake_accounts import SHA_1, SHA_256

PLAIN = MongoDb(tls="disable")


@pytest.fixture
def server() -> Iterator[FakeMongo]:
    with fake_mongo() as (member,):
        member.state.add("root", "rootpw", "root@admin")
        member.state.add("app", "first", "readWrite@shop", "changeOwn@admin")
        member.state.own_roles["admin", "changeOwn"] = frozenset({"changeOwnPassword"})
        yield member


@pytest.fixture(scope="module")
def tls_server() -> Iterator[FakeMongo]:
    with fake_mongo(has_tls=True) as (member,):
        member.state.add("app", "first", "readWrite@shop")
        yield member


def login(server: FakeMongo, username: str = "root", password: str = "rootpw", **others: Any) -> DatabaseCredentials:
    given = DatabaseCredentials("mongo", server.host, server.port, username, password)
    return replace(given, **others)


def opened(
    server: FakeMongo, *who: str, target: MongoDb = PLAIN, left_s: float = 60.0, **others: Any
) -> MongoDbSession:
    return target.connect(login(server, *who, **others), deadline=Deadline(left_s))


def accepts(server: FakeMongo, username: str, password: str, **others: Any) -> bool:
    try:
        with opened(server, username, password, **others):
            return True
    except LoginRefused:
        return False


def fails(kind: type[EnvelopeError], call: Callable[[], object]) -> str:
    return str(fails_of(call, kind, "rootpw", "first", "canary"))


def no_account(call: Callable[[], object]) -> None:
    assert "no account of the name" in fails(TargetError, call)


# --- options --------------------------------------------------------------------------------------------------------


def test_it_is_a_database_that_keeps_one_password(server: FakeMongo) -> None:
    assert isinstance(MongoDb(), Database)
    with opened(server) as session:
        assert not isinstance(session, KeepsTwoPasswords)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"tls": "prefer"}, "tls must be"),
        ({"ca_file": ""}, "ca_file must be"),
        ({"auth_database": ""}, "auth_database must be"),
        ({"auth_database": "a.b"}, "auth_database must be"),
        ({"auth_database": "ä" * 32}, "auth_database must be"),
        ({"auth_database": "a\0"}, "auth_database must be"),
        ({"auth_database": None}, "auth_database must be"),
        ({"direct_connection": 1}, "direct_connection must be"),
        ({"connect_timeout_s": 0}, "connect_timeout_s must be"),
        ({"statement_timeout_s": float("nan")}, "statement_timeout_s must be"),
        ({"password_policy": 40}, "password_policy must be"),
    ],
)
def test_an_option_of_a_wrong_kind_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        MongoDb(**options)


# --- passwords and names --------------------------------------------------------------------------------------------

PASSWORDS = (
    *[text for text in HARD_PASSWORDS if text not in ("\t", "Ärger-пароль-密码-🔑")],
    "Ärger-пароль-密码",
    "x" * 1_000,
)


@pytest.mark.parametrize("password", PASSWORDS, ids=range(len(PASSWORDS)))
def test_an_account_logs_in_with_the_password_that_was_set_and_no_other(server: FakeMongo, password: str) -> None:
    with opened(server) as session:
        session.set_password("app", password)
        session.set_password("app", password)
    assert accepts(server, "app", password)
    assert not accepts(server, "app", "first")
    assert not accepts(server, "app", password + "x")


@pytest.mark.parametrize("password", ["\t", "🔑", "\xad", "אb", "a\0b", "", "x" * 4_097], ids=range(7))
def test_a_password_that_nobody_could_log_in_with_is_not_sent(server: FakeMongo, password: str) -> None:
    with opened(server) as session:
        fails(PasswordRefused, partial(session.set_password, "app", password))
    assert accepts(server, "app", "first")
    assert not [command for _, command in server.state.commands if "updateUser" in command]


@pytest.mark.parametrize("password", ["\t", "🔑", "\xad"], ids=range(3))
def test_a_login_with_such_a_password_is_refused_without_asking(server: FakeMongo, password: str) -> None:
    fails(LoginRefused, lambda: opened(server, "app", password))
    assert server.state.logins == []


NAMES = (*HARD_NAMES, "a,b=c", "n" * 1_000)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_an_account_may_have_any_name(server: FakeMongo, name: str) -> None:
    server.state.add(name, "first", "readWrite@shop")
    clone = f"{name}_clone"
    with opened(server) as session:
        session.prepare_account(clone, name)
        session.set_password(clone, "second")
        assert session.missing_privileges(clone, name) == ()
    assert accepts(server, clone, "second")
    with opened(server, clone, "second", database="shop") as session:
        session.check_use()


def test_an_account_sets_its_own_password_where_it_may(server: FakeMongo) -> None:
    with opened(server, "app", "first") as session:
        session.set_password("app", "second")
        session.check_use()
    assert accepts(server, "app", "second")


def test_an_account_that_may_not_says_so(server: FakeMongo) -> None:
    server.state.add("other", "first", "readWrite@shop")
    with opened(server, "other", "first") as session:
        assert "may not do it" in fails(PrivilegeMissing, lambda: session.set_password("other", "canary"))
        fails(PrivilegeMissing, lambda: session.set_password("app", "canary"))
        fails(PrivilegeMissing, lambda: session.prepare_account("new", "other"))
    assert accepts(server, "other", "first")


def test_a_way_to_log_in_that_an_account_has_not_got_is_not_added_with_the_password(server: FakeMongo) -> None:
    account = server.state.accounts["admin", "app"]
    account.set_password("app", "first", [SHA_256])
    with opened(server) as session:
        session.set_password("app", "second")
    assert set(account.credentials) == {SHA_256}
    assert accepts(server, "app", "second")


def test_a_password_that_the_server_does_not_take_is_told_apart(server: FakeMongo) -> None:
    with opened(server) as session:
        server.state.failures["updateUser"] = {"ok": 0.0, "code": 2, "codeName": "BadValue", "errmsg": "canary"}
        fails(PasswordRefused, lambda: session.set_password("app", "canary"))


def test_the_password_is_in_no_log_of_the_driver(server: FakeMongo, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), opened(server) as session:
        session.set_password("app", "canary")
        session.prepare_account("app_clone", "app")
    assert "canary" not in caplog.text


def test_the_password_is_in_one_command_alone(server: FakeMongo) -> None:
    with opened(server) as session:
        session.prepare_account("app_clone", "app")
        session.set_password("app_clone", "canary")
    with opened(server, "app_clone", "canary") as session:
        session.check_use()
    carriers = [command for _, command in server.state.commands if "canary" in repr(command)]
    assert [next(iter(command)) for command in carriers] == ["updateUser"]


# --- an account like another ----------------------------------------------------------------------------------------


def test_a_clone_has_all_that_the_account_has_before_anybody_can_log_in_to_it(server: FakeMongo) -> None:
    account = server.state.accounts["admin", "app"]
    account.custom_data = {"team": "payments", "big": 2**40, "nested": {"a": [1, 2.5, None]}}
    account.restrictions = [{"clientSource": ["127.0.0.0/8"], "serverAddress": ["127.0.0.1"]}]
    account.set_password("app", "first", [SHA_256])
    with opened(server) as session:
        session.prepare_account("app_clone", "app")
        clone = server.state.accounts["admin", "app_clone"]
        assert not accepts(server, "app_clone", "first")
        session.set_password("app_clone", "second")
    assert sorted(clone.roles, key=str) == sorted(account.roles, key=str)
    assert (clone.custom_data, clone.restrictions) == (account.custom_data, account.restrictions)
    assert set(clone.credentials) == {SHA_256}
    created = next(command for _, command in server.state.commands if "createUser" in command)
    assert len(created["pwd"]) > 40
    assert created["writeConcern"]["w"] == "majority"


def test_what_the_account_has_got_or_lost_since_the_clone_gets_and_loses(server: FakeMongo) -> None:
    account = server.state.accounts["admin", "app"]
    account.custom_data, account.restrictions = {"team": "payments"}, [{"clientSource": ["127.0.0.1"]}]
    clone = server.state.add("app_clone", "second", "read@other")
    with opened(server) as session:
        missing = session.missing_privileges("app_clone", "app")
        assert "the role readWrite of shop" in missing
        assert {"the same addresses to come from", "the same customData"} < set(missing)
        session.prepare_account("app_clone", "app")
        assert session.missing_privileges("app_clone", "app") == ()
        account.custom_data, account.restrictions = None, []
        session.prepare_account("app_clone", "app")
        assert session.missing_privileges("app_clone", "app") == ()
        before = len(server.state.commands)
        session.prepare_account("app_clone", "app")
    assert {"role": "read", "db": "other"} not in clone.roles
    assert (clone.custom_data, clone.restrictions) == ({}, [])
    assert accepts(server, "app_clone", "second")
    changed = [command for _, command in server.state.commands[before:] if "updateUser" in command]
    assert len(changed) == 1  # customData cannot be taken away: {} is not none


def test_a_clone_that_is_as_it_should_be_is_not_changed(server: FakeMongo) -> None:
    with opened(server) as session:
        session.prepare_account("app_clone", "app")
        server.state.commands.clear()
        session.prepare_account("app_clone", "app")
    assert not [command for _, command in server.state.commands if "updateUser" in command]


def test_a_way_to_log_in_that_the_account_has_lost_is_taken_from_the_clone_at_once(server: FakeMongo) -> None:
    clone = server.state.add("app_clone", "second", "readWrite@shop")
    server.state.accounts["admin", "app"].set_password("app", "first", [SHA_256])
    with opened(server) as session:
        session.prepare_account("app_clone", "app")
    assert set(clone.credentials) == {SHA_256}
    assert accepts(server, "app_clone", "second")


def test_a_way_to_log_in_that_the_account_has_got_comes_with_the_next_password(server: FakeMongo) -> None:
    clone = server.state.add("app_clone", "second", "readWrite@shop")
    clone.set_password("app_clone", "second", [SHA_256])
    with opened(server) as session:
        session.prepare_account("app_clone", "app")
        assert set(clone.credentials) == {SHA_256}
        session.set_password("app_clone", "third")
    assert set(clone.credentials) == {SHA_1, SHA_256}


def test_an_account_that_somebody_makes_at_the_same_moment_is_made_alike(
    server: FakeMongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = MongoDbSession._user

    def made_meanwhile(self: MongoDbSession, username: str) -> Any:
        found = look(self, username)
        if username == "app_clone" and found is None:
            server.state.add("app_clone", "other", "read@other")
        return found

    monkeypatch.setattr(MongoDbSession, "_user", made_meanwhile)
    with opened(server) as session:
        session.prepare_account("app_clone", "app")
        assert session.missing_privileges("app_clone", "app") == ()
    assert accepts(server, "app_clone", "other")


def test_an_account_that_is_not_there_is_told_apart(server: FakeMongo) -> None:
    with opened(server) as session:
        assert session.missing_privileges("nobody", "app") == ("everything: there is no such account",)
        no_account(lambda: session.set_password("nobody", "canary"))
        no_account(lambda: session.prepare_account("clone", "nobody"))
        with pytest.raises(InvalidArgument):
            session.prepare_account("app", "app")


def test_an_account_that_goes_away_meanwhile_is_told_apart(server: FakeMongo) -> None:
    with opened(server) as session:
        session.prepare_account("app_clone", "app")
        del server.state.accounts["admin", "app_clone"]
        assert "no such account (11)" in fails(TargetError, lambda: session.set_password("app_clone", "canary"))


def test_a_description_in_another_form_is_an_error(server: FakeMongo) -> None:
    with opened(server) as session:
        server.state.failures["usersInfo"] = {"ok": 1.0, "users": [{"user": "app"}]}
        assert "not known" in fails(TargetError, lambda: session.missing_privileges("app", "root"))


# --- what an application can do -------------------------------------------------------------------------------------


def test_a_login_without_a_role_is_of_no_use(server: FakeMongo) -> None:
    server.state.add("bare", "first")
    with opened(server, "bare", "first") as session:
        assert "no role" in fails(PrivilegeMissing, session.check_use)


@pytest.mark.parametrize("role", ["readWrite@shop", "root@admin", "own@shop"])
def test_a_login_with_a_privilege_on_the_database_is_of_use(server: FakeMongo, role: str) -> None:
    server.state.own_roles["shop", "own"] = frozenset({"find"})
    server.state.add("some", "first", role)
    with opened(server, "some", "first", database="shop") as session:
        session.check_use()
    with opened(server, "some", "first") as session:
        session.check_use()


def test_a_login_with_privileges_on_other_databases_alone_is_of_no_use(server: FakeMongo) -> None:
    server.state.add("some", "first", "readWrite@other")
    with opened(server, "some", "first", database="shop") as session:
        assert "no privilege on the database" in fails(PrivilegeMissing, session.check_use)


# --- where the accounts are -----------------------------------------------------------------------------------------


def test_accounts_of_another_database_are_changed_by_an_administrator_of_admin(server: FakeMongo) -> None:
    server.state.add("app", "of shop", "readWrite@shop", database="shop")
    target = replace(PLAIN, auth_database="shop")
    with opened(server, target=target, others={"authSource": "admin"}) as session:
        session.set_password("app", "second")
    assert accepts(server, "app", "second", target=target)
    assert accepts(server, "app", "first")


@pytest.mark.parametrize("value", [7, "a.b", "a b"])
def test_a_malformed_field_for_it_is_refused(server: FakeMongo, value: object) -> None:
    assert "authSource" in fails(TargetError, lambda: opened(server, others={"authSource": value}))


# --- failures -------------------------------------------------------------------------------------------------------


def test_a_wrong_password_and_an_unknown_name_are_refused_after_one_attempt(server: FakeMongo) -> None:
    assert "(18)" in fails(LoginRefused, lambda: opened(server, "app", "canary"))
    assert server.state.logins == ["app"]
    fails(LoginRefused, lambda: opened(server, "nobody", "canary"))


def test_a_locked_account_looks_like_a_wrong_password(server: FakeMongo) -> None:
    server.state.accounts["admin", "app"].is_locked = True
    fails(LoginRefused, lambda: opened(server, "app", "first"))
    server.state.accounts["admin", "app"].is_locked = False
    assert accepts(server, "app", "first")


def test_an_address_that_may_not_come_in_looks_like_a_wrong_password(server: FakeMongo) -> None:
    server.state.accounts["admin", "app"].restrictions = [{"clientSource": ["192.0.2.0/24"]}]
    fails(LoginRefused, lambda: opened(server, "app", "first"))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"code": 8_000, "codeName": "AtlasError"}, LoginRefused),
        ({"code": 462, "codeName": "IngressRequestRateLimitExceeded"}, AccountLocked),
        ({"code": 334, "codeName": "MechanismUnavailable"}, TargetError),
        ({"code": 91, "codeName": "ShutdownInProgress"}, TargetUnreachable),
        ({"code": 9_999, "codeName": "Other"}, TargetError),
    ],
    ids=lambda value: str(value.get("code")) if isinstance(value, dict) else value.__name__,
)
def test_an_answer_to_a_login_is_told_apart_by_its_code(
    server: FakeMongo, answer: dict[str, Any], kind: type[EnvelopeError]
) -> None:
    server.state.failures["saslContinue"] = {"ok": 0.0, "errmsg": "canary", **answer}
    fails(kind, lambda: opened(server, "app", "first"))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"ok": 0.0, "code": 13, "codeName": "Unauthorized"}, PrivilegeMissing),
        ({"ok": 0.0, "code": 31, "codeName": "RoleNotFound"}, TargetError),
        ({"ok": 0.0, "code": 50, "codeName": "MaxTimeMSExpired"}, TargetUnreachable),
        ({"ok": 0.0, "code": 10_107, "codeName": "NotWritablePrimary"}, TargetUnreachable),
        ({"ok": 1.0, "writeConcernError": {"code": 64, "errmsg": "canary", "errInfo": {"wtimeout": True}}}, None),
        ({"ok": 0.0, "code": 64, "codeName": "WriteConcernFailed"}, None),
    ],
    ids=range(6),
)
def test_an_answer_to_a_change_is_told_apart(
    server: FakeMongo, answer: dict[str, Any], kind: type[EnvelopeError] | None
) -> None:
    with opened(server) as session:
        server.state.failures["updateUser"] = {"errmsg": "canary", **answer}
        text = fails(kind or TargetUnreachable, lambda: session.set_password("app", "canary"))
    assert kind is not None or "not confirmed" in text


def test_no_server_no_name_and_silence_are_no_matter_of_credentials(server: FakeMongo) -> None:
    soon = replace(PLAIN, connect_timeout_s=0.2)
    fails(TargetUnreachable, lambda: opened(server, target=soon, port=1))
    fails(TargetUnreachable, lambda: opened(server, target=soon, host="nowhere.invalid"))
    server.is_silent = True
    fails(TargetUnreachable, lambda: opened(server, target=soon))


def test_an_address_of_six_is_one_host(server: FakeMongo) -> None:
    fails(TargetUnreachable, lambda: opened(server, target=replace(PLAIN, connect_timeout_s=0.2), host="::1", port=1))


@pytest.mark.parametrize("host", ["a,b", "mongodb://a", "/run/mongodb.sock", "a@b"])
def test_a_host_that_the_driver_would_take_for_something_else_is_refused(server: FakeMongo, host: str) -> None:
    fails(TargetUnreachable, lambda: opened(server, host=host))


def test_a_host_that_the_driver_does_not_take_shows_no_password(server: FakeMongo) -> None:
    fails(TargetError, lambda: opened(server, host="a%"))


def test_a_connection_that_is_gone_is_not_a_matter_of_privileges(server: FakeMongo) -> None:
    with opened(server) as session:
        server.drop_connections()
        fails(TargetUnreachable, lambda: session.set_password("app", "canary"))


def test_nothing_is_begun_without_time(server: FakeMongo) -> None:
    clock = FakeClock(0)
    deadline = Deadline(10.0, clock=clock)
    with PLAIN.connect(login(server), deadline=deadline) as session:
        clock.advance(9.0)
        fails(OutOfTime, lambda: session.set_password("app", "canary"))
    fails(OutOfTime, lambda: PLAIN.connect(login(server), deadline=deadline))
    assert accepts(server, "app", "first")


def test_a_command_gets_no_more_time_than_is_left(server: FakeMongo) -> None:
    clock = FakeClock(0)
    with PLAIN.connect(login(server), deadline=Deadline(5.0, clock=clock)) as session:
        session.set_password("app", "second")
    command = next(command for _, command in server.state.commands if "updateUser" in command)
    assert 3_000 < command["maxTimeMS"] <= 4_000
    assert command["writeConcern"]["wtimeout"] == 4_000


def test_an_interrupted_login_leaves_nothing_open(server: FakeMongo, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pymongo.database.Database, "command", interrupted)
    with pytest.raises(KeyboardInterrupt):  # and no ResourceWarning
        opened(server)


# --- TLS ------------------------------------------------------------------------------------------------------------


def secured(server: FakeMongo, mode: str, *, is_other: bool = False, timeout_s: float = 20.0, **others: Any) -> None:
    ca_file = server.other_ca_file if is_other else server.ca_file
    target: Any = MongoDb(tls=mode, ca_file=ca_file, connect_timeout_s=timeout_s)  # type: ignore[arg-type]
    opened(server, "app", "first", target=target, **others).__exit__(None, None, None)


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require"])
def test_a_connection_with_tls_logs_in(tls_server: FakeMongo, mode: str) -> None:
    secured(tls_server, mode)


def test_each_mode_checks_what_it_says(tls_server: FakeMongo) -> None:
    fails(TlsFailed, lambda: secured(tls_server, "verify-full", host="127.0.0.1", timeout_s=0.4))
    fails(TlsFailed, lambda: secured(tls_server, "verify-full", is_other=True, timeout_s=0.4))
    fails(TlsFailed, lambda: secured(tls_server, "verify-ca", is_other=True, timeout_s=0.4))
    secured(tls_server, "verify-ca", host="127.0.0.1")
    secured(tls_server, "require", is_other=True, host="127.0.0.1")


def test_there_is_no_second_try_without_tls(server: FakeMongo, tls_server: FakeMongo) -> None:
    with pytest.raises((TlsFailed, TargetUnreachable)):
        secured(server, "verify-full", timeout_s=0.4)
    assert server.state.logins == []
    fails(TargetUnreachable, lambda: opened(tls_server, target=replace(PLAIN, connect_timeout_s=0.2)))


def test_a_file_of_certificates_that_is_none_is_told(tls_server: FakeMongo, tmp_path: Any) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "missing.pem"):
        target = MongoDb(ca_file=str(tmp_path / name))
        fails(TlsFailed, partial(opened, tls_server, target=target))


def test_an_error_of_pyopenssl_is_one_of_tls() -> None:
    error = pymongo.errors.AutoReconnect("db:27017: [('SSL routines', '', 'certificate verify failed')]")
    assert type(login_failure(pymongo, error)) is TlsFailed


def test_a_name_with_ssl_in_it_is_no_failure_of_tls() -> None:
    error = pymongo.errors.AutoReconnect("SSL.db.example:27017: connection refused")
    assert type(login_failure(pymongo, error)) is TargetUnreachable


# --- replica sets and DocumentDB ------------------------------------------------------------------------------------


def test_a_change_goes_to_the_primary_whatever_member_the_secret_names() -> None:
    with fake_mongo(secondaries=1) as (primary, secondary):
        primary.state.add("root", "rootpw", "root@admin")
        primary.state.add("app", "first", "readWrite@shop")
        with opened(secondary) as session:
            session.set_password("app", "second")
        assert accepts(primary, "app", "second")
        direct = replace(PLAIN, direct_connection=True)
        with opened(secondary, target=direct) as session:
            fails(TargetUnreachable, lambda: session.set_password("app", "canary"))
        with opened(primary, target=direct) as session:
            session.set_password("app", "third")


@pytest.fixture
def documentdb() -> Iterator[FakeMongo]:
    with fake_mongo(is_documentdb=True, mechanisms=(SHA_1,)) as (member,):
        member.state.add("root", "rootpw", "root@admin")
        member.state.add("app", "first", "readWrite@shop", "changeOwn@admin")
        member.state.own_roles["admin", "changeOwn"] = frozenset({"changeOwnPassword"})
        yield member


def test_documentdb_which_knows_roles_alone_gets_nothing_else(documentdb: FakeMongo) -> None:
    with opened(documentdb) as session:
        session.prepare_account("app_clone", "app")
        session.set_password("app_clone", "second")
        assert session.missing_privileges("app_clone", "app") == ()
    with opened(documentdb, "app_clone", "second", database="shop") as session:
        session.check_use()
        session.set_password("app_clone", "third")
    assert accepts(documentdb, "app_clone", "third")
    account = documentdb.state.accounts["admin", "app"]
    account.roles.append({"role": "read", "db": "other"})
    with opened(documentdb) as session:
        assert session.missing_privileges("app_clone", "app") == ("the role read of other",)
        session.prepare_account("app_clone", "app")
        assert session.missing_privileges("app_clone", "app") == ()


def test_a_command_that_a_server_does_not_have_at_all_is_an_error(documentdb: FakeMongo) -> None:
    with opened(documentdb) as session:
        documentdb.state.failures["updateUser"] = {"ok": 0.0, "code": 303, "errmsg": "canary"}
        with pytest.raises(TargetError, match="does not know this"):
            session.set_password("app", "canary")
