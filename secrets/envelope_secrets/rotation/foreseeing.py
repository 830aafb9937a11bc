"""What a rotation would fail with, as far as that can be known without a change: by logins alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from envelope_secrets.errors import SecretFormatError, SecretKeyUnavailable, SecretNotFound
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.accounts import current_credentials, open_admin
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.database import Database, DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.diagnosis import Answer, RotationDiagnosis
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.rotation.elasticache_user import ElastiCacheUser
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.handler import policy_of
from envelope_secrets.rotation.iam_access_key import IamAccessKey
from envelope_secrets.rotation.in_process import check_can_begin
from envelope_secrets.rotation.oauth_client import OAuthClient
from envelope_secrets.rotation.password_policies import PasswordPolicies
from envelope_secrets.rotation.probing import Source
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.signing_key import SigningKey
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy, rotator_of
from envelope_secrets.stages import AWSCURRENT
from envelope_secrets.stores.protocol import SecretStore
from envelope_secrets.value import Secret

__all__ = ["check_kind", "foresee"]

_OF_A_DATABASE = frozenset({"engine", "host", "username", "password"})
_NO_DATABASES = (IamAccessKey, SigningKey, OAuthClient)
_KEPT_WITH_JSON = (IamAccessKey, OAuthClient, ElastiCacheUser)


@runtime_checkable
class _TellsWhatItMay(Protocol):
    """A session that tells before it tries whether it may make an account. Not every server says so."""

    def check_makes_accounts(self) -> None: ...


def check_kind(store: SecretStore, secret_id: str, target: object) -> None:
    """Make sure that the value is not one to which the target would add a key by mistake.

    Raises:
        RotationRefused: it is that of a database, or no JSON object where one is needed.
        EnvelopeError: the store does not answer.
    """
    if not isinstance(target, (*_NO_DATABASES, *_KEPT_WITH_JSON)):
        return
    current = _current(store, secret_id)
    fields = _fields(current)
    kind = type(target).__name__
    if current is not None and fields is None and isinstance(target, _KEPT_WITH_JSON):
        raise RotationRefused(
            f"the current version of {current.name} is no JSON object, as {kind} needs it", hint="put one that is"
        )
    if current is not None and {*(fields or ())} >= _OF_A_DATABASE and isinstance(target, _NO_DATABASES):
        raise RotationRefused(
            f"{current.name} is the secret of a database, which {kind} does not rotate",
            hint="name the kind of database, like PostgreSql(), and a strategy, like SingleUser()",
        )


def _current(store: SecretStore, secret_id: str) -> Secret | None:
    try:
        return store.read(secret_id, stage=AWSCURRENT)
    except (SecretNotFound, SecretKeyUnavailable):
        return None


def _fields(secret: Secret | None) -> Mapping[str, Any] | None:
    try:
        return None if secret is None else secret.json
    except SecretFormatError:
        return None


def foresee(
    store: SecretStore,
    diagnosis: RotationDiagnosis,
    target: object,
    strategy: Strategy | None = None,
    *,
    password_policy: PasswordPolicy | PasswordPolicies | None = None,
    timeout_s: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Look for what would make a rotation fail. Changes nothing; an administrator logs in, if one is needed.

    Whether an administrator may make an account is foreseen where the session tells, as of PostgreSQL; whether the
    server's policy takes the password is not.

    Args:
        diagnosis: of `rotation_status`, with the same store, target and strategy.
        password_policy, timeout_s, clock, sleep: as of `rotate`.

    Raises:
        EnvelopeError: of the kind that the rotation would raise.
    """
    sources = {answer.source for answer in diagnosis.answers}
    check_can_begin(store, diagnosis.name, has_version=bool(sources & {Source.CURRENT, Source.PENDING}))
    if diagnosis.obstacle:
        raise _refused(diagnosis)
    check_kind(store, diagnosis.arn, target)
    _check_answer(diagnosis, Source.PENDING, Answer.UNFIT)
    if not isinstance(target, Database) or not isinstance(strategy, (SingleUser, AlternatingUsers, DualPassword)):
        return
    _check_answer(diagnosis, Source.CURRENT, Answer.WEAK)  # what it may not do, it may not with a new password either
    deadline = Deadline(timeout_s, clock=clock, sleep=sleep)
    policy = policy_of(password_policy, diagnosis.arn)
    rotation = Rotation(diagnosis.arn, "", store, deadline, _current(store, diagnosis.arn), policy)
    like = current_credentials(rotation, target)
    if Source.PENDING not in sources:
        rotator_of(target, strategy).new_value(rotation)  # of these three, it asks nobody and stores nothing
    if _needs_admin(strategy, like, diagnosis):
        with open_admin(rotation, target, like, strategy.same_host) as admin:
            if isinstance(strategy, AlternatingUsers) and isinstance(admin, _TellsWhatItMay):
                admin.check_makes_accounts()


def _refused(diagnosis: RotationDiagnosis) -> RotationRefused:
    """The obstacle, and what the first version says of it that says anything."""
    detail = next((one.detail for one in diagnosis.answers if one.detail), "")
    known = detail in diagnosis.obstacle
    hint = diagnosis.obstacle_hint or next((one.hint for one in diagnosis.answers if one.hint), "")
    return RotationRefused(diagnosis.obstacle if known else f"{diagnosis.obstacle}: {detail}", hint=hint)


def _check_answer(diagnosis: RotationDiagnosis, source: Source, harmful: Answer) -> None:
    found = diagnosis.answer_of(source)
    if found is not None and found.answer is harmful:
        raise RotationRefused(found.detail, hint=found.hint)


def _needs_admin(strategy: Strategy, like: DatabaseCredentials, diagnosis: RotationDiagnosis) -> bool:
    if isinstance(strategy, SingleUser):
        return strategy.recover_with_admin and not any(answer.works for answer in diagnosis.answers)
    return isinstance(strategy, AlternatingUsers) or bool(like.admin_secret_id)
