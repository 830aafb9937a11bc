"""Accounts of the fake MongoDB: what is kept of them, what their roles allow, and the server's side of SCRAM.

Sources: MongoDB manual, "Built-In Roles" and "SCRAM"; RFC 5802, RFC 7677.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo.saslprep import saslprep

__all__ = ["BUILT_IN", "Account", "MongoError", "ScramConversation", "credential"]

ITERATIONS = 4_096
"""The fewest that the driver takes. A real server has 15,000."""

SHA_1, SHA_256 = "SCRAM-SHA-1", "SCRAM-SHA-256"
DIGESTS = {SHA_1: "sha1", SHA_256: "sha256"}

USER_ADMIN = frozenset(
    {"createUser", "dropUser", "grantRole", "revokeRole", "viewUser", "changePassword", "changeCustomData"}
    | {"setAuthenticationRestriction", "viewRole"}
)
BUILT_IN: Mapping[str, tuple[bool, frozenset[str]]] = {
    "read": (False, frozenset({"find"})),
    "readWrite": (False, frozenset({"find", "insert", "update", "remove"})),
    "userAdmin": (False, USER_ADMIN),
    "userAdminAnyDatabase": (True, USER_ADMIN),
    "root": (True, USER_ADMIN | {"find", "insert", "update", "remove"}),
}
"""Whether a role is for all databases, and what it allows."""


class MongoError(Exception):
    """An answer with ok: 0."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(text)
        self.answer = {"ok": 0.0, "errmsg": text, "code": code, "codeName": name}


@dataclass(frozen=True)
class Credential:
    """What a server keeps instead of a password."""

    salt: bytes
    stored_key: bytes
    server_key: bytes


def credential(mechanism: str, username: str, password: str) -> Credential:
    """What to keep for one way to log in."""
    try:
        text = saslprep(password) if mechanism == SHA_256 else password_digest(username, password)
    except ValueError:
        raise MongoError(2, "BadValue", "the password cannot be prepared") from None
    salt, digest = secrets.token_bytes(16), DIGESTS[mechanism]
    salted = hashlib.pbkdf2_hmac(digest, text.encode(), salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", digest)
    return Credential(salt, hashlib.new(digest, client_key).digest(), hmac.digest(salted, b"Server Key", digest))


def password_digest(username: str, password: str) -> str:
    text = f"{username}:mongo:{password}".encode()
    return hashlib.md5(text).hexdigest()  # noqa: S324 - the protocol's


@dataclass
class Account:
    """An account.

    Attributes:
        is_locked: every login is refused, with the right password too.
    """

    roles: list[dict[str, str]]
    credentials: dict[str, Credential] = field(default_factory=dict)
    custom_data: Mapping[str, Any] | None = None
    restrictions: list[Mapping[str, Any]] = field(default_factory=list)
    is_locked: bool = False

    def set_password(self, username: str, password: str, mechanisms: list[str]) -> None:
        self.credentials = {mechanism: credential(mechanism, username, password) for mechanism in mechanisms}

    def lets_in_from(self, address: str) -> bool:
        """Whether it may come from there."""
        sources = [source for restriction in self.restrictions for source in restriction.get("clientSource", ())]
        here = ipaddress.ip_address(address)
        return not sources or any(here in ipaddress.ip_network(source) for source in sources)


class ScramConversation:
    """One login.

    Args:
        account: None for a name that nobody has.
    """

    def __init__(self, mechanism: str, first: bytes, account: Account | None) -> None:
        self.mechanism = mechanism
        known = None if account is None else account.credentials.get(mechanism)
        if known is None:
            raise authentication_failed()
        self._known = known
        self._first_bare = first.removeprefix(b"n,,")
        self._nonce = fields_of(self._first_bare)["r"] + secrets.token_urlsafe(18)
        salt = base64.b64encode(known.salt).decode()
        self.server_first = f"r={self._nonce},s={salt},i={ITERATIONS}".encode()

    @staticmethod
    def username(first: bytes) -> str:
        return fields_of(first.removeprefix(b"n,,"))["n"].replace("=2C", ",").replace("=3D", "=")

    def finish(self, final: bytes) -> bytes:
        """The last message, for the right proof."""
        fields = fields_of(final)
        signed = b",".join((self._first_bare, self.server_first, final.rpartition(b",p=")[0]))
        digest = DIGESTS[self.mechanism]
        signature = hmac.digest(self._known.stored_key, signed, digest)
        proof = base64.b64decode(fields["p"])
        client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
        is_right = hmac.compare_digest(hashlib.new(digest, client_key).digest(), self._known.stored_key)
        if not is_right or fields["r"] != self._nonce:
            raise authentication_failed()
        return b"v=" + base64.b64encode(hmac.digest(self._known.server_key, signed, digest))


def fields_of(message: bytes) -> dict[str, str]:
    return {part[:1]: part[2:] for part in message.decode().split(",")}


def authentication_failed() -> MongoError:
    return MongoError(18, "AuthenticationFailed", "Authentication failed.")
