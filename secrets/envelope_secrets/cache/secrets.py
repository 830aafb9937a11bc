"""The secrets of one client: found in memory, asked for once by whoever misses them, renewed ahead of their end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, TypeGuard

from envelope.arguments import check_function
from envelope.cache.entries import Entry
from envelope.cache.loading import CallsItself, LoadingCache
from envelope.cache.workers import StartThread
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets.batch import SecretBatch
from envelope_secrets.cache.keys import CacheKey, Whole, checked_id, version_key
from envelope_secrets.cache.known_keys import KnownKeys
from envelope_secrets.cache.limits import CacheLimits, CacheStats, is_decision
from envelope_secrets.errors import SecretNotFound, StoreFailed
from envelope_secrets.events import EventTeller, SecretEvent, SecretEventKind
from envelope_secrets.key_ring import KeyRing, read_key_ring
from envelope_secrets.stages import AWSCURRENT
from envelope_secrets.stores.access import StoreAccess
from envelope_secrets.stores.guarded_store import guarded_call
from envelope_secrets.stores.secret_ids import names_secret
from envelope_secrets.value import Secret

__all__ = ["SecretCache"]

MAX_BATCH = 20
"""As many as BatchGetSecretValue takes. A failure of one batch is none of the others."""

MAX_IDS = 100_000

_Answers: TypeAlias = dict[CacheKey, Any]


class TellsOfRefusal(Protocol):
    """See `Watcher.was_refused`."""

    def __call__(self, secret_id: str, stage: str, number: int, /, *, rests_until_s: float, is_absent: bool) -> None:
        """Note that a call for a label was answered: no."""
        ...


class SecretCache:
    """Keeps what a store was asked for. Safe for threads, tasks and forks.

    Attributes:
        glance: see `LoadingCache.glance`. A hit is one call of it.
        access: the store.

    Args:
        saw: told of the version that a call has found under a label; see `Watcher.saw`.
        was_refused: told of calls for a label whose answer was no; see `Watcher.was_refused`.

    Raises:
        InvalidArgument: an option of a wrong kind.
    """

    def __init__(
        self,
        access: StoreAccess,
        limits: CacheLimits,
        *,
        on_event: Callable[[SecretEvent], object] | None,
        saw: Callable[[str, str, tuple[str, str], int], None],
        was_refused: TellsOfRefusal,
        clock: Callable[[], float],
        random: Callable[[], float],
        start_thread: StartThread,
    ) -> None:
        if not isinstance(limits, CacheLimits):
            raise InvalidArgument(f"limits must be CacheLimits, not {type(limits).__name__}")
        for name, function in (("clock", clock), ("random", random), ("start_thread", start_thread)):
            check_function(name, function)
        if on_event is not None:
            check_function("on_event", on_event)
        self.access = access
        self._tell = EventTeller(on_event).tell
        self._saw = saw
        self._was_refused = was_refused
        self._clock = clock
        self._random = random
        self._retry_s = limits.retry_s
        self._soft_age_s = limits.soft_age_s
        self._entries: LoadingCache[CacheKey, Any] = LoadingCache(
            limits.of_entries,
            capacity=limits.capacity,
            clock=clock,
            random=random,
            start_thread=start_thread,
            on_evict=self._tell_evicted,
            on_load=self._tell_loaded,
            on_failure=self._tell_failed,
            keeps_entry_after=lambda error: limits.serves_after_denial or not is_decision(error),
        )
        self.glance = self._entries.glance
        self._known = KnownKeys(self._entries.items, limits.capacity)

    def get(self, key: CacheKey) -> Any:
        """The value of a key, asked for if it is not there."""
        with _translated():
            return self._entries.get(key, self._load(key)).value

    async def get_async(self, key: CacheKey) -> Any:
        """Like `get`, for a task."""
        with _translated():
            return (await self._entries.get_async(key, self._load(key))).value

    def renew(self, key: CacheKey, replacing: Secret | None) -> Secret:
        """The value that a call brings which begins now; see `SecretsClient.refresh`."""
        is_other = _is_other_than(replacing)
        with _translated():
            secret: Secret = self._entries.renew(key, self._load(key), is_other=is_other).value
        return secret

    async def renew_async(self, key: CacheKey, replacing: Secret | None) -> Secret:
        """Like `renew`, for a task."""
        is_other = _is_other_than(replacing)
        with _translated():
            secret: Secret = (await self._entries.renew_async(key, self._load(key), is_other=is_other)).value
        return secret

    def many(self, secret_ids: Iterable[str]) -> SecretBatch:
        """The current version of each, or its error."""
        answers: _Answers = {}
        with _translated():
            for part in self._parts(_keys(secret_ids)):
                answers.update(self._entries.get_all(part, self._read_many))
        return _batch(answers)

    async def many_async(self, secret_ids: Iterable[str]) -> SecretBatch:
        """Like `many`, for a task."""
        answers: _Answers = {}
        with _translated():
            for part in self._parts(_keys(secret_ids)):
                answers.update(await self._entries.get_all_async(part, self._read_many))
        return _batch(answers)

    def peek(self, key: CacheKey) -> Entry[CacheKey, Any] | None:
        """What there is for a key, without using it."""
        return self._entries.peek(key)

    def tend(self, secret_id: str, stage: str) -> float:
        """Have the call for a label made in the background if one is due. The clock's seconds when the next one is."""
        key = (secret_id, stage, None)
        due_s = self._entries.tend(key, self._load(key))
        if self._entries.peek(key) is None:  # on its way, or it has failed: nobody waits for it
            due_s = max(due_s, self._clock() + self._retry_s * (0.5 + self._random() / 2))
        return due_s

    def invalidate(self, secret_id: str | None = None) -> None:
        """Forget a secret, also what is kept of it under its other names and in trees; or everything."""
        if secret_id is None:
            self._entries.clear()
            return
        names = self._names_of(checked_id(secret_id))
        self._entries.clear(
            lambda key: key[0] in names or (key[1] is Whole.TREE and any(name.startswith(key[0]) for name in names))
        )

    @contextlib.contextmanager
    def changing(self, secret_id: str) -> Iterator[None]:
        """Forget a secret at the end, however that comes: a call that has failed may have changed it all the same."""
        checked_id(secret_id)
        try:
            yield
        finally:
            self.invalidate(secret_id)

    def stats(self, subscriptions: int) -> CacheStats:
        """The counts so far."""
        counts = asdict(self._entries.counts())
        return CacheStats(**counts, secrets=len(self._entries), subscriptions=subscriptions)

    def close(self) -> None:
        """Forget everything, and ask for nothing any more."""
        self.access.close()
        self._entries.clear()

    def _names_of(self, secret_id: str) -> set[str]:
        """What a secret is called here: all ids under which something of it is kept, its names and its ARNs."""
        kept = [(key[0], value) for key, value in self._entries.items() if isinstance(value, (Secret, KeyRing))]
        secrets = [value for name, value in kept if name == secret_id or names_secret(secret_id, value.arn, value.name)]
        arns = {value.arn for value in secrets}
        return {
            secret_id,
            *arns,
            *(value.name for value in secrets),
            *(name for name, value in kept if value.arn in arns),
        }

    def _parts(self, keys: Sequence[CacheKey]) -> Iterator[Mapping[CacheKey, Callable[[], Secret]]]:
        """The keys in parts that are loaded by one call each; what is there needs none."""
        missing = [key for key in keys if self._entries.peek(key) is None]
        for start in range(0, len(missing), MAX_BATCH):
            yield {key: self._load(key) for key in missing[start : start + MAX_BATCH]}
        yield {key: self._load(key) for key in set(keys) - set(missing)}

    def _load(self, key: CacheKey) -> Callable[[], Any]:
        """What asks the store for the value of a key."""
        return partial(self._guarded, self._read, key)

    def _read(self, key: CacheKey) -> Any:
        secret_id, stage, version_id = key
        if stage is Whole.TREE:
            tree = dict(self.access.trees().read_tree(secret_id))
            return MappingProxyType({name: _checked_secret(secret) for name, secret in tree.items()})
        if stage is Whole.KEY_RING:
            before = self._entries.peek(key)
            return read_key_ring(self.access.store(), secret_id, None if before is None else before.value)
        return _checked_secret(self.access.store().read(secret_id, stage=stage, version_id=version_id))

    def _read_many(self, keys: Sequence[CacheKey]) -> Mapping[CacheKey, Secret | Exception]:
        answers = self._guarded(lambda ids: dict(self.access.store().read_many(ids)), [key[0] for key in keys])
        no_answer = StoreFailed("the store gave no answer for this secret among many")
        found = {key: answers.get(key[0]) for key in keys}
        return {
            key: answer if isinstance(answer, EnvelopeError) or _is_secret(answer) else no_answer
            for key, answer in found.items()
        }

    def _guarded(self, call: Callable[[Any], Any], argument: Any) -> Any:
        """What a call of the store brings, unless the client was closed meanwhile; only this package's exceptions."""
        answer = guarded_call(call, argument)
        self.access.check_open()
        return answer

    def _tell_loaded(self, entry: Entry[CacheKey, Any], before: Entry[CacheKey, Any] | None) -> None:
        secret_id, stage, _ = entry.key
        version_id = _version_of(entry)
        self._tell("read", secret_id, _shown(entry.key), version_id)
        if isinstance(stage, str) and entry.key[2] is None:
            if before is not None and _version_of(before) != version_id:
                self._tell("change", secret_id, stage, version_id)
            self._saw(secret_id, stage, (entry.value.arn, version_id), entry.number)
            if before is None or _version_in(before.value) != _version_in(entry.value):
                # Only then: two names whose answers differ for good must not have each other renewed at every use.
                self._hasten_other_names(entry, before)
        self._known.note(entry.key, entry.value)
        if stage == AWSCURRENT and isinstance(entry.value, Secret):
            self._forget_older_wholes(entry.value)

    def _hasten_other_names(self, entry: Entry[CacheKey, Any], before: Entry[CacheKey, Any] | None) -> None:
        """Who has seen a new version by one name of a secret is to see it soon by its other names."""
        arns = {entry.value.arn} if before is None else {entry.value.arn, before.value.arn}
        others = [one for arn in arns for one in self._kept(arn) if one[0][1:] == entry.key[1:]]
        self._entries.hasten(key for key, value in others if _version_in(value) != _version_in(entry.value))

    def _forget_older_wholes(self, current: Secret) -> None:
        """Who has seen a new version must not be shown a key ring or a tree that has another one in its place."""
        wholes = [*self._kept(current.arn), *self._trees_with(current.name)]
        older = {key for key, value in wholes if _is_older_whole(key, value, current)}
        if older:
            self._entries.clear(older.__contains__)

    def _hasten_all_of(self, key: CacheKey, error: Exception, refused: Secret | KeyRing) -> None:
        """What was refused is to be asked for soon by other names too, and in wholes; they serve until they are told.

        That a version or label is missing says nothing of the others.
        """
        versions = self._kept(refused.arn)
        if isinstance(error, SecretNotFound):
            versions = [one for one in versions if one[0][1:] == key[1:] or isinstance(one[1], KeyRing)]
        self._entries.hasten(kept for kept, _ in [*versions, *self._trees_with(refused.name)])

    def _kept(self, arn: str) -> list[tuple[CacheKey, Any]]:
        """Versions and key ring of a secret, under whichever names they are kept."""
        entries = [self._entries.peek(key) for key in self._known.of(arn)]
        return [(one.key, one.value) for one in entries if one is not None and one.value.arn == arn]

    def _trees_with(self, name: str) -> list[tuple[CacheKey, Any]]:
        entries = [self._entries.peek(key) for key in self._known.trees() if name.startswith(key[0])]
        return [(one.key, one.value) for one in entries if one is not None]

    def _tell_evicted(self, entry: Entry[CacheKey, Any]) -> None:
        age_s = self._clock() - entry.loaded_s
        self._tell("eviction", entry.key[0], _shown(entry.key), _version_of(entry), age_s=age_s)

    def _tell_failed(self, key: CacheKey, error: Exception, entry: Entry[CacheKey, Any] | None) -> None:
        if is_decision(error):
            self._tell_refused(key, error)
        if entry is None:
            self._tell("failure", key[0], _shown(key), key[2] or "", error=str(error))
            return
        kind: SecretEventKind = "denial" if is_decision(error) else "outage"
        if kind == "denial" and isinstance(entry.value, (Secret, KeyRing)):
            self._hasten_all_of(key, error, entry.value)
        age_s = self._clock() - entry.loaded_s
        self._tell(kind, key[0], _shown(key), _version_of(entry), age_s=age_s, error=str(error))

    def _tell_refused(self, key: CacheKey, error: Exception) -> None:
        secret_id, stage, version_id = key
        failure = self._entries.failure(key)
        if failure is None or not isinstance(stage, str) or version_id is not None:
            return  # a newer call is under way or has succeeded already; or it was for nothing that moves
        self._was_refused(
            secret_id,
            stage,
            failure.number,
            rests_until_s=self._clock() + self._soft_age_s * (1 - self._random() / 5),  # as a value that came
            is_absent=isinstance(error, SecretNotFound),
        )


