from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
import soundfile

from trigger_api.history.media import JSON_TYPE, UNKNOWN_TYPE, Media, clean_name, find_type


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("GIF", "image/gif"), ("BMP", "image/bmp"), ("TIFF", "image/tiff"),
     ("WEBP", "image/webp"), ("AVIF", "image/avif")],
)  # fmt: skip
def test_types_of_pictures(kind: str, media_type: str) -> None:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (16, 16)).save(buffer, kind)
    assert Media(buffer.getvalue()).media_type == media_type


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("WAV", "audio/wav"), ("FLAC", "audio/flac"), ("OGG", "audio/ogg"), ("MP3", "audio/mpeg"), ("AIFF", "audio/aiff"),
     ("AU", "audio/basic")],
)  # fmt: skip
def test_types_of_recordings(kind: str, media_type: str) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(4_000), 16_000, format=kind)
    assert Media(buffer.getvalue()).media_type == media_type


@pytest.mark.parametrize("data", [b"<html><script>", b"<svg onload=alert(1)>", b"%PDF-1.4", b"\x00", b"\xff", b"{}"])
def test_other_files_are_no_pages(data: bytes) -> None:
    assert find_type(data) == UNKNOWN_TYPE


def test_nothing_has_no_type() -> None:
    assert Media().media_type is None
    assert Media(b"[]", type=JSON_TYPE).media_type == JSON_TYPE


@pytest.mark.parametrize(
    ("name", "clean"),
    [(None, None), ("", None), (".", None), ("..", None), ("/", None), ("a/../b.wav", "b.wav"), ("\x00\x1f", None),
     (" a b.wav ", "a b.wav"), ("a\u200bb", "ab"), ("\ud800.wav", ".wav"), ("x" * 300, "x" * 255), ("a\\b", "b"),
     ("naïve 🎉.wav", "naïve 🎉.wav")],
)  # fmt: skip
def test_names(name: str | None, clean: str | None) -> None:
    assert clean_name(name) == clean
