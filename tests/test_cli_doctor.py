"""`envelope doctor`: what it finds out about endpoint, credentials, caller, clock, keystore and keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.credentials import RefreshableCredentials

from envelope import Aws, AwsError, AwsMisconfigured, AwsUnavailable, LocalKeystore
from envelope.aws.arn import KeyArn
from envelope.aws.caller import caller_identity, credentials_of, endpoint_of
from envelope.aws.dry_run import permissions_on
from envelope.cli import doctor
from envelope.cli.doctor_checks import Finding, State, aws_findings, keystore_finding, word_findings
from envelope.cli.key_words import KeySettings
from envelope.cli.keystore_options import KeystoreSettings
from envelope.testing import FakeKms
from tests.aws_environment import clean_aws_environment
from tests.cli_for_tests import run_cli
from tests.fake_kms_for_tests import APPLICATION, READER, new_key, policy, statement
from tests.moto_server import FIRST_ACCOUNT, aws_of, moto_url
from tests.moto_server import new_key as new_moto_key

__all__ = ["clean_aws_environment"]

GENERATE, ENCRYPT, DECRYPT = "kms:GenerateDataKey", "kms:Encrypt", "kms:Decrypt"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def key_for_reader(fake: FakeKms, *actions: str, **elements: Any) -> str:
    """A key of which READER may do these actions only."""
    arn = new_key(fake, Policy=policy(statement(principal={"AWS": READER}, action=list(actions), **elements)))
    fake.put_identity_policy(READER, {"Statement": []})
    return arn


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ((GENERATE, ENCRYPT, DECRYPT), {GENERATE: True, ENCRYPT: True, DECRYPT: True}),
        ((GENERATE, DECRYPT), {GENERATE: True, ENCRYPT: False, DECRYPT: True}),
        ((ENCRYPT,), {GENERATE: False, ENCRYPT: True, DECRYPT: False}),
        ((GENERATE,), {GENERATE: True, ENCRYPT: False, DECRYPT: False}),
        ((DECRYPT,), {GENERATE: False, ENCRYPT: False, DECRYPT: None}),
    ],
)
def test_dry_runs_tell_what_the_caller_may_do(actions: tuple[str, ...], expected: dict[str, bool | None]) -> None:
    fake = FakeKms()
    arn = key_for_reader(fake, *actions)
    found = permissions_on(fake.aws(principal=READER), KeyArn.parse(arn), {})
    assert {permission.operation: permission.is_allowed for permission in found} == expected
    assert [permission.error is None for permission in found] == [permission.is_allowed is True for permission in found]


def test_only_the_call_that_makes_a_ciphertext_is_done() -> None:
    fake = FakeKms()
    arn = new_key(fake)
    fake.clear_calls()
    permissions_on(fake.aws(), KeyArn.parse(arn), {})
    dry = "DryRunOperationException"
    assert [(call.operation, call.error_code) for call in fake.calls] == [
        ("GenerateDataKey", dry),
        ("Encrypt", dry),
        ("Encrypt", None),
        ("Decrypt", dry),
    ]


def test_the_encryption_context_decides_with_the_policy() -> None:
    fake = FakeKms()
    condition = {"StringEquals": {"kms:EncryptionContext:tenant": "42"}}
    arn = key_for_reader(fake, "kms:*", Condition=condition)
    for context, allowed in (({"tenant": "42"}, True), ({"tenant": "43"}, False), ({}, False)):
        found = permissions_on(fake.aws(principal=READER), KeyArn.parse(arn), context)
        assert found[0].is_allowed is found[1].is_allowed is allowed


def test_a_failure_that_is_no_denial_leaves_the_answer_open() -> None:
    fake = FakeKms()
    arn = KeyArn.parse(new_key(fake))
    fake.client().disable_key(KeyId=str(arn))
    found = permissions_on(fake.aws(), arn, {})
    assert [permission.is_allowed for permission in found] == [None, None, None]
    fake.client().enable_key(KeyId=str(arn))
    fake.clear_calls()
    # The third call is the real Encrypt that makes the ciphertext.
    fake.latency_s = lambda operation, region: fail_third(fake)
    found = permissions_on(fake.aws(), arn, {})
    assert [permission.is_allowed for permission in found] == [True, True, None]
    assert isinstance(found[2].error, AwsUnavailable)


def fail_third(fake: FakeKms) -> float:
    if len(fake.calls) == 2:
        fake.fail_next("Encrypt", error="connection")
    return 0.0


def test_a_service_that_does_not_know_dry_runs_has_done_the_calls() -> None:
    found = permissions_on(aws_of(), KeyArn.parse(new_moto_key()), {"tenant": "42"})
    assert [permission.is_allowed for permission in found] == [True, True, True]


def session_with(credentials: Any) -> boto3.Session:
    session: Any = botocore.session.Session()
    session._credentials = credentials
    return boto3.Session(botocore_session=session, region_name="eu-west-1")


def temporary(expires: datetime) -> RefreshableCredentials:
    return RefreshableCredentials("ASIAMADEUP", "secret-of-mine", "token", expires, dict, "assume-role")


def test_credentials_are_described_without_showing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-mine")
    found = credentials_of(Aws(region="eu-west-1"))
    assert (found.source, found.kind, found.expires) == ("env", "long-term", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAMADEUP")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    found = credentials_of(Aws(region="eu-west-1"))
    assert (found.source, found.kind, found.expires) == ("env", "temporary", None)
    assert "MADEUP" not in repr(found)
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    found = credentials_of(Aws(session_with(temporary(expires))))
    assert (found.source, found.kind, found.expires) == ("assume-role", "temporary", expires)


def test_no_credentials_are_a_misconfiguration() -> None:
    with pytest.raises(AwsMisconfigured, match="there are no credentials"):
        credentials_of(Aws(region="eu-west-1"))


def test_the_caller_and_the_clock_are_those_of_sts() -> None:
    found = caller_identity(aws_of())
    assert (found.account, found.arn) == (FIRST_ACCOUNT, f"arn:aws:sts::{FIRST_ACCOUNT}:user/moto")
    assert found.clock_ahead_s is not None
    later = caller_identity(aws_of(), now_s=lambda: datetime.now(UTC).timestamp() + 1_000)
    assert later.clock_ahead_s is not None
    assert 900 < later.clock_ahead_s < 1_100
    assert endpoint_of(aws_of(), "kms") == ("eu-west-1", moto_url())


class Answers:
    """An `Aws` whose STS answers without a date."""

    def client(self, service: str, region: str | None = None) -> Any:
        return self

    def get_caller_identity(self) -> dict[str, Any]:
        return {"Arn": "arn:aws:iam::111122223333:root", "Account": "111122223333"}


class Answering(Answers):
    """The same, with another answer."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def get_caller_identity(self) -> Any:
        return self.answer


