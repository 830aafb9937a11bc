"""What a client was told once, checked where it is made."""

from __future__ import annotations

from dataclasses import dataclass

from envelope.arguments import check_count, check_flag
from envelope.errors import InvalidArgument, LimitExceeded
from envelope.message.body import MAX_FRAME_LENGTH_BYTES
from envelope.suites import CommitmentPolicy

__all__ = ["Options"]

DEFAULT_FRAME_LENGTH_BYTES = 256 * 1024
"""From here on frames run at the speed of the bare cipher; docs/decisions/0003-frame-length.md."""

DEFAULT_MAX_ENCRYPTED_DATA_KEYS = 32
"""Each may cost a call to KMS before anything is authenticated."""

DEFAULT_MAX_FRAME_BYTES = 64 * 1024 * 1024
"""So much must be held before it can be authenticated; docs/decisions/0004-limits.md."""

MAX_ENCRYPTED_DATA_KEYS = 65_535


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a client; `Client` documents them."""

    commitment_policy: CommitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    max_encrypted_data_keys: int = DEFAULT_MAX_ENCRYPTED_DATA_KEYS
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
    decrypt_unsigned_only: bool = False
    allow_net_4_0_0_messages: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.commitment_policy, CommitmentPolicy):
            raise InvalidArgument(
                f"commitment_policy must be an envelope.CommitmentPolicy, not {type(self.commitment_policy).__name__}"
            )
        check_count("max_encrypted_data_keys", self.max_encrypted_data_keys, 1, MAX_ENCRYPTED_DATA_KEYS)
        check_count("max_frame_bytes", self.max_frame_bytes, 1, MAX_FRAME_LENGTH_BYTES)
        check_flag("decrypt_unsigned_only", self.decrypt_unsigned_only)
        check_flag("allow_net_4_0_0_messages", self.allow_net_4_0_0_messages)


def check_frame_length(value: object, max_frame_bytes: int) -> int:
    """The frame length of one message; a client writes no frames that it would not read.

    Raises:
        InvalidArgument: no number, or none that a frame can have.
        LimitExceeded: more than `max_frame_bytes`.
    """
    if value is None:
        return min(DEFAULT_FRAME_LENGTH_BYTES, max_frame_bytes)
    frame_length_bytes = check_count("frame_length_bytes", value, 1, MAX_FRAME_LENGTH_BYTES)
    if frame_length_bytes > max_frame_bytes:
        raise LimitExceeded(
            f"frame_length_bytes is {frame_length_bytes:,}, more than the limit of {max_frame_bytes:,}",
            hint="raise max_frame_bytes of this client and of the clients that read its messages",
        )
    return frame_length_bytes
