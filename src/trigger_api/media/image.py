"""Decodes pictures of unknown origin to RGB; every limit is checked on the header, before memory is spent."""

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

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_MAX_SCANS = 100  # of a progressive JPEG: each is a pass over the whole picture, however few bytes it has
_START_OF_SCAN = b"\xff\xda"
_DATA_URL = re.compile(r"data:[\w.+/-]*(;[\w.+=-]+)*;base64,", re.ASCII | re.IGNORECASE)
_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by a PNG's colour type
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_BLOCK = 2**20  # bytes
_TEXT_BLOCK = 2**18  # characters
_JPEG, _END_OF_IMAGE = b"\xff\xd8\xff", b"\xff\xd9"
_SIGNATURES = (_PNG[:4], _JPEG, b"RIFF", b"GIF8", b"BM")
_DAMAGED = "the picture cannot be decoded: it is damaged or truncated"
_WHITE, _BLACK = (255, 255, 255, 255), (0, 0, 0, 255)
_LIGHT = 192  # mean brightness, of 255, from which the visible part of a picture is meant for a dark background
_HEIC = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypheim", b"ftypmif1", b"ftypmsf1")
_NOISE = b"\x5a\xa5" * 64
_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class ImageLimits:
    """The largest accepted picture: bytes of the file, pixels, and pixels of the longer side."""

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
    """Decode a picture (its first frame or page), turned upright by EXIF, transparency on white or black.

    PNG, JPEG, WebP, GIF, BMP, TIFF and AVIF are supported; HEIC with the extra ``heif``.

    Raises:
        UnsupportedMedia: it is not a picture in these formats.
        UnreadableMedia: it is empty or truncated, or its header does not match its content.
        TooLarge: it exceeds a limit.
    """
    if not data:
        raise UnreadableMedia("the picture is empty: 0 bytes")
    if len(data) > limits.size:
        raise TooLarge(f"the picture is larger than {limits.size} bytes")
    try:
        return _checked(data, limits)
    except UnreadableMedia:
        return _checked(_with_end_mark(data, limits), limits)


def _checked(data: bytes, limits: ImageLimits) -> Image:
    # The decoders raise all kinds of errors on damaged files; of our own code, only the checks run in there.
    try:
        return _decode(data, limits)
    except (TooLarge, UnreadableMedia, UnsupportedMedia):
        raise
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        raise TooLarge(f"the picture has more than {limits.pixels} pixels") from None
    except Exception:
        raise UnreadableMedia(_DAMAGED) from None


def _decode(data: bytes, limits: ImageLimits) -> Image:
    with PIL.Image.open(BytesIO(data), formats=_formats(data)) as file:
        _check_size(file, limits)
        _check_scans(file, data)
        file.load()
        _check_rows(file, data)
        _check_size(file, limits)  # the frame of a GIF may exceed its screen
        _turn_upright(file)
        return Image(np.asarray(_to_rgb(file)))


def _formats(data: bytes) -> tuple[str, ...]:
    """The formats to try; HEIC is one of them if the library for it is installed."""
    if data[4:12] not in _HEIC:
        return FORMATS
    try:
        import pillow_heif  # an extra
    except ImportError:
        message = "this is a HEIC picture, the format of iPhones: send JPEG, or have trigger-api[heif] installed"
        raise UnsupportedMedia(message) from None
    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def _with_end_mark(data: bytes, limits: ImageLimits) -> bytes:
    """A JPEG that lacks only its end mark, with the mark.

    The decoder silently fills in missing parts of a picture, and ignores what follows its last block: if the picture is
    complete, noise before the mark changes nothing.

    Raises:
        UnreadableMedia: it is another kind of file, or more of it is missing.
    """
    if data.startswith(_JPEG) and _END_OF_IMAGE not in data[-64:]:
        rest = data.removesuffix(_END_OF_IMAGE[:1])
        mended, noisy = rest + _END_OF_IMAGE, rest + _NOISE + _END_OF_IMAGE
        if np.array_equal(_checked(mended, limits).pixels, _checked(noisy, limits).pixels):
            return mended
    raise UnreadableMedia(_DAMAGED)


def to_base64(file: bytes) -> str:
    """Encode a file as text, for JSON."""
    return base64.b64encode(file).decode()


