"""What came of asking for many secrets at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from envelope.cache.single_flight import own_copy
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets.value import HidesValue, Secret

__all__ = ["SecretBatch"]


class SecretBatch(HidesValue, Mapping[str, Secret]):
    """Secrets by the ids they were asked for. One that failed raises its error when it is taken out.

    Iteration, length and ``in`` are those of the secrets that came; `errors` has the others. Immutable.

    Raises:
        EnvelopeError: on access to a secret that failed, the error of that one.
        InvalidArgument: on access to what was not asked for. It is a `KeyError` too, as of every mapping.
    """

    __slots__ = ("_errors", "_secrets")

    def __init__(self, answers: Mapping[str, Secret | EnvelopeError]) -> None:
        self._secrets = {name: answer for name, answer in answers.items() if isinstance(answer, Secret)}
        self._errors: Mapping[str, EnvelopeError] = MappingProxyType(
            {name: answer for name, answer in answers.items() if isinstance(answer, EnvelopeError)}
        )

    @property
    def errors(self) -> Mapping[str, EnvelopeError]:
        """Why the others did not come, by id."""
        return self._errors

    def __getitem__(self, secret_id: str) -> Secret:
        secret = self._secrets.get(secret_id)
        if secret is not None:
            return secret
        error = self._errors.get(secret_id)
        if error is not None:
            raise own_copy(error)  # who asks twice must not grow its traceback
        raise _NotAsked("a secret was taken out of a batch that it was not asked for in")

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)

    def __contains__(self, secret_id: object) -> bool:
        return secret_id in self._secrets

    def __repr__(self) -> str:
        return f"SecretBatch({len(self._secrets)} secrets, {len(self._errors)} errors)"


class _NotAsked(InvalidArgument, KeyError):
    """What a mapping raises, and what this package raises."""

    __str__ = Exception.__str__  # that of KeyError shows the repr of the text