@pytest.mark.parametrize("answer", [None, [], "text", {}, {"Arn": 1, "Account": 2}, {"Arn": "arn:aws:iam::1:root"}])
def test_an_answer_that_names_no_caller_is_an_error_of_aws(answer: object) -> None:
    aws: Any = Answering(answer)
    with pytest.raises(AwsError, match="names no caller"):
        caller_identity(aws)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        [],
        {"HTTPHeaders": None},
        {"HTTPHeaders": {"date": 1}},
        {"HTTPHeaders": {"date": "then"}},
        {"HTTPHeaders": []},
    ],
)
def test_a_date_that_is_none_says_nothing_of_the_clock(metadata: object) -> None:
    aws: Any = Answering({"Arn": "a", "Account": "b", "ResponseMetadata": metadata})
    assert caller_identity(aws).clock_ahead_s is None


def test_a_client_that_is_none_of_kms_leaves_it_unknown() -> None:
    aws: Any = Answers()
    found = permissions_on(aws, KeyArn.parse("arn:aws:kms:eu-west-1:111122223333:key/1234"), {})
    assert [permission.is_allowed for permission in found] == [None] * 3


def test_a_keystore_that_cannot_be_looked_at_is_a_finding(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "circle").symlink_to("circle")
    found = keystore_finding(KeystoreSettings(home / "circle"))
    assert (found.state, "cannot look at" in found.text) == (State.FAILED, True)

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert keystore_finding(KeystoreSettings(environ={})).state is State.FAILED


