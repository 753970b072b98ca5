"""The conditions that recordings are heard in: as they are, in noise, in rooms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from trigger_api.datasets.audio_augmentation import filtered, mixed, room
from trigger_api.datasets.speech import RATE, Samples, audio_files, readable

Condition = Callable[[Samples, np.random.Generator], Samples]


def condition(noise: Sequence[Path], snr_db: float, *, reverb: bool = False) -> Condition | None:
    """What is done to every recording before it is heard; None if nothing is.

    Args:
        noise: folders or files of noise to mix in.
        snr_db: how far speech is above the noise.
        reverb: whether every recording is put into a simulated room.

    Raises:
        ValueError: the ratio is not a finite number, or none of the noise can be used.
    """
    if not math.isfinite(snr_db):
        raise ValueError(f"speech cannot be {snr_db} dB over noise: a finite number is needed")
    noises = read_noise(noise) if noise else []
    if not noises and not reverb:
        return None

    def change(samples: Samples, rng: np.random.Generator) -> Samples:
        heard = filtered(samples, None, room(rng)) if reverb else samples
        if not noises:
            return heard
        clip = noises[int(rng.integers(len(noises)))]
        return mixed(heard, np.resize(np.roll(clip, int(rng.integers(len(clip)))), len(heard)), snr_db)

    return change


def read_noise(places: Sequence[Path]) -> list[Samples]:
    """Every recording of noise, in folders or files, that is longer than a second and not silent.

    Raises:
        ValueError: there is none. What would be measured is silence, under the name of noise.
    """
    read = (readable(path) for path in audio_files(places))
    found = [clip for clip in read if clip is not None and len(clip) > RATE and clip.any()]
    if not found:
        raise ValueError("there is no noise to mix in: no recording that can be read, lasts a second and is not silent")
    return found
