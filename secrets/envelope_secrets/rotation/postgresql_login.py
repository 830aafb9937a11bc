"""A login to PostgreSQL by the few messages it takes, before the driver's, for the server's error code.

The driver keeps nothing of a failure but a text in the server's language. Where the login stands when it fails is known
here too: a refusal before the server asks for a password has other reasons than one after. Because this login is the
first, and the driver's comes only after it has worked, a wrong password reaches the server once.

Source: PostgreSQL documentation, "Frontend/Backend Protocol"; RFC 5802 and RFC 7677 (SCRAM-SHA-256).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import socket
import ssl
import stringprep
import struct
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.driver_tls import ssl_context
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)
from envelope_secrets.rotation.tls import Tls
from envelope_secrets.value import HidesValue

__all__ = ["check_login", "prepared_password"]

PROTOCOL = 196_608
TLS_REQUEST = 80_877_103
MOST_MESSAGE_BYTES = 65_536
MOST_MESSAGES = 200
MOST_ITERATIONS = 1_000_000

WORKS = "00000"
TERMINATE = b"X" + struct.pack("!i", 4)
"""Without it the server's log tells of a connection that was lost."""

NOT_POSTGRESQL = "the server does not speak as PostgreSQL does"


@dataclass(frozen=True, slots=True)
class _Answer:
    """How a login ended.

    Attributes:
        code: the server's.
        is_after_password: whether it came after the server had asked for the password.
    """

    code: str
    is_after_password: bool


def check_login(
    credentials: DatabaseCredentials, tls: Tls, timeout_s: float, *, clock: Callable[[], float] = time.monotonic
) -> None:
    """Log in, and end the connection again: one attempt.

    Args:
        timeout_s: for all messages together.
        clock: monotonic seconds.

    Raises:
        TargetError: the login does not work, or works with any password; see `Database.connect` for the subclasses.
    """
    failure = _failure_of(credentials, tls, timeout_s, clock)
    if failure is not None:
        raise failure


def _failure_of(
    credentials: DatabaseCredentials, tls: Tls, timeout_s: float, clock: Callable[[], float]
) -> TargetError | None:
    """The error is given, not raised, so that it has no context: that could quote what was sent."""
    ends_s = clock() + timeout_s
    try:
        with socket.create_connection((credentials.host, credentials.port), timeout_s) as plain:
            if not tls.is_used:
                return _failure(_login(_Channel(plain, ends_s, clock), credentials, is_private=False), tls)
            with _private(plain, credentials.host, tls) as private:
                channel = _Channel(private, ends_s, clock)
                return _failure(_login(channel, credentials, is_private=tls.mode != "require"), tls)
    except TargetError as error:
        return error.with_traceback(None)
    except ssl.SSLError:
        return TlsFailed(
            "there is no private connection: the server's certificate or its TLS is not accepted",
            hint="see ca_file, and whether the secret's host is a name in the certificate",
        )
    except OSError:
        return TargetUnreachable("the server did not answer, or not in time")
    except (ValueError, LookupError, struct.error):
        return TargetError(NOT_POSTGRESQL)


