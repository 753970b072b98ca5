from __future__ import annotations

import base64
import io
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_api.errors import FAILED_IMAGE, ServiceError, TooLarge, UnreadableMedia, UnsupportedMedia
from trigger_api.media import image
from trigger_api.media.image import Image, ImageLimits, decode, from_base64

LIMITS = ImageLimits(size=1_000_000, pixels=100_000, side=1_000)
RED, GREEN = (255, 0, 0), (0, 255, 0)
ORIENTATION = 0x0112


def flag(mode: str = "RGB") -> PIL.Image.Image:
    """Red to the left, green to the right: 32 by 16 pixels."""
    picture = PIL.Image.new("RGB", (32, 16), RED)
    picture.paste(GREEN, (16, 0, 32, 16))
    return picture.convert(mode)


def encode(picture: PIL.Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def is_flag(image: Image, tolerance: int = 12) -> bool:
    left, right = image.pixels[:, :14].astype(int), image.pixels[:, 18:].astype(int)
    return image.pixels.shape == (16, 32, 3) and bool(
        np.abs(left - RED).max() <= tolerance and np.abs(right - GREEN).max() <= tolerance
    )


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, rows: bytes = b"", depth: int = 8, interlaced: int = 0) -> bytes:
    """A grey PNG whose header may lie."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("JPEG", "RGB", {"quality": 95, "subsampling": 0}),
        ("JPEG", "RGB", {"quality": 95, "subsampling": 0, "progressive": True}),
        ("JPEG", "CMYK", {"quality": 95, "subsampling": 0}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("BMP", "P", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "RGB", {"compression": "jpeg", "quality": 95}),
        ("AVIF", "RGB", {"quality": 95, "subsampling": "4:4:4"}),
    ],
)
def test_every_format_is_decoded(kind: str, mode: str, options: dict[str, object]) -> None:
    image = decode(encode(flag(mode), kind, **options), LIMITS)
    assert is_flag(image)
    assert (image.width, image.height, str(image.pixels.dtype)) == (32, 16, "uint8")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_grey_of_any_depth_keeps_its_brightness(mode: str) -> None:
    grey = np.repeat(np.array([[0, 255]], np.uint8), 8, axis=1)
    if mode == "I;16":
        made = PIL.Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        made = PIL.Image.fromarray(grey).convert(mode)
    assert (decode(encode(made), LIMITS).pixels == grey[..., None]).all()


def test_16_bits_of_grey_are_scaled_not_clipped() -> None:
    middle = PIL.Image.fromarray(np.full((4, 4), 32_768, np.uint16))
    assert (decode(encode(middle), LIMITS).pixels == 128).all()


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_transparent_pixels_are_white(kind: str, options: dict[str, object]) -> None:
    picture = PIL.Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    picture.putpixel((0, 0), (0, 0, 0, 128))
    pixels = decode(encode(picture, kind, **options), LIMITS).pixels
    assert abs(int(pixels[0, 0, 0]) - 127) <= 1
    assert (pixels[1:] == 255).all()


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_is_white(mode: str) -> None:
    picture = PIL.Image.new(mode, (4, 4), 0)
    transparent = (0, 0, 0) if mode == "RGB" else 0
    assert (decode(encode(picture, transparency=transparent), LIMITS).pixels == 255).all()


def test_light_ink_on_a_transparent_canvas_is_kept() -> None:
    canvas = PIL.Image.new("RGBA", (20, 20), (255, 255, 255, 0))
    canvas.paste((250, 250, 250, 255), (5, 5, 10, 15))
    pixels = decode(encode(canvas), LIMITS).pixels
    assert pixels[7, 7].tolist() == [250] * 3
    assert pixels[0, 0].tolist() == [0] * 3


@pytest.mark.parametrize("lost", [1, 2])
def test_a_jpeg_without_its_end_mark_is_read(lost: int) -> None:
    whole = encode(flag().resize((160, 90)), "JPEG")
    np.testing.assert_array_equal(decode(whole[:-lost], LIMITS).pixels, decode(whole, LIMITS).pixels)
    with pytest.raises(UnreadableMedia, match="truncated"):
        decode(whole[:-90], LIMITS)


def test_heic_is_read_with_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(flag().resize((128, 64))).save(buffer)
    assert decode(buffer.getvalue(), LIMITS).pixels[32, 20].tolist() == pytest.approx(RED, abs=30)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnsupportedMedia, match=r"send JPEG, or have trigger-api\[heif\]"):
        decode(buffer.getvalue(), LIMITS)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_turns_the_picture_upright(orientation: int, kind: str) -> None:
    as_stored = {
        1: [],
        2: [PIL.Image.Transpose.FLIP_LEFT_RIGHT],
        3: [PIL.Image.Transpose.ROTATE_180],
        4: [PIL.Image.Transpose.FLIP_TOP_BOTTOM],
        5: [PIL.Image.Transpose.TRANSPOSE],
        6: [PIL.Image.Transpose.ROTATE_90],
        7: [PIL.Image.Transpose.TRANSVERSE],
        8: [PIL.Image.Transpose.ROTATE_270],
    }[orientation]
    picture = flag()
    for step in as_stored:
        picture = picture.transpose(step)
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    image = decode(encode(picture, kind, exif=exif, quality=95), LIMITS)
    assert is_flag(image, tolerance=80)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_damaged_exif_does_not_spoil_a_picture() -> None:
    exif = b"Exif\0\0MM\0*" + b"\xff" * 40
    assert is_flag(decode(encode(flag(), "JPEG", exif=exif, quality=95), LIMITS), tolerance=80)


def test_a_gif_is_decoded_to_its_first_frame() -> None:
    frames = [flag(), PIL.Image.new("RGB", (32, 16), "blue")]
    assert is_flag(decode(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), LIMITS))


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        pytest.param(b"", UnreadableMedia, "empty: 0 bytes", id="empty"),
        pytest.param(b"no picture at all\n" * 20, UnsupportedMedia, "not a supported picture", id="text"),
        pytest.param(
            b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedMedia, "not a supported picture", id="svg"
        ),
        pytest.param(encode(flag(), "PPM"), UnsupportedMedia, "not a supported picture", id="ppm"),
        pytest.param(encode(flag(), "ICO"), UnsupportedMedia, "not a supported picture", id="icon"),
        pytest.param(b"\x89PNG\r\n\x1a\n", ServiceError, "picture", id="a signature alone"),
        pytest.param(encode(flag())[:40], UnreadableMedia, "damaged|truncated", id="header alone"),
        pytest.param(encode(flag())[:-30], UnreadableMedia, "damaged|truncated", id="truncated png"),
        pytest.param(encode(flag(), "JPEG")[:-100], UnreadableMedia, "damaged|truncated", id="truncated jpeg"),
        pytest.param(encode(flag(), "WEBP")[:-20], ServiceError, "picture", id="truncated webp"),
        pytest.param(encode(flag(), "GIF")[:-20], UnreadableMedia, "damaged|truncated", id="truncated gif"),
        pytest.param(encode(flag(), "BMP")[:-100], UnreadableMedia, "damaged|truncated", id="truncated bmp"),
        pytest.param(png(300, 300, bytes(301)), UnreadableMedia, "damaged|truncated", id="a tall lie"),
        pytest.param(png(7, 7, bytes(30), interlaced=1), UnreadableMedia, "truncated", id="an interlaced lie"),
        pytest.param(png(0, 10), ServiceError, "picture", id="no width"),
        pytest.param(encode(PIL.Image.new("L", (1_001, 1))), TooLarge, "up to 1000", id="long side"),
        pytest.param(encode(PIL.Image.new("L", (400, 400))), TooLarge, "more than 100000 pixels", id="many pixels"),
        pytest.param(encode(flag()) + bytes(1_000_000), TooLarge, "1000000 bytes", id="many bytes"),
        pytest.param(
            encode(flag(), "JPEG", progressive=True).replace(b"\xff\xd9", b"\xff\xda" * 101),
            UnreadableMedia,
            "scans",
            id="many scans",
        ),
    ],
)
def test_bad_pictures_are_rejected(data: bytes, error: type[ServiceError], text: str) -> None:
    with pytest.raises(error, match=text) as raised:
        decode(data, LIMITS)
    assert 400 <= raised.value.status < 500


@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_black_last_row_is_not_taken_for_truncation(interlaced: int) -> None:
    assert not decode(png(7, 15, bytes(1_000), interlaced=interlaced), LIMITS).pixels.any()


@pytest.mark.parametrize("side", [9_000, 13_000, 20_000, 60_000, 2**31 - 1])
def test_a_decompression_bomb_is_rejected_by_its_header(side: int) -> None:
    bomb = png(side, side, bytes(10_000_000))
    tracemalloc.start()
    with pytest.raises(TooLarge):
        decode(bomb, ImageLimits())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_a_gif_frame_beyond_its_screen_is_counted() -> None:
    data = bytearray(encode(PIL.Image.new("L", (4, 4)), "GIF"))
    frame = data.index(b"\x2c", 6 + 7 + 3 * 2)
    data[frame + 5 : frame + 9] = struct.pack("<HH", 60_000, 60_000)
    with pytest.raises(ServiceError) as raised:
        decode(bytes(data), ImageLimits())
    assert 400 <= raised.value.status < 500


@pytest.mark.parametrize(
    "head", ["", "data:image/png;base64,", "DATA:image/svg+xml;charset=utf-8;base64,", "data:;base64,"]
)
def test_base64_with_or_without_a_data_url(head: str) -> None:
    text = base64.encodebytes(encode(flag())).decode()
    assert is_flag(decode(from_base64(head + text), LIMITS))


@pytest.mark.parametrize("text", ["%%%", "abcde", "data:image/png;base64,@", "data:image/png,abcd", "é" * 8, "\ud800"])
def test_bad_base64_has_the_message_that_older_clients_know(text: str) -> None:
    with pytest.raises(UnreadableMedia, match=FAILED_IMAGE):
        from_base64(text)


@pytest.mark.parametrize("length", range(1, 8))
def test_base64_may_be_url_safe_and_without_padding(length: int) -> None:
    data = b"\xfb\xff\xbe" * 3
    text = base64.urlsafe_b64encode(data[:length]).decode()
    assert from_base64(text) == from_base64(text.rstrip("=")) == data[:length]


@given(st.text("A/+=b \n%", max_size=24))
def test_base64_in_blocks_equals_base64_as_a_whole(text: str) -> None:
    stripped = "".join(text.split())
    if "=" not in stripped:
        stripped += "=" * (-len(stripped) % 4)
    try:
        whole: bytes | None = base64.b64decode(stripped, validate=True)
    except ValueError:
        whole = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image, "_TEXT_BLOCK", 3)
        if whole is None:
            with pytest.raises(UnreadableMedia):
                from_base64(text)
        else:
            assert from_base64(text) == whole


WHOLE: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: encode(flag("P"), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "JPEG": lambda: encode(flag(), "JPEG", progressive=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "WEBP": lambda: encode(flag("RGBA"), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "GIF": lambda: encode(flag(), "GIF", save_all=True, append_images=[flag("L")]),
    "BMP": lambda: encode(flag(), "BMP"),
    "TIFF": lambda: encode(flag(), "TIFF", compression="tiff_lzw"),
    "AVIF": lambda: encode(flag(), "AVIF"),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", WHOLE)
def test_damaged_pictures_never_break_the_decoder(kind: str) -> None:
    whole = WHOLE[kind]()

    @given(st.data())
    @settings(max_examples=150, deadline=None)
    def attack(draw: st.DataObject) -> None:
        data = bytearray(whole)
        for _ in range(draw.draw(st.integers(0, 8))):
            data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
        cut = draw.draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
        try:
            image = decode(bytes(data[:cut]), LIMITS)
        except (UnreadableMedia, UnsupportedMedia, TooLarge):
            return
        assert image.pixels.dtype == np.uint8
        assert image.pixels.shape == (image.height, image.width, 3)

    attack()
