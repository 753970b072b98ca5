"""Proportions and rates with 95 % intervals that hold for small counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def proportion(count: int, total: int) -> Interval:
    """`count` of `total`, 0..1, with Wilson's score interval; none of none may be anything in 0..1."""
    if total == 0:
        return Interval(math.nan, 0.0, 1.0)
    p, z2 = count / total, _Z95**2
    centre = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z95 / (1 + z2 / total) * math.sqrt(p * (1 - p) / total + z2 / (4 * total**2))
    return Interval(p, max(0.0, centre - half), min(1.0, centre + half))


def per_hour(count: int, hours: float) -> Interval:
    """Events an hour, with Garwood's exact Poisson interval."""
    from scipy.stats import chi2

    if hours <= 0:
        return Interval(math.nan, 0.0, math.inf)
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    high = float(chi2.ppf(0.975, 2 * count + 2)) / 2
    return Interval(count / hours, low / hours, high / hours)
