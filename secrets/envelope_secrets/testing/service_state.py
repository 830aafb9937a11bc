"""The memory of the fake service: which secrets there are, where, and how they are found."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from envelope.errors import InvalidArgument
from envelope.testing.kms_policy import Caller
from envelope_secrets.service_rules.broken import RuleBroken, no_such_secret
from envelope_secrets.service_rules.deletion import is_gone
from envelope_secrets.service_rules.state import ReplicaState, SecretState
from envelope_secrets.testing.faults import ServiceFault
from envelope_secrets.testing.stale_reads import NO_LAG, History, Lag
from envelope_secrets.testing.values import Place, StoredValue, Vault

__all__ = ["Denial", "Found", "PendingRotation", "Record", "ServiceState", "in_region", "place_in"]

State = SecretState[StoredValue]

_SUFFIX_CHARACTERS = string.ascii_letters + string.digits
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}")
_SUFFIX_LENGTH = 7
_ARN_PARTS = 7


@dataclass(slots=True)
class Record:
    """One secret with its past.

    Attributes:
        region: the primary one.
        replicated_s: since when there is a copy, by region.
        owner: the AWS service that manages it, or empty.
        rotation_tokens: those that rotations were given, by version.
    """

    region: str
    account: str
    name: str
    history: History = field(default_factory=History)
    replicated_s: dict[str, float] = field(default_factory=dict)
    owner: str = ""
    rotation_tokens: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> State:
        return _there(self.history.latest())

    def regions(self) -> tuple[str, ...]:
        return (self.region, *self.replicated_s)


@dataclass(frozen=True, slots=True)
class Found:
    """A secret as it is seen from one region; the primary one, or that of a replica."""

    record: Record
    region: str

    @property
    def is_primary(self) -> bool:
        return self.region == self.record.region

    @property
    def place(self) -> Place:
        return place_in(self.record.state, self.region)


@dataclass(frozen=True, slots=True)
class PendingRotation:
    """A rotation that was started and has not succeeded yet.

    Attributes:
        caller: who has started it.
        is_trial: whether it is only to test the function, with a copy of the current version.
    """

    record: Record
    token: str
    caller: Caller
    is_trial: bool


@dataclass(frozen=True, slots=True)
class Denial:
    """Who may not do what to which secret; None stands for anybody, and for any secret."""

    operation: str
    principal: str | None
    secret: str | None


@dataclass(slots=True)
class ServiceState:
    """The memory of the service. Whoever uses it holds the service's lock.

    Attributes:
        records: in the order of creation.
        lags: what is read late, by name; None for all secrets.
        replication_lag_s: so long a change is on its way to a replica.
        deletion_delay_s: so long a name stays taken after a deletion without recovery.
        leaving: names that are taken that long, by region, account and name.
        functions: the ARNs of functions that can be invoked.
        rotations: those that have not succeeded yet, in the order in which they were started.
    """

    now: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    vault: Vault
    records: list[Record] = field(default_factory=list)
    lags: dict[str | None, Lag] = field(default_factory=dict)
    denials: list[Denial] = field(default_factory=list)
    replication_lag_s: float = 0.0
    deletion_delay_s: float = 0.0
    leaving: dict[tuple[str, str, str], float] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    rotations: list[PendingRotation] = field(default_factory=list)
    requires_rotation_token: bool = False

    def new_suffix(self) -> str:
        """Six random characters; a name that is used again has another ARN."""
        return "".join(_SUFFIX_CHARACTERS[byte % len(_SUFFIX_CHARACTERS)] for byte in self.random_bytes(6))

    def settle(self) -> None:
        """Forget the secrets whose recovery window is over."""
        now_s = self.now()
        self.records = [record for record in self.records if not is_gone(record.state, now_s)]
        self.leaving = {name: until_s for name, until_s in self.leaving.items() if now_s < until_s}

    def all_in(self, region: str, account: str) -> Iterator[Found]:
        """Every secret of an account that is in a region, replicas too."""
        for record in self.records:
            if record.account == account and region in record.regions():
                yield Found(record, region)

    def find(self, secret_id: str, caller: Caller) -> Found | None:
        """The secret that a name, an ARN, or an ARN without its suffix names in the caller's region."""
        is_arn = secret_id.startswith("arn:")
        account = _account_in(secret_id) if is_arn else caller.account
        for found in self.all_in(caller.region, account):
            arn = found.place.arn
            if (secret_id == arn or _is_partial(secret_id, arn)) if is_arn else secret_id == found.record.name:
                return found
        return None

    def known(self, secret_id: str, caller: Caller) -> Record:
        """The secret that a test means, or `InvalidArgument`."""
        self.settle()
        found = self.find(secret_id, caller)
        if found is None:
            raise InvalidArgument(f"there is no secret {secret_id!r:.600} in {caller.region}, {caller.account}")
        return found.record

    def delay(self, name: str | None, lag: Lag) -> None:
        """Read every later change late; what has happened so far is seen by all."""
        for record in self.records:
            if name in (None, record.name):
                record.history.settle()
        self.lags[name] = lag

    def commit(self, record: Record, state: State) -> None:
        """Make this the state of the secret."""
        record.history.add(state, self.now())

    def begin(self, rotation: PendingRotation) -> None:
        """Remember a rotation; a call that is repeated starts no second one."""
        version = rotation.record.state.versions.get(rotation.token)
        is_over = not rotation.is_trial and (version is None or version.value is not None)
        if not is_over and not any(known.token == rotation.token for known in self.rotations):
            self.rotations.append(rotation)

    def read(self, found: Found) -> State:
        """What a read of the secret sees now: with the lag that was asked for, and that of replication.

        Raises:
            RuleBroken: ResourceNotFoundException: the secret is not visible yet.
        """
        record = found.record
        lag = self.lags.get(record.name) or self.lags.get(None) or NO_LAG
        if not found.is_primary:
            if self.now() - record.replicated_s[found.region] < self.replication_lag_s:
                raise no_such_secret()
            lag = replace(lag, seconds=max(lag.seconds, self.replication_lag_s))
        return _there(record.history.read(self.now(), lag))

    def peek(self, found: Found) -> State | None:
        """What a list sees of the secret, if anything."""
        try:
            return self.read(found)
        except RuleBroken:
            return None

    def replicas(self, record: Record) -> tuple[ReplicaState, ...]:
        """The copies, with the status that they have by now."""
        return tuple(
            replace(replica, status="InProgress")
            if replica.status == "InSync" and not self._is_in_sync(record, replica.region)
            else replica
            for replica in record.state.replicas
        )

    def _is_in_sync(self, record: Record, region: str) -> bool:
        since_s = max(record.replicated_s[region], record.history.changes[-1].time_s)
        return self.now() - since_s >= self.replication_lag_s


def in_region(arn: str, region: str) -> str:
    """The ARN that a copy of a secret has in another region."""
    parts = arn.split(":", 4)
    return ":".join((*parts[:3], region, parts[4]))


def place_in(state: State, region: str) -> Place:
    """Where a secret is in this region."""
    key = next((replica.kms_key_id for replica in state.replicas if replica.region == region), state.kms_key_id)
    return Place(region, in_region(state.arn, region), key)


def _there(state: State | None) -> State:
    if state is None:
        raise no_such_secret()
    return state


def _account_in(arn: str) -> str:
    parts = arn.split(":", _ARN_PARTS - 1)
    if len(parts) != _ARN_PARTS or parts[2] != "secretsmanager" or parts[5] != "secret":
        raise ServiceFault("InvalidParameterException", "Invalid secret ARN.")
    return parts[4]


def _is_partial(secret_id: str, arn: str) -> bool:
    """Whether it is the ARN without its suffix. What ends like a suffix is taken for one, so it is a whole ARN."""
    return secret_id == arn[:-_SUFFIX_LENGTH] and _SUFFIX.fullmatch(secret_id[-_SUFFIX_LENGTH:]) is None
