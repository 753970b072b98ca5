"""What the recipes of all emotion networks have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trigger_api.datasets.fer2013 import Split
from trigger_api.training.emotions.dataset import hold_out
from trigger_api.training.loop import Log


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        split: clean faces, of which ``held_out`` are only measured on.
        output: the model folder, ending in ``<name>/<version>``.
        work: keeps what a stopped run resumes from.
        held_out: how many faces.
        precision: Keras's dtype policy while training.
        log: is given a line of progress at a time.
    """

    split: Split
    output: Path
    work: Path
    held_out: int = 1_000
    precision: str = "mixed_bfloat16"
    log: Log = lambda _: None

    def faces(self) -> tuple[Split, Split]:
        """Those to train on, and those held out."""
        known, validation = hold_out(self.split, self.held_out)
        self.log(f"{len(known.labels)} faces to train on, {len(validation.labels)} held out")
        return known, validation
