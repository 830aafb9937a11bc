"""The fake KMS is slow, throttled, broken or out of reach when a test wants it; and it remembers what was called."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from envelope import InvalidArgument
from envelope.testing import FakeClock, FakeKms
from tests.fake_kms_for_tests import APPLICATION, OTHER_ACCOUNT, STRANGER, new_key, refused


@pytest.fixture(name="fake")
def _fake() -> FakeKms:
    return FakeKms()


def test_a_call_takes_its_latency_by_the_clock(fake: FakeKms) -> None:
    key_arn = new_key(fake)
    fake.latency_s = 2.0
    with ThreadPoolExecutor() as pool:
        call = pool.submit(fake.client().describe_key, KeyId=key_arn)
        fake.clock.wait_for_sleepers(1)
        assert fake.in_flight == 1
        assert fake.count("DescribeKey") == 0
        fake.clock.advance(2)
        assert call.result(timeout=10)["KeyMetadata"]["Arn"] == key_arn
    assert fake.in_flight == 0
    assert fake.count("DescribeKey") == 1


def test_latency_can_differ_between_operations_and_regions() -> None:
    asked: list[tuple[str, str]] = []

    def latency_s(operation: str, region: str) -> float:
        asked.append((operation, region))
        return 0.0

    FakeKms(latency_s=latency_s).client("us-east-1").list_keys()
    assert asked == [("ListKeys", "us-east-1")]


def test_a_slow_call_does_not_hold_up_the_others(fake: FakeKms) -> None:
    fake.latency_s = lambda operation, region: 5.0 if region == "us-east-1" else 0.0
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(fake.client("us-east-1").list_keys)
        fake.clock.wait_for_sleepers(1)
        fake.client("eu-west-1").list_keys()
        assert not slow.done()
        fake.clock.advance(5)
        slow.result(timeout=10)


def test_calls_beyond_the_rate_are_throttled_until_time_has_passed(fake: FakeKms) -> None:
    kms = fake.client()
    fake.throttle(calls_per_s=2)
    kms.list_keys()
    kms.list_keys()
    with refused("ThrottlingException", "exceeded the rate"):
        kms.list_keys()
    fake.clock.advance(0.5)
    kms.list_keys()
    with pytest.raises(ClientError) as caught:
        kms.list_keys()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    fake.throttle(calls_per_s=None)
    kms.list_keys()


def test_each_region_of_each_account_has_a_rate_of_its_own(fake: FakeKms) -> None:
    fake.throttle(calls_per_s=0.1)
    for client in (fake.client("eu-west-1"), fake.client("us-east-1"), fake.client(account=OTHER_ACCOUNT)):
        client.list_keys()
        with refused("ThrottlingException"):
            client.list_keys()


def test_a_burst_lets_more_calls_pass_at_once(fake: FakeKms) -> None:
    fake.throttle(calls_per_s=1, burst=5)
    for _ in range(5):
        fake.client().list_keys()
    with refused("ThrottlingException"):
        fake.client().list_keys()
    fake.clock.advance(1_000)  # no more than the burst is saved up
    for _ in range(5):
        fake.client().list_keys()
    with refused("ThrottlingException"):
        fake.client().list_keys()


def test_a_rate_of_nothing_is_refused(fake: FakeKms) -> None:
    for nothing in (0, -1, float("nan"), float("inf"), 10**400, "1", True):
        rate: Any = nothing
        with pytest.raises(InvalidArgument, match="calls_per_s"):
            fake.throttle(calls_per_s=rate)
        with pytest.raises(InvalidArgument, match="burst"):
            fake.throttle(calls_per_s=1, burst=rate)


@pytest.mark.parametrize(
    ("code", "status"),
    [("KMSInternalException", 500), ("DependencyTimeoutException", 503), ("KeyUnavailableException", 500)],
)
def test_the_next_calls_of_an_operation_fail_as_asked(fake: FakeKms, code: str, status: int) -> None:
    kms = fake.client()
    fake.fail_next("ListKeys", code=code, times=2)
    kms.list_aliases()
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            kms.list_keys()
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    kms.list_keys()


def test_a_failure_can_have_a_text_a_status_and_a_region(fake: FakeKms) -> None:
    fake.fail_next(code="SlowDown", message="later", http_status=429, region="us-east-1")
    fake.client("eu-west-1").list_keys()
    with refused("SlowDown", "later"):
        fake.client("us-east-1").list_keys()
    assert fake.calls[-1].error_code == "SlowDown"


def test_a_timeout_and_a_lost_connection_are_those_of_botocore(fake: FakeKms) -> None:
    kms = fake.client()
    fake.fail_next("ListKeys", error="timeout")
    fake.fail_next("ListKeys", error="connection")
    with pytest.raises(ReadTimeoutError, match=r"kms\.eu-west-1"):
        kms.list_keys()
    with pytest.raises(EndpointConnectionError, match=r"kms\.eu-west-1"):
        kms.list_keys()
    assert [call.error_code for call in fake.calls] == ["timeout", "connection"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"code": "x", "error": "timeout"},
        {"error": "gone"},
        {"code": "x", "times": 0},
        {"code": "x", "times": "1"},
        {"code": "x", "times": 10**400},
        {"code": 5},
        {"code": "x", "message": object()},
        {"code": "x", "region": 1},
        {"code": "x", "http_status": "500"},
        {"code": "x", "http_status": 200},
    ],
)
def test_a_failure_that_makes_no_sense_is_refused(fake: FakeKms, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        fake.fail_next("Decrypt", **options)


def test_an_outage_is_over_at_the_end_of_its_block(fake: FakeKms) -> None:
    with fake.outage("eu-west-1"):
        for _ in range(3):
            with pytest.raises(EndpointConnectionError):
                fake.client("eu-west-1").list_keys()
        fake.client("us-east-1").list_keys()
        with fake.outage(code="KMSInternalException"), refused("KMSInternalException"):
            fake.client("us-east-1").list_keys()
    fake.client("eu-west-1").list_keys()


def test_retries_are_those_of_botocore_where_they_are_asked_for(fake: FakeKms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    fake.fail_next("ListKeys", code="ThrottlingException", times=2)
    fake.client(max_attempts=3).list_keys()
    assert [call.error_code for call in fake.calls] == ["ThrottlingException", "ThrottlingException", None]


def test_a_call_is_logged_with_all_that_was_sent_but_no_plaintext(fake: FakeKms) -> None:
    key_arn = new_key(fake)
    fake.clock.advance(7)
    answer = fake.client().encrypt(KeyId=key_arn, Plaintext=b"secret", EncryptionContext={"tenant": "value"})
    call = fake.calls[-1]
    assert (call.operation, call.region, call.key_arn, call.principal) == ("Encrypt", "eu-west-1", key_arn, APPLICATION)
    assert call.encryption_context == {"tenant": "value"}
    assert call.error_code is None
    assert call.time_s == fake.clock.now()
    assert call.request_id == answer["ResponseMetadata"]["RequestId"]
    assert "value" not in repr(call)
    assert hash(call)


def test_calls_are_counted_by_operation_region_and_key(fake: FakeKms) -> None:
    key_arn = new_key(fake)
    fake.client().describe_key(KeyId=key_arn)
    fake.client("us-east-1").list_keys()
    assert fake.count() == 3
    assert fake.count("CreateKey") == fake.count(region="us-east-1") == 1
    assert fake.count(key_arn=key_arn) == 2
    fake.clear_calls()
    assert fake.calls == ()


def test_no_repr_shows_a_key_a_token_or_a_context_value() -> None:
    drawn: list[bytes] = []

    def random_bytes(length_bytes: int) -> bytes:
        drawn.append(os.urandom(length_bytes))
        return drawn[-1]

    fake = FakeKms(random_bytes=random_bytes)
    key_arn = new_key(fake)
    material = drawn[-1]
    grant: Any = {"EncryptionContextEquals": {"tenant": "Alice"}, "EncryptionContextSubset": {"tenant": "Alice"}}
    token = fake.client().create_grant(
        KeyId=key_arn, GranteePrincipal=STRANGER, Operations=["Decrypt"], Constraints=grant
    )["GrantToken"]
    remembered = fake._state
    shown = repr(fake) + repr(fake.calls) + repr(remembered)
    assert key_arn.split("/")[1] in shown
    for hidden in (material.hex(), repr(material)[2:-1], token, "Alice"):
        assert hidden not in shown
    assert repr(fake) == "FakeKms(1 keys, 2 calls)"


def test_a_client_is_made_once_for_each_region_and_principal(fake: FakeKms) -> None:
    assert fake.client() is fake.client("eu-west-1", principal=APPLICATION)
    assert fake.client() is not fake.client("us-east-1")
    assert fake.client() is not fake.client(principal=STRANGER)
    assert fake.client_for(principal=STRANGER)("us-east-1") is fake.client("us-east-1", principal=STRANGER)


@pytest.mark.parametrize(
    "options",
    [
        {"principal": "application"},
        {"principal": "arn:aws:s3:::111122223333:b"},
        {"principal": ""},
        {"principal": 5},
        {"principal": STRANGER, "account": "111122223333"},
    ],
)
def test_a_principal_must_be_an_arn_of_its_account(fake: FakeKms, options: dict[str, Any]) -> None:
    for make in (fake.client, fake.client_for):
        with pytest.raises(InvalidArgument, match="principal"):
            make(**options)


def test_what_keyrings_take_calls_the_fake(fake: FakeKms) -> None:
    key_arn = new_key(fake)
    client = fake.aws(principal=APPLICATION).client("kms", "eu-west-1")
    assert client is fake.client()
    assert client.describe_key(KeyId=key_arn)["KeyMetadata"]["Arn"] == key_arn


def test_a_client_does_not_mind_the_environment_and_keeps_the_real_endpoint() -> None:
    program = "from envelope.testing import FakeKms; print(FakeKms().client().meta.endpoint_url)"
    environment = {
        **os.environ,
        "AWS_PROFILE": "no-such-profile",
        "AWS_ENDPOINT_URL": "http://localhost:1",
        "AWS_CA_BUNDLE": "/no/such/file",
        "AWS_USE_FIPS_ENDPOINT": "true",
    }
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "https://kms.eu-west-1.amazonaws.com"


def test_importing_the_fakes_loads_no_boto3() -> None:
    program = "import sys, envelope.testing; print([name for name in ('boto3', 'botocore') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_many_threads_call_at_once() -> None:
    fake = FakeKms(clock=FakeClock())
    key_arn = new_key(fake)
    start = threading.Barrier(16)

    def call(number: int) -> bool:
        start.wait(timeout=10)
        kms = fake.client(("eu-west-1", "us-east-1")[number % 2])
        if number % 2:
            return not kms.list_keys()["Keys"]
        sealed = kms.generate_data_key(KeyId=key_arn, NumberOfBytes=32)
        return kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"])["Plaintext"] == sealed["Plaintext"]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(call, range(16), timeout=60))
    assert (fake.count("GenerateDataKey"), fake.count("Decrypt"), fake.count("ListKeys")) == (8, 8, 8)


def test_a_fake_is_deterministic_with_random_bytes_of_ones_own() -> None:
    def numbers() -> Callable[[int], bytes]:
        count = iter(range(1_000))
        return lambda length: next(count).to_bytes(length, "big")

    first, second = (new_key(FakeKms(random_bytes=numbers())) for _ in range(2))
    assert first == second
