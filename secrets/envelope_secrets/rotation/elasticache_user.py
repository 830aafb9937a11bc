"""A user of ElastiCache for Redis or Valkey, by the API of the service: two passwords, that of AWSCURRENT among them.

A change takes minutes, often more than a function may run. So setSecret begins it, testSecret waits for it, and a tag
of the user says which rotation has begun it: a repeated setSecret then has nothing to do and does not start it over.

Source: Amazon ElastiCache User Guide, "Role-Based Access Control (RBAC)", "Automatically rotating passwords for users".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TypeVar

from envelope.arguments import check_count
from envelope.aws.cache_users import CacheUser, cache_user, cache_user_tag, set_cache_passwords, tag_cache_user
from envelope.aws.session import Aws
from envelope.errors import AwsError, InvalidArgument
from envelope_secrets.errors import SecretFormatError
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.failures import LoginRefused, OutOfTime, PasswordRefused, RotationRefused, TargetError
from envelope_secrets.rotation.redis import Redis
from envelope_secrets.rotation.rotator import NewValue, Rotation
from envelope_secrets.stores.hidden_values import hidden_text
from envelope_secrets.value import Secret, SecretFields

__all__ = ["ElastiCacheUser"]

APPLIED_TAG = "envelope-rotation"

CHANGE_S = 10.0
"""For ModifyUser and for the tag that says so: a change whose tag is missing is made twice."""

LOOK_PAUSE_S = 5.0
LOGIN_PAUSE_S = 1.0
LOGIN_PROPAGATION_S = 10.0

_USER_ID = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", re.ASCII)

_AS_LONG_AS_THERE_IS_TIME_S = math.inf

T = TypeVar("T")


def _default_aws() -> Aws:
    """With timeouts that leave time for more than one call in the 30 seconds of a usual function."""
    return Aws(connect_timeout_s=2.0, read_timeout_s=4.0)


def _default_policy() -> PasswordPolicy:
    """16 to 128 characters; of the others that both pages of the service's documentation allow, what URLs take too."""
    return PasswordPolicy(exclude="\"#%&'()*+,./:;<=>?@[\\]^_`{|}~", length=40)


@dataclass(frozen=True, slots=True)
class ElastiCacheUser:
    """Rotates the password of an ElastiCache user; the one of AWSCURRENT works until the rotation after that.

    The secret is a JSON object with ``username`` and ``password``. ``user_arn`` is checked where it is there, and other
    fields are carried over. The user must log in by a password, and belong to this secret alone: passwords other than
    those of AWSCURRENT and AWSPENDING are taken away from it.

    Whoever rotates needs elasticache:DescribeUsers, elasticache:ModifyUser, elasticache:ListTagsForResource and
    elasticache:AddTagsToResource on this user. Give the function a timeout of some minutes.

    Args:
        user_id: of the user, which is often not the name that it logs in by; 1 to 40 letters, digits and hyphens. It is
            not read from the secret, so that whoever may write the secret has no say in whose password is set.
        aws: how to reach ElastiCache; as the environment says by default.
        endpoint: the host to which testSecret logs in, by `port` and `redis`; None if the function cannot reach the
            cache: then the service's word that the change is done must do.
        password_policy: 40 letters, digits and ``!$-`` by default; the service wants 16 to 128 characters.

    Raises:
        InvalidArgument: an option of the wrong type or out of range.
    """

    user_id: str
    _: KW_ONLY
    aws: Aws = field(default_factory=_default_aws)
    endpoint: str | None = None
    port: int = 6379
    redis: Redis = field(default_factory=lambda: Redis(persistence="none"))
    password_policy: PasswordPolicy = field(default_factory=_default_policy)

    def __post_init__(self) -> None:
        user_id: object = self.user_id
        if not isinstance(user_id, str) or _USER_ID.fullmatch(user_id) is None:
            raise InvalidArgument(
                "user_id must be the id of an ElastiCache user: letters, digits and hyphens, up to 40"
            )
        for name, kind in (("aws", Aws), ("redis", Redis), ("password_policy", PasswordPolicy)):
            value: object = getattr(self, name)
            if not isinstance(value, kind):
                raise InvalidArgument(f"{name} must be of the type {kind.__name__}, not {type(value).__name__}")
        _check_length(self.password_policy)
        endpoint: object = self.endpoint
        if endpoint is not None and (not isinstance(endpoint, str) or _HOST.fullmatch(endpoint) is None):
            raise InvalidArgument("endpoint must be the name of a host, or None for no login")
        check_count("port", self.port, 1, 65_535)

    def new_value(self, rotation: Rotation) -> NewValue:
        """The current value with another password. ElastiCache is asked for nothing but the name of a first value."""
        policy = rotation.password_policy or self.password_policy
        _check_length(policy)
        password = hidden_text(rotation.new_password(policy))
        if rotation.current is not None:
            return {**_fields(rotation.current), "password": password}
        user = self._user(rotation)
        return {"username": user.name, "user_arn": user.arn, "password": password}

    def apply(self, rotation: Rotation, pending: Secret) -> None:
        """Begin to give the user the current and the pending password, unless this rotation has done so."""
        passwords = _passwords(rotation, pending)
        self._patiently(rotation, lambda: self._begin(rotation, pending, passwords))

    def verify(self, rotation: Rotation, pending: Secret) -> None:
        """Wait until the change is done, and log in where that is possible."""
        self._patiently(rotation, lambda: _check_active(self._own_user(rotation, pending)))
        if self.endpoint is not None:
            rotation.wait_until(
                lambda: self._login(rotation, _fields(pending)),
                again_after=(LoginRefused,),
                pause_s=LOGIN_PAUSE_S,
                most_s=LOGIN_PROPAGATION_S,
            )

    def retire(self, rotation: Rotation, pending: Secret) -> None:
        """There is nothing: clients may use the older password until the next rotation takes it away."""

    def _begin(self, rotation: Rotation, pending: Secret, passwords: Sequence[str]) -> None:
        user = self._own_user(rotation, pending)
        if cache_user_tag(self.aws, user, APPLIED_TAG) == rotation.token:
            return
        _check_active(user)
        if not rotation.may_change(CHANGE_S, "changing the passwords of a user"):
            return
        _told_apart(lambda: set_cache_passwords(self.aws, self.user_id, passwords))
        tag_cache_user(self.aws, user, APPLIED_TAG, rotation.token)

    def _own_user(self, rotation: Rotation, secret: Secret) -> CacheUser:
        """The user, if it is the one that the secret means, and has passwords.

        Raises:
            RotationRefused: it is not.
        """
        user, fields = self._user(rotation), _fields(secret)
        if user.name != fields["username"] or fields.get("user_arn", user.arn) != user.arn:
            raise RotationRefused(
                f"version {secret.version_id} of {secret.name} is for another user than {self.user_id}",
                hint="user_id, and username and user_arn of the secret, must mean one user; nothing was changed",
            )
        if user.authentication != "password":
            raise RotationRefused(
                f"the user {self.user_id} does not log in by a password",
                hint="let it: aws elasticache modify-user --authentication-mode; one with IAM needs no rotation",
            )
        return user

    def _user(self, rotation: Rotation) -> CacheUser:
        rotation.deadline.at_most(1.0)
        return _told_apart(lambda: cache_user(self.aws, self.user_id))

    def _patiently(self, rotation: Rotation, attempt: Callable[[], None]) -> None:
        """Try it again and again while another change is under way, as long as there is time."""
        rotation.wait_until(attempt, again_after=(OutOfTime,), pause_s=LOOK_PAUSE_S, most_s=_AS_LONG_AS_THERE_IS_TIME_S)

    def _login(self, rotation: Rotation, fields: SecretFields) -> None:
        credentials = DatabaseCredentials(
            engine="redis",
            host=self.endpoint or "",
            port=self.port,
            username=fields["username"],
            password=fields["password"],
        )
        with self.redis.connect(credentials, deadline=rotation.deadline) as session:
            session.check_use()


