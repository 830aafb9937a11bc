"""A pair that the message does not store, and a key that is another one."""

from __future__ import annotations

import io

import pytest

from envelope import AwsAccessDenied, AwsError, AwsUnavailable, ContextMismatch, KeyUnavailable, UnwrapFailed
from envelope.cli.refusals import HEADER_BYTES, Watched, context_refused
from tests.keyrings_for_tests import open_client, raw_aes

MESSAGE = open_client(raw_aes()).encrypt(b"x", {"tenant": "42"})


def unavailable(*causes: Exception) -> KeyUnavailable:
    failed = UnwrapFailed("no", keyring="k", provider_id="p", key_name="n", errors=causes)
    return KeyUnavailable("no keyring could unwrap the data key", errors=(failed,))


def test_a_pair_that_is_not_stored_is_named_without_its_value() -> None:
    with (
        pytest.raises(ContextMismatch, match="does not store 'owner'") as caught,
        context_refused({"tenant": "42", "owner": "secret"}, MESSAGE),
    ):
        raise unavailable(AwsError("no", operation="kms:Decrypt", code="InvalidCiphertextException"))
    assert "secret" not in f"{caught.value}{caught.value.hint}"


def test_if_all_pairs_are_stored_it_is_the_key() -> None:
    with pytest.raises(KeyUnavailable), context_refused({"tenant": "42"}, MESSAGE):
        raise unavailable()


@pytest.mark.parametrize("kind", [AwsAccessDenied, AwsUnavailable])
def test_what_aws_did_not_answer_is_no_refusal(kind: type[AwsAccessDenied]) -> None:
    with pytest.raises(KeyUnavailable), context_refused({"owner": "me"}, MESSAGE):
        raise unavailable(kind("no", operation="kms:Decrypt", code="X"))


def test_a_header_that_is_not_there_says_nothing() -> None:
    with pytest.raises(KeyUnavailable), context_refused({"owner": "me"}, MESSAGE[:40]):
        raise unavailable()


def test_only_the_start_of_a_message_is_kept() -> None:
    watched = Watched(io.BytesIO(bytes(10 * HEADER_BYTES)))
    buffer = memoryview(bytearray(HEADER_BYTES // 2 + 1))
    while watched.readinto(buffer):
        pass
    assert len(watched.start) <= 2 * HEADER_BYTES


def test_streams_are_judged_by_what_was_read() -> None:
    watched = Watched(io.BytesIO(MESSAGE))
    watched.readinto(memoryview(bytearray(10_000)))
    with pytest.raises(ContextMismatch), context_refused({"owner": "me"}, watched):
        raise unavailable()
