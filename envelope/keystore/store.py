"""The local keystore as its users see it: create, open, create a key, rotate a key."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from envelope.errors import InvalidArgument, KeystoreError, PassphraseRefused
from envelope.key_names import check_key_name
from envelope.keystore import format as keystore_format
from envelope.keystore.file_lock import locked
from envelope.keystore.format import Keys, KeyVersion, Protection, ScryptCost
from envelope.process_state import reset_in_children
from envelope.replacement import check_path, replacing, translated_os_errors

__all__ = ["ExportedKey", "LocalKeystore"]

MAX_NAME_BYTES = 128
_DEFAULT_COST = ScryptCost()


@dataclass(frozen=True, slots=True)
class ExportedKey:
    """One key version as any raw AES keyring of any implementation takes it: namespace, name and 32 bytes."""

    namespace: str
    name: str
    wrapping_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Contents:
    """What was in the file, and the marks of the file by which a change is noticed."""

    keystore_id: str
    keys: Keys
    marks: tuple[int, int, int]


class LocalKeystore:
    """A file of named wrapping keys with versions, mode 0600, sealed under a passphrase.

    Several processes and threads may use one file: a writer takes a lock and builds on what is in the file then,
    readers notice a changed file by themselves. A new content takes the place of the old one as a whole, after it is
    on the disk. A child that is forked meanwhile keeps no lock, neither from others nor from itself.

    Not for several machines, and no stronger than its passphrase and the account that runs the process; for those there
    is AWS KMS. Needs POSIX file locks.
    """

    def __init__(
        self, path: Path, protection: Protection | None, contents: _Contents, clock: Callable[[], datetime]
    ) -> None:
        """Use `LocalKeystore.create` or `LocalKeystore.open`."""
        self._path = path
        self._protection = protection
        self._contents = contents
        self._clock = clock
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin with a new lock: in a forked child, a thread that is not there may hold the old one."""
        self._thread_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"LocalKeystore({str(self._path)!r})"

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        passphrase: str | bytes,
        scrypt_cost: ScryptCost = _DEFAULT_COST,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> LocalKeystore:
        """Make a new, empty keystore under a passphrase.

        Args:
            path: a file that does not exist yet, in a folder that does.
            passphrase: text (normalized to NFC, then UTF-8) or bytes; not empty.
            scrypt_cost: what a guess of the passphrase costs; stored in the file.

        Raises:
            InvalidArgument: an empty passphrase or a wrong type.
            KeystoreError: there is a file already.
            StreamFailed: the file cannot be written.
        """
        if not isinstance(scrypt_cost, ScryptCost):
            raise InvalidArgument(f"scrypt_cost must be an envelope.ScryptCost, not {type(scrypt_cost).__name__}")
        secret = _check_passphrase(passphrase)
        return cls._create(path, lambda: Protection.from_passphrase(secret, scrypt_cost), clock)

    @classmethod
    def create_unprotected_for_development(
        cls, path: str | os.PathLike[str], *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> LocalKeystore:
        """Make a new, empty keystore without a passphrase: who reads the file has the keys."""
        return cls._create(path, lambda: None, clock)

    @classmethod
    def _create(
        cls, path: object, protect: Callable[[], Protection | None], clock: Callable[[], datetime]
    ) -> LocalKeystore:
        checked = check_path(path, "path")
        with locked(checked):
            if os.path.lexists(checked):
                raise KeystoreError(
                    f"there is a file at {str(checked)!r} already",
                    hint="open it, or choose another path; nothing was changed",
                )
            protection = protect()
            contents = _write(checked, os.urandom(8).hex(), {}, protection)
        return cls(checked, protection, contents, clock)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        passphrase: str | bytes,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> LocalKeystore:
        """Open a keystore under its passphrase.

        Raises:
            PassphraseRefused: another passphrase, or an edited file.
            KeystoreError: no keystore there, a damaged or unprotected one, or one that others may read.
        """
        secret = _check_passphrase(passphrase)
        checked = check_path(path, "path")
        outer, marks = _read(checked)
        if outer["protection"]["kind"] == "none":
            # Not opened all the same: whoever can write the folder could have put it there.
            raise KeystoreError(
                f"the keystore {str(checked)!r} is not under a passphrase",
                hint="LocalKeystore.open_unprotected_for_development opens it, if that is what you expect",
            )
        protection = keystore_format.read_protection(outer, secret)
        keys = keystore_format.parse_keys(outer, protection)
        return cls(checked, protection, _Contents(outer["id"], keys, marks), clock)

    @classmethod
    def open_unprotected_for_development(
        cls, path: str | os.PathLike[str], *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> LocalKeystore:
        """Open a keystore that has no passphrase."""
        checked = check_path(path, "path")
        outer, marks = _read(checked)
        if outer["protection"]["kind"] != "none":
            raise PassphraseRefused(
                f"the keystore {str(checked)!r} is under a passphrase", hint="LocalKeystore.open(path, passphrase=...)"
            )
        return cls(checked, None, _Contents(outer["id"], keystore_format.parse_keys(outer, None), marks), clock)

    @property
    def namespace(self) -> str:
        """The provider id of encrypted data keys of this keystore."""
        return f"local-keystore/{self._contents.keystore_id}"

    def key_names(self) -> tuple[str, ...]:
        """The names of all keys, sorted, as they are in the file now."""
        return tuple(sorted(self._refreshed().keys))

    def versions(self, name: str) -> tuple[KeyVersion, ...]:
        """All versions of a key in ascending order, as they are in the file now."""
        return _versions_of(self._refreshed(), name)

    def known_version(self, name: str, version: int) -> KeyVersion | None:
        """One version of a key, or None; the file is read again only if this process has not seen the version."""
        return _version_in(self._contents, name, version) or _version_in(self._refreshed(), name, version)

    def create_key(self, name: str) -> None:
        """Add a key with one version.

        Raises:
            KeystoreError: there is a key of that name.
        """
        self._add_key(name, os.urandom(keystore_format.WRAPPING_KEY_BYTES))

    def import_key(self, name: str, wrapping_key: bytes | bytearray | memoryview) -> None:
        """Add a key with one version that was made elsewhere. Whoever had it before still has it.

        Args:
            wrapping_key: 32 bytes.

        Raises:
            InvalidArgument: another length or type.
            KeystoreError: there is a key of that name.
        """
        given: object = wrapping_key
        if not isinstance(given, (bytes, bytearray, memoryview)):
            raise InvalidArgument(f"wrapping_key must be bytes, not {type(given).__name__}")
        imported = bytes(given)
        if len(imported) != keystore_format.WRAPPING_KEY_BYTES:
            raise InvalidArgument(
                f"wrapping_key has {len(imported)} bytes; keys of a keystore have {keystore_format.WRAPPING_KEY_BYTES}",
                hint="RawAesKeyring takes shorter AES keys",
            )
        self._add_key(name, imported)

    def _add_key(self, name: str, wrapping_key: bytes) -> None:
        check_key_name(name, most_bytes=MAX_NAME_BYTES)
        if not name.isprintable():
            raise InvalidArgument(f"key name {name!r} holds characters that cannot be printed")
        with self._changed_keys() as keys:
            if name in keys:
                raise KeystoreError(f"the keystore has a key {name!r} already", hint="rotate_key adds a version to it")
            keys[name] = (self._new_version(1, wrapping_key),)

    def rotate_key(self, name: str) -> None:
        """Add a version to a key. New messages use it; older messages open under the version that they name."""
        with self._changed_keys() as keys:
            versions = keys.get(name)
            if versions is None:
                raise _no_key(name)
            new_key = os.urandom(keystore_format.WRAPPING_KEY_BYTES)
            keys[name] = (*versions, self._new_version(len(versions) + 1, new_key))

    def change_passphrase(self, passphrase: str | bytes, *, scrypt_cost: ScryptCost = _DEFAULT_COST) -> None:
        """Seal the same keys under another passphrase. Whoever had a copy of the old file still has the keys."""
        if self._protection is None:
            raise KeystoreError(
                "an unprotected keystore has no passphrase", hint="create a keystore under a passphrase"
            )
        protection = Protection.from_passphrase(_check_passphrase(passphrase), scrypt_cost)
        with self._thread_lock, locked(self._path):
            contents = self._read_again()
            self._contents = _write(self._path, contents.keystore_id, contents.keys, protection)
            self._protection = protection

    def export_key(self, name: str, version: int | None = None) -> ExportedKey:
        """A version of a key in the clear, the newest by default, for a raw AES keyring of another implementation."""
        versions = self.versions(name)
        number = len(versions) if version is None else version
        if type(number) is not int or not 1 <= number <= len(versions):
            raise KeystoreError(f"key {name!r} has versions 1 to {len(versions)}, not {number!r}")
        return ExportedKey(self.namespace, version_name(name, number), versions[number - 1].wrapping_key)

    def _new_version(self, version: int, wrapping_key: bytes) -> KeyVersion:
        created = self._clock().astimezone(UTC).isoformat(timespec="seconds")
        return KeyVersion(version, created, wrapping_key)

    @contextlib.contextmanager
    def _changed_keys(self) -> Iterator[dict[str, tuple[KeyVersion, ...]]]:
        """The keys as they are in the file under its lock; what the block makes of them is written back."""
        with self._thread_lock, locked(self._path):
            contents = self._read_again()
            keys = dict(contents.keys)
            yield keys
            self._contents = _write(self._path, contents.keystore_id, keys, self._protection)

    def _refreshed(self) -> _Contents:
        """The contents, read again if the file is another one than before."""
        if not self._path.exists():
            raise _no_file(self._path)
        with translated_os_errors("read the keystore", self._path):
            marks = _marks(self._path.stat())
        if marks != self._contents.marks:
            with self._thread_lock:
                self._contents = self._read_again()
        return self._contents

    def _read_again(self) -> _Contents:
        outer, marks = _read(self._path)
        if marks == self._contents.marks:
            return self._contents
        if outer["id"] != self._contents.keystore_id:
            raise KeystoreError(
                f"another keystore has taken the place of {str(self._path)!r}",
                hint="restore the file, or open the keystore anew",
            )
        return _Contents(outer["id"], keystore_format.parse_keys(outer, self._protection), marks)


def version_name(name: str, version: int) -> str:
    """The name of a key version in messages."""
    return f"{name}/{version}"


def _version_in(contents: _Contents, name: str, version: int) -> KeyVersion | None:
    versions = contents.keys.get(name, ())
    return versions[version - 1] if 1 <= version <= len(versions) else None


def _versions_of(contents: _Contents, name: str) -> tuple[KeyVersion, ...]:
    versions = contents.keys.get(name)
    if versions is None:
        raise _no_key(name)
    return versions


def _no_file(path: Path) -> KeystoreError:
    return KeystoreError(
        f"there is no keystore at {str(path)!r}", hint="restore it from a backup; LocalKeystore.create makes a new one"
    )


def _no_key(name: str) -> KeystoreError:
    return KeystoreError(
        f"the keystore has no key {name!r}",
        hint="key_names() lists what it has; create_key adds one, but old messages need the keystore of theirs",
    )


def _check_passphrase(passphrase: object) -> bytes:
    if isinstance(passphrase, str):
        # The same passphrase typed on two systems can be composed in two ways (RFC 8265, section 4.2).
        passphrase = unicodedata.normalize("NFC", passphrase).encode(errors="surrogatepass")
    if not isinstance(passphrase, bytes):
        raise InvalidArgument(f"passphrase must be str or bytes, not {type(passphrase).__name__}")
    if not passphrase:
        raise InvalidArgument(
            "the passphrase is empty",
            hint="for development, LocalKeystore.create_unprotected_for_development needs none",
        )
    return passphrase


def _read(path: Path) -> tuple[dict[str, Any], tuple[int, int, int]]:
    if not path.exists():
        raise _no_file(path)
    with translated_os_errors("read the keystore", path), path.open("rb") as file:
        status = os.fstat(file.fileno())
        _check_status(path, status)
        content = file.read(keystore_format.MAX_FILE_BYTES)
    return keystore_format.parse_outer(content), _marks(status)


def _check_status(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_size > keystore_format.MAX_FILE_BYTES:
        raise KeystoreError(f"{str(path)!r} is not a keystore file")
    if status.st_mode & 0o077:
        raise KeystoreError(
            f"the keystore {str(path)!r} is open to others (mode {stat.S_IMODE(status.st_mode):04o})",
            hint="chmod 600 the file, and think of its keys as known to those who could read it",
        )


def _write(path: Path, keystore_id: str, keys: Keys, protection: Protection | None) -> _Contents:
    content = keystore_format.serialize(keystore_id, keys, protection)
    if len(content) > keystore_format.MAX_FILE_BYTES:
        raise KeystoreError(f"the keystore would grow over {keystore_format.MAX_FILE_BYTES:,} bytes")
    with translated_os_errors("write the keystore", path):
        with replacing(path, new_mode=0o600) as file:
            file.write(content)
        return _Contents(keystore_id, keys, _marks(path.stat()))


def _marks(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_ino, status.st_size
