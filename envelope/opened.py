"""What was verified about a message."""

from __future__ import annotations

from dataclasses import dataclass, field

from envelope.context import EncryptionContext
from envelope.engine.decryptor import Decryptor
from envelope.materials import UnwrappedBy
from envelope.message.header import Header
from envelope.suites import Suite

__all__ = ["Opened", "OpenedMessage", "opened"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What was verified about a message whose plaintext went elsewhere.

    Attributes:
        header: the header.
        encryption_context: the authenticated pairs, those that the caller gave included.
        unwrapped_by: the keyring and the key that unwrapped the data key.
    """

    header: Header
    encryption_context: EncryptionContext
    unwrapped_by: UnwrappedBy

    @property
    def suite(self) -> Suite:
        """The algorithm suite."""
        return self.header.suite


def opened(decryptor: Decryptor) -> Opened:
    """What was verified, of a decryptor that is finished."""
    return Opened(decryptor.header, decryptor.encryption_context, decryptor.unwrapped_by)


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """A decrypted message and what was verified about it.

    Attributes:
        plaintext: the plaintext; not shown by repr.
        header: the header.
        encryption_context: the authenticated pairs, those that the caller gave included.
        unwrapped_by: the keyring and the key that unwrapped the data key.
    """

    plaintext: bytes = field(repr=False)
    header: Header
    encryption_context: EncryptionContext
    unwrapped_by: UnwrappedBy

    @property
    def suite(self) -> Suite:
        """The algorithm suite."""
        return self.header.suite
