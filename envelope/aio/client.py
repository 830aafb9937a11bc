"""The front door for asyncio: the methods of `Client` as coroutines, over the same engine and the same cache."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from functools import partial
from typing import Any, BinaryIO

from envelope import files, ranges, streams
from envelope.aio.chunks import checked_chunks, opened_chunks, sealed_chunks
from envelope.aio.decrypting_reader import AsyncDecryptingReader
from envelope.aio.encrypting_writer import AsyncEncryptingWriter
from envelope.aio.keyring_calls import AsyncKeyringCalls
from envelope.aio.worker import WORKER_BYTES, Lane, entered, to_its_end
from envelope.arguments import check_flag
from envelope.binary_files import (
    as_view,
    checked_reader,
    checked_writer,
    known_length,
    rest_in_memory,
    seek,
    seekable_extent,
)
from envelope.client import Context, check_length, message_buffer
from envelope.context import EMPTY_CONTEXT, check_context
from envelope.decrypting_reader import DecryptingReader
from envelope.encrypting_writer import EncryptingWriter
from envelope.engine.decryptor import Decryptor
from envelope.engine.encryptor import EncryptionPlan, Encryptor, seal_message
from envelope.engine.input import InputBuffer
from envelope.engine.options import DEFAULT_MAX_ENCRYPTED_DATA_KEYS, DEFAULT_MAX_FRAME_BYTES, Options
from envelope.engine.planning import Planner
from envelope.errors import InvalidArgument
from envelope.keyrings.protocol import Keyring, check_keyring
from envelope.message.header import Header
from envelope.message_source import MessageSource
from envelope.opened import Opened, OpenedMessage, opened
from envelope.suites import CommitmentPolicy, Suite

__all__ = ["AsyncClient"]

Chunk = bytes | bytearray | memoryview


class AsyncClient:
    """`Client` for asyncio: the same arguments, messages and errors. Immutable; share it between tasks and event loops.

    Over a `DataKeyCache`, a data key that is there never leaves the event loop; one that is missing is asked for in a
    worker thread, once for all tasks and threads that miss it, and a task that is cancelled leaves it to the others.
    Another keyring is asked in a worker thread for each message: a cache avoids it.

    From 1 MiB on, plaintext is sealed and opened in a worker thread. Buffers must not change until a call returns.

    Args:
        See `Client`.
    """

    __slots__ = ("_keyring", "_keys", "_options", "_planned")

    def __init__(
        self,
        keyring: Keyring,
        *,
        commitment_policy: CommitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
        max_encrypted_data_keys: int = DEFAULT_MAX_ENCRYPTED_DATA_KEYS,
        max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
        decrypt_unsigned_only: bool = False,
        allow_net_4_0_0_messages: bool = False,
    ) -> None:
        self._keyring = check_keyring(keyring)
        self._keys = AsyncKeyringCalls(self._keyring)
        self._options = Options(
            commitment_policy,
            max_encrypted_data_keys,
            max_frame_bytes,
            decrypt_unsigned_only,
            allow_net_4_0_0_messages,
        )
        self._planned = Planner(self._options).plan

    def __repr__(self) -> str:
        return f"AsyncClient({self._keyring!r}, commitment_policy={self._options.commitment_policy})"

    async def encrypt(
        self,
        plaintext: Chunk,
        encryption_context: Context = EMPTY_CONTEXT,
        *,
        suite: Suite | None = None,
        frame_length_bytes: int | None = None,
        unstored_context_keys: Iterable[str] = (),
    ) -> bytes:
        """See `Client.encrypt`."""
        if type(plaintext) is not bytes:
            plaintext = as_view(plaintext, "plaintext")
        plan = self._planned(encryption_context, suite, frame_length_bytes, unstored_context_keys)
        data_key = await self._keys.data_key(plan.request, len(plaintext))
        if len(plaintext) < WORKER_BYTES:
            return seal_message(plan, data_key, plaintext)
        return await asyncio.to_thread(seal_message, plan, data_key, plaintext)

    async def decrypt(self, message: Chunk, encryption_context: Context = EMPTY_CONTEXT) -> bytes:
        """See `Client.decrypt`."""
        return (await self._open(message, encryption_context))[0]

    async def decrypt_message(self, message: Chunk, encryption_context: Context = EMPTY_CONTEXT) -> OpenedMessage:
        """See `Client.decrypt_message`."""
        plaintext, decryptor = await self._open(message, encryption_context)
        return OpenedMessage(plaintext, decryptor.header, decryptor.encryption_context, decryptor.unwrapped_by)

    def encrypt_chunks(
        self,
        chunks: AsyncIterable[Chunk] | Iterable[Chunk],
        encryption_context: Context = EMPTY_CONTEXT,
        length: int | None = None,
        *,
        suite: Suite | None = None,
        frame_length_bytes: int | None = None,
        unstored_context_keys: Iterable[str] = (),
    ) -> AsyncGenerator[bytes, None]:
        """The message of a plaintext that comes in chunks of any size, as chunks.

        It reads no further than what it gives needs. Without its last chunk it is no message: if the plaintext fails
        or the generator is closed, no reader accepts what it gave.

        Args:
            chunks: an asynchronous iterable, or one that does not block. A generator is closed with this one.
            length: how many bytes there will be; more or fewer are an error.

        Raises:
            As `Client.encrypt`, for the arguments at once. StreamFailed: `chunks` raised; its exception is the cause.
        """
        source = checked_chunks(chunks)
        plaintext_bytes = check_length(length)
        plan = self._planned(encryption_context, suite, frame_length_bytes, unstored_context_keys)
        return sealed_chunks(partial(self._encryptor, plan, plaintext_bytes), source, plaintext_bytes)

    def decrypt_chunks(
        self,
        chunks: AsyncIterable[Chunk] | Iterable[Chunk],
        encryption_context: Context = EMPTY_CONTEXT,
        *,
        release_plaintext_before_signature: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """The plaintext of a message that comes in chunks of any size, as chunks. See `Client.decrypting_reader`.

        The plaintext is whole only when the generator has come to its end.

        Args:
            chunks: an asynchronous iterable, or one that does not block. A generator is closed with this one.

        Raises:
            As `Client.decrypt`. StreamFailed: `chunks` raised; its exception is the cause.
        """
        early = check_flag("release_plaintext_before_signature", release_plaintext_before_signature)
        source = checked_chunks(chunks)
        return opened_chunks(self._decryptor(encryption_context), self._keys.unwrapped, source, early=early)

    @contextlib.asynccontextmanager
    async def encrypting_writer(
        self,
        binary_file: BinaryIO,
        encryption_context: Context = EMPTY_CONTEXT,
        length: int | None = None,
        *,
        suite: Suite | None = None,
        frame_length_bytes: int | None = None,
        unstored_context_keys: Iterable[str] = (),
    ) -> AsyncIterator[AsyncEncryptingWriter]:
        """See `Client.encrypting_writer`: for `async with`. The file is written in worker threads."""
        lane = Lane()
        write_all = lane.stoppable(checked_writer(_blocking(binary_file, "binary_file"), "binary_file"))
        plaintext_bytes = check_length(length)
        plan = self._planned(encryption_context, suite, frame_length_bytes, unstored_context_keys)
        encryptor = await self._encryptor(plan, plaintext_bytes)
        name = getattr(binary_file, "name", None)
        blocking = await lane.run(EncryptingWriter, encryptor, write_all, plaintext_bytes, name)
        writer = AsyncEncryptingWriter(blocking, lane, writes_block=True)
        try:
            yield writer
        except BaseException:
            writer.abort()
            raise
        await writer.close()

    @contextlib.asynccontextmanager
    async def decrypting_reader(
        self,
        binary_file: BinaryIO,
        encryption_context: Context = EMPTY_CONTEXT,
        *,
        release_plaintext_before_signature: bool = False,
    ) -> AsyncIterator[AsyncDecryptingReader]:
        """See `Client.decrypting_reader`: for `async with`. The file is read in worker threads."""
        early = check_flag("release_plaintext_before_signature", release_plaintext_before_signature)
        lane = Lane()
        source = await self._source(binary_file, encryption_context, lane)
        name = getattr(binary_file, "name", None)
        reader = AsyncDecryptingReader(await lane.run(DecryptingReader, source, early=early, name=name), lane)
        try:
            yield reader
        except BaseException:
            reader.abort()
            raise
        await reader.close()

    async def encrypt_stream(
        self,
        source: BinaryIO,
        destination: BinaryIO,
        encryption_context: Context = EMPTY_CONTEXT,
        *,
        suite: Suite | None = None,
        frame_length_bytes: int | None = None,
        unstored_context_keys: Iterable[str] = (),
    ) -> Header:
        """See `Client.encrypt_stream`. If it is cancelled, it stops at its next read or write, and waits for that."""
        lane = Lane()
        read_into = lane.stoppable(checked_reader(_blocking(source, "source"), "source"))
        write_all = lane.stoppable(checked_writer(_blocking(destination, "destination"), "destination"))
        plan = self._planned(encryption_context, suite, frame_length_bytes, unstored_context_keys)
        least_bytes = await lane.run(known_length, source)
        encryptor = Encryptor(plan, await self._keys.stream_data_key(plan.request, least_bytes))
        batches = streams.batches_of(rest_in_memory(source), read_into)
        return await lane.run(streams.copy_encrypted, encryptor, batches, write_all)

    async def decrypt_stream(
        self,
        source: BinaryIO,
        destination: BinaryIO,
        encryption_context: Context = EMPTY_CONTEXT,
        *,
        release_plaintext_before_signature: bool = False,
    ) -> Opened:
        """See `Client.decrypt_stream`. If it is cancelled, it stops at its next read or write, and waits for that."""
        early = check_flag("release_plaintext_before_signature", release_plaintext_before_signature)
        lane = Lane()
        write_all = lane.stoppable(checked_writer(_blocking(destination, "destination"), "destination"))
        message = await self._source(source, encryption_context, lane)
        await lane.run(streams.copy_decrypted, message, write_all, early=early)
        return opened(message.decryptor)

    async def encrypt_file(
        self,
        source_path: str | os.PathLike[str],
        destination_path: str | os.PathLike[str],
        encryption_context: Context = EMPTY_CONTEXT,
        *,
        suite: Suite | None = None,
        frame_length_bytes: int | None = None,
        unstored_context_keys: Iterable[str] = (),
    ) -> Header:
        """See `Client.encrypt_file`."""
        both = files.converting(source_path, destination_path, new_mode=files.CIPHERTEXT_MODE)
        async with entered(both) as (reading, writing):
            return await self.encrypt_stream(
                reading,
                writing,
                encryption_context,
                suite=suite,
                frame_length_bytes=frame_length_bytes,
                unstored_context_keys=unstored_context_keys,
            )

    async def decrypt_file(
        self,
        source_path: str | os.PathLike[str],
        destination_path: str | os.PathLike[str],
        encryption_context: Context = EMPTY_CONTEXT,
    ) -> Opened:
        """See `Client.decrypt_file`."""
        both = files.converting(source_path, destination_path, new_mode=files.PLAINTEXT_MODE)
        async with entered(both) as (reading, writing):
            return await self.decrypt_stream(
                reading, writing, encryption_context, release_plaintext_before_signature=True
            )

    async def open_range(
        self, source: BinaryIO, start: int, length: int, encryption_context: Context = EMPTY_CONTEXT
    ) -> bytes:
        """See `Client.open_range`."""
        checked_start, checked_length = ranges.check_range(start, length)
        lane = Lane()
        message_start, message_end = await lane.run(seekable_extent, _blocking(source, "source"), "source")
        read_into = lane.stoppable(checked_reader(source, "source"))
        try:
            message = await self._source(source, encryption_context, lane)
            return await lane.run(
                ranges.open_range,
                message.decryptor,
                source,
                read_into,
                message_start=message_start,
                message_end=message_end,
                start=checked_start,
                length=checked_length,
            )
        finally:
            await to_its_end(seek, source, message_start)

    async def _encryptor(self, plan: EncryptionPlan, length: int | None) -> Encryptor:
        if length is None:
            return Encryptor(plan, await self._keys.stream_data_key(plan.request, None))
        return Encryptor(plan, await self._keys.data_key(plan.request, length))

    def _decryptor(self, context: Context, source: InputBuffer | None = None) -> Decryptor:
        given = EMPTY_CONTEXT if context is EMPTY_CONTEXT else check_context(context, reserved_allowed=True)
        return Decryptor(self._options, given, InputBuffer() if source is None else source)

    async def _open(self, message: object, context: Context) -> tuple[bytes, Decryptor]:
        source = InputBuffer(message_buffer(message))
        decryptor = self._decryptor(context, source)
        request = decryptor.read_header()
        decryptor.supply(await self._keys.unwrapped(request))  # type: ignore[arg-type]  # no None: all of it is here
        if source.size < WORKER_BYTES:
            return decryptor.open_rest(), decryptor
        return await asyncio.to_thread(decryptor.open_rest), decryptor

    async def _source(self, file: BinaryIO, context: Context, lane: Lane) -> MessageSource:
        read_into = lane.stoppable(checked_reader(_blocking(file, "source"), "source"))
        message = MessageSource(self._decryptor(context, InputBuffer(rest_in_memory(file))), read_into)
        request = await lane.run(message.read_request)
        message.decryptor.supply(await self._keys.unwrapped(request))
        return message


def _blocking(file: Any, name: str) -> Any:
    """The file, unless it is one for tasks: a worker thread could do nothing with it."""
    methods = [getattr(file, method, None) for method in ("read", "readinto", "write")]
    if isinstance(file, asyncio.StreamWriter) or any(inspect.iscoroutinefunction(method) for method in methods):
        raise InvalidArgument(
            f"{name} must be a blocking binary file, not the asynchronous {type(file).__name__}",
            hint="encrypt_chunks and decrypt_chunks take and give asynchronous streams",
        )
    return file
