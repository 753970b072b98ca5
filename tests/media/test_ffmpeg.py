from __future__ import annotations

import resource
import struct
import subprocess
import sys
from io import BytesIO

import av
import numpy as np
import pytest

from helpers.encoded import encoded
from trigger_api.errors import TooLarge, UnreadableMedia, UnsupportedMedia
from trigger_api.media.audio import AudioLimits, decode

LIMITS = AudioLimits(seconds=10, samples=1_000_000)
ANY = (8_000, 16_000, 22_050, 44_100, 48_000)
OPUS = (8_000, 16_000, 48_000)
GRID = [
    *(("webm", "libopus", rate) for rate in OPUS),
    *(("ogg", "libopus", rate) for rate in OPUS),
    *(
        (container, codec, rate)
        for container, codec in [
            *(("matroska", "pcm_s16le"), ("matroska", "flac"), ("mp4", "aac"), ("mp4", "alac"), ("ipod", "aac")),
            *(("3gp", "aac"), ("adts", "aac"), ("mpegts", "aac"), ("mov", "pcm_s16le"), ("mov", "aac")),
            *(("caf", "pcm_s16le"), ("caf", "alac"), ("aiff", "pcm_s16be"), ("au", "pcm_mulaw"), ("w64", "pcm_s16le")),
            *(("mp3", "libmp3lame"), ("wav", "libmp3lame"), ("avi", "libmp3lame"), ("avi", "pcm_s16le")),
            *(("ogg", "flac"), ("flac", "flac"), ("wv", "wavpack")),
            *(("wav", "pcm_u8"), ("wav", "pcm_s24le"), ("wav", "pcm_f32le"), ("wav", "pcm_alaw"), ("wav", "adpcm_ms")),
        ]
        for rate in ANY
    ),
    *(("mp2", "mp2", rate) for rate in ANY[1:]),
    *(("asf", codec, rate) for codec in ("wmav1", "wmav2") for rate in ANY),
]
ONE_CHANNEL = [("amr", "libopencore_amrnb", 8_000), ("3gp", "libopencore_amrnb", 8_000), ("wav", "g726", 8_000)]


def beep(rate: int, channels: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Two seconds, with a tone of 100 ms that begins at the first."""
    samples = np.zeros((2 * rate, channels), np.float32)
    samples[rate : rate + rate // 10] = 0.5 * np.sin(2 * np.pi * 600 * np.arange(rate // 10) / rate)[:, None]
    return samples


@pytest.mark.parametrize(("container", "codec", "rate"), GRID)
def test_a_sound_is_where_it_was(container: str, codec: str, rate: int) -> None:
    for channels in (1, 2):
        check(encoded(beep(rate, channels), rate, container, codec))


@pytest.mark.parametrize(("container", "codec", "rate"), ONE_CHANNEL)
def test_a_sound_is_where_it_was_on_one_channel(container: str, codec: str, rate: int) -> None:
    check(encoded(beep(rate, 1), rate, container, codec))


def check(data: bytes) -> None:
    audio = decode(data, LIMITS)
    assert not audio.truncated
    assert audio.seconds == pytest.approx(2, abs=0.1)
    begins = np.flatnonzero(np.abs(audio.resampled(16_000)) > 0.15)[0] / 16_000
    assert begins == pytest.approx(1, abs=0.02)


def test_what_has_no_sound_is_named() -> None:
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        for packet in [*stream.encode(av.VideoFrame(32, 32, "yuv420p")), *stream.encode(None)]:
            output.mux(packet)
    with pytest.raises(UnsupportedMedia, match=r"MOV with video \(MPEG-4 part 2\) and no sound"):
        decode(buffer.getvalue(), LIMITS)


@pytest.mark.parametrize("layout", ["5.1", "7.1"])
def test_as_many_channels_as_are_read(layout: str) -> None:
    count = av.AudioLayout(layout).nb_channels
    samples = np.asarray(beep(48_000, count) * np.linspace(1, 0, count), np.float32)
    audio = decode(encoded(samples, 48_000, "matroska", "flac"), LIMITS)
    assert np.abs(audio.samples).max() == pytest.approx(0.25, abs=0.01)


def test_a_frame_of_another_kind_is_left_out() -> None:
    mono, stereo = (encoded(beep(48_000, channels), 48_000, "adts", "aac") for channels in (1, 2))
    audio = decode(mono + stereo + mono, LIMITS)
    assert audio.truncated
    assert audio.seconds == pytest.approx(4, abs=0.2)


def test_limits_hold_while_it_is_decoded() -> None:
    data = encoded(beep(48_000, 2), 48_000, "webm", "libopus")
    with pytest.raises(TooLarge, match="longer than 1 s"):
        decode(data, AudioLimits(seconds=1))
    with pytest.raises(TooLarge, match="more than 150000 samples"):
        decode(data, AudioLimits(samples=150_000))


def test_a_tag_that_claims_gigabytes_is_not_given_them() -> None:
    tag = b"ISFT" + struct.pack("<I", 0x5F000000) + b"Lavf"
    damaged = b"LIST" + struct.pack("<I", 0x7F000000) + b"INFO" + tag
    data = b"RIFF" + struct.pack("<I", 4 + len(damaged)) + b"WAVE" + damaged
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnsupportedMedia):
        decode(data, LIMITS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_what_was_cut_off_is_told() -> None:
    data = encoded(beep(48_000, 1), 48_000, "webm", "libopus")
    cut = decode(data[: len(data) * 2 // 3], LIMITS)
    assert cut.truncated
    assert 0.8 < cut.seconds < 1.8


def test_an_mp4_without_its_index_is_told_so() -> None:
    data = encoded(beep(16_000, 1), 16_000, "mp4", "aac")
    with pytest.raises(UnreadableMedia, match="the index at the end"):
        decode(data[: len(data) // 2], LIMITS)


def test_channels_in_opposite_phase_are_not_silence() -> None:
    data = encoded(np.asarray(beep(48_000, 2) * [1, -1], np.float32), 48_000, "mov", "pcm_s16le")
    assert np.abs(decode(data, LIMITS).samples).max() > 0.4


def test_it_is_not_imported_before_it_is_needed() -> None:
    script = "import sys, trigger_api.app; print('av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
