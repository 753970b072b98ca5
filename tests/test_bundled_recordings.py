"""The bundled trigger word in every kind of recording that FFmpeg's encoders make: heard, and at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from helpers.encoded import encoded
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


async def test_channels_in_opposite_phase_are_heard(service: Service) -> None:
    data = encoded(np.stack([said(16_000), -said(16_000)], axis=1), 16_000, "wav", "pcm_s16le")
    assert await times(service, data) == [pytest.approx(WORD_ENDS_MS, abs=40)]


@pytest.mark.parametrize("subtype", ["GSM610", "PCM_U8", "ULAW"])
async def test_a_telephone_is_heard(service: Service, subtype: str, tmp_path: Path) -> None:
    path = tmp_path / "telephone.wav"
    soundfile.write(path, said(8_000), 8_000, subtype)
    assert await times(service, path.read_bytes()) == [pytest.approx(WORD_ENDS_MS, abs=40)]