def test_an_answer_without_a_date_says_nothing_of_the_clock() -> None:
    aws: Any = Answers()
    assert caller_identity(aws).clock_ahead_s is None


def states(findings: Iterator[Finding]) -> dict[str, tuple[str, str]]:
    return {finding.name: (finding.state.value, finding.text) for finding in findings}


@pytest.mark.parametrize(
    ("left", "state", "text"),
    [(timedelta(hours=1), "ok", ""), (timedelta(minutes=5), "warning", ""), (timedelta(0), "failed", ": expired")],
)
def test_credentials_that_end_soon_are_warned_of(left: timedelta, state: str, text: str) -> None:
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    aws = Aws(session_with(temporary(expires)), endpoint_url=moto_url())
    found = states(aws_findings(lambda: aws, now=lambda: expires - left))
    assert found["credentials"] == (state, f"temporary, from assume-role, until {expires.isoformat()}{text}")
    assert found["endpoint"] == ("ok", f"{moto_url()} in eu-west-1, inside this machine, without TLS")
    assert found["clock"][0] == "failed"
    assert "ahead of AWS" in found["clock"][1]


def test_what_follows_a_failure_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    found = states(aws_findings(lambda: Aws(region="eu-west-1", endpoint_url="https://127.0.0.1:1", max_attempts=1)))
    assert found["endpoint"] == ("ok", "https://127.0.0.1:1 in eu-west-1, over TLS")
    assert found["credentials"] == ("warning", "long-term, from env")
    assert found["caller"][0] == "failed"
    assert "clock" not in found
    assert states(aws_findings(Aws))["endpoint"][0] == "failed"


class AnswersAll(Answers):
    """An `Aws` with credentials that do not say when they end, and without a date."""

    class meta:  # noqa: N801 - as botocore calls it
        region_name = "eu-west-1"
        endpoint_url = "https://kms.eu-west-1.amazonaws.com"

    class _request_signer:  # noqa: N801 - as botocore calls it
        _credentials = botocore.credentials.Credentials("ASIAMADEUP", "made-up", "token", method="env")


def test_without_a_date_the_clock_is_unknown() -> None:
    aws: Any = AnswersAll()
    found = states(aws_findings(lambda: aws))
    assert found["clock"] == ("unknown", "the answer of AWS has no date")
    assert found["credentials"] == ("ok", "temporary, from env")


def test_findings_about_a_kms_key_name_each_operation() -> None:
    fake = FakeKms()
    arn = key_for_reader(fake, DECRYPT)
    settings = KeySettings(aws=lambda: fake.aws(principal=READER))
    found = list(word_findings(arn, settings, {}, is_kms=True))
    assert [(finding.name, finding.state) for finding in found] == [
        ("key", State.OK),
        (GENERATE, State.FAILED),
        (ENCRYPT, State.FAILED),
        (DECRYPT, State.UNKNOWN),
    ]
    assert READER in found[1].hint
    assert all(call.principal == READER for call in fake.calls if call.operation != "CreateKey")
    assert APPLICATION not in found[1].hint


def test_a_key_that_is_not_there_is_a_failure_and_a_service_that_is_not_there_leaves_it_unknown() -> None:
    fake = FakeKms()
    arn = key_for_reader(fake, DECRYPT)
    settings = KeySettings(aws=fake.aws)
    missing = list(word_findings(arn.rpartition("/")[0] + "/missing", settings, {}, is_kms=True))
    assert [finding.state for finding in missing[1:]] == [State.FAILED, State.FAILED, State.UNKNOWN]
    assert "there is no such key" in missing[1].text
    with fake.outage("eu-west-1"):
        found = list(word_findings(arn, settings, {}, is_kms=True))
    assert [finding.state for finding in found[1:]] == [State.UNKNOWN] * 3


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-mine")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def test_the_command_over_http(credentials: None, home: Path) -> None:
    arn = new_moto_key()
    ended = run_cli("doctor", "-k", arn, "-c", "tenant=42", "--endpoint-url", moto_url())
    assert (ended.status, ended.errors) == (0, "")
    lines = ended.out.decode().splitlines()
    assert lines[0] == f"ok      keystore: none at {home}/data/envelope/keystore.json"
    assert lines[2] == "warning credentials: long-term, from env"
    assert lines[3].startswith("        long-term access keys work until")
    assert lines[-4:] == [f"ok      key: {arn}", *(f"ok      {name}: allowed" for name in (GENERATE, ENCRYPT, DECRYPT))]
    assert "secret-of-mine" not in ended.out.decode()
    assert "MADEUP" not in ended.out.decode()


