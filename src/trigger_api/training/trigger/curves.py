"""Pictures of a training run: how the loss fell, and what each threshold costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trigger_api.training.trigger.calibration import Cost


def learning(losses: Sequence[Sequence[float]], path: Path) -> None:
    """Each network's loss in each epoch, as a PNG."""
    figure, axes = _axes()
    for one in losses:
        axes.semilogy(range(1, len(one) + 1), one, marker="o", markersize=3)
    axes.set(xlabel="epoch", ylabel="training loss")
    _save(figure, path)


def tradeoff(costs: Sequence[Cost], path: Path) -> None:
    """Misses against false accepts an hour, as a PNG; each point is a threshold."""
    figure, axes = _axes()
    axes.plot([cost.false_per_hour for cost in costs], [100 * cost.missed for cost in costs], marker="o", markersize=3)
    for cost in costs[:: max(1, len(costs) // 6)]:
        axes.annotate(f"{cost.threshold:.3f}", (cost.false_per_hour, 100 * cost.missed), fontsize=7)
    axes.set(xlabel="false accepts an hour of other speech", ylabel="missed, % of known voices")
    _save(figure, path)


def _axes() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=90)
