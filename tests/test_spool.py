"""The spool: plaintext that waits for a signature, sealed while it waits."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest

from envelope import StreamFailed
from envelope.spool import Spool


@pytest.mark.parametrize("memory_bytes", [1, 100, 10_000])
def test_a_spool_gives_its_parts_back_in_their_order(
    memory_bytes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    parts = [b"first", b"", b"x" * 5_000, b"last"]
    spool = Spool(memory_bytes)
    for part in parts:
        spool.write(memoryview(part))
    spool.rewind()
    assert (spool.next_bytes(), spool.open_part()) == (5, b"first")
    assert (spool.next_bytes(), spool.open_part()) == (0, b"")
    buffer = bytearray(6_000)
    assert (spool.next_bytes(), spool.open_into(memoryview(buffer))) == (5_000, 5_000)
    assert buffer == b"x" * 5_000 + bytes(1_000)
    assert (spool.next_bytes(), spool.open_part()) == (4, b"last")
    assert spool.next_bytes() is None
    spool.close()
    assert list(tmp_path.iterdir()) == []


class Seen(io.BytesIO):
    """A temporary file that can be looked into and changed."""


def test_a_spool_writes_nothing_readable_and_notices_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Seen()
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda *_, **__: file)
    spool = Spool(1)
    spool.write(memoryview(b"readable plaintext"))
    assert b"readable" not in file.getvalue()
    file.getbuffer()[3] ^= 1
    spool.rewind()
    with pytest.raises(StreamFailed, match="temporary file was changed"):
        spool.open_part()


@pytest.mark.parametrize("method", ["write", "seek", "read"])
def test_a_temporary_file_that_fails_is_a_failed_stream(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(io.BytesIO):
        pass

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    setattr(Fails, method, fail)
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda *_, **__: Fails())
    spool = Spool(1)

    def use() -> None:
        spool.write(memoryview(b"part"))
        spool.rewind()
        spool.open_part()

    with pytest.raises(StreamFailed, match="temporary file: No space left"):
        use()
