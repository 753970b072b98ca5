"""The bundled trigger word in every kind of recording that FFmpeg's encoders make: heard, and at the same time."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from helpers.encoded import encoded, with_early_end_flag, without_end_flag
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import BUNDLED
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks.trigger.task import Trigger

SAMPLE = Path(__file__).parent.parent / "samples" / "activate.wav"
WORD_ENDS_MS = 2_200  # samples/README.md
RATES = (8_000, 16_000, 22_050, 44_100, 48_000)
GRID = [
    *((container, "libopus", rate) for container in ("webm", "ogg") for rate in (8_000, 16_000, 48_000)),
    *(
        (container, codec, rate)
        for container, codec in [
            *(("matroska", "pcm_f32le"), ("matroska", "flac"), ("mp4", "aac"), ("mp4", "alac"), ("ipod", "aac")),
            *(("3gp", "aac"), ("adts", "aac"), ("mpegts", "aac"), ("mov", "pcm_s16le"), ("caf", "alac")),
            *(("aiff", "pcm_s16be"), ("au", "pcm_mulaw"), ("w64", "pcm_s16le"), ("mp3", "libmp3lame")),
            *(("wav", "libmp3lame"), ("ogg", "flac"), ("wv", "wavpack"), ("wav", "adpcm_ms"), ("wav", "pcm_alaw")),
        ]
        for rate in RATES
    ),
    *(("asf", codec, rate) for codec in ("wmav1", "wmav2") for rate in RATES[1:]),
    *(("mp2", "mp2", rate) for rate in RATES[1:]),
    *((container, "libopencore_amrnb", 8_000) for container in ("amr", "3gp")),
    ("wav", "g726", 8_000),
]
ONE_CHANNEL = {"g726", "libopencore_amrnb"}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service(Settings(models=(BUNDLED / "trigger", BUNDLED / "embedding"), bundled=False, max_batch=1), Metrics())
    made.registry.load_with_backbone(made.registry.find("trigger", "activate"))
    yield made
    asyncio.run(made.close())


@cache
def said(rate: int) -> NDArray[np.float32]:
    samples, own = soundfile.read(SAMPLE, dtype="float32")
    return np.asarray(soxr.resample(samples[: int(2.9 * own)], own, rate), np.float32)


async def times(service: Service, data: bytes) -> list[int]:
    (result,) = await service.task(Trigger).predict(data)
    assert not result.truncated
    return [hit.time_ms for hit in result.detections]


@pytest.mark.slow
@pytest.mark.parametrize(("container", "codec", "rate"), GRID)
async def test_the_word_is_heard_at_the_same_time(service: Service, container: str, codec: str, rate: int) -> None:
    for channels in (1,) if codec in ONE_CHANNEL else (1, 2):
        samples = np.repeat(said(rate)[:, None], channels, axis=1)
        assert await times(service, encoded(samples, rate, container, codec)) == [pytest.approx(WORD_ENDS_MS, abs=40)]


def wav() -> bytes:
    return encoded(said(16_000)[:, None], 16_000, "wav", "pcm_s16le", fflags="+bitexact")


def with_sizes(data: bytes, whole: int, samples: int) -> bytes:
    return data[:4] + struct.pack("<I", whole) + data[8:40] + struct.pack("<I", samples) + data[44:]


def mp3(rate: int, channels: int = 1) -> bytes:
    samples = np.repeat(said(rate)[:, None], channels, axis=1)
    return encoded(samples, rate, "mp3", "libmp3lame", write_xing="0", id3v2_version="0")


def ogg() -> bytes:
    return encoded(said(48_000)[:, None], 48_000, "ogg", "libopus")


ODD: dict[str, Callable[[], bytes]] = {
    "mp3 without a length, 44.1 kHz": lambda: mp3(44_100),
    "mp3 without a length, 22.05 kHz": lambda: mp3(22_050),
    "mp3 without a length, stereo": lambda: mp3(44_100, 2),
    "ogg without its end mark": lambda: without_end_flag(ogg()),
    "ogg with its last page twice": lambda: (data := ogg()) + data[data.rfind(b"OggS") :],
    "ogg with an end mark before its end": lambda: with_early_end_flag(ogg()),
    "wav with sizes of 0": lambda: with_sizes(wav(), 0, 0),
    "wav with zeros after the samples": lambda: wav() + bytes(5_000),
    "wav with an odd chunk and no pad byte": lambda: wav()[:36] + b"LIST\x05\0\0\0INFO1" + wav()[36:],
    "flac with a tag at its end": lambda: encoded(said(16_000)[:, None], 16_000, "flac", "flac") + b"TAG" + bytes(125),
}


@pytest.mark.parametrize("name", ODD)
async def test_what_recorders_leave_unfinished_is_heard(service: Service, name: str) -> None:
    assert await times(service, ODD[name]()) == [pytest.approx(WORD_ENDS_MS, abs=40)]


async def test_a_header_that_promises_more_is_told_and_the_word_heard(service: Service) -> None:
    data = wav()
    (result,) = await service.task(Trigger).predict(with_sizes(data, len(data) + 36, len(data)))
    assert result.truncated
    assert [hit.time_ms for hit in result.detections] == [pytest.approx(WORD_ENDS_MS, abs=40)]


async def test_channels_in_opposite_phase_are_heard(service: Service) -> None:
    data = encoded(np.stack([said(16_000), -said(16_000)], axis=1), 16_000, "wav", "pcm_s16le")
    assert await times(service, data) == [pytest.approx(WORD_ENDS_MS, abs=40)]


@pytest.mark.parametrize("subtype", ["GSM610", "PCM_U8", "ULAW"])
async def test_a_telephone_is_heard(service: Service, subtype: str, tmp_path: Path) -> None:
    path = tmp_path / "telephone.wav"
    soundfile.write(path, said(8_000), 8_000, subtype)
    assert await times(service, path.read_bytes()) == [pytest.approx(WORD_ENDS_MS, abs=40)]
