from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.beep import encode
from helpers.encoded import encoded, without_end_flag
from trigger_api.errors import ServiceError, TooLarge, UnreadableMedia, UnsupportedMedia
from trigger_api.media.audio import Audio, AudioLimits, decode

LIMITS = AudioLimits(seconds=10, samples=1_000_000)
Corrupt = Callable[[bytes], bytes]
NOT_READ = "not a recording|channels|Hz|damaged|no samples|no sound|not read"


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
        ("AIFF", "PCM_16", 1e-4),
        ("AU", "PCM_16", 1e-4),
        ("CAF", "PCM_16", 1e-4),
        ("W64", "PCM_16", 1e-4),
    ],
)
def test_reads_every_format(kind: str, subtype: str, tolerance: float) -> None:
    audio = decode(encode(tone(), kind=kind, subtype=subtype), LIMITS)
    assert audio.rate == (48_000 if subtype == "OPUS" else 16_000)
    assert audio.seconds == pytest.approx(0.5, abs=0.1)
    inner = slice(2_000, 6_000)
    assert np.abs(audio.resampled(16_000)[inner] - tone()[inner, 0]).max() < tolerance


@pytest.mark.parametrize("channels", range(1, 9))
def test_mixes_channels_down(channels: int) -> None:
    samples = tone(channels=channels)
    samples[:, 1:] = 0
    audio = decode(encode(samples, subtype="FLOAT"), LIMITS)
    assert np.allclose(audio.samples, tone()[:, 0] / channels, atol=1e-6)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_resamples_from_any_rate(rate: int) -> None:
    audio = decode(encode(tone(rate), rate), LIMITS)
    resampled = audio.resampled(16_000)
    assert len(resampled) == pytest.approx(8_000, abs=2)
    inner = slice(1_000, 7_000)
    assert np.abs(resampled[inner] - tone()[inner, 0]).max() < 2e-3


def test_the_same_rate_is_left_alone() -> None:
    audio = Audio(tone()[:, 0], 16_000)
    assert audio.resampled(16_000) is audio.samples


