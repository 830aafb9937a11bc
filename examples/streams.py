"""Encrypt what does not fit into memory: a stream in, a stream out, constant memory; then read a part of it."""

import io
import json
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from envelope import Client, RawAesKeyring

CONTEXT = {"export": "orders", "day": "2026-11-22"}


def rows() -> Iterator[dict[str, int]]:
    """Stands for a query that gives more rows than memory holds."""
    yield from ({"order": number, "cents": number * 7} for number in range(50_000))


def write_export(client: Client, file: BinaryIO) -> None:
    # Leaving the block writes the last frame. An exception leaves the message unfinished, and no reader accepts it.
    with client.encrypting_writer(file, CONTEXT) as writer:
        for row in rows():
            writer.write(json.dumps(row).encode() + b"\n")


def read_export(client: Client, file: BinaryIO) -> int:
    # The text wrapper reads lines; leaving the block verifies the rest, or raises.
    with client.decrypting_reader(file, CONTEXT) as reader, io.TextIOWrapper(reader) as lines:
        return sum(json.loads(line)["cents"] for line in lines)


def main() -> None:
    client = Client(RawAesKeyring("examples", "exports", bytes(32)))  # a key of zeros: for an example only
    with tempfile.TemporaryFile() as file:
        write_export(client, file)
        print(f"the export takes {file.tell():,} bytes")
        file.seek(0)
        total = read_export(client, file)
        assert total == sum(row["cents"] for row in rows())
        print(f"the orders add up to {total:,} cents")
        file.seek(0)
        part = client.open_range(file, 1_000_000, 60, CONTEXT)
        print(f"60 bytes from the middle, without reading the rest: {part!r}")


if __name__ == "__main__":
    main()
