"""Every exception of the package. They are sorted by what the caller should do, not by where the code was.

    EnvelopeError                  catch this one to catch everything; `.hint` says what to do next
    ├── InvalidArgument            the call is wrong: fix the code that makes it
    ├── MessageRefused             this message is not going to open: do not try again
    │   ├── MalformedMessage       the bytes are not a message, or not one this version reads
    │   │   └── TruncatedMessage   the message ends too early: fetch the whole of it
    │   ├── NotAuthentic           somebody or something changed the message, or the key is another one
    │   ├── ContextMismatch        the encryption context given is not the message's
    │   ├── PolicyRefused          the options of this client forbid it
    │   └── LimitExceeded          above a limit of this client: raise the limit if the sender is trusted
    ├── KeyUnavailable             no keyring could wrap or unwrap the data key; `.errors` has every cause
    │   └── UnwrapFailed           one of those causes: one keyring, one encrypted data key
    ├── AwsError                   a call to AWS failed; `.operation`, `.code`, `.request_id`
    │   ├── AwsAccessDenied        a policy forbids the call: change the policy, or call as somebody else
    │   ├── AwsMisconfigured       credentials, region or endpoint are missing, expired or wrong: fix the environment
    │   └── AwsUnavailable         throttled, timed out, unreachable or failing: try again later
    ├── KeystoreError              the local keystore is missing, locked, damaged or another one
    │   └── PassphraseRefused      the passphrase does not open the keystore
    └── StreamFailed               reading or writing failed in the operating system; the cause is chained

`.can_retry` of every one of them says whether the same call can succeed later without anybody changing anything.

No text of these exceptions holds a key, a passphrase, a plaintext or a value of an encryption context.
"""

from __future__ import annotations

__all__ = [
    "AwsAccessDenied",
    "AwsError",
    "AwsMisconfigured",
    "AwsUnavailable",
    "ContextMismatch",
    "EnvelopeError",
    "InvalidArgument",
    "KeyUnavailable",
    "KeystoreError",
    "LimitExceeded",
    "MalformedMessage",
    "MessageRefused",
    "NotAuthentic",
    "PassphraseRefused",
    "PolicyRefused",
    "StreamFailed",
    "TruncatedMessage",
    "UnwrapFailed",
]


class EnvelopeError(Exception):
    """Base of every exception that leaves this package.

    Attributes:
        hint: one sentence that says what to do next, or an empty string where there is nothing to add.
        can_retry: whether the same call can succeed later without anybody changing anything.
    """

    can_retry: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process pools. Their default pickle calls the class with `args` only.
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(cls: type[EnvelopeError], args: tuple[object, ...], state: dict[str, object]) -> EnvelopeError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidArgument(EnvelopeError):
    """The call cannot mean anything useful: a wrong type, an empty name, a length out of range."""


class MessageRefused(EnvelopeError):
    """The message will not open with this client, now or later."""


class MalformedMessage(MessageRefused):
    """The bytes do not follow the message format, or follow a version or suite that is not supported."""


class TruncatedMessage(MalformedMessage):
    """The bytes are the beginning of a message and end before it does."""


class NotAuthentic(MessageRefused):
    """A commitment, tag or signature does not fit: the message was changed, or written under another key."""


class ContextMismatch(MessageRefused):
    """A pair of the encryption context given to decrypt differs from the one the message stores."""


class PolicyRefused(MessageRefused):
    """The commitment policy or another option of the client forbids this suite or message."""


class LimitExceeded(MessageRefused):
    """The message asks for more memory, keys or frames than the client allows."""


class KeyUnavailable(EnvelopeError):
    """No keyring could provide the data key.

    Attributes:
        errors: every cause, in the order in which they happened: on decryption one for each pair of an
            encrypted data key and a keyring that was tried.
    """

    def __init__(self, message: str, *, hint: str = "", errors: tuple[Exception, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.errors = errors
        self.can_retry = any(isinstance(error, EnvelopeError) and error.can_retry for error in errors)


class UnwrapFailed(KeyUnavailable):
    """One keyring did not unwrap one encrypted data key.

    Attributes:
        keyring: the keyring's own name for itself, like ``RawAesKeyring(namespace, name)``.
        provider_id: the key provider that the encrypted data key names.
        key_name: the key that the encrypted data key names, as far as it can be shown.
    """

    def __init__(
        self,
        message: str,
        *,
        keyring: str,
        provider_id: str,
        key_name: str,
        hint: str = "",
        errors: tuple[Exception, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint, errors=errors)
        self.keyring = keyring
        self.provider_id = provider_id
        self.key_name = key_name


class AwsError(EnvelopeError):
    """A call to AWS failed, for a reason that none of the subclasses names.

    Attributes:
        operation: what was called, like ``kms:Decrypt``.
        code: the service's error code, or the name of botocore's exception where no answer came.
        request_id: the id by which AWS finds the call, or an empty string where no answer came.
    """

    def __init__(
        self, message: str, *, operation: str, code: str, request_id: str = "", hint: str = "", can_retry: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.operation = operation
        self.code = code
        self.request_id = request_id
        self.can_retry = can_retry


class AwsAccessDenied(AwsError):
    """A key policy, IAM policy, grant, VPC endpoint policy or service control policy forbids the call."""


class AwsMisconfigured(AwsError):
    """Credentials, region, endpoint or certificates: what the process was started with does not do."""


class AwsUnavailable(AwsError):
    """Throttled, timed out, not reachable, or an error inside the service. Trying again later can help."""


class KeystoreError(EnvelopeError):
    """The local keystore cannot be used as it is."""


class PassphraseRefused(KeystoreError):
    """The passphrase does not open the keystore, or the keystore was edited by somebody without it."""


class StreamFailed(EnvelopeError):
    """The operating system refused to read or write; the `OSError` is the `__cause__`."""