def _keys(secret_ids: Iterable[str]) -> list[CacheKey]:
    """The keys of many current versions, each once."""
    if isinstance(secret_ids, (str, bytes)) or not isinstance(secret_ids, Iterable):
        raise InvalidArgument(f"secret_ids must be several ids, like ['prod/db'], not {type(secret_ids).__name__}")
    ids = list(islice(secret_ids, MAX_IDS + 1))
    if len(ids) > MAX_IDS:
        raise InvalidArgument(f"secret_ids must be {MAX_IDS:,} at most")
    return list(dict.fromkeys(version_key(secret_id) for secret_id in ids))


def _batch(answers: _Answers) -> SecretBatch:
    return SecretBatch({key[0]: _answer(answer) for key, answer in answers.items()})


def _answer(answer: Any) -> Secret | EnvelopeError:
    if isinstance(answer, Entry):
        secret: Secret = answer.value
        return secret
    try:
        with _translated():
            raise answer
    except EnvelopeError as error:
        return error


def _is_secret(given: object) -> TypeGuard[Secret]:
    """Whether a store, which somebody else may have written, gave a secret that can be found again by what it says."""
    return isinstance(given, Secret) and all(isinstance(it, str) for it in (given.name, given.arn, given.version_id))


def _checked_secret(given: object) -> Secret:
    if _is_secret(given):
        return given
    if isinstance(given, Secret):
        raise StoreFailed("the store gave a Secret whose name, ARN or version id is no text")
    raise StoreFailed(f"the store gave no Secret, but a value of type {type(given).__name__}")


