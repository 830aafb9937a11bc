"""Many secrets by few calls: in batches, and one by one where a whole batch is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy

from envelope.errors import AwsMisconfigured, AwsUnavailable, EnvelopeError
from envelope_secrets.value import Secret

__all__ = ["Outcome", "read_in_batches"]

Outcome = Secret | EnvelopeError


def read_in_batches(
    secret_ids: Sequence[str],
    most: int,
    read_batch: Callable[[Sequence[str]], Mapping[str, Outcome]],
    read_one: Callable[[str], Secret],
) -> dict[str, Outcome]:
    """The value of each, or the error that came in its place.

    A batch that is refused as a whole says nothing of its members: the caller may lack the permission for batches, or
    for one member only. They are read one by one then, so each has its own outcome. While the service does not answer,
    or the credentials do not hold, that would be more calls for nothing: then all members of a batch get its error.

    Args:
        most: so many are in a batch.
        read_batch: gives an outcome for each id; what it leaves out is read alone.
    """
    outcomes: dict[str, Outcome] = {}
    for batch in _batches(secret_ids, most):
        outcomes |= _read_batch(batch, read_batch, read_one)
    return outcomes


def _read_batch(
    batch: Sequence[str],
    read_batch: Callable[[Sequence[str]], Mapping[str, Outcome]],
    read_one: Callable[[str], Secret],
) -> dict[str, Outcome]:
    try:
        found = read_batch(batch)
    except (AwsUnavailable, AwsMisconfigured) as error:
        # Each its own exception: one that is raised by several readers collects their tracebacks.
        return {secret_id: copy(error) for secret_id in batch}
    except EnvelopeError:
        found = {}
    return {secret_id: found.get(secret_id) or _alone(secret_id, read_one) for secret_id in batch}


def _alone(secret_id: str, read_one: Callable[[str], Secret]) -> Outcome:
    try:
        return read_one(secret_id)
    except EnvelopeError as error:
        return error


def _batches(secret_ids: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(secret_ids), most):
        yield secret_ids[start : start + most]
