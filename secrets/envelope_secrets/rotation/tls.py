"""How connections to a target are protected. Said by a word, never guessed, and never weakened after a failure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from envelope.errors import InvalidArgument

__all__ = ["RDS_CERTIFICATES", "TLS_MODES", "Tls", "TlsMode", "rds_certificates_file"]

TlsMode = Literal["verify-full", "verify-ca", "require", "disable"]
TLS_MODES: tuple[TlsMode, ...] = ("verify-full", "verify-ca", "require", "disable")

RDS_CERTIFICATES: Final = "rds"
"""As `ca_file`: the certificates of RDS that ``python -m envelope_secrets.rotation.rds_certificates`` has fetched."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How to talk to a target.

    Attributes:
        mode: ``verify-full`` checks certificate and host name, ``verify-ca`` the certificate alone, ``require``
            encrypts without knowing for whom, ``disable`` does without.
        ca_file: path of the PEM file with trusted certificates; the system's by default. `RDS_CERTIFICATES`, the word
            ``rds``, means those of RDS, which must have been fetched; a file of that name is ``./rds``.
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
    def ca_path(self) -> str | None:
        """The path of the file with trusted certificates; None for the system's."""
        return str(rds_certificates_file()) if self.ca_file == RDS_CERTIFICATES else self.ca_file

    @property
    def is_used(self) -> bool:
        """Whether there is TLS at all."""
        return self.mode != "disable"


def rds_certificates_file() -> Path:
    """Where the certificates of RDS are: beside this package, which is ``/var/task`` in the zip of a function."""
    return Path(__file__).parents[2] / "rds-ca-bundle.pem"
