"""How gateway and worker talk: length-prefixed msgpack frames over a local socket.

A frame is four bytes of big-endian length and one msgpack map. Every request carries ``id`` and
``op``; its reply carries the same ``id``. Frames without ``id`` are announcements of the worker
(``loading``, ``ready``, ``failed``). Audio is raw little-endian float32 in a bytes field, so a
conversation over the wire is bit-equal to one in the same process.

Nothing here can run code from the other side, unlike pickle.
"""

import asyncio
import select
import socket
import struct
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from duplex_agent.errors import WorkerDied

Message = dict[str, Any]

MAX_FRAME_BYTES: Final = 1 << 20
_LENGTH: Final = struct.Struct(">I")


def pack(message: Message) -> bytes:
    """One message as a frame, ready to write."""
    body: bytes = msgpack.packb(message)
    return _LENGTH.pack(len(body)) + body


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message; raises WorkerDied at the end of the stream or on a broken frame."""
    try:
        body = await reader.readexactly(_length(await reader.readexactly(_LENGTH.size)))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise WorkerDied("the connection to the worker ended") from error
    return _unpack(body)


def read_blocking(connection: socket.socket) -> Message | None:
    """The next message from a blocking socket; None when the other side has closed it."""
    header = _receive(connection, _LENGTH.size)
    if header is None:
        return None
    body = _receive(connection, _length(header))
    return None if body is None else _unpack(body)


def read_all(connection: socket.socket, most: int) -> list[Message]:
    """The next message from a blocking socket and what has come behind it, ``most`` at a time.

    Empty when the other side has closed it.
    """
    messages: list[Message] = []
    while len(messages) < most and (not messages or select.select([connection], [], [], 0)[0]):
        message = read_blocking(connection)
        if message is None:
            break
        messages.append(message)
    return messages


def encode_pcm(pcm: NDArray[np.float32]) -> bytes:
    """Float32 samples as little-endian bytes."""
    return pcm.astype("<f4", copy=False).tobytes()


def decode_pcm(data: bytes) -> NDArray[np.float32]:
    """Little-endian bytes as writable float32 samples."""
    return np.frombuffer(data, dtype="<f4").astype(np.float32)


def _length(header: bytes) -> int:
    length: int = _LENGTH.unpack(header)[0]
    if length > MAX_FRAME_BYTES:
        raise WorkerDied(f"a frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
    return length


def _unpack(body: bytes) -> Message:
    try:
        message = msgpack.unpackb(body)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise WorkerDied("a frame between gateway and worker is not msgpack") from error
    if not isinstance(message, dict):
        raise WorkerDied("a frame between gateway and worker is not a map")
    return message


def _receive(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        try:
            part = connection.recv(size - len(parts))
        except ConnectionError:
            return None
        if not part:
            return None
        parts += part
    return bytes(parts)
