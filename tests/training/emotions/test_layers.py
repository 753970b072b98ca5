from __future__ import annotations

import keras
import numpy as np
from keras import layers

from trigger_api.training.emotions.layers import computing_in, contrasted


def test_contrast_does_not_matter_unless_there_is_none() -> None:
    faces = np.random.default_rng(1).uniform(0, 255, (1, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(contrasted(faces), contrasted(faces * 0.3 + 90), atol=1e-4)
    assert not np.any(contrasted(np.full((1, 8, 8, 1), 77)))


def test_another_policy_lasts_no_longer_than_it_is_wanted() -> None:
    before = keras.config.dtype_policy()
    with computing_in("mixed_bfloat16"):
        assert layers.Dense(1).compute_dtype == "bfloat16"
    assert keras.config.dtype_policy() is before
