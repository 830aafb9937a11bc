"""Bytes that are written where they stay."""

import pytest

from envelope.engine.in_place import _WrittenOnce, bytes_written_by


def _fill(view: memoryview) -> int:
    view[:] = bytes(index % 251 for index in range(len(view)))
    return len(view)


@pytest.mark.parametrize("size", [0, 1, 4_095, 300_000])
def test_what_is_written_is_what_is_returned(size: int) -> None:
    expected = bytearray(size)
    _fill(memoryview(expected))
    assert bytes_written_by(_fill, size) == expected


def test_the_function_is_called_once_with_all_of_the_memory() -> None:
    calls = []

    def write(view: memoryview) -> int:
        calls.append(len(view))
        return _fill(view)

    bytes_written_by(write, 100_000)
    assert calls == [100_000]


def test_less_may_be_written_than_there_is_room_for() -> None:
    def write(view: memoryview) -> int:
        view[:3] = b"abc"
        return 3

    assert bytes_written_by(write, 1_000) == b"abc"


def test_what_the_function_raises_comes_out_and_its_memory_cannot_be_reached_any_more() -> None:
    kept = []

    def write(view: memoryview) -> int:
        kept.append(view)
        raise ValueError("broken off")

    with pytest.raises(ValueError, match="broken off"):
        bytes_written_by(write, 10)
    with pytest.raises(ValueError, match="released"):
        kept[0].tobytes()


@pytest.mark.parametrize("step", [1, 3, 7, 100])
def test_an_interpreter_that_reads_piece_by_piece_gets_the_same(step: int) -> None:
    file, pieces = _WrittenOnce(_fill, 20), b""
    while count := file.readinto(memoryview(piece := bytearray(step))):
        pieces += piece[:count]
    assert pieces == bytes(range(20))
