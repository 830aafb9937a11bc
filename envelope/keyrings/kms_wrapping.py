"""What all keyrings of AWS KMS share: their options, and how a data key is wrapped and unwrapped by calls.

Source: AWS Encryption SDK specification, framework/aws-kms/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeGuard

from envelope.aws.arn import KeyArn
from envelope.aws.kms import KmsRequest, decrypt, encrypt, generate_data_key
from envelope.aws.session import Aws
from envelope.errors import AwsError, InvalidArgument, KeyUnavailable
from envelope.keyrings.protocol import UnwrapRefused, shown_key, shown_key_name, unwrap_first
from envelope.materials import DataKey, EncryptedDataKey, UnwrappedDataKey, UnwrapRequest, WrapRequest

__all__ = [
    "PROVIDER_ID",
    "KmsCaller",
    "check_key_arns",
    "key_arn_in",
    "listed",
    "make_caller",
    "unwrap_by_calls",
    "wrap_by_calls",
]

PROVIDER_ID = "aws-kms"

MAX_GRANT_TOKENS = 10
MAX_GRANT_TOKEN_CHARACTERS = 8_192
"""Both from the service model of KMS: GrantTokenList, GrantTokenType."""


@dataclass(frozen=True, slots=True)
class KmsCaller:
    """How a keyring calls KMS."""

    aws: Aws
    grant_tokens: tuple[str, ...] = field(repr=False)

    def request(self, request: WrapRequest | UnwrapRequest) -> KmsRequest:
        """What goes with the calls for this request."""
        return KmsRequest(self.aws, request.encryption_context, self.grant_tokens)


def make_caller(aws: object, grant_tokens: object) -> KmsCaller:
    """Check these options of a keyring; None for `aws` is the default configuration."""
    if aws is not None and not isinstance(aws, Aws):
        raise InvalidArgument(
            f"aws must be an Aws, not {type(aws).__name__}", hint='for example Aws(region="eu-west-1")'
        )
    tokens = listed("grant_tokens", grant_tokens, most=MAX_GRANT_TOKENS, hint="[token]")
    if not _are_grant_tokens(tokens):
        raise InvalidArgument(f"each of grant_tokens must be text of 1 to {MAX_GRANT_TOKEN_CHARACTERS:,} characters")
    return KmsCaller(Aws() if aws is None else aws, tokens)


def _are_grant_tokens(values: tuple[object, ...]) -> TypeGuard[tuple[str, ...]]:
    return all(isinstance(value, str) and 1 <= len(value) <= MAX_GRANT_TOKEN_CHARACTERS for value in values)


def listed(option: str, values: object, *, most: int, hint: str) -> tuple[object, ...]:
    """What an option lists, or `InvalidArgument`: it is a single text or no list, longer than `most`, or raises."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidArgument(f"{option} must be several texts, not {type(values).__name__}", hint=hint)
    try:
        found = tuple(islice(values, most + 1))
    except Exception as error:
        raise InvalidArgument(
            f"{option} could not be read: it raised {type(error).__name__}", hint="the exception is chained"
        ) from error
    if len(found) > most:
        raise InvalidArgument(f"{option} lists more than {most:,}", hint=hint)
    return found


def check_key_arns(key_arns: tuple[object, ...]) -> tuple[KeyArn, ...]:
    """The keys that a keyring is configured with, each once, by their ARNs and nothing else."""
    keys = tuple(_check_key_arn(key_arn) for key_arn in key_arns)
    repeated = [key for number, key in enumerate(keys) if key in keys[:number]]
    if repeated:
        raise InvalidArgument(f"a key is given twice: {', '.join(map(str, repeated))}", hint="name each key once")
    return keys


def _check_key_arn(value: object) -> KeyArn:
    if not isinstance(value, str):
        raise InvalidArgument(f"a key ARN must be text, not {type(value).__name__}", hint=_ARN_HINT)
    try:
        key = KeyArn.parse(value)
    except ValueError:
        key = None
    if key is None or not key.is_key:
        raise InvalidArgument(f"not the ARN of a KMS key: {value!r:.200}", hint=_ARN_HINT)
    return key


_ARN_HINT = (
    "arn:aws:kms:<region>:<account>:key/<id>; an alias or a key id could encrypt, but messages name the ARN, so it "
    "could not decrypt: Aws(...).resolve_key_arn(...) gives the ARN, once and for all"
)


def key_arn_in(key: EncryptedDataKey) -> KeyArn:
    """The KMS key that an encrypted data key names, or `UnwrapRefused` if it names none."""
    if key.provider_id != PROVIDER_ID:
        raise UnwrapRefused(f"the data key is not wrapped by AWS KMS but by {shown_key(key)}")
    try:
        arn = KeyArn.parse(key.provider_info.decode())
    except ValueError:
        arn = None
    if arn is None or not arn.is_key:
        raise UnwrapRefused(f"the provider information is not the ARN of a KMS key: {shown_key(key)}")
    return arn


def wrap_by_calls(request: WrapRequest, keys: tuple[KeyArn, ...], caller: KmsCaller, *, keyring: str) -> DataKey:
    """A data key under all of these keys: made under the first if there is none yet, encrypted under the others.

    Raises:
        KeyUnavailable: one of the calls failed; a message must open with any of its keys, so one failure fails all.
        InvalidArgument: KMS would not take the encryption context.
    """
    kms = caller.request(request)
    plaintext, wrapped, others = request.data_key, [], keys
    try:
        if plaintext is None:
            generated = generate_data_key(kms, keys[0], request.suite.data_key_bytes)
            plaintext, wrapped, others = generated.plaintext, [_wrapped(keys[0], generated.ciphertext)], keys[1:]
        wrapped += [_wrapped(key, encrypt(kms, key, plaintext)) for key in others]
    except AwsError as error:
        raise KeyUnavailable(
            f"{keyring} could not wrap the data key: {error}", hint=error.hint, errors=(error,)
        ) from error
    return DataKey(plaintext, tuple(wrapped))


def unwrap_by_calls(
    request: UnwrapRequest, choose: Callable[[EncryptedDataKey], KeyArn], caller: KmsCaller, *, keyring: str
) -> UnwrappedDataKey:
    """Decrypt the encrypted data keys one after the other; a failure is remembered, and the next one tried.

    Args:
        choose: the key to ask for an encrypted data key, or an `UnwrapRefused`.
    """
    kms = caller.request(request)

    def unwrap_one(key: EncryptedDataKey) -> bytes:
        arn = choose(key)
        try:
            return decrypt(kms, arn, key.ciphertext)
        except AwsError as error:
            raise UnwrapRefused(str(error), hint=error.hint, errors=(error,)) from error
        except InvalidArgument as error:
            raise UnwrapRefused(str(error), hint=error.hint) from error

    return unwrap_first(request, keyring=keyring, unwrap_one=unwrap_one, key_name=shown_key_name)


def _wrapped(key: KeyArn, ciphertext: bytes) -> EncryptedDataKey:
    return EncryptedDataKey(PROVIDER_ID, str(key).encode(), ciphertext)
