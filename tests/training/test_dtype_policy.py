from __future__ import annotations

import keras
import pytest
from keras import layers

from trigger_api.training.dtype_policy import dtype_policy


def test_the_policy_is_restored() -> None:
    before = keras.config.dtype_policy()
    with dtype_policy("mixed_bfloat16"):
        assert layers.Dense(1).compute_dtype == "bfloat16"
    assert keras.config.dtype_policy() is before


def test_the_policy_is_restored_after_an_error() -> None:
    before = keras.config.dtype_policy()
    with pytest.raises(OSError, match="full"), dtype_policy("mixed_bfloat16"):
        raise OSError("the disk is full")
    assert keras.config.dtype_policy() is before
