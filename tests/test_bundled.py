"""The bundled trigger word on the project's own samples."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from helpers.beep import encode
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import BUNDLED, State
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks.trigger.task import Trigger

SAMPLES = Path(__file__).parent.parent / "samples"
WORD_ENDS_MS = 2_200  # samples/README.md


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service(Settings(max_batch=1), Metrics())
    made.registry.load_with_backbone(made.registry.find("trigger", "activate"))
    assert made.registry.find("trigger", "activate").state is State.READY
    yield made
    asyncio.run(made.close())


def sample(name: str) -> tuple[NDArray[np.float32], int]:
    samples, rate = soundfile.read(SAMPLES / name, dtype="float32")
    return samples, rate


async def test_the_word_is_detected_at_its_end(service: Service) -> None:
    (result,) = await service.task(Trigger).predict((SAMPLES / "activate.wav").read_bytes())
    assert [abs(hit.time_ms - WORD_ENDS_MS) <= 120 for hit in result.detections] == [True]
    assert (await service.task(Trigger).predict((SAMPLES / "other.wav").read_bytes()))[0].detections == ()


@pytest.mark.parametrize("level_dbfs", [-45, -36, -20, -10, -3])
async def test_loudness_does_not_matter(service: Service, level_dbfs: float) -> None:
    for name, words in (("activate.wav", 1), ("other.wav", 0)):
        samples, rate = sample(name)
        scaled = samples * 10 ** (level_dbfs / 20) / np.abs(samples).max()
        (result,) = await service.task(Trigger).predict(encode(scaled, rate))
        assert len(result.detections) == words
        assert all(abs(hit.time_ms - WORD_ENDS_MS) <= 120 for hit in result.detections)


@pytest.mark.parametrize(("rate", "kind", "subtype"), [(8_000, "WAV", "PCM_16"), (48_000, "OGG", "OPUS")])
async def test_rates_and_encodings_do_not_matter(service: Service, rate: int, kind: str, subtype: str) -> None:
    samples, own = sample("activate.wav")
    (result,) = await service.task(Trigger).predict(encode(soxr.resample(samples, own, rate), rate, kind, subtype))
    assert len(result.detections) == 1


async def test_each_word_in_a_long_recording_is_detected_once(service: Service) -> None:
    said, rate = sample("activate.wav")
    other, _ = sample("other.wav")
    together = np.concatenate([other, said, other, other, said, said] * 4)
    (result,) = await service.task(Trigger).predict(encode(together, rate))
    assert len(result.detections) == 12


def test_every_bundled_model_is_small_intact_and_documented() -> None:
    folders = [card.parent for card in BUNDLED.rglob("card.json")]
    assert folders
    for folder in folders:
        card, weights = read_card(folder), folder / WEIGHTS_FILE
        assert folder.parts[-3:] == (card.task, card.name, card.version)
        assert card.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
        assert card.figures
        assert card.training_data
        assert card.training_command
    assert sum(path.stat().st_size for path in BUNDLED.rglob("*")) < 60e6
    assert os.path.getsize(BUNDLED / "trigger/activate/1/model.keras") < 1e6  # noqa: PTH202
    assert os.path.getsize(BUNDLED / "objects/yolox-nano/1/model.keras") < 6e6  # noqa: PTH202
