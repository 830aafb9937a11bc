"""Trouble on demand in the fake Secrets Manager: faults, lost replies, late reads, a dying process; its call log."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from envelope.errors import InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.testing import FaultySecretsManager, SecretsManagerCall, Stopped
from tests.fake_secrets_for_tests import ACCOUNT, APPLICATION, NAME, READER, V1, V2, created, labels, put, refused


@pytest.fixture(name="fake")
def _fake() -> FaultySecretsManager:
    return FaultySecretsManager()


# Faults


def test_the_next_calls_of_an_operation_fail_and_nothing_is_done(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.fail_next("PutSecretValue", code="ThrottlingException", times=2, message="slower")
    for _ in range(2):
        with refused("ThrottlingException", "Rate exceeded"):
            put(client, 2)
    assert labels(client) == "v1:C"
    put(client, 2)


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        ({"code": "InternalServiceError"}, 500),
        ({"code": "ServiceUnavailable"}, 503),
        ({"code": "ResourceNotFoundException", "message": "said so"}, 400),
        ({"code": "SlowDown", "http_status": 503}, 503),
    ],
    ids=str,
)
def test_a_fault_has_the_http_status_of_the_service(
    fake: FaultySecretsManager, failure: dict[str, Any], status: int
) -> None:
    fake.fail_next(**failure)
    with refused(failure["code"], failure.get("message", ""), http_status=status):
        fake.client().list_secrets()


def test_no_answer_comes_and_nothing_is_done(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.fail_next("PutSecretValue", error="connection")
    with pytest.raises(EndpointConnectionError):
        put(client, 2)
    fake.fail_next("PutSecretValue", error="timeout")
    with pytest.raises(ReadTimeoutError):
        put(client, 2)
    assert labels(client) == "v1:C"


def test_a_lost_reply_is_that_of_a_call_that_is_done(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.lose_replies("PutSecretValue", times=2)
    client.list_secrets()
    for _ in range(2):
        with pytest.raises(ReadTimeoutError):
            put(client, 2)
    put(client, 2)
    assert labels(client) == "v1:V v2:C"
    assert [(call.error_code, call.is_done) for call in fake.calls if call.operation == "PutSecretValue"] == [
        ("timeout", True),
        ("timeout", True),
        (None, True),
    ]


def test_a_lost_reply_can_be_of_any_call_and_of_another_kind(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.lose_replies(error="connection")
    with pytest.raises(EndpointConnectionError):
        client.list_secrets()
    client.list_secrets()


def test_a_refusal_is_told_even_where_replies_are_lost(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.lose_replies("GetSecretValue")
    with refused("ResourceNotFoundException"):
        client.get_secret_value(SecretId="missing")
    with pytest.raises(ReadTimeoutError):
        client.get_secret_value(SecretId=NAME)


def test_a_region_can_be_down(fake: FaultySecretsManager) -> None:
    with fake.outage("eu-west-1"):
        with pytest.raises(EndpointConnectionError):
            fake.client().list_secrets()
        fake.client("us-east-1").list_secrets()
    with fake.outage(code="InternalServiceError"), refused("InternalServiceError", http_status=500):
        fake.client().list_secrets()
    with fake.outage(error="timeout"), pytest.raises(ReadTimeoutError):
        fake.client().list_secrets()
    fake.client().list_secrets()


def test_calls_above_a_rate_are_throttled(fake: FaultySecretsManager) -> None:
    client: Any = fake.client()
    fake.throttle(calls_per_s=1, burst=2)
    for _ in range(2):
        client.list_secrets()
    with refused("ThrottlingException", "Rate exceeded"):
        client.list_secrets()
    fake.clock.advance(1)
    client.list_secrets()
    fake.throttle(calls_per_s=None)
    client.list_secrets()


def test_a_call_waits_for_its_latency_by_the_clock() -> None:
    fake = FaultySecretsManager(latency_s=lambda operation, region: 2.0 if operation == "ListSecrets" else 0.0)
    client = created(fake)
    with ThreadPoolExecutor(1) as pool:
        listed = pool.submit(client.list_secrets)
        fake.clock.wait_for_sleepers(1)
        assert (fake.in_flight, listed.done()) == (1, False)
        assert client.get_secret_value(SecretId=NAME)["VersionId"] == V1
        fake.clock.advance(2.0)
        assert len(listed.result()["SecretList"]) == 1
    assert fake.in_flight == 0
    fake.latency_s = 0.0
    client.list_secrets()


# A process that dies


def test_a_process_dies_after_so_many_calls(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.stop_after(1)
    put(client, 2)
    for _ in range(2):
        with pytest.raises(Stopped):
            put(client, 3)
    fake.start_again()
    assert labels(client) == "v1:V v2:C"


def test_a_process_can_die_before_it_sees_the_last_reply(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.stop_after(1, reply_arrives=False)
    with pytest.raises(Stopped):
        put(client, 2)
    fake.start_again()
    assert labels(client) == "v1:V v2:C"
    assert fake.calls[1].error_code == "stopped"
    fake.stop_after(0)
    with pytest.raises(Stopped):
        put(client, 3)
    fake.start_again()
    assert labels(client) == "v1:V v2:C"


# Late reads


def test_reads_see_a_change_after_so_many_reads(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.delay_reads(NAME, reads=2)
    put(client, 2)
    assert [client.get_secret_value(SecretId=NAME)["VersionId"] for _ in range(4)] == [V1, V1, V2, V2]
    put(client, 3, "P")
    with refused("ResourceNotFoundException"):
        client.get_secret_value(SecretId=NAME, VersionStage="AWSPENDING")
    assert "AWSPENDING" not in str(client.describe_secret(SecretId=NAME))
    assert client.get_secret_value(SecretId=NAME, VersionStage="AWSPENDING")["SecretString"] == "value-3"
    fake.delay_reads(NAME)
    put(client, 4)
    assert client.get_secret_value(SecretId=NAME)["SecretString"] == "value-4"


def test_reads_see_a_change_after_so_many_seconds(fake: FaultySecretsManager) -> None:
    client = created(fake)
    created(fake, "other")
    fake.delay_reads(seconds=5)
    put(client, 2)
    put(client, 2, name="other")
    fake.clock.advance(4)
    assert client.get_secret_value(SecretId=NAME)["VersionId"] == V1
    assert client.list_secret_version_ids(SecretId=NAME)["Versions"][0]["VersionId"] == V1
    fake.clock.advance(1)
    assert client.get_secret_value(SecretId=NAME)["VersionId"] == V2
    assert client.get_secret_value(SecretId="other")["VersionId"] == V2


def test_reads_of_one_secret_can_be_late_and_of_others_not(fake: FaultySecretsManager) -> None:
    client = created(fake)
    created(fake, "other")
    fake.delay_reads("other", reads=1)
    put(client, 2)
    put(client, 2, name="other")
    assert client.get_secret_value(SecretId=NAME)["VersionId"] == V2
    assert client.get_secret_value(SecretId="other")["VersionId"] == V1


def test_a_new_secret_can_be_invisible_for_a_while(fake: FaultySecretsManager) -> None:
    fake.delay_reads("new", reads=1)
    client = created(fake, "new")
    assert client.list_secrets()["SecretList"] == []
    assert len(client.list_secrets()["SecretList"]) == 1


def test_writes_are_decided_by_what_is_and_not_by_what_is_read(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.delay_reads(NAME, reads=100)
    put(client, 2)
    with refused("InvalidParameterException", V2):
        client.update_secret_version_stage(
            SecretId=NAME, VersionStage="AWSCURRENT", RemoveFromVersionId=V1, MoveToVersionId=V2
        )


def test_a_version_that_was_purged_can_still_be_read_late(fake: FaultySecretsManager) -> None:
    client = created(fake)
    for number in range(2, 101):
        put(client, number)
    fake.clock.advance(90_000)
    fake.delay_reads(NAME, reads=5)
    put(client, 101)
    assert client.get_secret_value(SecretId=NAME, VersionId=V1)["SecretString"] == "one"


def test_a_thousand_changes_are_remembered(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.delay_reads(NAME, reads=2_000)
    for number in range(1_001):
        client.tag_resource(SecretId=NAME, Tags=[{"Key": "n", "Value": str(number)}])
    assert client.describe_secret(SecretId=NAME)["Tags"] == [{"Key": "n", "Value": "1"}]


# The log


def test_every_call_is_in_the_log_and_no_value(fake: FaultySecretsManager) -> None:
    client = created(fake, value="canary-1")
    client.put_secret_value(SecretId=NAME, ClientRequestToken=V2, SecretString="canary-2", VersionStages=["AWSPENDING"])
    client.put_secret_value(SecretId=NAME, SecretBinary=b"canary-3")
    with refused("ResourceNotFoundException"):
        fake.client(principal=READER).get_secret_value(SecretId="missing", VersionStage="AWSCURRENT")
    arn = client.describe_secret(SecretId=NAME)["ARN"]
    staged, failed = fake.calls[1], fake.calls[3]
    assert (staged.secret_arn, staged.version_id, staged.principal) == (arn, V2, APPLICATION)
    assert dict(staged.parameters) == {
        "SecretId": NAME,
        "ClientRequestToken": V2,
        "SecretString": "(hidden)",
        "VersionStages": ["AWSPENDING"],
    }
    assert (failed.error_code, failed.is_done, failed.secret_arn) == ("ResourceNotFoundException", False, "")
    assert failed.parameters["VersionStage"] == "AWSCURRENT"
    assert "canary" not in repr(fake.calls) + repr(vars(fake)) + repr([call.parameters for call in fake.calls])
    assert (fake.count(), fake.count("PutSecretValue"), fake.count(secret_arn=arn)) == (5, 2, 4)
    assert (fake.count(region="us-east-1"), fake.count(region="eu-west-1")) == (0, 5)
    assert repr(fake) == "FaultySecretsManager(1 secrets, 5 calls)"
    fake.clear_calls()
    assert fake.calls == ()


def test_a_request_id_in_the_log_is_the_one_that_the_caller_was_told(fake: FaultySecretsManager) -> None:
    with pytest.raises(ClientError) as caught:
        fake.client().get_secret_value(SecretId="missing")
    assert fake.calls[0].request_id == caught.value.response["ResponseMetadata"]["RequestId"]
    assert isinstance(fake.calls[0], SecretsManagerCall)


# Options


def test_the_same_arguments_give_the_same_client(fake: FaultySecretsManager) -> None:
    assert fake.client() is fake.client("eu-west-1") is fake.client_for()("eu-west-1")
    assert fake.client() is fake.client(account=ACCOUNT)
    assert fake.client() is not fake.client(principal=READER)
    assert fake.aws().client("secretsmanager") is fake.client()
    assert fake.aws("us-east-1").client("secretsmanager") is fake.client("us-east-1")


def test_a_client_tries_as_often_as_it_is_told() -> None:
    fake = FaultySecretsManager()
    fake.fail_next(code="InternalServiceError")
    fake.client(max_attempts=2).list_secrets()
    assert fake.count() == 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"clock": 3}, "clock must be a FakeClock, not int"),
        ({"kms": "kms"}, "kms must be a FakeKms, not str"),
        ({"random_bytes": b""}, "random_bytes must be a function"),
        ({"rotates_at_once": 1}, "rotates_at_once must be True or False"),
        ({"cleans_up_pending": None}, "cleans_up_pending must be True or False"),
        ({"requires_rotation_token": "no"}, "requires_rotation_token must be True or False"),
        ({"deletion_delay_s": -1}, "deletion_delay_s must be a number of seconds, 0 or more"),
        ({"deletion_delay_s": True}, "deletion_delay_s must be a number of seconds, 0 or more"),
        ({"deletion_delay_s": "1"}, "deletion_delay_s must be a number of seconds, 0 or more"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_option_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        FaultySecretsManager(**options)


@pytest.mark.parametrize(
    ("method", "arguments", "text"),
    [
        ("client", {"region": "nowhere"}, "region must be the name of a region, not 'nowhere'"),
        ("client", {"principal": "me"}, "principal must be an ARN of IAM or STS, not 'me'"),
        ("client", {"principal": READER, "account": "444455556666"}, "is not of account 444455556666"),
        ("client", {"max_attempts": 0}, "max_attempts must be 1"),
        ("client_for", {"account": 3}, "account must be text"),
        ("fail_next", {}, "a failure needs either a code or an error"),
        ("fail_next", {"code": 3}, "code must be text"),
        ("lose_replies", {"times": 0}, "times must be 1"),
        ("lose_replies", {"error": "fire"}, "error must be"),
        ("lose_replies", {"operation": 3}, "operation must be text"),
        ("stop_after", {"calls": -1}, "calls must be 0"),
        ("stop_after", {"calls": 1, "reply_arrives": 1}, "reply_arrives must be True or False"),
        ("delay_reads", {"reads": -1}, "reads must be 0"),
        ("delay_reads", {"seconds": -1}, "seconds must be a number of seconds"),
        ("throttle", {"calls_per_s": 0}, "calls_per_s must be above 0"),
        ("set_owner", {"secret": "missing", "service": "rds"}, "there is no secret 'missing' in eu-west-1"),
        ("register_function", {"arn": "arn", "handler": 3}, "handler must be a function"),
        ("run_rotations", {"attempts": 0}, "attempts must be 1"),
        ("rotate", {"secret": NAME, "handler": 3}, "handler must be a function"),
        ("rotate", {"secret": NAME, "handler": print, "attempts": 0}, "attempts must be 1"),
        ("rotate", {"secret": NAME, "handler": print, "immediately": 0}, "immediately must be True or False"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_argument_of_a_method_is_named(
    fake: FaultySecretsManager, method: str, arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidArgument, match=text):
        getattr(fake, method)(**arguments)


def test_many_threads_can_write_at_once(fake: FaultySecretsManager) -> None:
    client = created(fake)

    def write(number: int) -> str:
        version_id: str = client.put_secret_value(SecretId=NAME, SecretString=str(number))["VersionId"]
        return version_id

    with ThreadPoolExecutor(8) as pool:
        written = set(pool.map(write, range(80)))
    listed = client.list_secret_version_ids(SecretId=NAME, IncludeDeprecated=True)["Versions"]
    assert {version["VersionId"] for version in listed} == written | {V1}
    stages = [stage for version in listed for stage in version.get("VersionStages", [])]
    assert sorted(stages) == ["AWSCURRENT", "AWSPREVIOUS"]


def test_a_forked_child_goes_on_with_a_copy(fake: FaultySecretsManager) -> None:
    client = created(fake)
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        own: Any = fake.client()
        put(own, 2)
        os.write(tell, pickle.dumps(own.get_secret_value(SecretId=NAME)["VersionId"]))
        os._exit(0)
    os.waitpid(child, 0)
    assert pickle.loads(os.read(told, 1_000)) == V2  # noqa: S301 - written a line above
    assert labels(client) == "v1:C"
    os.close(told)
    os.close(tell)


def test_the_clock_of_the_test_is_the_clock_of_the_fake() -> None:
    clock = FakeClock()
    fake = FaultySecretsManager(clock=clock)
    assert fake.clock is clock
    created(fake)
    assert fake.calls[0].time_s == clock.now()
