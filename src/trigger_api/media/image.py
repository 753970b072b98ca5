"""Pictures: bytes of unknown origin to RGB, every limit checked on the header, before the memory is spent."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from trigger_api.errors import FAILED_IMAGE, TooLarge, UnreadableMedia, UnsupportedMedia

Pixels = NDArray[np.uint8]

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_MOST_SCANS = 100  # of a progressive JPEG: each costs a pass over the whole picture, whatever its size in bytes
_START_OF_SCAN = b"\xff\xda"
_DATA_URL = re.compile(r"data:[\w.+/-]*(;[\w.+=-]+)*;base64,", re.ASCII | re.IGNORECASE)
_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by a PNG's colour type
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 2**20
_TEXT_PIECE = 2**18
_SIGNATURES = (_PNG[:4], b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM")
_DAMAGED = "the picture cannot be decoded: it is damaged or truncated"
_WHITE = (255, 255, 255, 255)


@dataclass(frozen=True)
class ImageLimits:
    """The largest picture taken: its file's bytes, its pixels, and the pixels of its longer side."""

    size: int = 16 * 2**20
    pixels: int = 25_000_000
    side: int = 16_384


@dataclass(frozen=True)
class Image:
    """RGB pixels, uint8 of shape ``(height, width, 3)``, upright."""

    pixels: Pixels

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[0])


def decode(data: bytes, limits: ImageLimits) -> Image:
    """Decode PNG, JPEG, WebP, GIF (its first frame) or BMP: turned as EXIF says, what is transparent on white.

    Raises:
        UnsupportedMedia: it is no picture of these formats.
        UnreadableMedia: it is empty, truncated, or says something else than it holds.
        TooLarge: it is over a limit.
    """
    if not data:
        raise UnreadableMedia("the picture is empty: 0 bytes")
    if len(data) > limits.size:
        raise TooLarge(f"the picture is larger than {limits.size} bytes")
    # Its decoders raise whatever a damaged file leads them to; nothing of ours runs in here but the checks.
    try:
        with PIL.Image.open(BytesIO(data), formats=FORMATS) as file:
            _check_size(file, limits)
            _check_scans(file, data)
            file.load()
            _check_rows(file, data)
            _check_size(file, limits)  # a GIF's frame may reach beyond its screen
            _turn_upright(file)
            return Image(np.asarray(_rgb(file)))
    except (TooLarge, UnreadableMedia):
        raise
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        raise TooLarge(f"the picture has more than {limits.pixels} pixels") from None
    except Exception:
        raise UnreadableMedia(_DAMAGED) from None


def to_base64(file: bytes) -> str:
    """A file as the text that JSON carries."""
    return base64.b64encode(file).decode()


def from_base64(text: str) -> bytes:
    """The bytes of a picture in base64, with or without a data URL before it.

    Raises:
        UnreadableMedia: it is no base64; the sentence is the one that older clients know.
    """
    head = _DATA_URL.match(text)
    try:
        return b"".join(_decoded_pieces(text, head.end() if head else 0))
    except ValueError:
        raise UnreadableMedia(FAILED_IMAGE) from None


def _decoded_pieces(text: str, start: int) -> Iterator[bytes]:
    """Decode base64 piece by piece: one call for all of it would hold the interpreter, and with it the event loop.

    Raises:
        ValueError: it is no base64.
    """
    rest = padding = ""
    for place in range(start, len(text), _TEXT_PIECE):
        piece = "".join(text[place : place + _TEXT_PIECE].split())
        data = piece.rstrip("=")
        if padding and data:
            raise ValueError("there is more after the padding")
        padding += piece[len(data) :]
        data = rest + data
        whole = max(len(data) - 1, 0) // 4 * 4  # the last group stays: padding may follow it
        yield base64.b64decode(data[:whole], validate=True)
        rest = data[whole:]
    yield base64.b64decode(rest + padding, validate=True)


def _check_size(file: PIL.Image.Image, limits: ImageLimits) -> None:
    width, height = file.size
    if width < 1 or height < 1:
        raise UnreadableMedia("the picture is empty: it has no pixels")
    if max(width, height) > limits.side:
        raise TooLarge(f"the picture is {width} x {height} pixels: sides up to {limits.side} are read")
    if width * height > limits.pixels:
        raise TooLarge(f"the picture has more than {limits.pixels} pixels")


def _check_scans(file: PIL.Image.Image, data: bytes) -> None:
    if file.format in ("JPEG", "MPO") and data.count(_START_OF_SCAN) > _MOST_SCANS:
        raise UnreadableMedia(f"the picture has more than {_MOST_SCANS} scans")


def _check_rows(file: PIL.Image.Image, data: bytes) -> None:
    """The library takes a PNG whose compressed rows end early, and leaves the others zero: count them then."""
    if file.format == "PNG" and file.crop((0, file.height - 1, *file.size)).getbbox() is None:
        with suppress(zlib.error):
            if _inflated(data) < _png_bytes(data):
                raise UnreadableMedia("the picture is truncated: it has fewer rows than its header says")


def _inflated(data: bytes) -> int:
    """Bytes in a PNG's compressed rows, counted piece by piece."""
    inflate, offset, count = zlib.decompressobj(), len(_PNG), 0
    while offset + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        rest = data[offset + 8 : offset + 8 + size] if kind == b"IDAT" else b""
        while rest and not inflate.eof:
            count += len(inflate.decompress(rest, _PIECE))
            rest = inflate.unconsumed_tail
        offset += size + 12
    return count


def _png_bytes(data: bytes) -> int:
    """Bytes that a PNG's header promises: each row of each pass begins with its filter."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
    bits = depth * _CHANNELS[colour]
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0)


def _unidentified(data: bytes) -> UnsupportedMedia | UnreadableMedia:
    if data.startswith(_SIGNATURES):
        return UnreadableMedia(_DAMAGED)
    return UnsupportedMedia("this is no picture that is read here: send PNG, JPEG, WebP, GIF or BMP")


def _rgb(file: PIL.Image.Image) -> PIL.Image.Image:
    if file.mode.startswith("I"):
        # 16 bits of grey, which the library would clip, not scale.
        return PIL.Image.fromarray((np.asarray(file).clip(0, 65_535) >> 8).astype(np.uint8)).convert("RGB")
    if not file.has_transparency_data:
        return file.convert("RGB")
    clear = file.convert("RGBA")
    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", clear.size, _WHITE), clear).convert("RGB")


def _turn_upright(file: PIL.Image.Image) -> None:
    # Notes that cannot be read say nothing of which side is up; the picture itself may well be whole.
    with suppress(Exception):
        PIL.ImageOps.exif_transpose(file, in_place=True)