def _check_length(policy: PasswordPolicy) -> None:
    """A password that ElastiCache would not take would be stored, and block the secret."""
    if not 16 <= policy.length <= 128:
        raise InvalidArgument(f"password_policy must have a length of 16 to 128 for ElastiCache, not {policy.length}")


def _check_active(user: CacheUser) -> None:
    """Raise `OutOfTime` while a change is under way, and `TargetError` if the user is on its way out."""
    if user.status == "modifying":
        raise _still_changing()
    if user.status != "active":
        raise TargetError("the user is neither active nor being changed: it may be on its way to be deleted")


def _still_changing() -> OutOfTime:
    return OutOfTime(
        "a change of the user is under way, which takes ElastiCache some minutes",
        hint="let the step be repeated, and give the function a longer timeout: what was begun goes on meanwhile",
    )


def _told_apart(call: Callable[[], T]) -> T:
    """What ElastiCache answers, or what its refusal means to a rotation; most are what they are for every service."""
    try:
        return call()
    except AwsError as error:
        failure = error
    if failure.code == "InvalidUserState":
        raise _still_changing()
    if failure.code in ("InvalidParameterValue", "InvalidParameterCombination"):
        raise PasswordRefused(
            f"{failure.operation} does not take the passwords ({failure.code}); the old ones are in force",
            hint="ElastiCache wants 16 to 128 characters, also of the one in AWSCURRENT: see password_policy",
        )
    if failure.code == "UserNotFound":
        raise TargetError("ElastiCache has no user with this id", hint="check user_id, region and account")
    raise failure


def _passwords(rotation: Rotation, pending: Secret) -> Sequence[str]:
    """The current and the pending one.

    Raises:
        RotationRefused: they are for different users, or one is malformed.
    """
    wanted = _fields(pending)
    if rotation.current is None:
        return (hidden_text(wanted["password"]),)
    current = _fields(rotation.current)
    if (wanted["username"], wanted.get("user_arn")) != (current["username"], current.get("user_arn")):
        raise RotationRefused(
            f"version {pending.version_id} of {pending.name} names another user than the current version",
            hint="the target was not touched: take AWSPENDING away from this version, and rotate again",
        )
    return tuple(map(hidden_text, dict.fromkeys((current["password"], wanted["password"]))))


def _fields(secret: Secret) -> SecretFields:
    """The fields of a version.

    Raises:
        RotationRefused: it is no JSON object with a name and a password. No value is shown.
    """
    try:
        fields = secret.json
        if _is_text(fields.get("username")) and _is_text(fields.get("password")):
            return fields
    except SecretFormatError:
        pass
    raise RotationRefused(
        f"version {secret.version_id} of {secret.name} is no JSON object with the texts username and password",
        hint="put a version that is one; a pending one that is not was not made by this rotation",
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 4_096
