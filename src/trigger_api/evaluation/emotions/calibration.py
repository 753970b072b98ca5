"""Whether probabilities mean what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import softmax

Numbers = NDArray[np.floating[Any]]
_RANGE = (0.3, 4.0)


def calibration_error(probabilities: Numbers, labels: NDArray[np.int64], bins: int = 15) -> float:
    """The expected calibration error: the mean gap between confidence and accuracy, over bins of equal width.

    Source: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", arXiv:1706.04599.

    Args:
        probabilities: ``(n, classes)``.
        labels: ``(n,)``.
        bins: how many, of the likeliest class's probability.
    """
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(np.intp), bins - 1)
    gaps = np.bincount(bin_of, weights=confidence - correct, minlength=bins)
    return float(np.abs(gaps).sum() / max(len(labels), 1))


def temperature(logits: Numbers, labels: NDArray[np.int64]) -> float:
    """The divisor of the scores that makes the labels likeliest; 1 if there are none.

    Args:
        logits: scores before the softmax, ``(views, n, classes)``; the probabilities of several views are averaged.
        labels: ``(n,)``.
    """
    if not len(labels):
        return 1.0

    def loss(logarithm: float) -> float:
        mean = softmax(logits / np.exp(logarithm), axis=-1).mean(axis=0)
        return float(-np.log(mean[np.arange(len(labels)), labels].clip(1e-9)).mean())

    found = optimize.minimize_scalar(loss, bounds=tuple(np.log(_RANGE)), method="bounded")
    return float(np.exp(found.x))
