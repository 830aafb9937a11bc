"""What ``envelope doctor`` looks at. Every check ends in findings, and none of them in an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING

from envelope.cli.key_words import KeySettings, keyring_of, kms_keys_of
from envelope.cli.keystore_options import KeystoreSettings
from envelope.cli.wording import in_words_of_the_command
from envelope.errors import AwsUnavailable, EnvelopeError, KeystoreError

if TYPE_CHECKING:
    from envelope.aws.dry_run import Permission
    from envelope.aws.session import Aws

__all__ = ["Finding", "State", "aws_findings", "keystore_finding", "word_findings"]

MOST_CLOCK_SKEW_S = 300
"""AWS refuses a request whose date is further off (IAM User Guide, "Signature Version 4")."""

_SOON_S = 900

NO_CIPHERTEXT = "NoCiphertext"
"""The code of `permissions_on` for what it had nothing to ask with."""


class State(Enum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    text: str
    hint: str = ""


def keystore_finding(settings: KeystoreSettings) -> Finding:
    """Whether there is a keystore; it is not opened."""
    try:
        place = settings.place
        mode = place.stat().st_mode & 0o777
    except (FileNotFoundError, NotADirectoryError):
        return Finding("keystore", State.OK, f"none at {settings.place}")
    except OSError as error:
        return Finding("keystore", State.FAILED, f"cannot look at {settings.place}: {error.strerror}")
    except KeystoreError as error:
        return _failed("keystore", error)
    if mode & 0o077:
        return Finding("keystore", State.FAILED, f"{place} is open to others (mode {mode:04o})", "chmod 600 the file")
    return Finding("keystore", State.OK, f"{place}")


def aws_findings(
    make_aws: Callable[[], Aws], *, region: str | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[Finding]:
    """Endpoint, credentials, caller and clock. What follows a failure is left out.

    Args:
        region: where keys are asked; the configuration's by default.
    """
    from envelope.aws.caller import caller_identity, credentials_of, endpoint_of

    name = "endpoint"
    try:
        aws = make_aws()
        at, url = endpoint_of(aws, "kms", region)
        secured = "over TLS" if url.startswith("https:") else "inside this machine, without TLS"
        yield Finding(name, State.OK, f"{url} in {at}, {secured}")
        name = "credentials"
        credentials = credentials_of(aws, region)
        yield _credentials(credentials.source, credentials.kind, credentials.expires, now())
        name = "caller"
        identity = caller_identity(aws, region, now_s=lambda: now().timestamp())
        yield Finding(name, State.OK, identity.arn)
        yield _clock(identity.clock_ahead_s)
    except EnvelopeError as error:
        yield _failed(name, error)


def word_findings(
    word: str, settings: KeySettings, encryption_context: Mapping[str, str], *, is_kms: bool
) -> Iterator[Finding]:
    """Whether a key can be used; of a key of AWS KMS, for what."""
    try:
        if not is_kms:
            yield Finding("key", State.OK, repr(keyring_of([word], settings=settings, purpose="encrypt")))
            return
        from envelope.aws.arn import KeyArn
        from envelope.aws.dry_run import permissions_on

        (key,) = kms_keys_of([word], settings=settings)
        yield Finding("key", State.OK, key.arn)
        for permission in permissions_on(settings.aws(), KeyArn.parse(key.arn), encryption_context):
            yield _permission(permission)
    except EnvelopeError as error:
        yield _failed("key", error)


def _credentials(source: str, kind: str, expires: datetime | None, now: datetime) -> Finding:
    text = f"{kind}, from {source}"
    if kind == "long-term":
        return Finding(
            "credentials",
            State.WARNING,
            text,
            "long-term access keys work until somebody deletes them, for whoever finds them: use a role or a login",
        )
    if expires is None:
        return Finding("credentials", State.OK, text)
    left_s = (expires - now).total_seconds()
    text = f"{text}, until {expires.isoformat(timespec='seconds')}"
    if left_s <= 0:
        return Finding("credentials", State.FAILED, f"{text}: expired", "renew them: log in again")
    return Finding("credentials", State.WARNING if left_s < _SOON_S else State.OK, text)


def _clock(ahead_s: float | None) -> Finding:
    if ahead_s is None:
        return Finding("clock", State.UNKNOWN, "the answer of AWS has no date")
    if abs(ahead_s) < MOST_CLOCK_SKEW_S:
        return Finding("clock", State.OK, f"within {abs(ahead_s):.0f} s of AWS")
    return Finding(
        "clock",
        State.FAILED,
        f"{abs(ahead_s):,.0f} s {'ahead of' if ahead_s > 0 else 'behind'} AWS",
        "set the clock of this machine: AWS allows 5 minutes",
    )


def _permission(permission: Permission) -> Finding:
    if permission.is_allowed:
        return Finding(permission.operation, State.OK, "allowed")
    error = permission.error
    was_asked = error is not None and not isinstance(error, AwsUnavailable) and error.code != NO_CIPHERTEXT
    state = State.FAILED if was_asked else State.UNKNOWN
    return Finding(permission.operation, state, str(error or ""), "" if error is None else error.hint)


def _failed(name: str, error: EnvelopeError) -> Finding:
    return Finding(name, State.FAILED, in_words_of_the_command(str(error)), in_words_of_the_command(error.hint))
