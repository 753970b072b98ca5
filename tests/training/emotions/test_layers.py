from __future__ import annotations

import numpy as np

from trigger_api.training.emotions.layers import normalise_contrast


def test_contrast_is_normalised_unless_there_is_none() -> None:
    faces = np.random.default_rng(1).uniform(0, 255, (1, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(normalise_contrast(faces), normalise_contrast(faces * 0.3 + 90), atol=1e-4)
    assert not np.any(normalise_contrast(np.full((1, 8, 8, 1), 77)))
