"""How connections to a target are protected. Said by a word, never guessed, and never weakened after a failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envelope.errors import InvalidArgument

__all__ = ["TLS_MODES", "Tls", "TlsMode"]

TlsMode = Literal["verify-full", "verify-ca", "require", "disable"]
TLS_MODES: tuple[TlsMode, ...] = ("verify-full", "verify-ca", "require", "disable")


@dataclass(frozen=True, slots=True)
class Tls:
    """How to talk to a target.

    Attributes:
        mode: ``verify-full`` checks certificate and host name, ``verify-ca`` the certificate alone, ``require``
            encrypts without knowing for whom, ``disable`` does without.
        ca_file: path of the PEM file with trusted certificates; the system's by default.
    """

    mode: TlsMode = "verify-full"
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if self.mode not in TLS_MODES:
            raise InvalidArgument(f"tls must be one of {', '.join(TLS_MODES)}", hint="verify-full is the default")
        ca_file: object = self.ca_file
        if ca_file is not None and (not isinstance(ca_file, str) or not ca_file):
            raise InvalidArgument("ca_file must be the path of a PEM file, or None for the system's certificates")

    @property
    def is_used(self) -> bool:
        """Whether there is TLS at all."""
        return self.mode != "disable"