def from_base64(text: str) -> bytes:
    """Decode base64, with or without the head of a data URL, padding and line breaks; URL-safe base64 too.

    Raises:
        UnreadableMedia: it is not base64; the message is the one that older clients know.
    """
    head = _DATA_URL.match(text)
    try:
        return b"".join(_decode_blocks(text, head.end() if head else 0))
    except ValueError:
        raise UnreadableMedia(FAILED_IMAGE) from None


def _decode_blocks(text: str, start: int) -> Iterator[bytes]:
    """Decode base64 in blocks: a single call would hold the interpreter lock, and with it the event loop.

    Raises:
        ValueError: it is not base64.
    """
    rest = padding = ""
    for position in range(start, len(text), _TEXT_BLOCK):
        block = "".join(text[position : position + _TEXT_BLOCK].split()).translate(_URL_SAFE)
        data = block.rstrip("=")
        if (padding and data) or "=" in data:
            raise ValueError("there is text after the padding")
        padding += block[len(data) :]
        data = rest + data
        whole = max(len(data) - 1, 0) // 4 * 4  # the last group is kept: padding may follow it
        yield base64.b64decode(data[:whole], validate=True)
        rest = data[whole:]
    yield base64.b64decode(rest + (padding or "=" * (-len(rest) % 4)), validate=True)


def _check_size(file: PIL.Image.Image, limits: ImageLimits) -> None:
    width, height = file.size
    if width < 1 or height < 1:
        raise UnreadableMedia("the picture is empty: it has no pixels")
    if max(width, height) > limits.side:
        raise TooLarge(f"the picture is {width} x {height} pixels: sides may have up to {limits.side}")
    if width * height > limits.pixels:
        raise TooLarge(f"the picture has more than {limits.pixels} pixels")


def _check_scans(file: PIL.Image.Image, data: bytes) -> None:
    if file.format in ("JPEG", "MPO") and data.count(_START_OF_SCAN) > _MAX_SCANS:
        raise UnreadableMedia(f"the picture has more than {_MAX_SCANS} scans")


def _check_rows(file: PIL.Image.Image, data: bytes) -> None:
    """The library leaves missing rows of a PNG black: if the last row is black, count the rows."""
    if file.format == "PNG" and file.crop((0, file.height - 1, *file.size)).getbbox() is None:
        with suppress(zlib.error):
            if _inflated_bytes(data) < _expected_bytes(data):
                raise UnreadableMedia("the picture is truncated: it has fewer rows than its header states")


def _inflated_bytes(data: bytes) -> int:
    """The bytes of a PNG's rows, decompressed block by block."""
    inflate, offset, count = zlib.decompressobj(), len(_PNG), 0
    while offset + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        rest = data[offset + 8 : offset + 8 + size] if kind == b"IDAT" else b""
        while rest and not inflate.eof:
            count += len(inflate.decompress(rest, _BLOCK))
            rest = inflate.unconsumed_tail
        offset += size + 12
    return count


def _expected_bytes(data: bytes) -> int:
    """The bytes of a PNG's rows by its header: each row of each pass begins with a filter byte."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
    bits = depth * _CHANNELS[colour]
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0)


def _unidentified(data: bytes) -> UnsupportedMedia | UnreadableMedia:
    if data.startswith(_SIGNATURES):
        return UnreadableMedia(_DAMAGED)
    return UnsupportedMedia("this is not a supported picture: send PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF")


def _to_rgb(file: PIL.Image.Image) -> PIL.Image.Image:
    if file.mode.startswith("I"):
        # 16 bits of grey, which the library would clip instead of scaling.
        return PIL.Image.fromarray((np.asarray(file).clip(0, 65_535) >> 8).astype(np.uint8)).convert("RGB")
    if not file.has_transparency_data:
        return file.convert("RGB")
    clear = file.convert("RGBA")
    background = PIL.Image.new("RGBA", clear.size, _BLACK if _is_light(clear) else _WHITE)
    return PIL.Image.alpha_composite(background, clear).convert("RGB")


def _is_light(clear: PIL.Image.Image) -> bool:
    """Whether the visible part of a transparent picture would be lost on white."""
    brightness, opacity = np.asarray(clear.convert("L"), np.float32), np.asarray(clear.getchannel("A"), np.float32)
    visible = float(opacity.sum())
    return visible > 0 and float((brightness * opacity).sum()) / visible > _LIGHT and float(opacity.min()) == 0


def _turn_upright(file: PIL.Image.Image) -> None:
    # Damaged EXIF does not say which side is up, but the picture itself may be intact.
    with suppress(Exception):
        PIL.ImageOps.exif_transpose(file, in_place=True)
