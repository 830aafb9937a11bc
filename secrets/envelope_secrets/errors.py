"""The exceptions about secrets. They are sorted by what the caller should do, and join the tree of `envelope.errors`.

    EnvelopeError                  catch this one to catch everything; `.hint` says what to do next
    ├── SecretsError
    │   ├── SecretNotFound         no such secret, version or staging label, or no value yet: check the name
    │   ├── SecretDeleted          scheduled for deletion: restore it while that is possible
    │   ├── SecretConflict         it is not as the call supposed: look again, then decide; nothing was changed
    │   ├── SecretRefused          the store's rules forbid it: a limit, a public policy, a secret that a service owns
    │   ├── SecretKeyUnavailable   the key that encrypts the secret does not work: enable it, or wait
    │   ├── SecretFormatError      the value is not what was asked of it: no text, no JSON object
    │   │   └── NoSuchField        its JSON object has no such field; a KeyError too
    │   ├── NotSupported           this store has no such thing: use another store
    │   └── StoreFailed            the file of a local store cannot be read or written
    └── AwsError, InvalidArgument, KeyUnavailable, ...     as in `envelope.errors`

No text of these exceptions holds a secret's value or a part of it.
"""

from __future__ import annotations

from envelope.errors import EnvelopeError

__all__ = [
    "NoSuchField",
    "NotSupported",
    "SecretConflict",
    "SecretDeleted",
    "SecretFormatError",
    "SecretKeyUnavailable",
    "SecretNotFound",
    "SecretRefused",
    "SecretsError",
    "StoreFailed",
]


class SecretsError(EnvelopeError):
    """Base of the exceptions about secrets.

    Attributes:
        code: the service's error code where the service or the rules of the service decided, or an empty string.
        request_id: the id by which AWS finds the call, or an empty string.
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "", request_id: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.request_id = request_id


class SecretNotFound(SecretsError):
    """There is no such secret, no version with that id or staging label, or the version has no value yet."""


class SecretDeleted(SecretsError):
    """The secret is scheduled for deletion: it can be described and restored, and nothing else."""


class SecretConflict(SecretsError):
    """The secret is not as the call supposed: its label has moved, its name or token is taken, a rotation runs."""


class SecretRefused(SecretsError):
    """The store does not do it: too many versions or labels, a public policy, a secret owned by a service."""


class SecretKeyUnavailable(SecretsError):
    """The value cannot be encrypted or decrypted now, because its key is disabled, deleted or not reachable."""

    can_retry = True


class SecretFormatError(SecretsError):
    """The value is there, but it is not what was asked of it."""


class NoSuchField(SecretFormatError, KeyError):
    """The JSON object has no field of that name; a `KeyError` too, which is what a mapping raises."""

    __str__ = Exception.__str__  # that of KeyError shows the repr of the text


class NotSupported(SecretsError):
    """The store has no such operation."""


class StoreFailed(SecretsError):
    """The file of the local store is missing, damaged, busy or full; the cause is chained where it shows no value."""
