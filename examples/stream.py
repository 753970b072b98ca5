"""Stream a 16-bit mono wav file as a microphone would, and print what is heard: ``stream.py [RECORDING]``."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import wave
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

URL = os.environ.get("TRIGGER_URL", "http://127.0.0.1:8000").replace("http", "ws", 1)
SAMPLE = Path(__file__).parent.parent / "samples" / "activate.wav"


async def speak(socket: ClientConnection, audio: wave.Wave_read) -> None:
    """Send the recording at its own speed, then say that it has ended."""
    while frame := audio.readframes(audio.getframerate() // 10):
        await socket.send(frame)
        await asyncio.sleep(0.1)
    await socket.send('{"type": "stop"}')


async def main(path: str) -> None:
    """Speak and listen at once: detections arrive while the audio is still being sent."""
    with wave.open(path) as audio:
        query = f"room=example&rate={audio.getframerate()}&word=*"
        async with connect(f"{URL}/v1/trigger/stream?{query}") as socket, asyncio.TaskGroup() as tasks:
            tasks.create_task(speak(socket, audio))
            async for message in socket:
                print(json.loads(message))


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else str(SAMPLE)))
