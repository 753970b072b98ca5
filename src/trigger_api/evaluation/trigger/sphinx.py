"""PocketSphinx's keyphrase spotter, heard through the same harness: the baseline that needs no training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from trigger_api.cards import Decision
from trigger_api.evaluation.trigger.listening import Scores, Spotter
from trigger_api.training.trigger.recordings import RATE, Samples

# What it says of its hits does not rank them: each of its own thresholds listens for itself.
LEVELS = (1e-50, 1e-40, 1e-30, 1e-25, 1e-20, 1e-15, 1e-10, 1e-5)
_HOP = RATE // 100


@dataclass(frozen=True)
class Sphinx(Spotter):
    """Spots one phrase, which must be in its pronouncing dictionary."""

    phrase: str

    @property
    def decision(self) -> Decision:
        """One score is enough: the spotter has searched for the best place itself."""
        return Decision(patience=1, refractory_ms=1_000)

    @property
    def frame_ms(self) -> float:
        """PocketSphinx hears in frames of 10 ms."""
        return 10.0

    def scores(self, samples: Samples) -> Scores:
        """For each frame, the share of the levels at which the phrase ended there; 0 nearly everywhere."""
        pcm = (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()
        found = np.zeros(len(samples) // _HOP + 1, np.float32)
        for passed, decoder in enumerate(self._decoders, 1):
            ends = _ends(decoder, pcm)
            if not ends:  # what is not there at a lenient level is not at a stricter one
                break
            found[np.minimum(ends, len(found) - 1)] = passed / len(LEVELS)
        return found

    @cached_property
    def _decoders(self) -> list[Any]:
        from pocketsphinx import Decoder

        common = {"keyphrase": self.phrase, "lm": None, "samprate": RATE, "loglevel": "FATAL"}
        return [Decoder(kws_threshold=level, **common) for level in LEVELS]


def _ends(decoder: Any, pcm: bytes) -> list[int]:
    """The frames at which a decoder hears its phrase end."""
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=False)
    decoder.end_utt()
    return [hit.end_frame for hit in decoder.seg() or ()]
