"""`envelope secrets` on AWS Secrets Manager over HTTP: on moto, which rotates only where it is told to."""

from __future__ import annotations

import json
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from envelope.cli.aws_options import shared_aws
from envelope.testing import FakeClock, FakeKms
from envelope_secrets.cli.describe import description_fields, rotation_text
from envelope_secrets.stages import StagingLabels
from envelope_secrets.stores.protocol import Replica, RotationStatus, SecretDescription
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.testing import FaultySecretsManager
from tests.cli_for_tests import AES, Ended
from tests.moto_server import FIRST_ACCOUNT, REGIONS, moto_url
from tests.secrets_cli_for_tests import prepare, run_secrets, start_secrets

CANARY = "hunter2-canary"
FUNCTION = f"arn:aws:lambda:{REGIONS[0]}:123456789012:function:rotate"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch)
    shared_aws.cache_clear()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTESTING")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("ENVELOPE_ENDPOINT_URL", moto_url())
    monkeypatch.setenv("ENVELOPE_REGION", REGIONS[0])
    return tmp_path


@pytest.fixture(name="name")
def _name() -> str:
    """The name of a secret that nobody else has."""
    return f"cli/{uuid.uuid4()}"


def done(command: str, *arguments: object, stdin: bytes = b"") -> str:
    ended = run_secrets(command, *arguments, stdin=stdin)
    assert (ended.status, ended.errors) == (0, "")
    return ended.out.decode()


def refused(status: int, command: str, *arguments: object, stdin: bytes = b"") -> str:
    ended: Ended = run_secrets(command, *arguments, stdin=stdin)
    assert (ended.status, ended.out) == (status, b""), ended.errors
    assert CANARY not in ended.errors
    return ended.errors


def test_a_secret_from_its_first_value_to_its_end(name: str) -> None:
    said = done("create", name, "--description", "for tests", "--tag", "team=a", stdin=b"one\n")
    first = said.split()[3]
    assert said == f"created {name}: version {first} has AWSCURRENT\n"
    second = json.loads(done("put", "--json", "--if-current", first, name, stdin=CANARY.encode()))["version_id"]
    assert done("get", name) == CANARY
    assert done("get", f"{name}::AWSPREVIOUS") == "one"
    arn = json.loads(done("get", "--json", name))["arn"]
    assert done("get", f"{arn}:::{first}") == "one"
    assert f"AWSCURRENT is on version {second}, not" in refused(3, "put", "--if-current", first, name, stdin=b"x")
    assert done("rollback", name).startswith(f"{name}: AWSCURRENT is on version {first} now")
    assert done("promote", name, second).startswith(f"{name}: AWSCURRENT is on version {second} now")
    rows = [line.split() for line in done("versions", name).splitlines()]
    assert [second, "AWSCURRENT"] in [row[:2] for row in rows]
    described = done("describe", name)
    assert "description: for tests\n" in described
    assert "tag: team=a\n" in described
    assert done("list", name) == f"{name}\n"
    assert "will be deleted on" in done("delete", name)
    assert "scheduled for deletion" in refused(1, "get", name)
    done("restore", name)
    assert done("delete", name, "--force-without-recovery") == f"{name}: deleted for good\n"
    assert "there is no such secret" in refused(1, "get", name)


def test_several_secrets_come_by_one_call(name: str) -> None:
    for number in range(3):
        done("create", f"{name}/{number}", stdin=str(number).encode())
    found = done("get", "--json", *(f"{name}/{number}" for number in range(3))).splitlines()
    assert [json.loads(line)["value"] for line in found] == ["0", "1", "2"]
    assert run_secrets("get", "--json", f"{name}/1", f"{name}/none").status == 1


@pytest.fixture(name="fake")
def _fake(monkeypatch: pytest.MonkeyPatch) -> FaultySecretsManager:
    """A service that rotates as AWS does, which moto does not; in the place of the one over HTTP."""
    clock = FakeClock()
    fake = FaultySecretsManager(clock=clock, kms=FakeKms(clock=clock))
    clients = fake.client_for(account=FIRST_ACCOUNT)
    store = SecretsManagerStore(region=REGIONS[0], client_for_region=clients)
    monkeypatch.setattr("envelope_secrets.cli.store_options._aws_store", lambda settings: store)
    return fake


