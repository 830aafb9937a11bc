"""Commands that encrypt files: what each one is told for a file, for a directory of files, and to say its version."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

__all__ = ["Age", "AwsEncryptionCli", "Command", "Copy", "Envelope", "Openssl", "child_environment"]

_PEER = Path(__file__).parents[2] / ".venv-cli-peer" / "bin" / "aws-encryption-cli"
Line = Sequence[str]


class Command(Protocol):
    """One contender."""

    def version(self) -> Line:
        """Say the version."""

    def file(self, verb: str, source: Path, target: Path, /) -> Line:
        """``encrypt`` or ``decrypt`` a file."""

    def tree(self, verb: str, source: Path, target: Path, /) -> Line:
        """``encrypt`` or ``decrypt`` the files of a directory into another one, which is there."""


def child_environment(kms_url: str, folder: Path) -> Mapping[str, str]:
    """For all contenders: no configuration of the machine, a KMS, and compiled modules as pip installs them."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AWS_ENDPOINT_URL_KMS": kms_url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Envelope:
    """The `envelope` command of this environment, under one key word."""

    def __init__(self, key: str) -> None:
        self._program = str(Path(sys.executable).with_name("envelope"))
        self._key = key

    def version(self) -> Line:
        return (self._program, "--version")

    def file(self, verb: str, source: Path, target: Path) -> Line:
        return (self._program, verb, str(source), "-o", str(target), "-k", self._key)

    def tree(self, verb: str, source: Path, target: Path) -> Line:
        return (*self.file(verb, source, target), "-r")


class AwsEncryptionCli:
    """aws-encryption-cli under a KMS key.

    Raises:
        LookupError: its environment was not made.
    """

    def __init__(self, key_arn: str, *, frame_bytes: int | None = None, caches: bool = False) -> None:
        if not _PEER.exists():
            raise LookupError("aws-encryption-cli: make .venv-cli-peer/.tools")
        self._options: tuple[str, ...] = ("-S", "-w", f"key={key_arn}")
        if caches:
            self._options += ("--caching", "capacity=100", "max_age=600")
        self._writing = () if frame_bytes is None else ("--frame-length", str(frame_bytes))

    def version(self) -> Line:
        return (str(_PEER), "--version")

    def file(self, verb: str, source: Path, target: Path) -> Line:
        writing = self._writing if verb == "encrypt" else ()
        return (str(_PEER), f"--{verb}", "-i", str(source), "-o", str(target), *self._options, *writing)

    def tree(self, verb: str, source: Path, target: Path) -> Line:
        return (*self.file(verb, source, target), "-r", "--suffix")


class Copy:
    """cp: a floor, because whoever writes a file anew writes as many bytes."""

    def version(self) -> Line:
        return ("cp", "--version")

    def file(self, _verb: str, source: Path, target: Path) -> Line:
        return ("cp", str(source), str(target))

    def tree(self, _verb: str, source: Path, target: Path) -> Line:
        return ("cp", "-r", f"{source}/.", str(target))


class _OneFile:
    """A command that knows no directories: a shell's loop runs it for each file."""

    def file(self, verb: str, source: Path, target: Path) -> Line:
        raise NotImplementedError

    def tree(self, verb: str, source: Path, target: Path) -> Line:
        each = " ".join(f'"{word}"' for word in self.file(verb, Path("$file"), target / "$file"))
        return ("/bin/sh", "-c", f'cd "{source}" && for file in *; do {each} || exit 1; done')


class Age(_OneFile):
    """age to one X25519 recipient.

    Raises:
        LookupError: it is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._program = _found("age")
        self._identity = folder / "age-identity"
        subprocess.run(  # noqa: S603 - a contender
            [_found("age-keygen"), "-o", str(self._identity)], check=True, capture_output=True
        )
        lines = self._identity.read_text().splitlines()
        self._recipient = next(line.split()[-1] for line in lines if line.startswith("# public key:"))

    def version(self) -> Line:
        return (self._program, "--version")

    def file(self, verb: str, source: Path, target: Path) -> Line:
        key = ("-r", self._recipient) if verb == "encrypt" else ("-d", "-i", str(self._identity))
        return (self._program, *key, "-o", str(target), str(source))


class Openssl(_OneFile):
    """``openssl enc`` with a passphrase from a file.

    Raises:
        LookupError: it is not installed.
    """

    def __init__(self, cipher: str, folder: Path) -> None:
        self._program = _found("openssl")
        passphrase = folder / "openssl-passphrase"
        passphrase.write_text("correct horse battery staple\n")
        self._options = (f"-{cipher}", "-pbkdf2", "-pass", f"file:{passphrase}")

    def version(self) -> Line:
        return (self._program, "version")

    def file(self, verb: str, source: Path, target: Path) -> Line:
        direction = ("-d",) if verb == "decrypt" else ()
        return (self._program, "enc", *direction, *self._options, "-in", str(source), "-out", str(target))


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise LookupError(f"{program}: not on PATH")
    return path
