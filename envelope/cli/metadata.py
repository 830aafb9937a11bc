"""One JSON line for each message: what was done to it, written when its outcome is known.

The fields of aws-encryption-cli, with the status. The encryption context is in it, as it is in the message, so the file
is as private as the messages are. Only what was authenticated is shown of a message that was read.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import threading
from collections.abc import Iterator
from io import FileIO
from typing import TYPE_CHECKING

import click

from envelope.cli.plan import STREAM
from envelope.cli.whole_writes import write_whole
from envelope.replacement import translated_os_errors

if TYPE_CHECKING:
    from envelope.materials import UnwrappedBy
    from envelope.message.header import Header

__all__ = ["MetadataFile", "opened_metadata", "shown_message"]


class MetadataFile:
    """Takes lines from many threads, each of them whole."""

    def __init__(self, file: FileIO | None) -> None:
        self._file = file
        self._lock = threading.Lock()

    @property
    def is_wanted(self) -> bool:
        """Whether anybody reads what is written."""
        return self._file is not None

    def write(self, fields: dict[str, object]) -> None:
        """Add a line.

        Raises:
            StreamFailed: the file does not take it.
        """
        if self._file is None:
            return
        line = json.dumps(fields, sort_keys=True).encode() + b"\n"
        with self._lock, translated_os_errors("write metadata"):
            write_whole(self._file, line)


@contextlib.contextmanager
def opened_metadata(path: str | None, *, overwrite: bool, output: str) -> Iterator[MetadataFile]:
    """The file for a run: lines are added to one that exists, unless `overwrite`.

    Args:
        path: `STREAM` for standard output, None for no metadata.
        overwrite: begin with an empty file.
        output: where the messages go.

    Raises:
        click.UsageError: messages and metadata would both go to standard output.
        StreamFailed: the file cannot be opened.
    """
    if path is None:
        yield MetadataFile(None)
        return
    if path == output == STREAM:
        raise click.UsageError("output and metadata cannot both go to standard output")
    with translated_os_errors("write metadata"):
        if path == STREAM:
            file = FileIO(1, "w", closefd=False)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if overwrite else os.O_APPEND)
            file = FileIO(os.open(path, flags, 0o600), "w")
    with file:
        yield MetadataFile(file)


def shown_message(header: Header | None, unwrapped_by: UnwrappedBy | None) -> dict[str, object]:
    """What is known of a message: its header, and the key that opened it."""
    fields: dict[str, object] = {} if header is None else {"header": _shown_header(header)}
    if unwrapped_by is not None:
        key = unwrapped_by
        fields["unwrapped_by"] = {"keyring": key.keyring, "provider_id": key.provider_id, "key_name": key.key_name}
    return fields


def _shown_header(header: Header) -> dict[str, object]:
    """The fields of a header under the names of aws-encryption-cli; None are those that its version has not."""
    is_version_2 = header.suite.is_committing
    return {
        "version": "2.0" if is_version_2 else "1.0",
        "algorithm": header.suite.name,
        "message_id": _text(header.message_id),
        "encryption_context": dict(header.encryption_context),
        "encrypted_data_keys": [
            {
                "key_provider": {"provider_id": _text(key.provider_id.encode()), "key_info": _text(key.provider_info)},
                "encrypted_data_key": _text(key.ciphertext),
            }
            for key in header.encrypted_data_keys
        ],
        "content_type": 2 if header.frame_length_bytes else 1,
        "header_iv_length": None if is_version_2 else len(header.iv),
        "frame_length": header.frame_length_bytes,
        "type": None if is_version_2 else 128,
        "commitment_key": _text(header.commitment) if header.commitment else None,
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
