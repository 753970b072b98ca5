import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from trigger_api.training.trigger.phones import HOP, SILENCE, SOUNDS, aligned_span, labelled, listened, read_aloud
from trigger_api.training.trigger.recordings import read

pytest.importorskip("pocketsphinx")

SAMPLE = Path(__file__).parents[3] / "samples" / "activate.wav"


def sounds(labels: np.ndarray) -> list[str]:
    changes = np.flatnonzero(np.diff(labels, prepend=SILENCE))
    return [SOUNDS[number] for number in labels[changes] if number != SILENCE]


def test_a_word_that_is_known_is_aligned() -> None:
    samples = read(SAMPLE)
    labels = listened(samples, "activate")
    assert len(labels) == -(-len(samples) // HOP)
    assert sounds(labels) == ["AE", "K", "T", "AH", "V", "EY", "T"]


def test_a_word_is_found_beside_noise() -> None:
    samples = read(SAMPLE)
    start, end = aligned_span(samples, "activate") or (0, 0)
    noisy = samples + 0.02 * np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    assert aligned_span(noisy, "activate") == pytest.approx((start, end), abs=0.15 * 16_000)  # noise covers the "t"
    assert 0.2 < (end - start) / 16_000 < 1.2


def test_what_no_words_fit_has_no_sounds() -> None:
    assert len(listened(np.zeros(400, np.float32), "activate")) == 0
    assert aligned_span(np.zeros(400, np.float32), "activate") is None


def test_labels_are_kept(tmp_path: Path) -> None:
    clip = tmp_path / "activate" / "0.wav"
    clip.parent.mkdir()
    soundfile.write(clip, read(SAMPLE), 16_000)
    (said,) = labelled([clip], tmp_path / "labels", processes=1)
    (kept,) = (tmp_path / "labels").iterdir()
    np.testing.assert_array_equal(np.load(kept), said.labels)
    np.save(kept, np.ones(3, np.uint8))
    assert labelled([clip], tmp_path / "labels", processes=1)[0].labels.tolist() == [1, 1, 1]


@pytest.mark.skipif(not shutil.which("flite"), reason="flite is not installed")
def test_a_synthesiser_tells_its_sounds(tmp_path: Path) -> None:
    (said,) = read_aloud(["activate"], tmp_path, seed=0)
    assert sounds(said.labels) == ["AE", "K", "T", "AH", "V", "EY", "T"]
    assert len(said.labels) == -(-len(said.samples) // HOP)
