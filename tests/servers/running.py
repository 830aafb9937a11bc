"""A running server, as the tests see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.certificates import certificates
from tests.servers.processes import ServerFolder

__all__ = ["RunningServer", "write_certificates"]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Where a server is, and who administers it.

    Attributes:
        engine: as a secret of Secrets Manager names it.
        host: the name in the server's certificate; ``127.0.0.1`` is the same server under a name that is not.
        database: one that exists.
        ca_file, other_ca_file: the authority of the certificate, and one that it is not by.
        folder: has the logs; private.
    """

    engine: str
    port: int
    admin: str
    password: str = field(repr=False)
    database: str
    ca_file: str
    other_ca_file: str
    folder: ServerFolder
    host: str = "localhost"

    def log_text(self) -> str:
        """Everything that the server has logged: its messages, and every statement."""
        logs = (self.folder.path / name for name in ("log", "statements.log"))
        return "".join(path.read_text(errors="replace") for path in logs if path.exists())


def write_certificates(folder: ServerFolder) -> dict[str, Path]:
    """The certificates, as files of the server's user."""
    pem = certificates()
    texts = {"ca": pem.ca, "other_ca": pem.other_ca, "certificate": pem.certificate, "key": pem.key}
    return {name: folder.write(f"{name}.pem", text) for name, text in texts.items()}