def test_rotation_is_configured_asked_for_and_cancelled(name: str, fake: FaultySecretsManager) -> None:
    fake.register_function(FUNCTION, lambda event, context: None)
    done("create", name, stdin=b"one")
    assert "no function that rotates" in refused(3, "rotate", name)
    said = done("rotate", name, "--configure", "--lambda", FUNCTION, "--schedule", "rate(10 days)", "--window", "3h")
    assert said == f"{name}: rotates by rate(10 days) from now on\n"
    status = json.loads(done("rotate", "--json", "--status", name))
    assert (status["enabled"], status["lambda_arn"], status["schedule"]) == (True, FUNCTION, "rate(10 days)")
    assert f"{name}: rotation: rate(10 days), within 3h, by {FUNCTION}" in done("rotate", "--status", name)
    assert done("rotate", name, "--cancel").startswith(f"{name}: rotation is off")
    assert f"{name}: rotation: turned off" in done("rotate", "--status", name)
    assert "--lambda must be the ARN of a function" in refused(2, "rotate", name, "--configure", "--lambda", CANARY)


def test_a_rotation_that_is_stuck_is_shown_and_repaired(name: str, fake: FaultySecretsManager) -> None:
    def fails(event: object, context: object) -> None:
        raise RuntimeError(CANARY)

    fake.register_function(FUNCTION, fails)
    done("create", name, stdin=b"one")
    said = done("rotate", name, "--configure", "--lambda", FUNCTION, "--immediately")
    pending = json.loads(done("rotate", "--json", "--status", name))["pending_version"]
    assert (said.startswith(name), pending is not None) == (True, True)
    assert "no value yet" in done("versions", name)
    assert "has no value yet" in refused(1, "promote", name, pending)
    assert "EMPTY_PENDING" in done("repair", "--json", name)
    done("repair", "--drop-pending", name)
    assert pending not in done("versions", name)


def test_a_rotation_is_started(name: str) -> None:
    """On moto, which needs no function for that."""
    done("create", name, stdin=b"one")
    assert done("rotate", name).startswith(f"{name}: rotation to version ")


def test_secrets_move_from_aws_to_a_file_and_back(name: str, folder: Path) -> None:
    done("create", name, stdin=b"one")
    done("put", name, stdin=CANARY.encode())
    assert done("export", name, "-o", "out", "-k", AES) == "wrote out, with 1 secret\n"
    local = ("--store", "s.db", "--store-key", AES)
    assert run_secrets("import", *local, "-k", AES, "out").status == 0
    assert run_secrets("get", "--store", "s.db", "-k", AES, f"{name}::AWSPREVIOUS").out == b"one"
    assert run_secrets("put", "--store", "s.db", "-k", AES, name, stdin=b"three").status == 0
    assert run_secrets("export", *local, "-k", AES, "-f", "-o", "out", name).status == 0
    assert run_secrets("import", "-k", AES, "out").status == 1
    assert done("import", "--overwrite", "-k", AES, "out") == f"overwrote {name}\n"
    assert (done("get", name), done("get", f"{name}::AWSPREVIOUS")) == ("three", CANARY)


def test_an_edit_is_a_compare_and_swap(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done("create", name, stdin=b"one")
    editor = folder / "editor"
    editor.write_text('#!/bin/sh\nprintf two > "$1"\n')
    editor.chmod(0o700)
    monkeypatch.setenv("EDITOR", str(editor))
    done("edit", name)
    assert (done("get", name), done("get", f"{name}::AWSPREVIOUS")) == ("two", "one")


def test_a_program_gets_secrets_of_aws(name: str, folder: Path) -> None:
    done("create", name, stdin=json.dumps({"password": CANARY}).encode())
    arguments = ("exec", "--env", f"DB={name}:password", "--", "sh", "-c", 'printf %s "$DB"; exit 9')
    with start_secrets(*arguments, cwd=folder, env=dict(os.environ)) as process:
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (9, CANARY.encode(), b"")


def test_what_is_missing_to_reach_aws_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVELOPE_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    told = json.loads(refused(4, "get", "--json", "a"))
    assert (told["exit_code"], told["can_retry"]) == (4, True)
    assert run_secrets("list", "--aws-profile", "none").status == 4
    monkeypatch.delenv("ENVELOPE_REGION")
    assert "give --region" in refused(4, "list")


def test_everything_that_aws_tells_is_shown() -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    status = RotationStatus(True, FUNCTION, "rate(10 days)", "3h", moment, moment)
    assert rotation_text(status) == (
        f"rate(10 days), within 3h, by {FUNCTION}, last on 2024-05-01 12:00:00Z, next on 2024-05-01 12:00:00Z"
    )
    assert rotation_text(RotationStatus(True)) == "on"
    assert rotation_text(RotationStatus(False)) == "turned off"
    described = SecretDescription(
        "a",
        "arn",
        StagingLabels.of({"v": ("AWSCURRENT",)}),
        replicas=(Replica("us-east-1", "InSync"),),
        rotation=status,
    )
    shown = description_fields(described)
    assert shown["replicas"] == [{"region": "us-east-1", "status": "InSync"}]
    assert shown["rotation"]["next_rotation"] == "2024-05-01T12:00:00+00:00"
    assert shown["versions"] == {"v": ["AWSCURRENT"]}
