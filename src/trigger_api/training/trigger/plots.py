"""Pictures of a training run: how the loss fell, and what each threshold would cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def loss(losses: Sequence[float], path: Path) -> None:
    """The loss of each epoch, as a PNG."""
    figure, axes = _axes()
    axes.semilogy(range(1, len(losses) + 1), losses, marker="o", markersize=3)
    axes.set(xlabel="epoch", ylabel="training loss")
    figure.savefig(path, dpi=90)


def false_accepts(highest: NDArray[np.float64], hours: float, levels: dict[str, float], path: Path) -> None:
    """False accepts an hour of other speech at each threshold, as a PNG; the sensitivities are marked."""
    figure, axes = _axes()
    ordered = np.sort(1 / (1 + np.exp(-highest)))[::-1][:200]
    axes.semilogy(ordered, (np.arange(len(ordered)) + 1) / hours)
    for name, threshold in levels.items():
        axes.axvline(threshold, linestyle=":", color="grey")
        axes.annotate(name, (threshold, axes.get_ylim()[1]), rotation=90, va="top", fontsize=7)
    axes.set(xlabel="threshold", ylabel="false accepts an hour")
    figure.savefig(path, dpi=90)


def _axes() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    return figure, axes
