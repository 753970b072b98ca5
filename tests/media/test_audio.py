from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.beep import encode
from trigger_api.errors import ServiceError, TooLarge, UnreadableMedia, UnsupportedMedia
from trigger_api.media.audio import Audio, AudioLimits, decode

LIMITS = AudioLimits(seconds=10, samples=1_000_000)
Corrupt = Callable[[bytes], bytes]


def tone(
    rate: int = 16_000, seconds: float = 0.5, channels: int = 1
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)
    return np.asarray(np.repeat(wave[:, None], channels, axis=1), np.float32)


def wav() -> bytes:
    return encode(tone())


def with_field(data: bytes, offset: int, layout: str, value: int) -> bytes:
    """A wav whose header lies in one field."""
    return data[:offset] + struct.pack(layout, value) + data[offset + struct.calcsize(layout) :]


def with_zeros(data: bytes, at: float) -> bytes:
    """A file with a hole of 400 bytes."""
    start = round(len(data) * at)
    return data[:start] + bytes(400) + data[start + 400 :]


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 1e-2),
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 1e-7),
        ("WAV", "DOUBLE", 1e-7),
        ("WAVEX", "PCM_16", 1e-4),
        ("FLAC", "PCM_16", 1e-4),
        ("FLAC", "PCM_24", 1e-6),
        ("OGG", "VORBIS", 0.1),
        ("OGG", "OPUS", 0.1),
        ("MP3", "MPEG_LAYER_III", 0.1),
    ],
)
def test_every_format_is_decoded(kind: str, subtype: str, tolerance: float) -> None:
    audio = decode(encode(tone(), kind=kind, subtype=subtype), LIMITS)
    assert audio.rate == 16_000
    assert audio.seconds == pytest.approx(0.5, abs=0.1)
    inner = slice(2_000, 6_000)
    assert np.abs(audio.samples[inner] - tone()[inner, 0]).max() < tolerance


@pytest.mark.parametrize("channels", range(1, 9))
def test_channels_are_mixed_down(channels: int) -> None:
    samples = tone(channels=channels)
    samples[:, 1:] = 0
    audio = decode(encode(samples, subtype="FLOAT"), LIMITS)
    assert np.allclose(audio.samples, tone()[:, 0] / channels, atol=1e-6)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_any_rate_is_resampled(rate: int) -> None:
    audio = decode(encode(tone(rate), rate), LIMITS)
    resampled = audio.resampled(16_000)
    assert len(resampled) == pytest.approx(8_000, abs=2)
    inner = slice(1_000, 7_000)
    assert np.abs(resampled[inner] - tone()[inner, 0]).max() < 2e-3


def test_samples_at_the_same_rate_are_not_resampled() -> None:
    audio = Audio(tone()[:, 0], 16_000)
    assert audio.resampled(16_000) is audio.samples


def test_chunks_after_the_samples_are_ignored() -> None:
    data = wav() + b"LIST" + struct.pack("<I", 4) + b"INFO"
    assert decode(data, LIMITS).seconds == 0.5


@pytest.mark.parametrize("unknown", [2**32 - 1, 2**31 - 1, 0x7FFFF048])
def test_a_wav_written_to_a_pipe_lasts_to_its_end(unknown: int) -> None:
    data = with_field(with_field(wav(), 4, "<I", unknown), 40, "<I", unknown - 36)
    assert decode(data, LIMITS).seconds == 0.5
    assert decode(data[:-8_001], LIMITS).seconds == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize(
    ("whole", "samples"),
    [(2**32 - 1, 0), (2**32 - 1, 16_000), (0, 2**32 - 1), (36, 0x7FFF0000), (2**31 - 1, 2**31 - 1)],
)
def test_a_wav_written_to_a_pipe_may_omit_either_length(whole: int, samples: int) -> None:
    data = with_field(with_field(wav(), 4, "<I", whole), 40, "<I", samples)
    np.testing.assert_array_equal(decode(data, LIMITS).samples, decode(wav(), LIMITS).samples)


def test_float_samples_beyond_full_scale_are_scaled_down() -> None:
    audio = decode(encode(tone() * 1e30, subtype="FLOAT"), LIMITS)
    assert np.abs(audio.samples).max() == pytest.approx(1)


