"""Recordings in parts: the same samples as at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.beep import beeps, encode
from trigger_api.errors import TooLarge, UnreadableMedia, UnsupportedMedia
from trigger_api.media.audio import AudioLimits, decode
from trigger_api.media.long_audio import LongAudio

LIMITS = AudioLimits(60.0)
SOUND = beeps([1.0, 7.5], seconds=10.3, rate=8_000)
STEREO = np.stack([SOUND, SOUND * 0.5], axis=1)


def files() -> dict[str, bytes]:
    wav = encode(SOUND, 8_000)
    return {
        "wav": wav,
        "stereo": encode(STEREO, 8_000),
        "opposite": encode(np.stack([SOUND, -SOUND], axis=1), 8_000),
        "flac": encode(STEREO, 8_000, "FLAC"),
        "mp3": encode(SOUND, 8_000, "MP3", None),
        "ogg": encode(SOUND, 8_000, "OGG", None),
        "loud": encode(SOUND * 9, 8_000, subtype="FLOAT"),
        "unknown length": wav[:4] + b"\xff\xff\xff\xff" + wav[8:40] + b"\xff\xff\xff\xff" + wav[44:],
        "cut off": wav[:-8_001],
        "cut off mp3": encode(SOUND, 8_000, "MP3", None)[:-777],
    }


@pytest.mark.parametrize("name", files())
def test_parts_are_those_of_the_whole(name: str, tmp_path: Path) -> None:
    data = files()[name]
    (tmp_path / "recording").write_bytes(data)
    whole = decode(data, LIMITS)
    audio = LongAudio(tmp_path / "recording", LIMITS)
    assert (audio.rate, audio.frames, audio.truncated) == (whole.rate, len(whole.samples), whole.truncated)
    assert audio.seconds == whole.seconds
    parts = list(audio.parts(3, 2, 1))
    assert len(parts) == audio.count(3) == -(-len(whole.samples) // (3 * whole.rate))
    for number, part in enumerate(parts):
        start, lead = number * 3 * whole.rate, round(part.lead_s * whole.rate)
        expected = whole.samples[start - lead : start + 4 * whole.rate]
        assert lead == (0 if number == 0 else 2 * whole.rate)
        np.testing.assert_allclose(part.audio.samples, expected, atol=1e-6)
    assert [part.seconds for part in parts[:-1]] == [3.0] * (len(parts) - 1)
    assert parts[-1].seconds == float("inf")


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", UnreadableMedia), (b"nonsense", UnsupportedMedia), (encode(np.zeros(0, np.float32)), UnreadableMedia),
     (encode(np.full(99, np.nan, np.float32), subtype="FLOAT"), UnreadableMedia),
     (encode(np.zeros((9, 9), np.float32)), UnsupportedMedia), (encode(SOUND, 8_000), TooLarge),
     (encode(SOUND, 8_000, "MP3", None), TooLarge)],
    ids=["empty", "nonsense", "no samples", "no numbers", "channels", "long", "long mp3"],
)  # fmt: skip
def test_what_is_refused(data: bytes, error: type[Exception], tmp_path: Path) -> None:
    (tmp_path / "recording").write_bytes(data)
    with pytest.raises(error):
        LongAudio(tmp_path / "recording", AudioLimits(5.0))