def _is_other_than(replacing: Secret | None) -> Callable[[Secret], bool] | None:
    if replacing is None:
        return None
    if not isinstance(replacing, Secret):
        raise InvalidArgument(f"replacing must be the Secret that did not work, not {type(replacing).__name__}")
    version = _version_in(replacing)
    return lambda secret: _version_in(secret) != version


def _is_older_whole(key: CacheKey, value: Any, current: Secret) -> bool:
    if key[1] is Whole.KEY_RING:
        has = {version.version_id for version in value if AWSCURRENT in version.stages}
        return value.arn == current.arn and has != {current.version_id}
    if key[1] is Whole.TREE:
        known = value.get(current.name)
        return known is not None and known.version_id != current.version_id
    return False


def _version_in(secret: Secret) -> tuple[str, str]:
    return (secret.arn, secret.version_id)


def _version_of(entry: Entry[CacheKey, Any]) -> str:
    return entry.value.version_id if isinstance(entry.value, Secret) else ""


def _shown(key: CacheKey) -> str | None:
    return key[1].value if isinstance(key[1], Whole) else key[1]


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What the cache kit raises by itself, as this package's exceptions."""
    try:
        yield
    except CallsItself:
        raise InvalidArgument(
            "a secret was asked for by the call that gets it",
            hint="on_event and a store must not ask the client for the secret that it is just reading",
        ) from None
    except RuntimeError:
        raise StoreFailed("the store was not asked: no thread could be started, or the call was interrupted") from None
