"""New values: checked before any call, stored under a token of the caller, and swapped in only for a known version."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from envelope.errors import AwsUnavailable, EnvelopeError, InvalidArgument
from envelope_secrets.errors import SecretConflict
from envelope_secrets.label_moves import Pause, make_move
from envelope_secrets.limits import (
    description_problem,
    name_problem,
    stages_problem,
    tags_problem,
    token_problem,
    value_problem,
)
from envelope_secrets.stages import AWSCURRENT, AWSPREVIOUS, SWAP_STAGE_PREFIX, StageMove
from envelope_secrets.stores.hidden_values import hidden, hidden_bytes, hidden_text, kind_of, plain
from envelope_secrets.stores.protocol import NO_TAGS, NewSecret, NewVersion, SecretStore, VersionPlace
from envelope_secrets.value import MAX_JSON_DEPTH

__all__ = ["create", "new_secret", "new_version", "put", "put_if_current"]

MAX_ROTATION_TOKEN_CHARACTERS = 256
MAX_KEY_ID_CHARACTERS = 2_048

_log = logging.getLogger(__name__)


@runtime_checkable
class _ChecksVersionIds(Protocol):
    """A store that knows what no id of a version is: said before a value is stored that could not become current."""

    def check_version_id(self, version_id: str) -> None: ...


def new_version(
    value: str | bytes | Mapping[str, Any],
    *,
    token: str | None = None,
    stages: Iterable[str] = (AWSCURRENT,),
    rotation_token: str | None = None,
) -> NewVersion:
    """A value to be stored, checked.

    Args:
        value: text of 1 to 65,536 bytes in UTF-8, or bytes, or a mapping that is written as a JSON object.
        token: becomes the version's id; drawn if None. Keep it to repeat a call whose reply was lost.
        stages: exactly these labels move to the version.
        rotation_token: from the event of a rotation that another account or role started.

    Raises:
        InvalidArgument: the service would refuse it. The text shows no value and no rotation token.
    """
    value, rotation_token = hidden(value), hidden(rotation_token)
    labels = _labels(stages)
    chosen = str(uuid.uuid4()) if token is None else token
    stored, problem = _stored_form(value)
    _check("value", problem or value_problem(stored))
    _check("token", token_problem(chosen))
    _check("stages", stages_problem(labels))
    _check("rotation_token", _rotation_token_problem(rotation_token))
    return NewVersion(plain(stored), chosen, labels, rotation_token)


def new_secret(
    name: str,
    value: str | bytes | Mapping[str, Any] | None = None,
    *,
    token: str | None = None,
    description: str = "",
    kms_key_id: str = "",
    tags: Mapping[str, str] | None = None,
    replica_regions: Mapping[str, str] | Iterable[str] = (),
) -> NewSecret:
    """A secret to be created, checked.

    Args:
        value: as of `new_version`; None for a secret that gets its first value from a rotation.
        kms_key_id: an id, an ARN or an alias; empty for the store's default key.
        replica_regions: where copies shall be; a mapping names the key of each.

    Raises:
        InvalidArgument: the service would refuse it.
    """
    value = hidden(value)
    _check("name", name_problem(name))
    _check("description", description_problem(description))
    _check("tags", tags_problem(NO_TAGS if tags is None else tags))
    _check("kms_key_id", _text_problem(kms_key_id, MAX_KEY_ID_CHARACTERS))
    if value is None and token is not None:
        raise InvalidArgument("a token is for a value, and there is none")
    return NewSecret(
        name,
        None if value is None else new_version(value, token=token),
        description,
        kms_key_id,
        dict(tags or NO_TAGS),
        _regions(replica_regions),
    )


def create(store: SecretStore, secret: NewSecret) -> VersionPlace:
    """Create a secret. If no answer comes, the hint of the error says how to repeat the call safely."""
    try:
        return store.create(secret)
    except EnvelopeError as error:
        if secret.version is not None:
            _say_how_to_repeat(error, secret.version)
        raise


def put(store: SecretStore, secret_id: str, version: NewVersion) -> VersionPlace:
    """Store a new version. If no answer comes, the hint of the error says how to repeat the call safely.

    The call is not repeated here. The store's own client has tried several times with the same token by then; and a
    repetition needs the right to decrypt what is there, to compare it, so that a caller without that right would be
    told of a denial after the value was stored.
    """
    try:
        return store.put(secret_id, version)
    except EnvelopeError as error:
        _say_how_to_repeat(error, version)
        raise


def put_if_current(
    store: SecretStore,
    secret_id: str,
    version: NewVersion,
    expected_version_id: str | None,
    *,
    pause: Pause = time.sleep,
) -> VersionPlace:
    """Make a new value current, if the current version is still the one that the caller has seen.

    PutSecretValue takes AWSCURRENT from whatever version has it. So the value is put under a private label first; then
    AWSCURRENT moves, by the service's compare-and-swap; then the private label is taken away. A conflict leaves a
    version without labels, which nobody sees and the service removes in time. A call that was interrupted is finished
    by one with the same `version`; if the process was killed, the private label stays until `stages.repair` is told to
    take it away.

    Args:
        expected_version_id: None, if no version is to be current.
        pause: waits between two looks at labels that were read too early.

    Raises:
        SecretConflict: another version is current; it still is.
        InvalidArgument: `version` asks for other labels than AWSCURRENT, or no version could have that id.
    """
    if expected_version_id is not None and isinstance(store, _ChecksVersionIds):
        store.check_version_id(expected_version_id)
    if version.stages != (AWSCURRENT,):
        raise InvalidArgument(f"stages must be {AWSCURRENT} alone, because no other label can be swapped with it")
    private = f"{SWAP_STAGE_PREFIX}{version.token}"
    try:
        return _swapped(store, secret_id, version, private, expected_version_id, pause)
    except EnvelopeError:
        raise
    except BaseException:  # as Ctrl-C: what was begun is given up, and should leave nothing behind
        _removed(store, secret_id, private, version.token, pause)
        raise


def _swapped(
    store: SecretStore,
    secret_id: str,
    version: NewVersion,
    private: str,
    expected_version_id: str | None,
    pause: Pause,
) -> VersionPlace:
    place = put(store, secret_id, NewVersion(version.value, version.token, (private,), version.rotation_token))
    try:
        _check_was_expected(store, secret_id, place, expected_version_id)
        make_move(store, secret_id, StageMove(AWSCURRENT, version.token, expected_version_id), pause=pause)
    except EnvelopeError as error:
        if isinstance(error, AwsUnavailable):
            _say_how_to_repeat(error, version)
        elif not _removed(store, secret_id, private, version.token, pause):
            error.hint = f"{error.hint}; take the label {private} away, which could not be done now".removeprefix("; ")
        raise
    if not _removed(store, secret_id, private, version.token, pause):
        _log.warning("version %s is current, but its label %s could not be taken away", version.token, private)
    return VersionPlace(place.arn, place.name, version.token, (AWSCURRENT,))


def _check_was_expected(store: SecretStore, secret_id: str, place: VersionPlace, expected: str | None) -> None:
    """The first version of a secret is current at once, whatever is asked for; a repeated call finds its own work."""
    if AWSCURRENT not in place.stages or expected in (None, place.version_id):
        return
    if store.describe(secret_id).labels.holder(AWSPREVIOUS) != expected:
        raise SecretConflict(
            f"no version was current, and not {expected}: the first version of a secret is current at once",
            hint=f"look at the secret again: version {place.version_id} holds the new value",
        )


def _removed(store: SecretStore, secret_id: str, stage: str, version_id: str, pause: Pause) -> bool:
    """Whether a label could be taken away. If not, it does no harm but count: a secret has 20 at most."""
    try:
        make_move(store, secret_id, StageMove(stage, None, version_id), pause=pause)
    except EnvelopeError:
        return False
    return True


def _say_how_to_repeat(error: EnvelopeError, version: NewVersion) -> None:
    if isinstance(error, AwsUnavailable):
        error.hint = (
            f"version {version.token} may have been stored all the same: repeat the call with that token and the same "
            "value, which changes nothing if it was"
        )


def _check(name: str, problem: str | None) -> None:
    if problem is not None:
        raise InvalidArgument(f"{name} {problem}")


def _labels(stages: Iterable[str]) -> tuple[str, ...]:
    if isinstance(stages, str) or not isinstance(stages, Iterable):
        raise InvalidArgument(f"stages must be several labels, like ('AWSPENDING',), not {type(stages).__name__}")
    return tuple(stages)


def _rotation_token_problem(token: object) -> str | None:
    return None if token is None else _text_problem(token, MAX_ROTATION_TOKEN_CHARACTERS)


def _text_problem(value: object, most: int) -> str | None:
    if not isinstance(value, str):
        return f"must be text, not {kind_of(value)}"
    return f"must have up to {most:,} characters, not {len(value):,}" if len(value) > most else None


def _regions(regions: Mapping[str, str] | Iterable[str]) -> Mapping[str, str]:
    if isinstance(regions, str) or not isinstance(regions, Iterable):
        raise InvalidArgument(f"replica_regions must be several names of regions, not {type(regions).__name__}")
    keys = dict(regions) if isinstance(regions, Mapping) else dict.fromkeys(regions, "")
    for region, key in keys.items():
        _check("each of replica_regions", _text_problem(region, MAX_KEY_ID_CHARACTERS))
        _check("each key of replica_regions", _text_problem(key, MAX_KEY_ID_CHARACTERS))
    return keys


# --- the stored form ------------------------------------------------------------------------------------------------


def _stored_form(value: object) -> tuple[str | bytes, str | None]:
    """What is to be stored, hidden; and what is wrong. This and `_json_text` do not raise: their frames hold the value.

    Texts and attributes of what is caught here may quote it too, so nothing is chained.
    """
    if isinstance(value, Mapping):
        return _json_text(value)
    if isinstance(value, (str, bytes)):
        return value, None
    if not isinstance(value, memoryview):
        return "", f"must be text, bytes or a mapping, not {kind_of(value)}"
    try:
        return hidden_bytes(value.tobytes()), None
    except ValueError:
        return b"", "is a memoryview that was released"


def _json_text(fields: Mapping[str, Any]) -> tuple[str, str | None]:
    """The fields as a JSON object, without the spaces that would count for the size."""
    try:
        text = json.dumps(_plain(fields), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
        return hidden_text(text), None
    except _NotJson as refusal:
        return "", str(refusal)
    except ValueError:
        return (
            "",
            "is no JSON object: it has a number that JSON does not know, a too long one, or text that is no Unicode",
        )
    except RecursionError:
        return "", "is nested too deep for the calls that are under way"
    except Exception as error:  # noqa: BLE001 - of a mapping that somebody else has written
        return "", f"is a mapping whose items raised {type(error).__name__}"


class _NotJson(Exception):
    """A part of a mapping that JSON has not; the text names its type alone."""


def _plain(value: Any, depth: int = 1) -> Any:
    """The value in the types that the JSON encoder knows."""
    if depth > MAX_JSON_DEPTH and isinstance(value, (Mapping, list, tuple)):
        raise _NotJson(f"is nested more than {MAX_JSON_DEPTH} deep, or contains itself")
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise _NotJson("is no JSON object: it has a name that is no text")
        return {name: _plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise _NotJson(f"is no JSON object: it has a value of type {type(value).__name__} in it")
