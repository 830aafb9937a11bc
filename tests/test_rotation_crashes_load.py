"""Clients that go on while their password is rotated, by rotations of which a quarter die: none of them notices."""

from __future__ import annotations

import pytest

from benchmarks.load.clients import Clients
from benchmarks.rotation_load import CLIENTS, COLUMNS, PAIRS, ROTATIONS, row, run
from tests.thoroughness import POINTS, TAKES_ALL, Recorder

pytest_plugins = ["tests.servers.fixtures"]

NAMES = list(PAIRS) if TAKES_ALL else ["PostgreSQL, single user"]
FEW_ROTATIONS, FEW_CLIENTS = 8, 20


@pytest.mark.parametrize("name", NAMES)
def test_no_client_notices_that_the_password_is_rotated_over_and_over(
    name: str, request: pytest.FixtureRequest, record_property: Recorder
) -> None:
    pair = PAIRS[name]
    server = request.getfixturevalue(f"{name.partition(',')[0].lower()}_server")
    rotations, clients = (ROTATIONS, CLIENTS) if TAKES_ALL else (FEW_ROTATIONS, FEW_CLIENTS)
    outcome = run(pair, server, rotations=rotations, clients=clients)
    told = zip(COLUMNS[1:], row(name, pair, outcome)[1:], strict=True)
    record_property(POINTS, f"load, {name}: {', '.join(f'{what}: {figure}' for what, figure in told)}")
    assert outcome.failed_requests == ()
    assert outcome.failed_rotations == ()
    assert outcome.crashes >= rotations // 8, "deaths that never come prove nothing"
    assert outcome.logins >= 5 * rotations, "connections that are never made prove nothing"
    assert outcome.requests >= clients * rotations
    # Each client, and each thread of a pool, may try an old password once after it has changed.
    assert outcome.refused_logins <= rotations * (clients + 10)
    assert outcome.direct_unexplained == 0
    if pair.has_window:
        assert len(outcome.windows_s) == rotations
        assert outcome.direct_refused > 0, "a window that nobody sees is none"
    else:
        assert outcome.direct_refused == 0


def test_a_request_that_fails_or_is_counted_twice_is_noticed() -> None:
    def request(client: int) -> int:
        if client == 0:
            raise ConnectionError
        return 2

    working = Clients(request, 2)
    working.start()
    working.wait_for(1)
    working.stop()
    assert len(working.failures) == 2
    assert working.requests == 0
