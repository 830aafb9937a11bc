"""Do clients notice that the password of their database is rotated? 50 of them, with pools, while 100 rotations go by.

Each client counts up a number of its own through a connector, all the time; a quarter of the rotations die at a random
point and are repeated. Pools replace their connections every second, so that logins never stop. A
program without a connector logs in beside them, with what it has just read: what it is refused is what the engine and
the strategy force upon whoever does without.

The servers are those of the tests: PostgreSQL, MariaDB and Redis, started here on loopback, and MySQL where
``ENVELOPE_MYSQL_FOLDER`` says where it is. It needs the environment of the tests.
Run it by `.venv/bin/python -m benchmarks.rotation_load [ROTATIONS [CLIENTS]]`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.contest.report import OtherLoad, print_table, print_target
from benchmarks.load.accounts import Account, MariaDbAccount, PostgreSqlAccount, RedisAccount
from benchmarks.load.run import Outcome, run_load
from envelope_secrets.rotation import AlternatingUsers, DualPassword, MySql, SingleUser
from envelope_secrets.rotation.strategy import Strategy
from tests.servers.mariadb import running_mariadb
from tests.servers.mysql import running_mysql
from tests.servers.postgresql import running_postgresql
from tests.servers.processes import NoServer
from tests.servers.redis import running_redis

ROTATIONS, CLIENTS = 100, 50


@dataclass(frozen=True, slots=True)
class Pair:
    """A kind of server and a strategy.

    Attributes:
        has_window: whether AWSCURRENT does not log in for a moment of each rotation.
    """

    server: Callable[[], AbstractContextManager[Any]]
    account: Callable[[Any], Account]
    strategy: Strategy
    has_window: bool = False


PAIRS: Mapping[str, Pair] = {
    "PostgreSQL, single user": Pair(running_postgresql, PostgreSqlAccount, SingleUser(), has_window=True),
    "PostgreSQL, alternating users": Pair(running_postgresql, PostgreSqlAccount, AlternatingUsers()),
    "MariaDB, single user": Pair(running_mariadb, MariaDbAccount, SingleUser(), has_window=True),
    "MariaDB, alternating users": Pair(running_mariadb, MariaDbAccount, AlternatingUsers()),
    "MariaDB, dual password": Pair(running_mariadb, MariaDbAccount, DualPassword()),
    "MySQL, single user": Pair(running_mysql, partial(MariaDbAccount, kind=MySql), SingleUser(), has_window=True),
    "MySQL, alternating users": Pair(running_mysql, partial(MariaDbAccount, kind=MySql), AlternatingUsers()),
    "MySQL, dual password": Pair(running_mysql, partial(MariaDbAccount, kind=MySql), DualPassword()),
    "Redis, dual password": Pair(running_redis, RedisAccount, DualPassword()),
}


def run(pair: Pair, server: Any, *, rotations: int = ROTATIONS, clients: int = CLIENTS) -> Outcome:
    """The load test of one pair, on a server that runs."""
    return run_load(pair.account(server), pair.strategy, clients=clients, rotations=rotations, requests_between=clients)


def row(name: str, pair: Pair, outcome: Outcome) -> tuple[str, ...]:
    """What a table tells of it."""
    window = f"{outcome.median_ms:.0f} / {outcome.longest_ms:.0f}" if pair.has_window else "none"
    figures = (outcome.requests, len(outcome.failed_requests), outcome.logins, outcome.refused_logins)
    rotations = f"{outcome.rotations} ({outcome.crashes} died)"
    return (name, rotations, *(f"{figure:,}" for figure in figures), f"{outcome.direct_refused:,}", window)


COLUMNS = (
    "",
    "rotations",
    "requests",
    "failed",
    "logins",
    "refused and tried with another version",
    "refused without a connector",
    "window, median / longest, ms",
)


def main() -> None:
    given = [int(argument) for argument in sys.argv[1:]]
    rotations, clients = (given + [ROTATIONS, CLIENTS][len(given) :])[:2]
    load, outcomes = OtherLoad(), {}
    for name, pair in PAIRS.items():
        began_s = time.monotonic()
        try:
            with pair.server() as server:
                outcomes[name] = run(pair, server, rotations=rotations, clients=clients)
        except NoServer as error:
            print(f"\nLeft out: {name}: {error}.")
        else:
            print(f"{name}: {time.monotonic() - began_s:.0f} s", file=sys.stderr)
            for failure in {*outcomes[name].failed_requests, *outcomes[name].failed_rotations}:
                print(f"  {failure}", file=sys.stderr)
    print_table(
        f"{clients} clients, {rotations} rotations",
        COLUMNS,
        (row(name, PAIRS[name], outcome) for name, outcome in outcomes.items()),
    )
    load.print()
    failed = {name: float(len(outcome.failed_requests)) for name, outcome in outcomes.items()}
    print_target("no request of a client fails", failed, most=0)
    unexplained = {name: float(outcome.direct_unexplained) for name, outcome in outcomes.items()}
    print_target("no login is refused outside the windows", unexplained, most=0)


if __name__ == "__main__":
    main()
