"""The word inside running speech, where its end melts into what follows. Needs flite, which tells when sounds end."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trigger_api.training.trigger.recordings import RATE, Spoken, read
from trigger_api.training.trigger.speech import Voice

FRAMES = (
    "{} the lights in the kitchen",
    "{} it again please",
    "{} all of them now",
    "please {} my account",
    "could you {} a timer for me",
    "{} everything before nine",
    "and then {} one more",
    "I said {} but nobody heard",
)

_SEGMENT = re.compile(r"(\S+):([\d.]+)")
_PAUSE = "pau"


def speak(voices: Sequence[Voice], word: str, tempos: Sequence[float], cache: Path) -> list[Spoken]:
    """The word in each of the sentences, by each flite voice at each pace."""
    cache.mkdir(parents=True, exist_ok=True)
    names = [voice.name for voice in voices if voice.program == "flite"]
    tasks = [(name, frame, tempo) for name in names for frame in FRAMES for tempo in tempos]
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda task: _speak(task[0], task[1], word, task[2], cache), tasks)
        return [spoken for spoken in made if spoken is not None]


def _speak(voice: str, frame: str, word: str, tempo: float, cache: Path) -> Spoken | None:
    out = cache / f"{voice}-{FRAMES.index(frame)}-{tempo:.2f}.wav"
    try:
        alone = segments(voice, word, 1.0, None)
        heard = segments(voice, frame.format(word), tempo, out)
        end = word_end([name for name, _ in alone if name != _PAUSE], heard)
        return None if end is None else Spoken(read(out), round(end * RATE))
    except (OSError, subprocess.SubprocessError, RuntimeError):
        return None
    finally:
        out.unlink(missing_ok=True)


def word_end(sounds: Sequence[str], segments: Sequence[tuple[str, float]]) -> float | None:
    """When, in seconds, the first run of `sounds` in the segments (name, end) is over; None if there is none."""
    names = [name for name, _ in segments]
    for first in range(len(names) - len(sounds) + 1):
        if names[first : first + len(sounds)] == list(sounds):
            return segments[first + len(sounds) - 1][1]
    return None


def segments(voice: str, text: str, tempo: float, out: Path | None) -> list[tuple[str, float]]:
    """The names of the sounds that a flite voice makes of a text, and when each ends (seconds); spoken into `out`."""
    target = "none" if out is None else str(out)
    command = ["flite", "-voice", voice, "--setf", f"duration_stretch={1 / tempo:.3f}", "-psdur", "-t", text, target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    return [(name, float(end)) for name, end in _SEGMENT.findall(done.stdout)]
