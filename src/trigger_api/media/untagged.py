"""A RIFF file without its tags."""

from __future__ import annotations

import re
from typing import BinaryIO, Final

_TAGS: Final = re.compile(rb"LIST(?=.{4}INFO)", re.DOTALL)
_SKIPPED: Final = b"JUNK"  # a chunk that every reader skips
_OVERLAP: Final = 11  # bytes before or after a piece that may belong to the head of its tags


class Untagged:
    """Reads a file as if it had no title, artist and so on.

    FFmpeg reserves and clears as many bytes as a tag claims to have: gigabytes, if it is damaged.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""
        place = self._file.tell()
        before = min(place, _OVERLAP)
        self._file.seek(place - before)
        data = _TAGS.sub(_SKIPPED, self._file.read(before + size + _OVERLAP))[before : before + size]
        self._file.seek(place + len(data))
        return data