def noise(seconds: float, rate: int = 16_000) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(np.random.default_rng(0).normal(0, 0.1, (round(rate * seconds), 1)), np.float32)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        *(("WAV", "PCM_16"), ("WAV", "PCM_24"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_a_recording_that_was_cut_off_is_read_as_far_as_it_goes(kind: str, subtype: str) -> None:
    data = encode(noise(9), kind=kind, subtype=subtype)
    whole = decode(data, LIMITS)
    assert not whole.truncated
    cut = decode(data[: len(data) * 2 // 3], LIMITS)
    assert cut.truncated
    assert 3 < cut.seconds < 8
    if subtype != "OPUS":  # the two decoders begin it from different states
        same = min(len(cut.samples), 32_000)
        np.testing.assert_allclose(cut.samples[8_000:same], whole.samples[8_000:same], atol=1e-3)


def test_a_damaged_part_is_left_out() -> None:
    data = encode(noise(9), kind="OGG", subtype="VORBIS")
    audio = decode(with_zeros(data, at=0.5), LIMITS)
    assert 4 < audio.seconds <= 9.1


@pytest.mark.parametrize("tag", [b"", b"ID3\x04\0\0\0\0\x0a\x00" + bytes(1280)])
def test_an_mp3_that_does_not_say_how_long_it_is_is_read_to_its_end(tag: bytes) -> None:
    plain = encoded(noise(9, 44_100), 44_100, "mp3", "libmp3lame", write_xing="0", id3v2_version="0")
    tagged = encoded(noise(9, 44_100), 44_100, "mp3", "libmp3lame")
    for data in (tag + plain, tagged):
        audio = decode(data, LIMITS)
        assert not audio.truncated
        assert audio.seconds == pytest.approx(9, abs=0.06)


def test_an_ogg_stream_without_its_end_flag_is_whole() -> None:
    audio = decode(without_end_flag(encode(noise(9), kind="OGG", subtype="OPUS")), LIMITS)
    assert audio.seconds == pytest.approx(9, abs=0.1)
    assert not audio.truncated


def test_a_tag_after_the_samples_does_no_harm() -> None:
    data = encode(tone(), kind="FLAC") + b"TAG" + bytes(125)
    assert decode(data, LIMITS).seconds == 0.5


def test_channels_in_opposite_phase_are_not_silence() -> None:
    samples = tone(channels=2) * [1, -1]
    audio = decode(encode(np.asarray(samples, np.float32), subtype="FLOAT"), LIMITS)
    np.testing.assert_allclose(audio.samples, tone()[:, 0], atol=1e-6)


def test_float_samples_beyond_full_scale_are_brought_back() -> None:
    audio = decode(encode(tone() * 1e30, subtype="FLOAT"), LIMITS)
    assert np.abs(audio.samples).max() == pytest.approx(1)


@pytest.mark.parametrize(
    ("corrupt", "error", "words"),
    [
        pytest.param(lambda data: b"", UnreadableMedia, "empty: 0 bytes", id="empty"),
        pytest.param(lambda data: b"this is no sound\n" * 50, UnsupportedMedia, "not a recording", id="text"),
        pytest.param(lambda data: b"\x89PNG\r\n\x1a\n" + bytes(99), UnsupportedMedia, "a PNG picture", id="picture"),
        pytest.param(lambda data: b"<html></html>", UnsupportedMedia, "HTML", id="page"),
        pytest.param(
            lambda data: b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
            UnsupportedMedia,
            "not a recording",
            id="playlist",
        ),
        pytest.param(lambda data: data[:30], UnsupportedMedia, "not a recording", id="half a header"),
        pytest.param(lambda data: data[:44], UnreadableMedia, "no samples", id="header alone"),
        pytest.param(lambda data: encode(tone()[:0]), UnreadableMedia, "no samples", id="no samples"),
        pytest.param(
            lambda data: with_field(data, 4, "<I", 2**32 - 1)[:44], UnreadableMedia, "no samples", id="silent pipe"
        ),
        pytest.param(lambda data: with_field(data, 24, "<I", 0), ServiceError, NOT_READ, id="zero rate"),
        pytest.param(lambda data: with_field(data, 24, "<I", 2**31 - 1), UnsupportedMedia, "Hz", id="absurd rate"),
        pytest.param(lambda data: with_field(data, 22, "<H", 0), ServiceError, NOT_READ, id="no channels"),
        pytest.param(lambda data: with_field(data, 22, "<H", 64), ServiceError, NOT_READ, id="many channels"),
        pytest.param(lambda data: with_field(data, 20, "<H", 0x4242), ServiceError, NOT_READ, id="unknown coding"),
        pytest.param(lambda data: encode(tone(channels=9)), UnsupportedMedia, "9 channels", id="nine channels"),
        pytest.param(lambda data: encode(tone(), 3_999), UnsupportedMedia, "3999 Hz", id="low rate"),
        pytest.param(
            lambda data: encode(tone() * np.nan, subtype="FLOAT"), UnreadableMedia, "not numbers", id="not a number"
        ),
        pytest.param(
            lambda data: encode(np.full(99, np.inf, np.float32), subtype="FLOAT"),
            UnreadableMedia,
            "not numbers",
            id="infinite",
        ),
        pytest.param(
            lambda data: data[:36] + b"none\0\0\0\0" * 1001 + data[36:], UnreadableMedia, "1000 chunks", id="chunks"
        ),
        pytest.param(lambda data: b"OggS", ServiceError, NOT_READ, id="ogg of four bytes"),
        pytest.param(lambda data: b"fLaC" + b"\0" * 99, ServiceError, NOT_READ, id="flac of zeros"),
        pytest.param(lambda data: b"ID3" + b"\xff" * 99, ServiceError, NOT_READ, id="mp3 of noise"),
    ],
)
def test_bad_recordings_are_told_so(corrupt: Corrupt, error: type[ServiceError], words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        decode(corrupt(wav()), LIMITS)
    assert 400 <= raised.value.status < 500


def test_seconds_are_limited_before_decoding() -> None:
    with pytest.raises(TooLarge, match=r"longer than 0\.4 s"):
        decode(wav(), AudioLimits(seconds=0.4))


def test_samples_of_all_channels_are_limited() -> None:
    with pytest.raises(TooLarge, match="more than 9000 samples"):
        decode(encode(tone(channels=2)), AudioLimits(samples=9_000))


def test_a_flac_of_unknown_length_is_counted_as_it_comes() -> None:
    data = bytearray(encode(tone(seconds=2), kind="FLAC"))
    data[21] &= 0xF0  # the 36 bits of the length in STREAMINFO: 0 means unknown
    data[22:26] = bytes(4)
    assert decode(bytes(data), LIMITS).seconds == 2
    with pytest.raises(TooLarge):
        decode(bytes(data), AudioLimits(seconds=1))


KINDS = [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")]
CONTAINERS = [("webm", "libopus"), ("mp4", "aac"), ("adts", "aac"), ("caf", "alac"), ("asf", "wmav2")]


@cache
def whole_files() -> list[bytes]:
    own = [encode(tone(seconds=0.05), kind=kind, subtype=subtype) for kind, subtype in KINDS]
    return own + [encoded(tone(48_000, 0.05), 48_000, container, codec) for container, codec in CONTAINERS]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_recordings_never_break_the_decoder(data: st.DataObject) -> None:
    recording = bytearray(data.draw(st.sampled_from(whole_files())))
    for _ in range(data.draw(st.integers(1, 8))):
        recording[data.draw(st.integers(0, len(recording) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(recording)))
    try:
        audio = decode(bytes(recording[:cut]), LIMITS)
    except (UnreadableMedia, UnsupportedMedia, TooLarge):
        return
    assert np.isfinite(audio.samples).all()
    assert np.abs(audio.samples).max() <= 1
