from __future__ import annotations

import numpy as np
from keras.random import SeedGenerator

from trigger_api.training.emotions.augmentation import Augmentation

FACES = np.random.default_rng(0).integers(0, 256, (6, 48, 48), np.uint8)


def test_the_same_seed_augments_alike() -> None:
    first, again, other = (np.asarray(Augmentation()(FACES, 32, SeedGenerator(seed))) for seed in (1, 1, 2))
    assert first.shape == (6, 32, 32, 1)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 0 <= np.min(first) <= np.max(first) <= 255


def test_without_augmentation_a_face_is_at_most_mirrored() -> None:
    still = Augmentation(rotation=0, zoom=0, stretch=0, shift=0, gamma=0, noise=0, blurred=0, covered=0)
    made = np.asarray(still(FACES, 48, SeedGenerator(1)))[..., 0]
    mirrored = 0
    for face, seen in zip(FACES.astype(np.float32), made, strict=True):
        flipped = not np.allclose(face, seen, atol=0.3)
        assert not flipped or np.allclose(face[:, ::-1], seen, atol=0.3)
        mirrored += flipped
    assert 0 < mirrored < len(FACES)
