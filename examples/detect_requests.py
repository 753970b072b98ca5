"""Is the word in a recording, and when does it end? With requests: ``detect_requests.py [RECORDING]``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import requests

URL = os.environ.get("TRIGGER_URL", "http://127.0.0.1:8000")
SAMPLE = Path(__file__).parent.parent / "samples" / "activate.wav"

with Path(sys.argv[1] if len(sys.argv) > 1 else SAMPLE).open("rb") as audio:
    response = requests.post(f"{URL}/v1/trigger", files={"audio": audio}, timeout=30)
answer = response.json()
if not response.ok:
    sys.exit(f"{answer['title']}: {answer['detail']}")
for hit in answer["detections"]:
    print(f"{hit['word']} at {hit['time_ms'] / 1_000:.2f} s, score {hit['score']:.3f}")
