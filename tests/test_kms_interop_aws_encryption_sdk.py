"""Both ways against aws-encryption-sdk 4 with the same KMS keys, behind the same HTTP endpoint.

Its master key providers and the keyrings of its material providers library open our messages, and we open theirs:
against moto, and for multi-Region keys, which moto's KMS does not replicate, against a small strict KMS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import botocore.session
import pytest
from aws_cryptographic_material_providers.mpl.models import (
    CreateAwsKmsDiscoveryKeyringInput,
    CreateAwsKmsKeyringInput,
    CreateAwsKmsMrkDiscoveryKeyringInput,
    CreateAwsKmsMrkKeyringInput,
    CreateMultiKeyringInput,
)
from aws_cryptographic_material_providers.mpl.models import DiscoveryFilter as TheirKeyringFilter
from aws_encryption_sdk.key_providers.kms import (
    DiscoveryAwsKmsMasterKeyProvider,
    MRKAwareDiscoveryAwsKmsMasterKeyProvider,
    MRKAwareStrictAwsKmsMasterKeyProvider,
    StrictAwsKmsMasterKeyProvider,
)
from aws_encryption_sdk.key_providers.kms import DiscoveryFilter as TheirProviderFilter

from envelope import (
    Aws,
    Client,
    DiscoveryFilter,
    Keyring,
    KmsDiscoveryKeyring,
    KmsKeyring,
    KmsMrkDiscoveryKeyring,
    KmsMrkKeyring,
    Suite,
    describe,
)
from envelope.aws.arn import KeyArn
from tests.aws_environment import clean_aws_environment
from tests.http_answers import serving
from tests.moto_server import FIRST_ACCOUNT, REGIONS, moto_url, new_key
from tests.reference_sdk import mpl, our_client, their_client, their_suite
from tests.strict_kms import StrictKms

__all__ = ["clean_aws_environment"]

CONTEXT = {"tenant": "42", "näme": "wért"}
PLAINTEXT = bytes(1_000)
SUITES = (Suite(0x0478), Suite(0x0578), Suite(0x0178), Suite(0x0378))


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both libraries look where every program looks."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", REGIONS[0])
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGIONS[0])


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", moto_url())


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictKms]:
    answering = StrictKms()
    with serving(answering) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", server.url)
        yield answering


def _client(region: str) -> Any:
    return boto3.client("kms", region_name=region)


def _their_strict_provider(arns: Sequence[str]) -> Any:
    return StrictAwsKmsMasterKeyProvider(key_ids=list(arns), botocore_session=botocore.session.Session())


def _their_strict_keyring(arns: Sequence[str]) -> Any:
    made = [
        mpl().create_aws_kms_keyring(
            CreateAwsKmsKeyringInput(kms_key_id=arn, kms_client=_client(KeyArn.parse(arn).region))
        )
        for arn in arns
    ]
    return mpl().create_multi_keyring(CreateMultiKeyringInput(generator=made[0], child_keyrings=made[1:]))


def _their_mrk_provider(arns: Sequence[str]) -> Any:
    return MRKAwareStrictAwsKmsMasterKeyProvider(key_ids=list(arns), botocore_session=botocore.session.Session())


def _their_mrk_keyring(arns: Sequence[str]) -> Any:
    made = [
        mpl().create_aws_kms_mrk_keyring(
            CreateAwsKmsMrkKeyringInput(kms_key_id=arn, kms_client=_client(KeyArn.parse(arn).region))
        )
        for arn in arns
    ]
    return mpl().create_multi_keyring(CreateMultiKeyringInput(generator=made[0], child_keyrings=made[1:]))


def _their_discovery_provider(account: str) -> Any:
    chosen = TheirProviderFilter(account_ids=(account,), partition="aws")
    return DiscoveryAwsKmsMasterKeyProvider(discovery_filter=chosen, botocore_session=botocore.session.Session())


def _their_discovery_keyring(account: str) -> Any:
    chosen = TheirKeyringFilter(account_ids=[account], partition="aws")
    return mpl().create_aws_kms_discovery_keyring(
        CreateAwsKmsDiscoveryKeyringInput(kms_client=_client(REGIONS[0]), discovery_filter=chosen)
    )


def _their_mrk_discovery_provider(account: str) -> Any:
    return MRKAwareDiscoveryAwsKmsMasterKeyProvider(
        discovery_filter=TheirProviderFilter(account_ids=(account,), partition="aws"),
        discovery_region=REGIONS[0],
        botocore_session=botocore.session.Session(),
    )


def _their_mrk_discovery_keyring(account: str) -> Any:
    return mpl().create_aws_kms_mrk_discovery_keyring(
        CreateAwsKmsMrkDiscoveryKeyringInput(
            kms_client=_client(REGIONS[0]),
            discovery_filter=TheirKeyringFilter(account_ids=[account], partition="aws"),
            region=REGIONS[0],
        )
    )


KINDS = ("key_provider", "keyring")
"""The names of the argument by which their client takes master key providers and keyrings."""
STRICT = dict(zip(KINDS, (_their_strict_provider, _their_strict_keyring), strict=True))
MRK = dict(zip(KINDS, (_their_mrk_provider, _their_mrk_keyring), strict=True))
DISCOVERY = dict(zip(KINDS, (_their_discovery_provider, _their_discovery_keyring), strict=True))
MRK_DISCOVERY = dict(zip(KINDS, (_their_mrk_discovery_provider, _their_mrk_discovery_keyring), strict=True))


def _theirs_encrypts(kind: str, keys: Any, suite: Suite = SUITES[0]) -> bytes:
    message, _ = their_client(suite).encrypt(
        source=PLAINTEXT, encryption_context=CONTEXT, algorithm=their_suite(suite), **{kind: keys}
    )
    return message


def _theirs_decrypts(kind: str, keys: Any, message: bytes, suite: Suite = SUITES[0]) -> bytes:
    plaintext, _ = their_client(suite).decrypt(source=message, **{kind: keys})
    return plaintext


def _opens(keyring: Keyring, message: bytes) -> bool:
    return Client(keyring).decrypt(message, CONTEXT) == PLAINTEXT


@pytest.mark.usefixtures("moto")
@pytest.mark.parametrize(("suite", "keys"), [(SUITES[0], 1), (SUITES[0], 3), *((suite, 2) for suite in SUITES)])
@pytest.mark.parametrize("kind", KINDS)
def test_each_opens_what_the_other_wrote_with_named_keys(suite: Suite, kind: str, keys: int) -> None:
    arns = [new_key(REGIONS[number % 2]) for number in range(keys)]
    ours = our_client(suite, KmsKeyring(*arns))
    message = ours.encrypt(PLAINTEXT, CONTEXT, suite=suite)
    assert _theirs_decrypts(kind, STRICT[kind](arns), message, suite) == PLAINTEXT
    assert _theirs_decrypts(kind, STRICT[kind](arns[-1:]), message, suite) == PLAINTEXT
    message = _theirs_encrypts(kind, STRICT[kind](arns), suite)
    # Their providers keep the keys in a set.
    assert {key.provider_info.decode() for key in describe(message).encrypted_data_keys} == set(arns)
    for arn in arns:
        assert our_client(suite, KmsKeyring(arn)).decrypt(message, CONTEXT) == PLAINTEXT


@pytest.mark.usefixtures("moto")
@pytest.mark.parametrize("kind", KINDS)
def test_each_discovers_the_key_of_the_other(kind: str) -> None:
    arns = [new_key(), new_key(REGIONS[1])]
    message = Client(KmsKeyring(*arns)).encrypt(PLAINTEXT, CONTEXT)
    assert _theirs_decrypts(kind, DISCOVERY[kind](FIRST_ACCOUNT), message) == PLAINTEXT
    ours = DiscoveryFilter("aws", [FIRST_ACCOUNT])
    assert _opens(KmsDiscoveryKeyring(ours), _theirs_encrypts(kind, STRICT[kind](arns)))
    assert _opens(KmsDiscoveryKeyring.with_keys_of_any_account(), _theirs_encrypts(kind, STRICT[kind](arns[1:])))


@pytest.mark.parametrize("kind", KINDS)
def test_each_opens_with_a_replica_what_the_other_wrote_elsewhere(kms: StrictKms, kind: str) -> None:
    here, there = (kms.add("mrk-1234", region) for region in REGIONS)
    single = kms.add("single", REGIONS[1])
    message = Client(KmsMrkKeyring(there, single)).encrypt(PLAINTEXT, CONTEXT)
    assert _theirs_decrypts(kind, MRK[kind]([here]), message) == PLAINTEXT
    assert _theirs_decrypts(kind, MRK[kind]([here, single]), message) == PLAINTEXT
    message = _theirs_encrypts(kind, MRK[kind]([there, single]))
    assert _opens(KmsMrkKeyring(here), message)
    assert _opens(KmsMrkKeyring(here, single), message)
    assert _opens(KmsKeyring(there), message)


@pytest.mark.parametrize("kind", KINDS)
def test_each_discovers_the_replica_of_the_others_key(kms: StrictKms, kind: str) -> None:
    here, there = (kms.add("mrk-1234", region) for region in REGIONS)
    account = KeyArn.parse(here).account
    message = Client(KmsMrkKeyring(there)).encrypt(PLAINTEXT, CONTEXT)
    assert _theirs_decrypts(kind, MRK_DISCOVERY[kind](account), message) == PLAINTEXT
    ours = KmsMrkDiscoveryKeyring(REGIONS[0], DiscoveryFilter("aws", [account]))
    assert _opens(ours, _theirs_encrypts(kind, MRK[kind]([there])))


@pytest.mark.usefixtures("moto")
def test_the_whole_configuration_may_come_from_the_environment() -> None:
    """What all tests here rely on: no option at all, and one shared `Aws` or none."""
    arn = new_key()
    message = Client(KmsKeyring(arn)).encrypt(PLAINTEXT, CONTEXT)
    assert _opens(KmsKeyring(arn, aws=Aws()), message)
