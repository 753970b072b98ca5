"""Ten minutes of sound as a job of a real server: found to the second, and never in memory as a whole."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.memory import resident_mib
from helpers.service_process import service_process
from trigger_api.client import Client

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
MINUTES, EVERY_S = 10, 97  # how long it is, and how often the word is said
SAMPLE_MS = 2_186  # where the word ends in the sample


def recording(path: Path, minutes: float) -> list[int]:
    """Write a recording of quiet noise with the sample in it; returns when the word ends, in milliseconds."""
    said, rate = soundfile.read(ROOT / "samples" / "activate.wav", dtype="float32")
    random = np.random.default_rng(0)
    starts = range(11, round(60 * minutes) - 10, EVERY_S)
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        for second in range(0, round(60 * minutes), 1):
            block = random.normal(0, 1e-3, rate).astype(np.float32)
            for start in starts:
                part = said[(second - start) * rate : (second - start + 1) * rate] if second >= start else said[:0]
                block[: len(part)] += part
            file.write(block)
    return [1_000 * start + SAMPLE_MS for start in starts]


def server_process() -> int:
    """The process that this one has started last."""
    me = os.getpid()
    return int(Path(f"/proc/{me}/task/{me}/children").read_text().split()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_long_recording_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    ends = recording(tmp_path / "long.wav", MINUTES)
    env = {
        "TRIGGER_API_DATABASE_URL": f"sqlite:///{tmp_path}/d.sqlite3", "TRIGGER_API_BUNDLED": "false",
        "TRIGGER_API_MODELS": str(ROOT / "src" / "trigger_api" / "models" / "trigger" / "activate"),
    }  # fmt: skip
    with service_process("serve", env=env) as url, Client(url) as service:
        service.trigger(ROOT / "samples" / "activate.wav")
        before = most = resident_mib(process := server_process())
        job = service.submit_job(tmp_path / "long.wav", words=["activate"])
        while (job := service.job(job.id)).status not in ("done", "failed"):
            most = max(most, resident_mib(process))
            time.sleep(0.2)
        print(f"{most - before:.0f} MiB more than before")  # noqa: T201
        assert job.history_id, job.error
        answer = service.history_entry(job.history_id).answer
        assert answer["timestamps"] == pytest.approx(ends, abs=100)
        assert answer["duration_ms"] == 60_000 * MINUTES
        assert most - before < 250  # of float samples alone, the whole would have 100 MiB, or 600 for an hour
