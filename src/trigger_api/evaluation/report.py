"""What every measurement comes to: figures for programs and cards, a table for people."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Table:
    """Columns' headings, and a row of texts for each thing measured."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


class Report(ABC):
    """The result of a measurement."""

    @abstractmethod
    def figures(self) -> dict[str, Any]:
        """What ``--json`` prints and a model's card keeps."""

    def table(self) -> Table:
        """What a person reads: one row per figure."""
        return Table(("figure", "value"), [(name, str(value)) for name, value in self.figures().items()])


def percent(flags: NDArray[np.bool_]) -> float:
    """The share of flags that are set, in percent to two decimals; 0 if there are none."""
    return share(int(flags.sum()), len(flags))


def share(part: int, whole: int) -> float:
    """A part of a whole, in percent to two decimals; 0 of nothing."""
    return round(100 * part / whole, 2) if whole else 0.0
