"""Proportions and rates with 95 % intervals that hold for small counts."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def proportion(count: int, total: int) -> Interval:
    """`count` of `total`, 0..1, with Wilson's score interval; none of none may be anything in 0..1."""
    from scipy.stats import binomtest  # it takes a second to import

    if total == 0:
        return Interval(math.nan, 0.0, 1.0)
    bounds = binomtest(count, total).proportion_ci(method="wilson")
    return Interval(count / total, float(bounds.low), float(bounds.high))


def per_hour(count: int, hours: float) -> Interval:
    """Events an hour, with Garwood's exact Poisson interval."""
    from scipy.stats import chi2

    if hours <= 0:
        return Interval(math.nan, 0.0, math.inf)
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    high = float(chi2.ppf(0.975, 2 * count + 2)) / 2
    return Interval(count / hours, low / hours, high / hours)
