import numpy as np

from trigger_api.datasets.speech import RATE
from trigger_api.evaluation.trigger.embedder import Embedder

SOUND = (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)


def test_a_clip_has_an_embedding_every_80_ms() -> None:
    assert Embedder().clip(SOUND).shape == (25, 96)
    assert Embedder().clip(SOUND[: RATE // 100]).shape == (1, 96)


def test_clips_of_one_length_are_embedded_together() -> None:
    embedder = Embedder()
    together = embedder.clips([SOUND, -0.5 * SOUND, SOUND[::-1].copy()])
    np.testing.assert_allclose(together[1], embedder.clip(-0.5 * SOUND), rtol=1e-4, atol=1e-3)


def test_silence_comes_before_every_clip() -> None:
    embedder = Embedder()
    late = embedder.clip(np.concatenate([np.zeros(20 * 1_280, np.float32), SOUND]))
    np.testing.assert_allclose(late[:18], np.broadcast_to(embedder.silence, (18, 96)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(late[21:], embedder.clip(SOUND)[1:], rtol=1e-3, atol=1e-2)
