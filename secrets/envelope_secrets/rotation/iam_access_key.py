"""Access keys of an IAM user: two of them in turn.

They have no names, so what is made for a rotation is told by a tag of the user: it says, before a key is made, which
rotation makes it and which keys were there. A key that is not among those was made by it.

Source: AWS IAM User Guide, "Managing access keys for IAM users" (two keys, rotation), "Troubleshooting IAM" (changes
are not visible at once).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field

from envelope.aws.access_keys import AccessKey, caller_with_key, delete_key, list_keys, make_key, set_tag, tag_of
from envelope.aws.session import Aws
from envelope.errors import AwsMisconfigured, InvalidArgument
from envelope_secrets.rotation.api_key import ApiKey
from envelope_secrets.rotation.failures import LoginRefused, RotationRefused
from envelope_secrets.rotation.rotator import NewValue, Rotation
from envelope_secrets.rotation.two_keys import ListedKey, NewKey
from envelope_secrets.value import Secret, SecretFields

__all__ = ["IamAccessKey"]

INTENT_TAG = "envelope-rotation"

KEYS_OF_A_USER = 2
"""AWS IAM User Guide, "IAM and AWS STS quotas"; it cannot be raised."""

_UNKNOWN_KEY_CODES = frozenset({"InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidAccessKeyId"})

_USER_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}", re.ASCII)

_log = logging.getLogger("envelope_secrets.rotation")


def _default_aws() -> Aws:
    """With timeouts that leave time for more than one call in the 30 seconds of a usual function."""
    return Aws(connect_timeout_s=2.0, read_timeout_s=4.0)


@dataclass(frozen=True, slots=True)
class IamAccessKey:
    """Rotates the access key of an IAM user: both keys work until the next rotation begins by deleting the older one.

    The secret is a JSON object with the fields `id_field` and `secret_field`; others are carried over. The user must
    belong to this secret alone: a key that somebody makes for it while a rotation is under way is taken for one of the
    rotation's, and deleted. A role is better wherever one can be had, because its credentials end by themselves; a
    warning in the log says so once for each object of this class.

    Whoever rotates needs iam:ListAccessKeys, iam:CreateAccessKey, iam:DeleteAccessKey, iam:ListUserTags and
    iam:TagUser on this user, and nothing on others.

    Args:
        user_name: without its path; 1 to 64 characters.
        aws: how to reach IAM and STS; as the environment says by default.
        id_field, secret_field: the fields of the secret.
        propagation_s: how long a new key may be unknown to AWS; IAM is usually done after some seconds.

    Raises:
        InvalidArgument: an option of the wrong type or out of range.
    """

    user_name: str
    _: KW_ONLY
    aws: Aws = field(default_factory=_default_aws)
    id_field: str = "AccessKeyId"
    secret_field: str = "SecretAccessKey"  # noqa: S105 - the name of a field
    propagation_s: float = 15.0
    _keys: ApiKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        user_name: object = self.user_name
        if not isinstance(user_name, str) or _USER_NAME.fullmatch(user_name) is None:
            raise InvalidArgument("user_name must be the name of an IAM user, without a path")
        aws: object = self.aws
        if not isinstance(aws, Aws):
            raise InvalidArgument(f"aws must be an Aws, not {type(aws).__name__}")
        secret_field: object = self.secret_field
        if not isinstance(secret_field, str) or not secret_field or secret_field == self.id_field:
            raise InvalidArgument("secret_field must be the name of another field than id_field")
        service = _IamKeys(self.aws, self.user_name, self.id_field, self.secret_field)
        keys = ApiKey(service, id_field=self.id_field, most_keys=KEYS_OF_A_USER, propagation_s=self.propagation_s)
        object.__setattr__(self, "_keys", keys)
        _log.warning(
            "the access key of the user %s is rotated; a role, whose credentials end by themselves, is better",
            self.user_name,
        )

    def new_value(self, rotation: Rotation) -> NewValue:
        """Delete the older key, and make one."""
        return self._keys.new_value(rotation)

    def apply(self, rotation: Rotation, pending: Secret) -> None:
        """Delete what other attempts have made, and note that none is under way any more."""
        self._keys.apply(rotation, pending)
        set_tag(self.aws, self.user_name, INTENT_TAG, "")

    def verify(self, rotation: Rotation, pending: Secret) -> None:
        """Ask STS who has the pending key, until AWS knows it."""
        self._keys.verify(rotation, pending)

    def retire(self, rotation: Rotation, pending: Secret) -> None:
        """As `apply`, for what a late delivery of createSecret may have left."""
        self.apply(rotation, pending)


@dataclass(frozen=True, slots=True)
class _IamKeys:
    """See `ApiKeyService`."""

    aws: Aws = field(repr=False)
    user_name: str
    id_field: str
    secret_field: str

    def create(self, rotation: Rotation, name: str) -> NewKey:
        rotation.deadline.at_most(1.0)
        set_tag(self.aws, self.user_name, INTENT_TAG, " ".join((name, *self._known())))
        key = make_key(self.aws, self.user_name)
        return NewKey(key.key_id, {self.id_field: key.key_id, self.secret_field: key.secret})

    def list(self, rotation: Rotation) -> Iterable[ListedKey]:
        rotation.deadline.at_most(1.0)
        name, *known = tag_of(self.aws, self.user_name, INTENT_TAG).split() or [""]
        keys = list_keys(self.aws, self.user_name)
        return [ListedKey(key_id, "" if key_id in known else name) for key_id in keys]

    def _known(self) -> Iterable[str]:
        """The keys that no rotation has made.

        As long as a rotation is under way none is added: a list may be late, and show only now what it has made.
        """
        listed = list_keys(self.aws, self.user_name)
        _, *known = tag_of(self.aws, self.user_name, INTENT_TAG).split() or ["", *listed]
        return [key_id for key_id in known if key_id in listed]

    def delete(self, rotation: Rotation, key_id: str) -> None:
        rotation.deadline.at_most(1.0)
        delete_key(self.aws, self.user_name, key_id)

    def check(self, rotation: Rotation, fields: SecretFields) -> None:
        rotation.deadline.at_most(1.0)
        key = AccessKey(str(fields[self.id_field]), str(fields[self.secret_field]))
        try:
            arn = caller_with_key(self.aws, key).arn
        except AwsMisconfigured as error:
            if error.code not in _UNKNOWN_KEY_CODES:
                raise
            code = error.code
        else:
            return self._check_owner(arn)
        raise LoginRefused(f"AWS does not know the access key {key.key_id} ({code})")

    def _check_owner(self, arn: str) -> None:
        resource = arn.rpartition(":")[2]
        if not resource.startswith("user/") or resource.rpartition("/")[2] != self.user_name:
            raise RotationRefused(
                "the pending access key belongs to somebody else than the user that is rotated",
                hint="it was not made by this rotation: take AWSPENDING away from it, and rotate again",
            )
