"""Rotations that the store starts: what is sent, what is refused before, and what the status says."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from envelope.errors import AwsUnavailable, InvalidArgument
from envelope_secrets.errors import NotSupported, SecretConflict
from envelope_secrets.rotation_control import RotationControl, RotationReport
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, Finding
from envelope_secrets.stores.protocol import RotationStatus, VersionPlace
from tests.labelled_store_for_tests import ARN, ID, V1, V2, LabelledStore, RotatingStore, no_answer

C, P, V = AWSCURRENT, AWSPENDING, AWSPREVIOUS
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:rotate"


def rotating(stages: dict[str, list[str]] | None = None) -> RotatingStore:
    store = RotatingStore.of(stages or {V1: [C]})
    assert isinstance(store, RotatingStore)
    return store


def test_a_rotation_is_started_under_a_token_that_becomes_the_version() -> None:
    store = rotating()
    assert RotationControl(store).start(ID, token=V2) == VersionPlace(ARN, ID, V2, (P,))
    assert store.calls == [("rotate", (ID, V2, None, None, None, True))]
    assert store.stages() == {V1: [C], V2: [P]}


def test_a_token_is_drawn_for_a_rotation() -> None:
    started = RotationControl(rotating()).start(ID)
    assert str(uuid.UUID(started.version_id)) == started.version_id


def test_a_schedule_is_configured_without_rotating_at_once() -> None:
    store = rotating()
    RotationControl(store).configure(ID, FUNCTION, token=V2)
    RotationControl(store).configure(ID, None, schedule="cron(0 4 ? * SUN *)", window=None, immediately=True, token=V2)
    assert store.calls == [
        ("rotate", (ID, V2, FUNCTION, "rate(30 days)", "2h", False)),
        ("rotate", (ID, V2, None, "cron(0 4 ? * SUN *)", None, True)),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lambda_arn": "rotate"}, "lambda_arn must be the ARN of a function, like arn:aws:lambda:"),
        ({"lambda_arn": f"{FUNCTION}\n"}, "lambda_arn must be the ARN of a function"),
        ({"lambda_arn": FUNCTION + "x" * 2_048}, "lambda_arn must be the ARN of a function"),
        ({"lambda_arn": 7}, "lambda_arn must be text or None, not int"),
        ({"schedule": "rate(1 hour)"}, "schedule must be a rate of 4 hours to 1,000 days"),
        ({"schedule": "daily"}, "schedule must be like rate(30 days)"),
        ({"schedule": None}, "schedule must be text, not NoneType"),
        ({"window": "2"}, "window must be a number of hours from 1h to 24h"),
        ({"window": 2}, "window must be text, not int"),
        (
            {"schedule": "rate(4 hours)", "window": "5h"},
            "window must not be longer than the time between two rotations, 4h",
        ),
        ({"immediately": "no"}, "immediately must be True or False, not str"),
        ({"token": "short"}, "token must have 32 to 64 characters, not 5"),
    ],
)
def test_what_the_service_would_refuse_is_not_sent(options: dict[str, Any], said: str) -> None:
    store = rotating()
    with pytest.raises(InvalidArgument) as caught:
        RotationControl(store).configure(ID, **{"lambda_arn": FUNCTION, **options})
    assert str(caught.value).startswith(said)
    assert store.calls == []


@pytest.mark.parametrize("schedule", ["rate(4 hours)", "rate(5 hours)", "rate(1 day)", "cron(0 8 1 * ? *)"])
def test_a_window_may_be_as_long_as_the_time_between_two_rotations(schedule: str) -> None:
    RotationControl(rotating()).configure(ID, FUNCTION, schedule=schedule, window="4h")


@pytest.mark.parametrize(
    "lambda_arn", [f"{FUNCTION}:live", f"{FUNCTION}:$LATEST", FUNCTION.replace("arn:aws:", "arn:aws-us-gov:")]
)
def test_aliases_versions_and_partitions_of_functions_are_functions(lambda_arn: str) -> None:
    RotationControl(rotating()).configure(ID, lambda_arn)


def test_a_lost_reply_of_a_rotation_that_has_begun_is_a_success() -> None:
    store = rotating()
    store.fails("rotate", no_answer("secretsmanager:RotateSecret"), done=True)
    assert RotationControl(store).start(ID, token=V2) == VersionPlace(ARN, ID, V2, (P,))
    assert store.count("rotate") == 1


def test_a_rotation_that_has_not_begun_is_an_error() -> None:
    store = rotating()
    store.fails("rotate", no_answer("secretsmanager:RotateSecret"))
    with pytest.raises(AwsUnavailable) as caught:
        RotationControl(store).start(ID)
    assert caught.value.operation == "secretsmanager:RotateSecret"


def test_the_first_error_is_told_if_nothing_can_be_seen() -> None:
    store = rotating()
    store.fails("rotate", no_answer("secretsmanager:RotateSecret"), done=True)
    store.fails("describe", no_answer("secretsmanager:DescribeSecret"))
    with pytest.raises(AwsUnavailable) as caught:
        RotationControl(store).start(ID)
    assert caught.value.operation == "secretsmanager:RotateSecret"


def test_a_rotation_that_is_refused_is_not_looked_for() -> None:
    store = rotating()
    store.fails("rotate", SecretConflict("a rotation of the secret is not complete"))
    with pytest.raises(SecretConflict):
        RotationControl(store).start(ID)
    assert store.count("describe") == 0


def test_a_rotation_is_cancelled() -> None:
    store = rotating({V1: [C], V2: [P]})
    store.rotation = RotationStatus(enabled=True)
    assert RotationControl(store).cancel(ID).version_id == V2
    assert RotationControl(store).status(ID).enabled is False
    assert RotationControl(store).status(ID).pending_version == V2, "cancelling leaves the label"


def test_the_status_tells_the_schedule_and_the_next_date() -> None:
    store = rotating({V1: [V], V2: [C, P]})
    last, following = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)
    store.rotation = RotationStatus(True, FUNCTION, "rate(30 days)", "2h", last, following)
    assert RotationControl(store).status(ID) == RotationReport(
        enabled=True,
        lambda_arn=FUNCTION,
        schedule="rate(30 days)",
        window="2h",
        last_rotated=last,
        next_rotation=following,
        pending_version=None,
        findings=(),
        explanation="nothing is wrong with the labels",
    )


def test_the_status_explains_what_blocks_the_next_rotation() -> None:
    store = RotatingStore.of({V1: [C], V2: [P]}, without_value=[V2])
    report = RotationControl(store).status(ID)
    assert report.enabled is None
    assert (report.pending_version, report.findings) == (V2, (Finding.EMPTY_PENDING,))
    assert f"(version {V2})" in report.explanation


def test_a_store_that_starts_no_rotations_says_so_and_has_a_status_all_the_same() -> None:
    store = LabelledStore.of({V1: [C]})
    control = RotationControl(store)
    for call in (lambda: control.start(ID), lambda: control.configure(ID, FUNCTION), lambda: control.cancel(ID)):
        with pytest.raises(NotSupported, match="a LabelledStore starts no rotations"):
            call()
    assert store.calls == []
    assert control.status(ID).findings == ()


def test_a_report_is_a_value() -> None:
    report = RotationControl(rotating()).status(ID)
    assert replace(report) == report


def test_who_keeps_values_is_told_that_labels_have_or_may_have_moved() -> None:
    store, changed = rotating(), list[str]()
    control = RotationControl(store, changed=changed.append)
    control.start(ID, token=V2)
    control.configure(ID, FUNCTION, token=V2)
    control.cancel(ID)
    assert changed == [ID] * 3
    with pytest.raises(InvalidArgument, match="changed must be a function"):
        RotationControl(store, changed="no")  # type: ignore[arg-type]
