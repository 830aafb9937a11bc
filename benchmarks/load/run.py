"""One load test: clients, a direct client beside them, and rotations that go by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.load.accounts import Account
from benchmarks.load.clients import Clients, requests_of
from benchmarks.load.rotations import DirectClient, Rotations
from envelope_secrets import SecretsClient
from envelope_secrets.rotation.strategy import Strategy

__all__ = ["Outcome", "run_load"]

CRASH_EACH = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What clients, the server and the direct client have seen.

    Attributes:
        crashes: rotations that died and were repeated.
        failed_requests, failed_rotations: why, each.
        logins: of the clients, that the server has accepted; with a few of the rotations.
        refused_logins: of the clients, that it has refused.
        direct_refused: logins of the direct client that were refused.
        direct_unexplained: those of them that no window explains.
        windows_s: from the change of the password to the moved label, of each rotation.
    """

    rotations: int
    crashes: int
    requests: int
    failed_requests: tuple[str, ...]
    failed_rotations: tuple[str, ...]
    logins: int
    refused_logins: int
    direct_refused: int
    direct_unexplained: int
    windows_s: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        """The window in the middle."""
        return median(self.windows_s) * 1e3

    @property
    def longest_ms(self) -> float:
        """The longest window."""
        return max(self.windows_s) * 1e3


def run_load(
    account: Account,
    strategy: Strategy,
    *,
    clients: int,
    rotations: int,
    requests_between: int,
    on_rotation: Callable[[int], object] = lambda _: None,
) -> Outcome:
    """Let clients work while the secret of their account is rotated.

    Args:
        requests_between: how many are answered, at least, between one rotation and the next.
        on_rotation: told the number of each rotation when it has ended.
    """
    account.make(clients)
    rotating = Rotations(account, strategy)
    secrets = SecretsClient(rotating.store())
    direct = DirectClient(rotating.store(), account)
    with requests_of(account, secrets, clients) as request, rotating.statements_are_points():
        working = Clients(request, clients)
        working.start()
        try:
            with direct.running():
                for number in range(rotations):
                    working.wait_for(requests_between)
                    rotating.rotate(crashes=number % CRASH_EACH == CRASH_EACH - 1)
                    on_rotation(number)
                working.wait_for(requests_between)
        finally:
            working.stop()
    accepted, refused = account.logins()
    return Outcome(
        rotations=rotations,
        crashes=rotating.crashes,
        requests=working.requests,
        failed_requests=tuple(working.failures),
        failed_rotations=tuple(rotating.failures),
        logins=accepted - direct.accepted,
        refused_logins=refused - len(direct.refused_s) - direct.outdated,
        direct_refused=len(direct.refused_s),
        direct_unexplained=direct.outside(rotating.windows),
        windows_s=tuple(window.length_s for window in rotating.windows),
    )
