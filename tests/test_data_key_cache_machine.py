"""The data-key cache as a state machine against a model of a few lines.

The model says for each message which data key it has to be under, and whether the keyring has to be called for it.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from envelope import Client, DataKeyCache, KeyUnavailable, LimitExceeded, describe
from envelope.testing import FakeClock
from tests.slow_keyring import SlowKeyring

MAX_AGE_S = 100.0
MAX_MESSAGES = 8
MAX_BYTES = 400
STREAM_TAKES_BYTES = MAX_BYTES // 16
CAPACITY = 3
REFRESH_AHEAD = 0.8
LONGEST_BACK_OFF_S = 2.0

TENANTS = st.sampled_from(["a", "b", "c", "d"])
SIZES = st.sampled_from([0, 1, 60, 150, 400])


@dataclass
class ModelKey:
    """A data key: when it was made, what it was used for, and how messages name it once one was seen."""

    made_s: float
    messages: int = 0
    taken_bytes: int = 0
    name: bytes | None = None

    def takes(self, size: int, now_s: float) -> bool:
        fits = self.messages + 1 <= MAX_MESSAGES and self.taken_bytes + size <= MAX_BYTES
        return fits and now_s < self.made_s + MAX_AGE_S

    def is_due(self, now_s: float) -> bool:
        used = max((now_s - self.made_s) / MAX_AGE_S, self.messages / MAX_MESSAGES, self.taken_bytes / MAX_BYTES)
        return used >= REFRESH_AHEAD


class CacheMachine(RuleBasedStateMachine):
    """Messages and streams of some tenants; time, outages, renewals and clears in between."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(0)
        self.keyring = SlowKeyring()
        self.background: list[Callable[[], None]] = []
        self.cache = DataKeyCache(
            self.keyring,
            max_age_s=MAX_AGE_S,
            max_messages=MAX_MESSAGES,
            max_bytes=MAX_BYTES,
            capacity=CAPACITY,
            refresh_ahead=REFRESH_AHEAD,
            clock=self.clock,
            random=lambda: 0.0,
            start_thread=self.background.append,
        )
        self.client = Client(self.cache)
        self.keys: OrderedDict[str, ModelKey] = OrderedDict()
        self.messages: list[tuple[str, bytes, bytes]] = []
        self.failed_s = -MAX_AGE_S

    @rule(tenant=TENANTS, size=SIZES)
    def encrypt(self, tenant: str, size: int) -> None:
        key, calls = self._key_for(tenant, size), len(self.keyring.wraps)
        try:
            message = self.client.encrypt(bytes(size), {"tenant": tenant})
        except KeyUnavailable:
            self._check_failure(key)
            return
        self._use(tenant, key, size, message, calls)
        if key is not None and key.is_due(self.clock()):
            has_failed = self.clock() <= self.failed_s + MAX_AGE_S / 10
            assert self.background or has_failed, "a hit past the refresh point starts a renewal"
        self.messages.append((tenant, bytes(size), message))

    @rule(tenant=TENANTS, pieces=st.lists(SIZES, max_size=5))
    def write_a_stream(self, tenant: str, pieces: list[int]) -> None:
        key, calls, file = self._key_for(tenant, STREAM_TAKES_BYTES), len(self.keyring.wraps), io.BytesIO()
        size = sum(pieces)
        try:
            with self.client.encrypting_writer(file, {"tenant": tenant}, frame_length_bytes=10) as writer:
                for piece in pieces:
                    writer.write(bytes(piece))
        except KeyUnavailable:
            self._check_failure(key)
            return
        except LimitExceeded:
            assert (0 if key is None else key.taken_bytes) + size > MAX_BYTES
            self.clear()  # how far it came is not the model's business
            return
        self._use(tenant, key, max(size, STREAM_TAKES_BYTES), file.getvalue(), calls)
        self.messages.append((tenant, bytes(size), file.getvalue()))

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def decrypt(self, data: st.DataObject) -> None:
        tenant, plaintext, message = data.draw(st.sampled_from(self.messages))
        self.run_renewals()
        try:
            assert self.client.decrypt(message, {"tenant": tenant}) == plaintext
        except KeyUnavailable:
            self._check_failure(None)

    @rule(seconds=st.sampled_from([0.01, 1.0, 19.0, 30.0, 79.0, 81.0, 100.0, 1000.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def run_renewals(self) -> None:
        while self.background:
            calls = len(self.keyring.wraps)
            self.background.pop(0)()
            if self.keyring.failure is not None:
                self.failed_s = self.clock()
            elif len(self.keyring.wraps) > calls:
                self._keep(self.keyring.wraps[-1].encryption_context["tenant"], ModelKey(self.clock()))

    @rule(is_out=st.booleans())
    def begin_or_end_an_outage(self, is_out: bool) -> None:
        self.keyring.failure = KeyUnavailable("outage") if is_out else None

    @rule()
    def clear(self) -> None:
        self.run_renewals()
        self.cache.clear()
        self.keys.clear()
        self.failed_s = -MAX_AGE_S

    @invariant()
    def the_cache_is_bounded_and_counts(self) -> None:
        stats = self.cache.stats()
        assert stats.data_keys <= 2 * CAPACITY
        assert stats.wrap.calls == len(self.keyring.wraps)
        assert stats.unwrap.calls == len(self.keyring.unwraps)
        assert stats.wrap.waits == stats.unwrap.waits == 0, "one thread alone waits for nobody"

    def _key_for(self, tenant: str, size: int) -> ModelKey | None:
        """The data key that a message has to go under; None where there must be a new one.

        Renewals run in this thread: who would wait for one runs it first.
        """
        key = self.keys.get(tenant)
        if key is None or not key.takes(size, self.clock()):
            self.run_renewals()
            key = self.keys.get(tenant)
        if key is not None and not key.takes(size, self.clock()):
            del self.keys[tenant]
            return None
        return key

    def _use(self, tenant: str, key: ModelKey | None, size: int, message: bytes, calls_before: int) -> None:
        name = describe(message).encrypted_data_keys[0].ciphertext
        called = len(self.keyring.wraps) - calls_before
        assert called == (key is None), "the keyring is called when there is no usable data key, and only then"
        if key is None:
            assert all(other.name != name for other in self.keys.values())
            key = ModelKey(self.clock())
        assert key.name in (None, name)
        key.name = name
        key.messages += 1
        key.taken_bytes += size
        assert key.messages <= MAX_MESSAGES
        assert key.taken_bytes <= MAX_BYTES
        self._keep(tenant, key)

    def _keep(self, tenant: str, key: ModelKey) -> None:
        self.keys[tenant] = key
        self.keys.move_to_end(tenant)
        while len(self.keys) > CAPACITY:
            self.keys.popitem(last=False)

    def _check_failure(self, key: ModelKey | None) -> None:
        assert key is None, "whoever has a usable data key does not notice an outage"
        if self.keyring.failure is not None:
            self.failed_s = self.clock()
        assert self._may_back_off()

    def _may_back_off(self) -> bool:
        return self.clock() <= self.failed_s + LONGEST_BACK_OFF_S


TestCacheMachine = CacheMachine.TestCase
