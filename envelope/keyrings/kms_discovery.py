"""Discovery keyring of AWS KMS: the message says which key to ask, a filter says which may be asked.

Source: AWS Encryption SDK specification, framework/aws-kms/aws-kms-discovery-keyring.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from envelope.aws.arn import KeyArn
from envelope.aws.client_options import check_region
from envelope.aws.session import Aws
from envelope.errors import InvalidArgument
from envelope.keyrings.kms_wrapping import key_arn_in, listed, make_caller, unwrap_by_calls
from envelope.keyrings.protocol import UnwrapRefused
from envelope.materials import DataKey, EncryptedDataKey, UnwrappedDataKey, UnwrapRequest, WrapRequest

__all__ = ["DiscoveryFilter", "KmsDiscoveryKeyring"]

MAX_ACCOUNTS = 100_000
MAX_REGIONS = 1_000
"""More than an organization and AWS have; a generator that does not end is no list."""


@dataclass(frozen=True, slots=True)
class DiscoveryFilter:
    """Whose keys a discovery keyring may ask.

    Args:
        partition: ``aws``, ``aws-cn``, ``aws-us-gov``, ...
        account_ids: one or more accounts, 12 digits each; kept as a sorted tuple.

    Raises:
        InvalidArgument: no partition, no account, or something that is no account id.
    """

    partition: str
    account_ids: Iterable[str]

    def __post_init__(self) -> None:
        if not _is_partition(self.partition):
            raise InvalidArgument("partition must be the name of a partition", hint='"aws" for most accounts')
        hint = 'for example DiscoveryFilter("aws", ["111122223333"])'
        accounts = listed("account_ids", self.account_ids, most=MAX_ACCOUNTS, hint=hint)
        if not accounts or not all(map(_is_account, accounts)):
            raise InvalidArgument("account_ids must list one or more account ids of 12 digits as text", hint=hint)
        object.__setattr__(self, "account_ids", tuple(sorted(set(map(str, accounts)))))

    def admits(self, key: KeyArn) -> bool:
        """Whether this key may be asked."""
        return key.partition == self.partition and key.account in self.account_ids


class KmsDiscoveryKeyring:
    """Opens messages with the keys that they name, of certain accounts; the caller needs to know no key.

    It decrypts only. The message chooses the key, so the filter says whose keys are asked at all: without one, a
    message that anybody has written is opened under that somebody's key. `with_keys_of_any_account` does so.

    Args:
        discovery_filter: the partition and the accounts whose keys are asked.
        aws: how to reach AWS; the default configuration by default.
        regions: ask keys in these regions only. Without it a message decides which regions are called.
        grant_tokens: for grants that are only minutes old; up to 10, sent with every call.

    Raises:
        InvalidArgument: an option of the wrong type.
    """

    __slots__ = ("_caller", "_filter", "_regions")

    _filter: DiscoveryFilter | None

    def __init__(
        self,
        discovery_filter: DiscoveryFilter,
        *,
        aws: Aws | None = None,
        regions: Iterable[str] | None = None,
        grant_tokens: Iterable[str] = (),
    ) -> None:
        self._filter = check_filter(discovery_filter, type(self).__name__)
        self._regions = _check_regions(regions)
        self._caller = make_caller(aws, grant_tokens)

    @classmethod
    def with_keys_of_any_account(
        cls, *, aws: Aws | None = None, regions: Iterable[str] | None = None, grant_tokens: Iterable[str] = ()
    ) -> Self:
        """Ask whatever key a message names, of anybody's account.

        A message that opens was then written by somebody who has some KMS key that this caller may use, and that can be
        anybody: they only need to allow it in the policy of a key of their own.
        """
        keyring = cls.__new__(cls)
        keyring._filter = None
        keyring._regions = _check_regions(regions)
        keyring._caller = make_caller(aws, grant_tokens)
        return keyring

    def __repr__(self) -> str:
        regions = "" if self._regions is None else f", regions={list(self._regions)!r}"
        return f"KmsDiscoveryKeyring({shown_filter(self._filter)}{regions})"

    def wrap(self, request: WrapRequest) -> DataKey:  # noqa: ARG002 - what a keyring is asked
        """A discovery keyring names no key to wrap under: `InvalidArgument`."""
        raise wraps_nothing(repr(self))

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """See `Keyring.unwrap`."""
        return unwrap_by_calls(request, self._choose, self._caller, keyring=repr(self))

    def _choose(self, key: EncryptedDataKey) -> KeyArn:
        arn = key_arn_in(key)
        check_admitted(arn, self._filter)
        if self._regions is not None and arn.region not in self._regions:
            raise UnwrapRefused(
                f"the data key is wrapped under a key of another region, {arn}",
                hint=f"this keyring asks keys in {', '.join(self._regions)} only",
            )
        return arn


def _is_partition(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.replace("-", "").isalnum()


def _is_account(value: object) -> bool:
    return isinstance(value, str) and len(value) == 12 and value.isascii() and value.isdigit()


def check_filter(value: object, keyring: str) -> DiscoveryFilter:
    """A discovery filter, or `InvalidArgument` that says how to go without."""
    if not isinstance(value, DiscoveryFilter):
        raise InvalidArgument(
            f"discovery_filter must be a DiscoveryFilter, not {type(value).__name__}",
            hint=f'DiscoveryFilter("aws", ["111122223333"]); {keyring}.with_keys_of_any_account(...) goes without',
        )
    return value


def check_admitted(key: KeyArn, discovery_filter: DiscoveryFilter | None) -> None:
    """Raise `UnwrapRefused` if the filter does not admit a key."""
    if discovery_filter is not None and not discovery_filter.admits(key):
        raise UnwrapRefused(
            f"the data key is wrapped under a key that the filter does not admit, {key}",
            hint=f"this keyring asks keys of {shown_filter(discovery_filter)} only",
        )


def shown_filter(discovery_filter: DiscoveryFilter | None) -> str:
    """The filter in a repr."""
    if discovery_filter is None:
        return "any account"
    return f"{discovery_filter.partition} {' '.join(discovery_filter.account_ids)}"


def wraps_nothing(keyring: str) -> InvalidArgument:
    """The error of every attempt to encrypt with a discovery keyring."""
    return InvalidArgument(
        f"{keyring} cannot wrap data keys: it decrypts only", hint="encrypt with KmsKeyring(key_arn), which names a key"
    )


def _check_regions(regions: object) -> tuple[str, ...] | None:
    if regions is None:
        return None
    names = listed("regions", regions, most=MAX_REGIONS, hint='["eu-west-1"]')
    checked = tuple(dict.fromkeys(check_region("each of regions", name) for name in names))
    if not checked:
        raise InvalidArgument("regions is empty: no key could be asked", hint="leave it out, or name a region")
    return checked
