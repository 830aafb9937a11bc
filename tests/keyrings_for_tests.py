"""Keyrings that tests can look into, and the client that opens every suite."""

from __future__ import annotations

from typing import Any

from envelope import (
    Client,
    CommitmentPolicy,
    DataKey,
    EncryptedDataKey,
    Keyring,
    KeyUnavailable,
    RawAesKeyring,
    UnwrappedBy,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
)
from tests.crafted_messages import DATA_KEY, FACTS

ALL_SUITES = tuple(FACTS)
UNSIGNED_SUITES = tuple(suite_id for suite_id, facts in FACTS.items() if facts.curve is None)
SIGNED_SUITES = tuple(suite_id for suite_id, facts in FACTS.items() if facts.curve is not None)


class FixedKeyring:
    """One data key for everything, and a log of what was asked."""

    def __init__(self, data_key: bytes = DATA_KEY) -> None:
        self.data_key = data_key
        self.wraps: list[WrapRequest] = []
        self.unwraps: list[UnwrapRequest] = []

    def __repr__(self) -> str:
        return "FixedKeyring()"

    def wrap(self, request: WrapRequest) -> DataKey:
        self.wraps.append(request)
        data_key = request.data_key or self.data_key[: request.suite.data_key_bytes]
        return DataKey(data_key, (EncryptedDataKey("test", b"key", b"wrapped"),))

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        self.unwraps.append(request)
        return UnwrappedDataKey(
            self.data_key[: request.suite.data_key_bytes], UnwrappedBy("FixedKeyring()", "test", "key")
        )


class AnswersWith:
    """Returns what it was made with, or raises it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __repr__(self) -> str:
        return "AnswersWith()"

    def wrap(self, request: WrapRequest) -> DataKey:
        return self._answer()

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        return self._answer()

    def _answer(self) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Refuses:
    """Never wraps or unwraps anything."""

    def __repr__(self) -> str:
        return "Refuses()"

    def wrap(self, request: WrapRequest) -> DataKey:
        raise KeyUnavailable("Refuses() refuses")

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        raise KeyUnavailable("Refuses() refuses")


def raw_aes(name: str = "key", fill: int = 1) -> RawAesKeyring:
    return RawAesKeyring("tests", name, bytes([fill]) * 32)


def open_client(keyring: Keyring | None = None, **options: Any) -> Client:
    """A client that writes committing suites and opens all."""
    return Client(
        FixedKeyring() if keyring is None else keyring,
        commitment_policy=options.pop("commitment_policy", CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT),
        **options,
    )


def writing_client(suite_id: int, keyring: Keyring | None = None, **options: Any) -> Client:
    """A client that may write this suite and opens all."""
    policy = (
        CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT
        if FACTS[suite_id].is_committing
        else CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
    )
    return open_client(keyring, commitment_policy=policy, **options)
