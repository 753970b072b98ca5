"""A word that is really trained: as long as the command's own, but for the sizes of everything."""

from __future__ import annotations

import asyncio
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from helpers.running import started
from trigger_api.app import create_app
from trigger_api.jobs import training
from trigger_api.registry import BUNDLED
from trigger_api.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.skipif(training.obstacle() is not None, reason="TensorFlow is missing")]
SCRIPT = Path(__file__).parents[1] / "helpers" / "short_training.py"
RATE = 16_000


def tone(slope: float, seed: int) -> bytes:
    """A word of a second: a tone that rises, or does not."""
    random, seconds, buffer = np.random.default_rng(seed), np.arange(RATE) / RATE, BytesIO()
    samples = 0.2 * np.sin(2 * np.pi * (random.uniform(200, 400) + slope * seconds) * seconds)
    samples = samples * (np.abs(seconds - 0.5) < 0.3) + 1e-4 * random.standard_normal(RATE)
    soundfile.write(buffer, samples, RATE, format="WAV")
    return buffer.getvalue()


async def test_a_word_is_really_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = tmp_path / "others"
    others.mkdir()
    for number in range(12):
        (others / f"{number}_other.wav").write_bytes(tone(0, number))

    def command(word: str, out: Path, recordings: Path, negatives: Any) -> list[str]:
        return [sys.executable, str(SCRIPT), word, str(out), str(recordings), str(others)]

    monkeypatch.setattr(training.Training.__init__, "__defaults__", (command,))
    settings = Settings.model_validate(
        {"models": BUNDLED / "trigger" / "activate", "bundled": False, "training_folder": tmp_path / "words",
         "database_url": f"sqlite:///{tmp_path}/database.sqlite3"}
    )  # fmt: skip
    async with started(create_app(settings)) as client, asyncio.timeout(300):
        files = [("recording", (f"{number}.wav", tone(600, 100 + number))) for number in range(4)]
        made = (await client.post("/v1/training", data={"word": "beep beep"}, files=files)).json()
        done, seen = set[str](), made
        while seen["status"] not in ("done", "failed"):
            seen = (await client.get(f"/v1/training/{made['id']}")).json()
            done.add(seen["doing"])
            await asyncio.sleep(0.1)
        assert (seen["error"], seen["model"], seen["version"]) == (None, "beep-beep", "1")
        assert "training" in done
        answer = await client.post("/v1/trigger", files={"audio": tone(600, 1)}, data={"word": "beep beep"})
        assert answer.json()["words"][0]["model"] == "beep-beep"
        assert (await client.post("/v1/trigger", files={"audio": tone(600, 1)})).json()["model"] == "activate"
