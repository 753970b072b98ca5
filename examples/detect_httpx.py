"""Listen for every known word in many recordings at once. With httpx: ``detect_httpx.py RECORDING ...``."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx

URL = os.environ.get("TRIGGER_URL", "http://127.0.0.1:8000")
SAMPLES = Path(__file__).parent.parent / "samples"


async def timestamps(client: httpx.AsyncClient, recording: bytes) -> list[int]:
    """The ends of all words in a recording, in milliseconds."""
    answer = await client.post("/v1/trigger", files={"audio": recording}, data={"word": "*"})
    answer.raise_for_status()
    return list(answer.json()["timestamps"])


async def main(recordings: dict[str, bytes]) -> None:
    """Send all recordings; the service batches those that are waiting."""
    async with httpx.AsyncClient(base_url=URL, timeout=30) as client:
        answers = await asyncio.gather(*(timestamps(client, data) for data in recordings.values()))
    for name, found in zip(recordings, answers, strict=True):
        print(name, found)


files = [Path(name) for name in sys.argv[1:]] or sorted(SAMPLES.glob("*.wav"))
asyncio.run(main({str(path): path.read_bytes() for path in files}))
