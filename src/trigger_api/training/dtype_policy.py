"""Keras's dtype policy, which is global: whoever changes it restores it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Use another dtype policy, such as ``mixed_bfloat16``, for the layers that are created meanwhile.

    Raises:
        ValueError: Keras does not know the policy.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
