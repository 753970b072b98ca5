"""WAV files whose headers say something else than what the file holds."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

from trigger_api.errors import UnreadableMedia

Bytes = bytes | mmap

_MOST_CHUNKS = 1_000
_PIPED = 0x7FFF_0000  # bytes that a header promises, or more, where the writer could not know the length
_DESCRIBING = (b"fmt ", b"fact")  # the chunks that decoders need
_EVEN = 2  # chunks are padded to a multiple of so many bytes


@dataclass(frozen=True)
class Layout:
    """How to mend a WAV file: other chunks, and which part of the file its samples are.

    Attributes:
        head: the file up to its samples, as it should be.
        start: where the samples begin.
        size: bytes of them.
        truncated: whether the header promises more samples than there are.
    """

    head: bytes
    start: int
    size: int
    truncated: bool


@dataclass(frozen=True)
class Mended:
    """A WAV file that decoders read to its end.

    Attributes:
        data: the file.
        truncated: whether its header promises more samples than there are.
    """

    data: bytes
    truncated: bool


def mend(data: bytes) -> Mended:
    """Make the header of a WAV file say what the file holds; any other file stays as it is.

    A recorder that was killed leaves sizes of 0, one that writes into a pipe leaves the largest there are, others count
    their own header, forget a pad byte or append zeros. The samples are what follows the ``data`` chunk's header, as
    many as are promised and there.

    Raises:
        UnreadableMedia: the file has a thousand chunks before its samples.
    """
    found = mended_layout(data)
    if found is None:
        return Mended(data, False)
    samples = data[found.start : found.start + found.size]
    return Mended(found.head + samples + b"\0" * (found.size % _EVEN), found.truncated)


def mended_layout(data: Bytes) -> Layout | None:
    """How to mend a file, in memory or mapped into it; None if it needs no mending, or is none of these files.

    Raises:
        UnreadableMedia: the file has a thousand chunks before its samples.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    head: list[bytes] = []
    for name, start, size in _chunks(data):
        if name in _DESCRIBING:
            head.append(_chunk(name, data[start : start + size]))
        if name != b"data":
            continue
        held, samples = len(data) - start, _size(data, start, size)
        if samples == size <= held and start % _EVEN == 0:
            return None
        held_samples = min(samples, held)
        return Layout(_head(b"".join(head), held_samples), start, held_samples, samples > held)
    return None


def _size(data: Bytes, start: int, size: int) -> int:
    """Bytes of samples from here: what the header promises, unless it shows that it could not know."""
    held = len(data) - start
    rest = data[start + size + size % _EVEN :]
    if size > held:
        return held if _is_piped(data, size) else size
    return size if not rest or _is_name(rest[:4]) or not rest.strip(b"\0") else held


def _is_piped(data: Bytes, size: int) -> bool:
    (whole,) = struct.unpack_from("<I", data, 4)
    return whole >= _PIPED or (size >= _PIPED and whole + 8 < len(data))


def _chunks(data: Bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of every chunk."""
    offset = 12
    for _ in range(_MOST_CHUNKS):
        if offset + 8 > len(data):
            return
        name, size = struct.unpack_from("<4sI", data, offset)
        yield name, offset + 8, size
        offset = _next(data, offset + 8 + size)
    raise UnreadableMedia(f"the recording has more than {_MOST_CHUNKS} chunks")


def _next(data: Bytes, end: int) -> int:
    """Where the chunk after one that ends here begins: behind a pad byte, if the writer did not forget it."""
    return end if end % _EVEN == 0 or _is_name(data[end : end + 4]) else end + 1


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % _EVEN)


def _head(chunks: bytes, size: int) -> bytes:
    whole = len(b"WAVE") + len(chunks) + 8 + size + size % _EVEN
    return b"RIFF" + struct.pack("<I", whole) + b"WAVE" + chunks + b"data" + struct.pack("<I", size)
