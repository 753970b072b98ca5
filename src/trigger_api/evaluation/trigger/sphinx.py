"""PocketSphinx's keyphrase spotter, heard through the same harness: the baseline that needs no training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from trigger_api.cards import Decision
from trigger_api.evaluation.trigger.listening import Scores, Spotter
from trigger_api.training.trigger.recordings import RATE, Samples

_LENIENT = 1e-50  # everything it might take for the phrase; how sure it was is the score
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
        """For each frame, how sure it is that the phrase ended there; 0 nearly everywhere."""
        pcm = (np.clip(samples, -1, 1) * 32_767).astype("<i2")
        found = np.zeros(len(pcm) // _HOP + 1, np.float32)
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.tobytes(), full_utt=False)
        self._decoder.end_utt()
        for hit in self._decoder.seg() or ():
            frame = min(hit.end_frame, len(found) - 1)
            found[frame] = max(found[frame], min(1.0, hit.prob))
        return found

    @cached_property
    def _decoder(self) -> Any:
        from pocketsphinx import Decoder

        return Decoder(keyphrase=self.phrase, kws_threshold=_LENIENT, lm=None, samprate=RATE, loglevel="FATAL")
