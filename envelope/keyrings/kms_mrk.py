"""Keyrings of AWS KMS for multi-Region keys: what one region wrapped, the replica in another region unwraps.

Source: AWS Encryption SDK specification, framework/aws-kms/aws-kms-mrk-keyring.md, aws-kms-mrk-multi-keyrings.md,
aws-kms-mrk-are-unique.md and aws-kms-mrk-discovery-keyring.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from envelope.aws.arn import KeyArn
from envelope.aws.client_options import check_region
from envelope.aws.session import Aws
from envelope.errors import InvalidArgument
from envelope.keyrings.kms_discovery import DiscoveryFilter, check_admitted, check_filter, shown_filter, wraps_nothing
from envelope.keyrings.kms_wrapping import (
    check_key_arns,
    key_arn_in,
    make_caller,
    unwrap_by_calls,
    wrap_by_calls,
)
from envelope.keyrings.protocol import UnwrapRefused, in_order_of, shown_key
from envelope.materials import DataKey, EncryptedDataKey, UnwrappedDataKey, UnwrapRequest, WrapRequest

__all__ = ["KmsMrkDiscoveryKeyring", "KmsMrkKeyring"]


class KmsMrkKeyring:
    """Like `KmsKeyring`, and opens what any replica of a configured multi-Region key has wrapped.

    The key that is asked is always the configured one, in its own region. Keys that are not multi-Region match by their
    whole ARN, as in `KmsKeyring`.

    Args:
        key_arn: the key that generates the data keys, in the region where this process runs.
        additional_key_arns: more keys. Two replicas of one key are refused: each of them opens what the other wrapped.
        aws: how to reach AWS; the default configuration by default.
        grant_tokens: for grants that are only minutes old; up to 10, sent with every call.

    Raises:
        InvalidArgument: no key ARN, one that is given twice, replicas of one key, or an option of the wrong type.
    """

    __slots__ = ("_caller", "_keys", "_name")

    def __init__(
        self, key_arn: str, *additional_key_arns: str, aws: Aws | None = None, grant_tokens: Iterable[str] = ()
    ) -> None:
        self._keys = check_key_arns((key_arn, *additional_key_arns))
        _check_unrelated(self._keys)
        self._caller = make_caller(aws, grant_tokens)
        self._name = f"KmsMrkKeyring({', '.join(repr(str(key)) for key in self._keys)})"

    def __repr__(self) -> str:
        return self._name

    def wrap(self, request: WrapRequest) -> DataKey:
        """See `Keyring.wrap`."""
        return wrap_by_calls(request, self._keys, self._caller, keyring=self._name)

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """See `Keyring.unwrap`."""
        ordered = in_order_of(lambda key: self._keys.index(self._choose(key)), request)
        return unwrap_by_calls(ordered, self._choose, self._caller, keyring=self._name)

    def _choose(self, key: EncryptedDataKey) -> KeyArn:
        arn = key_arn_in(key)
        for configured in self._keys:
            if configured.is_related(arn):
                return configured
        raise UnwrapRefused(
            f"the data key is wrapped under another key, {shown_key(key)}",
            hint=f"this keyring is configured with {', '.join(map(str, self._keys))}, and their replicas",
        )


class KmsMrkDiscoveryKeyring:
    """Opens messages with the keys that they name, in one region; for a multi-Region key, with its replica there.

    It decrypts only. The message chooses the key, so the filter says whose keys are asked at all; without one,
    `with_keys_of_any_account`.

    Args:
        region: the only region whose keys are asked.
        discovery_filter: the partition and the accounts whose keys are asked.
        aws: how to reach AWS; the default configuration by default.
        grant_tokens: for grants that are only minutes old; up to 10, sent with every call.

    Raises:
        InvalidArgument: an option of the wrong type.
    """

    __slots__ = ("_caller", "_filter", "_region")

    _filter: DiscoveryFilter | None

    def __init__(
        self,
        region: str,
        discovery_filter: DiscoveryFilter,
        *,
        aws: Aws | None = None,
        grant_tokens: Iterable[str] = (),
    ) -> None:
        self._region = check_region("region", region)
        self._filter = check_filter(discovery_filter, type(self).__name__)
        self._caller = make_caller(aws, grant_tokens)

    @classmethod
    def with_keys_of_any_account(cls, region: str, *, aws: Aws | None = None, grant_tokens: Iterable[str] = ()) -> Self:
        """Ask whatever key a message names, of anybody's account; see the same method of `KmsDiscoveryKeyring`."""
        keyring = cls.__new__(cls)
        keyring._region = check_region("region", region)
        keyring._filter = None
        keyring._caller = make_caller(aws, grant_tokens)
        return keyring

    def __repr__(self) -> str:
        return f"KmsMrkDiscoveryKeyring({self._region!r}, {shown_filter(self._filter)})"

    def wrap(self, request: WrapRequest) -> DataKey:  # noqa: ARG002 - what a keyring is asked
        """A discovery keyring names no key to wrap under: `InvalidArgument`."""
        raise wraps_nothing(repr(self))

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """See `Keyring.unwrap`."""
        return unwrap_by_calls(request, self._choose, self._caller, keyring=repr(self))

    def _choose(self, key: EncryptedDataKey) -> KeyArn:
        arn = key_arn_in(key)
        check_admitted(arn, self._filter)
        if arn.is_mrk:
            return arn.in_region(self._region)
        if arn.region != self._region:
            raise UnwrapRefused(
                f"the data key is wrapped under a key of another region, {arn}",
                hint=f"this keyring asks keys in {self._region} only, and {arn} is no multi-Region key",
            )
        return arn


def _check_unrelated(keys: tuple[KeyArn, ...]) -> None:
    related = [key for key in keys if any(key != other and key.is_related(other) for other in keys)]
    if related:
        raise InvalidArgument(
            f"replicas of one multi-Region key are given together: {', '.join(map(str, related))}",
            hint="name the one in the nearest region; it opens what the others wrapped",
        )
