"""The commands of the fake MongoDB: as strict as the real server where a rotation can notice it."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.servers.mongodb_fake_accounts import (
    BUILT_IN,
    SHA_1,
    SHA_256,
    Account,
    MongoError,
    ScramConversation,
    authentication_failed,
)

__all__ = ["FakeMongoConnection", "FakeMongoState"]

GENERIC = frozenset(
    {"$db", "$readPreference", "$clusterTime", "lsid", "maxTimeMS", "writeConcern", "comment", "txnNumber"}
)
WITHOUT_LOGIN = frozenset({"hello", "ismaster", "isMaster", "ping", "saslStart", "saslContinue", "endSessions"})
FIELDS: Mapping[str, frozenset[str]] = {
    "createUser": frozenset({"pwd", "roles", "customData", "authenticationRestrictions", "mechanisms"}),
    "updateUser": frozenset({"pwd", "roles", "customData", "authenticationRestrictions", "mechanisms"}),
    "usersInfo": frozenset({"showAuthenticationRestrictions"}),
    "connectionStatus": frozenset({"showPrivileges"}),
    "dropUser": frozenset(),
    "grantRolesToUser": frozenset({"roles"}),
    "revokeRolesFromUser": frozenset({"roles"}),
    "find": frozenset({"filter", "limit", "singleBatch"}),
    "insert": frozenset({"documents", "ordered"}),
    "ping": frozenset(),
}
WORK = {
    name: re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", f"_{name}")
    for name in (*FIELDS, "saslStart", "saslContinue", "endSessions")
}
"""The methods, by the names of the commands."""

NOT_IN_DOCUMENTDB = frozenset(
    {"customData", "authenticationRestrictions", "mechanisms", "showAuthenticationRestrictions", "showPrivileges"}
)
SWITCHES_TO_PRIMARY = frozenset({"createUser", "updateUser", "dropUser", "grantRolesToUser", "insert"})


@dataclass
class FakeMongoState:
    """What all members of the fake have in common.

    Attributes:
        is_documentdb: with SCRAM-SHA-1 and roles alone.
        mechanisms: what the server has.
        accounts: by database and name.
        own_roles: by database and name: what they allow on that database.
        documents: by database and collection.
        commands: every command that was done, by whom.
        failures: an answer for the next command of a name, instead of doing it.
        logins: names of those who tried to log in.
    """

    is_documentdb: bool = False
    mechanisms: tuple[str, ...] = (SHA_1, SHA_256)
    accounts: dict[tuple[str, str], Account] = field(default_factory=dict)
    own_roles: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    documents: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    commands: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    failures: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    logins: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, username: str, password: str, *roles: str, database: str = "admin", **options: Any) -> Account:
        """An account, as an administrator makes it; roles are written like ``readWrite@app``."""
        granted = [dict(zip(("role", "db"), role.split("@"), strict=True)) for role in roles]
        account = Account(granted, **options)
        account.set_password(username, password, list(self.mechanisms))
        with self.lock:
            self.accounts[database, username] = account
        return account


class FakeMongoConnection:
    """One connection: who is logged in on it.

    Args:
        hello: what this member says of itself.
        address: where the client is.
    """

    def __init__(self, state: FakeMongoState, hello: Callable[[], dict[str, Any]], address: str) -> None:
        self._state = state
        self._hello = hello
        self._address = address
        self._user: tuple[str, str] | None = None
        self._conversation: tuple[ScramConversation, tuple[str, str]] | None = None

    def answer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one command."""
        with self._state.lock:
            try:
                return {"ok": 1.0, **self._done(command)}
            except MongoError as error:
                return error.answer

    def _done(self, command: Mapping[str, Any]) -> dict[str, Any]:
        name, database = next(iter(command)), command.get("$db", "admin")
        if name not in ("hello", "ismaster", "isMaster", "endSessions"):
            self._state.commands.append((self._user[1] if self._user else "", dict(command)))
        if name in self._state.failures:
            return dict(self._state.failures.pop(name))
        if name in ("hello", "ismaster", "isMaster"):
            return self._said_hello(command)
        if name not in WITHOUT_LOGIN and self._user is None and name != "connectionStatus":
            raise MongoError(13, "Unauthorized", f"Command {name} requires authentication")
        work = getattr(self, WORK.get(name, ""), None)
        if work is None:
            raise MongoError(59, "CommandNotFound", f"no such command: '{name}'")
        self._check_fields(name, command)
        if name in SWITCHES_TO_PRIMARY and not self._hello()["isWritablePrimary"]:
            raise MongoError(10_107, "NotWritablePrimary", "not primary")
        done: dict[str, Any] = work(command, database)
        return done

    def _check_fields(self, name: str, command: Mapping[str, Any]) -> None:
        given = set(command) - {name} - GENERIC
        if self._state.is_documentdb and (given & NOT_IN_DOCUMENTDB or "txnNumber" in command):
            raise MongoError(303, "", f"Feature not supported: {min(given & NOT_IN_DOCUMENTDB)}")
        unknown = given - FIELDS.get(name, given)
        if unknown:
            raise MongoError(40_415, "IDLUnknownField", f"BSON field '{name}.{min(unknown)}' is an unknown field.")

    def _said_hello(self, command: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._hello()
        if "saslSupportedMechs" in command and not self._state.is_documentdb:
            database, _, name = command["saslSupportedMechs"].partition(".")
            account = self._state.accounts.get((database, name))
            if account is not None:
                answer["saslSupportedMechs"] = list(account.credentials)
        speculative = command.get("speculativeAuthenticate")
        if speculative is not None and not self._state.is_documentdb:
            with contextlib.suppress(MongoError):  # as the real one: the driver begins again
                answer["speculativeAuthenticate"] = self._sasl_start(speculative, speculative["db"])
        return answer

    def _ping(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        return {}

    def _end_sessions(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        return {}

    def _sasl_start(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        mechanism = command["mechanism"]
        if mechanism not in self._state.mechanisms:
            raise MongoError(334, "MechanismUnavailable", f"Unsupported mechanism '{mechanism}' on authentication db")
        username = ScramConversation.username(command["payload"])
        account = self._state.accounts.get((database, username))
        conversation = ScramConversation(mechanism, command["payload"], account)
        self._conversation = (conversation, (database, username))
        return {"conversationId": 1, "done": False, "payload": conversation.server_first}

    def _sasl_continue(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        if self._conversation is None:
            raise MongoError(17, "ProtocolError", "No SASL session state found")
        (conversation, key), self._conversation = self._conversation, None
        self._state.logins.append(key[1])
        payload = conversation.finish(command["payload"])
        account = self._state.accounts[key]
        if account.is_locked or not account.lets_in_from(self._address):
            raise authentication_failed()
        self._user = key
        return {"conversationId": 1, "done": True, "payload": payload}

    def _connection_status(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        account = None if self._user is None else self._state.accounts.get(self._user)
        roles = [] if account is None else account.roles
        info: dict[str, Any] = {"authenticatedUsers": [], "authenticatedUserRoles": roles}
        if self._user is not None:
            info["authenticatedUsers"] = [{"user": self._user[1], "db": self._user[0]}]
        if command.get("showPrivileges"):
            info["authenticatedUserPrivileges"] = [self._privilege(role) for role in roles]
        return {"authInfo": info}

    def _privilege(self, role: Mapping[str, str]) -> dict[str, Any]:
        is_everywhere, actions = self._allowed(role)
        return {"resource": {"db": "" if is_everywhere else role["db"], "collection": ""}, "actions": sorted(actions)}

    def _allowed(self, role: Mapping[str, str]) -> tuple[bool, frozenset[str]]:
        own = self._state.own_roles.get((role["db"], role["role"]))
        return BUILT_IN[role["role"]] if own is None else (False, own)

    def _may(self, action: str, database: str) -> bool:
        account = self._state.accounts.get(self._user) if self._user else None
        for role in [] if account is None else account.roles:
            is_everywhere, actions = self._allowed(role)
            if action in actions and (is_everywhere or role["db"] == database):
                return True
        return False

    def _require(self, action: str, database: str, *, own: str = "", of: tuple[str, str] | None = None) -> None:
        """Raise unless it is allowed, or allowed for the own account."""
        is_own = bool(own) and of == self._user and self._may(own, database)
        if not is_own and not self._may(action, database):
            raise MongoError(13, "Unauthorized", f"not authorized on {database} to execute command {{ pwd: ... }}")

    def _users_info(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        asked = command["usersInfo"]
        key = (asked["db"], asked["user"])
        if key != self._user:
            self._require("viewUser", key[0])
        account = self._state.accounts.get(key)
        if account is None:
            return {"users": []}
        shown: dict[str, Any] = {"_id": ".".join(key), "user": key[1], "db": key[0], "roles": account.roles}
        if not self._state.is_documentdb:
            shown["mechanisms"] = list(account.credentials)
        if account.custom_data is not None:
            shown["customData"] = account.custom_data
        if command.get("showAuthenticationRestrictions"):
            shown["authenticationRestrictions"] = account.restrictions
        return {"users": [shown]}

    def _create_user(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        key = (database, command["createUser"])
        self._require("createUser", database)
        if key in self._state.accounts:
            raise MongoError(51_003, "Location51003", f'User "{key[1]}@{database}" already exists')
        account = Account([])
        self._set_roles(account, command["roles"])
        self._change(account, command, key)
        self._state.accounts[key] = account
        return {}

    def _update_user(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        key = (database, command["updateUser"])
        if not set(command) & FIELDS["updateUser"]:
            raise MongoError(2, "BadValue", "Must specify at least one field to update in updateUser")
        if "pwd" in command:
            self._require("changePassword", database, own="changeOwnPassword", of=key)
        if "customData" in command:
            self._require("changeCustomData", database, own="changeOwnCustomData", of=key)
        if "roles" in command:
            self._require("revokeRole", database)
        account = self._found(key)
        if "roles" in command:
            self._set_roles(account, command["roles"])
        self._change(account, command, key)
        return {}

    def _change(self, account: Account, command: Mapping[str, Any], key: tuple[str, str]) -> None:
        mechanisms = command.get("mechanisms")
        if "pwd" in command:
            if not command["pwd"]:
                raise MongoError(50_687, "Location50687", "Password cannot be empty")
            account.set_password(key[1], command["pwd"], list(mechanisms or self._state.mechanisms))
        elif mechanisms:
            if not set(mechanisms) <= set(account.credentials):
                raise MongoError(2, "BadValue", "mechanisms field must be a subset of previously set mechanisms")
            account.credentials = {name: account.credentials[name] for name in mechanisms}
        if "customData" in command:
            account.custom_data = command["customData"]
        if "authenticationRestrictions" in command:
            self._require("setAuthenticationRestriction", key[0])
            account.restrictions = list(command["authenticationRestrictions"])

    def _set_roles(self, account: Account, roles: list[dict[str, str]]) -> None:
        for role in roles:
            self._require("grantRole", role["db"])
            if role["role"] not in BUILT_IN and (role["db"], role["role"]) not in self._state.own_roles:
                raise MongoError(31, "RoleNotFound", f"Could not find role: {role['role']}@{role['db']}")
        account.roles = [dict(role) for role in roles]

    def _found(self, key: tuple[str, str]) -> Account:
        if key not in self._state.accounts:
            raise MongoError(11, "UserNotFound", f"User '{key[1]}@{key[0]}' not found")
        return self._state.accounts[key]

    def _drop_user(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        self._require("dropUser", database)
        self._found((database, command["dropUser"]))
        del self._state.accounts[database, command["dropUser"]]
        return {}

    def _grant_roles_to_user(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        account = self._found((database, command["grantRolesToUser"]))
        self._set_roles(account, [*account.roles, *(role for role in command["roles"] if role not in account.roles)])
        return {}

    def _revoke_roles_from_user(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        account = self._found((database, command["revokeRolesFromUser"]))
        for role in command["roles"]:
            self._require("revokeRole", role["db"])
        account.roles = [role for role in account.roles if role not in command["roles"]]
        return {}

    def _find(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        self._require("find", database)
        found = self._state.documents.get((database, command["find"]), [])
        return {"cursor": {"id": 0, "ns": f"{database}.{command['find']}", "firstBatch": list(found)}}

    def _insert(self, command: Mapping[str, Any], database: str) -> dict[str, Any]:
        self._require("insert", database)
        self._state.documents.setdefault((database, command["insert"]), []).extend(command["documents"])
        return {"n": len(command["documents"])}
