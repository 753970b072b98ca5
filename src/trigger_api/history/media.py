"""What a prediction was made of, as it is kept: its bytes, a name that harms nobody, and a type found in the bytes."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from trigger_api.storage.tables import FILE_NAME

UNKNOWN_TYPE = "application/octet-stream"
TEXT_TYPE, JSON_TYPE = "text/plain; charset=utf-8", "application/json"
_START = 64  # bytes that show a file's type
_TYPES = (
    (re.compile(rb"\x89PNG\r\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL), "image/bmp"),
    (re.compile(rb"II\*\0|MM\0\*"), "image/tiff"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "image/avif"),
    (re.compile(rb".{4}ftyp(hei[cx]|mif1|heim|heis)", re.DOTALL), "image/heic"),
    (re.compile(rb"(RIFF|RIFX|RF64).{4}WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"fLaC"), "audio/flac"),
    (re.compile(rb"OggS"), "audio/ogg"),
    (re.compile(rb"\x1aE\xdf\xa3"), "audio/webm"),
    (re.compile(rb".{4}ftyp3g", re.DOTALL), "audio/3gpp"),
    (re.compile(rb".{4}ftyp", re.DOTALL), "audio/mp4"),
    (re.compile(rb"FORM.{4}AIF[FC]", re.DOTALL), "audio/aiff"),
    (re.compile(rb"\.snd"), "audio/basic"),
    (re.compile(rb"#!AMR"), "audio/amr"),
    (re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), "audio/aac"),
    (re.compile(rb"ID3|\xff[\xe2-\xff]"), "audio/mpeg"),
)


@dataclass(frozen=True)
class Media:
    """The input of a prediction.

    Attributes:
        content: its bytes.
        name: of the file, as the client gave it; it may be anything.
        type: its media type, if it is known; by default found in the bytes.
    """

    content: bytes = b""
    name: str | None = None
    type: str | None = None

    @property
    def file_name(self) -> str | None:
        """The last part of the name."""
        return clean_name(self.name)

    @property
    def media_type(self) -> str | None:
        """The media type: one of pictures or recordings, never that of a page with scripts; None without content."""
        return (self.type or find_type(self.content)) if self.content else None


def find_type(start: bytes) -> str:
    """The media type of a file that begins like this."""
    return next((name for pattern, name in _TYPES if pattern.match(start[:_START])), UNKNOWN_TYPE)


def clean_name(name: str | None) -> str | None:
    """A file's name without folders, control characters and what turns the direction of writing; None if empty."""
    last = re.split(r"[/\\]", name or "")[-1]
    plain = "".join(each for each in last if unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Zl", "Zp")).strip()
    return plain[:FILE_NAME].strip() or None if plain.strip(".") else None
