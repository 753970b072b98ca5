"""Keras's dtype policy, which is one for the whole process: what changes it changes it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def computing_in(policy: str) -> Iterator[None]:
    """Layers made meanwhile compute by another of Keras's dtype policies, such as ``mixed_bfloat16``.

    Raises:
        ValueError: Keras knows no such policy.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
