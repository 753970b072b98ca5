from __future__ import annotations

import keras
import pytest
from keras import layers

from trigger_api.training.precision import computing_in


def test_another_policy_lasts_no_longer_than_it_is_wanted() -> None:
    before = keras.config.dtype_policy()
    with computing_in("mixed_bfloat16"):
        assert layers.Dense(1).compute_dtype == "bfloat16"
    assert keras.config.dtype_policy() is before


def test_what_fails_meanwhile_leaves_the_policy_as_it_was() -> None:
    before = keras.config.dtype_policy()
    with pytest.raises(OSError, match="full"), computing_in("mixed_bfloat16"):
        raise OSError("the disk is full")
    assert keras.config.dtype_policy() is before
