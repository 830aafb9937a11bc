"""What can go wrong with the target of a rotation. Told apart, because each of them has another remedy.

    EnvelopeError
    └── SecretsError
        ├── RotationRefused        the event, the labels or the secret do not allow the step: nothing was touched
        ├── OutOfTime              too little time is left for what cannot be undone: the step is to be repeated
        └── TargetError            the target was asked, and did not do it
            ├── TargetUnreachable  no network, no name, no server, no answer in time. Not a matter of credentials
            ├── TlsFailed          no TLS, or a certificate that is not trusted
            ├── LoginRefused       the target does not know these credentials
            │   └── AccountLocked  locked, expired, or too many connections: trying more would make it worse
            │       └── PasswordExpired  the password is right and too old: an administrator can set another
            ├── PasswordRefused    the target's password policy does not take the new password
            └── PrivilegeMissing   the credentials work, and may not do what is needed

No text of them holds a password, a key, a rotation token, or the text of a driver's error: that can quote all of these.
"""

from __future__ import annotations

from envelope_secrets.errors import SecretsError

__all__ = [
    "AccountLocked",
    "LoginRefused",
    "OutOfTime",
    "PasswordExpired",
    "PasswordRefused",
    "PrivilegeMissing",
    "RotationRefused",
    "TargetError",
    "TargetUnreachable",
    "TlsFailed",
    "joined_hints",
]


class RotationRefused(SecretsError):
    """The step makes no sense for this secret now; the target was not touched."""


class OutOfTime(SecretsError):
    """What comes next must not be interrupted, and there is too little time for it."""

    can_retry = True


class TargetError(SecretsError):
    """The target of the rotation failed in a way that none of the subclasses names."""


class TargetUnreachable(TargetError):
    """The target did not answer: says nothing about credentials, so no others are tried."""

    can_retry = True


class TlsFailed(TargetError):
    """No private connection could be made. There is no second try without TLS."""


class LoginRefused(TargetError):
    """The target answered and does not accept these credentials."""


class AccountLocked(LoginRefused):
    """The account is locked or expired, or has too many connections; more tries would keep it locked."""


class PasswordExpired(AccountLocked):
    """The password is right and too old: the server lets this login do nothing but set another."""


class PasswordRefused(TargetError):
    """The new password does not satisfy the target; the old one is still in force."""


class PrivilegeMissing(TargetError):
    """The login works, and lacks a privilege that the rotation or the application needs."""


def joined_hints(*hints: str) -> str:
    """One hint of several: each once, and none that is empty."""
    return "; ".join(dict.fromkeys(filter(None, hints)))