@pytest.mark.parametrize(
    ("corrupt", "error", "text"),
    [
        pytest.param(lambda data: b"", UnreadableMedia, "empty: 0 bytes", id="empty"),
        pytest.param(lambda data: b"this is no sound\n" * 50, UnsupportedMedia, "not a recording", id="text"),
        pytest.param(lambda data: data[:4000], UnreadableMedia, "3956 of the 16000 bytes", id="truncated"),
        pytest.param(lambda data: data[:30], UnreadableMedia, "cannot be decoded", id="half a header"),
        pytest.param(lambda data: data[:44], UnreadableMedia, "bytes in its header", id="header alone"),
        pytest.param(lambda data: encode(tone()[:0]), UnreadableMedia, "no samples", id="no samples"),
        pytest.param(
            lambda data: with_field(data, 40, "<I", 2**32 - 1), UnreadableMedia, "bytes in its header", id="long lie"
        ),
        pytest.param(
            lambda data: with_field(data, 40, "<I", 2**32 - 1)[:4000],
            UnreadableMedia,
            "bytes in its header",
            id="truncated lie",
        ),
        pytest.param(lambda data: with_field(data, 40, "<I", 0), UnreadableMedia, "more than its", id="no length"),
        pytest.param(
            lambda data: with_field(data, 4, "<I", 2**32 - 1)[:44], UnreadableMedia, "no samples", id="silent pipe"
        ),
        pytest.param(lambda data: with_field(data, 24, "<I", 0), UnreadableMedia, "decoded", id="zero rate"),
        pytest.param(lambda data: with_field(data, 24, "<I", 2**31 - 1), UnsupportedMedia, "Hz", id="absurd rate"),
        pytest.param(
            lambda data: with_field(data, 22, "<H", 0),
            ServiceError,
            "decoded|channels|not a recording|truncated|no samples",
            id="no channels",
        ),
        pytest.param(
            lambda data: with_field(data, 22, "<H", 64),
            ServiceError,
            "decoded|channels|not a recording|truncated|no samples",
            id="many channels",
        ),
        pytest.param(
            lambda data: with_field(data, 20, "<H", 0x4242),
            ServiceError,
            "decoded|channels|not a recording|truncated|no samples",
            id="unknown coding",
        ),
        pytest.param(lambda data: encode(tone(channels=9)), UnsupportedMedia, "9 channels", id="nine channels"),
        pytest.param(lambda data: encode(tone(), 3_999), UnsupportedMedia, "3999 Hz", id="low rate"),
        pytest.param(lambda data: encode(tone(), kind="AIFF"), UnsupportedMedia, "AIFF", id="another container"),
        pytest.param(
            lambda data: encode(tone() * np.nan, subtype="FLOAT"),
            UnreadableMedia,
            "not finite numbers",
            id="not a number",
        ),
        pytest.param(
            lambda data: encode(np.full(99, np.inf, np.float32), subtype="FLOAT"),
            UnreadableMedia,
            "not finite numbers",
            id="infinite",
        ),
        pytest.param(
            lambda data: encode(tone(), kind="FLAC")[:3000], UnreadableMedia, "truncated|decoded", id="truncated flac"
        ),
        pytest.param(
            lambda data: encode(tone(), kind="OGG", subtype="VORBIS")[:-200],
            UnreadableMedia,
            "truncated",
            id="truncated ogg",
        ),
        pytest.param(
            lambda data: encode(tone(seconds=3), kind="MP3", subtype="MPEG_LAYER_III")[:2000],
            UnreadableMedia,
            "of 48000 samples",
            id="truncated mp3",
        ),
        pytest.param(
            lambda data: with_zeros(encode(tone(seconds=3), kind="OGG", subtype="VORBIS"), at=0.5),
            UnreadableMedia,
            "damaged|decoded|truncated",
            id="ogg with a hole",
        ),
        pytest.param(lambda data: with_field(data, 40, "<I", 2000), UnreadableMedia, "more than its", id="short lie"),
        pytest.param(
            lambda data: data[:36] + b"none\0\0\0\0" * 1001 + data[36:], UnreadableMedia, "1000 chunks", id="chunks"
        ),
        pytest.param(lambda data: b"OggS", UnreadableMedia, "truncated", id="ogg of four bytes"),
        pytest.param(lambda data: b"fLaC" + b"\0" * 99, UnreadableMedia, "cannot be decoded", id="flac of zeros"),
        pytest.param(
            lambda data: b"ID3" + b"\xff" * 99,
            ServiceError,
            "decoded|channels|not a recording|truncated|no samples",
            id="mp3 of noise",
        ),
    ],
)
def test_bad_recordings_are_rejected(corrupt: Corrupt, error: type[ServiceError], text: str) -> None:
    with pytest.raises(error, match=text) as raised:
        decode(corrupt(wav()), LIMITS)
    assert 400 <= raised.value.status < 500


def test_seconds_are_limited_before_decoding() -> None:
    with pytest.raises(TooLarge, match=r"longer than 0\.4 s"):
        decode(wav(), AudioLimits(seconds=0.4))


def test_samples_of_all_channels_are_limited() -> None:
    with pytest.raises(TooLarge, match="more than 9000 samples"):
        decode(encode(tone(channels=2)), AudioLimits(samples=9_000))


def test_a_flac_of_unknown_length_is_counted_while_decoding() -> None:
    data = bytearray(encode(tone(seconds=2), kind="FLAC"))
    data[21] &= 0xF0  # the 36 bits of the length in STREAMINFO: 0 means unknown
    data[22:26] = bytes(4)
    assert decode(bytes(data), LIMITS).seconds == 2
    with pytest.raises(TooLarge):
        decode(bytes(data), AudioLimits(seconds=1))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_recordings_never_break_the_decoder(data: st.DataObject) -> None:
    kind, subtype = data.draw(st.sampled_from([("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")]))
    recording = bytearray(encode(tone(seconds=0.05), kind=kind, subtype=subtype))
    for _ in range(data.draw(st.integers(1, 8))):
        recording[data.draw(st.integers(0, len(recording) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(recording)))
    try:
        audio = decode(bytes(recording[:cut]), LIMITS)
    except (UnreadableMedia, UnsupportedMedia, TooLarge):
        return
    assert np.isfinite(audio.samples).all()
    assert np.abs(audio.samples).max() <= 1
