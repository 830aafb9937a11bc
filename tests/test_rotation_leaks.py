"""No password of a rotation is in a frame, a text or a log, wherever the rotation fails."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

import envelope
import envelope_secrets
from envelope.errors import EnvelopeError
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation import AlternatingUsers, DualPassword, SingleUser, rotate, rotator
from envelope_secrets.rotation.failures import TargetUnreachable
from envelope_secrets.rotation.strategy import Strategy
from tests.crash_points import CrashPoints, points_to_die_at
from tests.database_rotations import GRANTS, RotationWorld, fields
from tests.fake_databases import Account, FakeServer

CANARY = "canary-5d1c"
OWN_FOLDERS = tuple(str(Path(str(package.__file__)).parent) for package in (envelope, envelope_secrets))


class FailingPoints(CrashPoints):
    """The target or the service fails at one point, where the others let the process die."""

    def point(self, name: str) -> None:
        if not self.is_watching:
            return
        self.passed.append(name)
        if len(self.passed) - 1 == self.dies_at:
            raise TargetUnreachable(f"failed {name}")


def world_of(strategy: Strategy, points: CrashPoints) -> RotationWorld:
    server = FakeServer(points)
    server.accounts["app"] = Account((f"{CANARY}-current",), set(GRANTS), requires_tls=True)
    server.accounts["root"] = Account((f"{CANARY}-root",), {"all"}, is_admin=True)
    admin = fields("root", f"{CANARY}-root")
    return RotationWorld(
        strategy, points=points, server=server, value={"password": f"{CANARY}-current"}, admin_value=admin
    )


@pytest.fixture(autouse=True)
def known_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """The passwords that a rotation makes are known by their beginning."""
    numbers = count()

    def known(_: PasswordPolicy) -> str:
        return f"{CANARY}-new-{next(numbers)}"

    monkeypatch.setattr(rotator, "random_password", known)


def run(strategy: Strategy, points: CrashPoints, log: pytest.LogCaptureFixture) -> Exception | None:
    world = world_of(strategy, points)
    log.clear()
    try:
        rotate(world.store, world.name, world.database, strategy, clock=world.clock, sleep=world.clock.advance)
    except EnvelopeError as error:
        return error
    finally:
        assert "PutSecretValue" in log.text or points.died
        assert CANARY not in log.text
    assert str(world.value()["password"]).startswith(f"{CANARY}-new-")
    return None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("strategy", [SingleUser(), AlternatingUsers(), DualPassword()], ids=lambda s: type(s).__name__)
def test_no_frame_text_or_log_of_a_rotation_that_fails_anywhere_holds_a_password(
    strategy: Strategy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    points = FailingPoints()
    assert run(strategy, points, caplog) is None
    failed = 0
    for fails_at in points_to_die_at(len(points.passed)):
        for one in chain(run(strategy, FailingPoints(fails_at), caplog)):
            failed += 1
            stack = traceback.TracebackException.from_exception(one, capture_locals=True).stack
            own = [frame for frame in stack if frame.filename.startswith(OWN_FOLDERS)]
            where = points.passed[fails_at]
            assert not [(where, frame.name, frame.locals) for frame in own if CANARY in repr(frame.locals)]
            assert CANARY not in f"{one!s}{one!r}{one.args!r}{vars(one)!r}"
    assert failed > 10