def test_the_region_of_a_key_is_enough(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    ended = run_cli("doctor", "-k", f"kms:{new_moto_key('us-east-1')}", "--endpoint-url", moto_url())
    assert (ended.status, ended.errors) == (0, "")
    assert b" in us-east-1, " in ended.out
    ended = run_cli("doctor", "-k", "alias/app", "--endpoint-url", moto_url())
    assert ended.status == 4
    assert ended.out.count(b"no region is known") == 2
    assert b"give --region, or set" in ended.out


def test_the_command_as_json(credentials: None) -> None:
    ended = run_cli("doctor", "--json", "--endpoint-url", moto_url())
    shown = [json.loads(line) for line in ended.out.splitlines()]
    assert [finding["check"] for finding in shown] == ["keystore", "endpoint", "credentials", "caller", "clock"]
    assert {finding["state"] for finding in shown} == {"ok", "warning"}


def test_without_a_key_of_kms_nothing_of_aws_is_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "one.key").write_bytes(bytes(32))
    monkeypatch.setenv("MY_KEY", "aes:tests/one@one.key")
    ended = run_cli("doctor", "-k", "env:MY_KEY", "-k", "local:app")
    assert ended.status == 4
    lines = ended.out.decode().splitlines()
    assert lines[1] == "ok      key: RawAesKeyring('tests', 'one')"
    assert lines[2].startswith("failed  key: there is no keystore at")


def test_a_keystore_that_others_may_read_is_a_failure(home: Path) -> None:
    path = home / "keystore.json"
    path.write_text("x")
    path.chmod(0o644)
    (home / "one.key").write_bytes(bytes(32))
    arguments = ("doctor", "-k", "aes:tests/one@one.key", "--keystore", path)
    ended = run_cli(*arguments)
    assert ended.status == 4
    assert f"failed  keystore: {path} is open to others (mode 0644)".encode() in ended.out
    path.chmod(0o600)
    assert run_cli(*arguments).out.startswith(f"ok      keystore: {path}\n".encode())


@pytest.mark.parametrize("pairs", [["tenant"], ["=42"], ["tenant=1", "tenant=2"]])
def test_a_wrong_context_is_a_usage_error(pairs: list[str]) -> None:
    ended = run_cli("doctor", *(word for pair in pairs for word in ("-c", pair)))
    assert (ended.status, ended.out) == (2, b"")


@pytest.mark.parametrize(("variables", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_on_a_terminal_states_have_colours_unless_they_are_not_wanted(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    is_coloured: bool,
) -> None:
    (home / "one.key").write_bytes(bytes(32))
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    doctor.command.main(["-k", "aes:tests/one@one.key"], standalone_mode=False)
    assert ("\x1b[32mok" in capsys.readouterr().out) is is_coloured


def test_two_local_keys_take_one_passphrase_from_a_descriptor(home: Path) -> None:
    keystore = LocalKeystore.create("keystore.json", passphrase="correct horse")
    for name in ("one", "two"):
        keystore.create_key(name)
    words = ("-k", "local:one", "-k", "local:two", "--keystore", "keystore.json", "--passphrase-fd", "0")
    ended = run_cli("doctor", *words, stdin=b"correct horse\n")
    assert ended.status == 0
    assert ended.out.count(b"ok      key: LocalKeyring(") == 2
    ended = run_cli("doctor", *words, stdin=b"wrong\n")
    assert ended.status == 4
    assert ended.out.count(b"does not open") + ended.out.count(b"passphrase") >= 2
    assert b"there is no passphrase" not in ended.out