@dataclass(frozen=True, slots=True)
class _Channel:
    """A connected socket whose every wait ends at the same moment.

    Attributes:
        ends_s: that moment, by `clock`.
    """

    connected: socket.socket
    ends_s: float
    clock: Callable[[], float]

    def send(self, sent: bytes) -> None:
        self._wait_no_longer()
        self.connected.sendall(sent)

    def message(self) -> tuple[bytes, bytes]:
        """The kind and the body of the next message."""
        kind, length = struct.unpack("!ci", self._exactly(5))
        if not 4 <= length <= MOST_MESSAGE_BYTES:
            raise ValueError(NOT_POSTGRESQL)
        return kind, self._exactly(length - 4)

    def _exactly(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            self._wait_no_longer()
            part = self.connected.recv(count - len(received))
            if not part:
                raise ConnectionError
            received += part
        return received

    def _wait_no_longer(self) -> None:
        left_s = self.ends_s - self.clock()
        if left_s <= 0:
            raise TimeoutError
        self.connected.settimeout(left_s)


def _private(plain: socket.socket, host: str, tls: Tls) -> ssl.SSLSocket:
    plain.sendall(struct.pack("!ii", 8, TLS_REQUEST))
    answer = plain.recv(1)
    if answer == b"N":
        raise TlsFailed("the server has no TLS", hint='only tls="disable" does without')
    if answer != b"S":
        raise TargetUnreachable("the server did not answer to the question for TLS")
    return ssl_context(tls).wrap_socket(plain, server_hostname=host)


def _failure(answer: _Answer, tls: Tls) -> TargetError | None:
    code = answer.code
    if code == WORKS:
        return None if answer.is_after_password else _not_asked()
    if code == "28000" and answer.is_after_password:
        return AccountLocked("the account may not log in (28000)", hint="ALTER ROLE ... LOGIN")
    if code == "28000" and not tls.is_used:
        return TlsFailed("the server takes no connection without TLS for this account (28000)", hint="see pg_hba.conf")
    if code == "53300" and answer.is_after_password:
        return AccountLocked(
            "the account has too many connections, or the database (53300)",
            hint="see CONNECTION LIMIT of both, and max_connections",
        )
    if code[:2] in ("08", "53", "57", "58", "XX"):
        return TargetUnreachable(f"the server takes no connections now ({code})")
    kind, text, hint = _CODES.get(code, (TargetError, f"the server refused the login ({code})", ""))
    return kind(text, hint=hint)


def _not_asked() -> TargetError:
    return TargetError(
        "the server lets this account in without its password, so a login proves nothing",
        hint="its pg_hba.conf says trust, peer or cert for this account: make it scram-sha-256",
    )


_CODES: dict[str, tuple[type[TargetError], str, str]] = {
    "28P01": (
        LoginRefused,
        "the server does not accept this user and password (28P01)",
        "it says the same of a password that is past its VALID UNTIL",
    ),
    "28000": (TargetError, "the server has no rule that lets this account in from here (28000)", "see pg_hba.conf"),
    "3D000": (TargetError, "the login works, and the server has no database of the name in the secret", "see dbname"),
    "42501": (PrivilegeMissing, "the login works, and may not connect to the database that the secret names", ""),
}


def _login(channel: _Channel, credentials: DatabaseCredentials, *, is_private: bool) -> _Answer:
    """Exchange messages until the server refuses, or is ready."""
    pairs = ("user", credentials.username, "database", credentials.database or "postgres", "")
    startup = struct.pack("!i", PROTOCOL) + b"".join(text.encode() + b"\0" for text in pairs)
    channel.send(struct.pack("!i", len(startup) + 4) + startup)
    proof = _Proof(credentials, is_private)
    for _ in range(MOST_MESSAGES):
        kind, body = channel.message()
        if kind == b"E":
            return _Answer(_code(body), proof.was_asked)
        if kind == b"Z":
            channel.send(TERMINATE)
            return _Answer(WORKS, proof.was_asked)
        if kind == b"R" and (reply := proof.reply(body)):
            channel.send(b"p" + struct.pack("!i", len(reply) + 4) + reply)
    raise ValueError(NOT_POSTGRESQL)


def _code(body: bytes) -> str:
    """The field C of an error: five letters or digits."""
    fields = {part[:1]: part[1:] for part in body.split(b"\0") if part}
    code = fields[b"C"].decode("ascii")
    if re.fullmatch("[0-9A-Z]{5}", code) is None:
        raise ValueError(NOT_POSTGRESQL)
    return code


@dataclass(slots=True)
class _Proof(HidesValue):
    """Proves that we know the password, in the way that the server asks for."""

    credentials: DatabaseCredentials = field(repr=False)
    is_private: bool
    was_asked: bool = False
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)

    def reply(self, body: bytes) -> bytes:
        """The answer to one message about authentication; empty if it wants none."""
        (kind,), rest = struct.unpack("!i", body[:4]), body[4:]
        if kind in (0, 12):
            return b""
        self.was_asked = True
        replies: dict[int, Callable[[bytes], bytes]] = {3: self._plain, 5: self._md5, 10: self._first, 11: self._final}
        if kind not in replies:
            raise TargetError("the server wants a proof of the login that is not known here, like GSSAPI")
        return replies[kind](rest)

    def _plain(self, _: bytes) -> bytes:
        if not self.is_private:
            raise TargetError("the server asks for the password in the clear, and does not get it")
        return self.credentials.password.encode() + b"\0"

    def _md5(self, salt: bytes) -> bytes:
        login = (self.credentials.password + self.credentials.username).encode()
        inner = hashlib.md5(login).hexdigest().encode()  # noqa: S324 - the protocol's
        return b"md5" + hashlib.md5(inner + salt).hexdigest().encode() + b"\0"  # noqa: S324 - the protocol's

    def _first(self, _: bytes) -> bytes:
        message = f"n,,n=,r={self.nonce}".encode()
        return b"SCRAM-SHA-256\0" + struct.pack("!i", len(message)) + message

    def _final(self, body: bytes) -> bytes:
        challenge = body.decode("ascii")
        values = {part[:1]: part[2:] for part in challenge.split(",")}
        iterations = int(values["i"])
        if not 0 < iterations <= MOST_ITERATIONS or not values["r"].startswith(self.nonce):
            raise ValueError(NOT_POSTGRESQL)
        without_proof = f"c=biws,r={values['r']}"
        signed = f"n=,r={self.nonce},{challenge},{without_proof}".encode()
        password = prepared_password(self.credentials.password)
        salted = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(values["s"]), iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()


def prepared_password(password: str) -> bytes:
    """The form in which a password is hashed: by SASLprep, or as it is where that forbids it, as the server does.

    Source: RFC 4013.
    """
    spaced = "".join(" " if stringprep.in_table_c12(character) else character for character in password)
    kept = "".join(character for character in spaced if not stringprep.in_table_b1(character))
    normal = unicodedata.normalize("NFKC", kept)
    is_forbidden = any(forbids(character) for character in normal for forbids in _FORBIDDEN) or _mixes_directions(
        normal
    )
    return (normal if normal and not is_forbidden else password).encode()


_FORBIDDEN: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def _mixes_directions(text: str) -> bool:
    """Whether it has letters written from the right, and does not begin and end with them, or has others too."""
    if not any(map(stringprep.in_table_d1, text)):
        return False
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return not ends or any(map(stringprep.in_table_d2, text))
