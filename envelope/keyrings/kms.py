"""Strict keyring of AWS KMS: the keys are named, and no other key is ever asked.

Source: AWS Encryption SDK specification, framework/aws-kms/aws-kms-keyring.md and aws-kms-multi-keyrings.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from envelope.aws.arn import KeyArn
from envelope.aws.session import Aws
from envelope.keyrings.kms_wrapping import (
    check_key_arns,
    key_arn_in,
    make_caller,
    unwrap_by_calls,
    wrap_by_calls,
)
from envelope.keyrings.protocol import UnwrapRefused, in_order_of, shown_key
from envelope.materials import DataKey, EncryptedDataKey, UnwrappedDataKey, UnwrapRequest, WrapRequest

__all__ = ["KmsKeyring"]


class KmsKeyring:
    """Wraps each data key under one or more KMS keys, any of which opens the message, and asks no other key.

    The keys may be in several regions and accounts. On encryption the first makes the data key (GenerateDataKey), the
    others wrap it (Encrypt), and one that fails fails all. On decryption the keys that the message names are asked
    (Decrypt) in the order in which they are configured here, so put the nearest first; when one fails, the next is
    tried. The encryption context goes with every call: key policies can be conditioned on it, and CloudTrail shows it.

    A key is named by its ARN only. An alias or a key id could encrypt, but a message names the ARN, so that the keyring
    could decrypt nothing; `Aws.resolve_key_arn` gives the ARN.

    An encrypted data key of ``aws-kms`` that names no valid key ARN is passed over like that of another keyring. The
    specification fails the whole message instead. Passing over is as safe, since only configured ARNs are asked, and a
    message stays readable that somebody added a strange key to.

    Args:
        key_arn: ``arn:<partition>:kms:<region>:<account>:key/<id>``; it generates the data keys.
        additional_key_arns: more keys.
        aws: how to reach AWS; the default configuration by default. Share one between keyrings: it keeps the clients.
        grant_tokens: for grants that are only minutes old; up to 10, sent with every call.

    Raises:
        InvalidArgument: no key ARN, one that is given twice, or an option of the wrong type.
    """

    __slots__ = ("_caller", "_keys", "_name", "_ranks")

    def __init__(
        self, key_arn: str, *additional_key_arns: str, aws: Aws | None = None, grant_tokens: Iterable[str] = ()
    ) -> None:
        self._keys = check_key_arns((key_arn, *additional_key_arns))
        self._caller = make_caller(aws, grant_tokens)
        self._name = f"KmsKeyring({', '.join(repr(str(key)) for key in self._keys)})"
        self._ranks = {key: rank for rank, key in enumerate(self._keys)}

    def __repr__(self) -> str:
        return self._name

    def wrap(self, request: WrapRequest) -> DataKey:
        """See `Keyring.wrap`."""
        return wrap_by_calls(request, self._keys, self._caller, keyring=self._name)

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """See `Keyring.unwrap`."""
        ordered = in_order_of(lambda key: self._ranks[self._choose(key)], request)
        return unwrap_by_calls(ordered, self._choose, self._caller, keyring=self._name)

    def _choose(self, key: EncryptedDataKey) -> KeyArn:
        arn = key_arn_in(key)
        if arn not in self._ranks:
            raise UnwrapRefused(
                f"the data key is wrapped under another key, {shown_key(key)}",
                hint=f"this keyring is configured with {', '.join(map(str, self._keys))}",
            )
        return arn
