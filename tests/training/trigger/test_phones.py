import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from trigger_api.training.trigger import phones as module
from trigger_api.training.trigger.phones import (
    HOP,
    SILENCE,
    SOUNDS,
    Labels,
    aligned_span,
    labelled,
    listened,
    read_aloud,
)
from trigger_api.training.trigger.recordings import Samples, read, seconds

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


def test_what_differs_is_not_mistaken_for_one_another(tmp_path: Path) -> None:
    clips = [tmp_path / name / "activate" / "0.wav" for name in ("one", "two")]
    for clip, samples in zip(clips, (read(SAMPLE), np.roll(read(SAMPLE), 1_600)), strict=True):
        clip.parent.mkdir(parents=True)
        soundfile.write(clip, samples, 16_000)
    one, two = labelled(clips, tmp_path / "labels", processes=1)
    assert len(list((tmp_path / "labels").iterdir())) == 2
    assert one.labels.tolist() != two.labels.tolist()


def test_what_cannot_be_read_is_skipped(tmp_path: Path) -> None:
    damaged, infinite = tmp_path / "damaged.flac", tmp_path / "infinite.wav"
    soundfile.write(damaged, read(SAMPLE), 16_000)
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 2))
    soundfile.write(infinite, np.full(16_000, np.inf), 16_000, subtype="FLOAT")
    assert seconds(damaged) > 0
    assert labelled([damaged, infinite], tmp_path / "labels", processes=1) == []
    assert not list((tmp_path / "labels").iterdir())


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("alexa/alexa_001.ogg", "alexa"),
        ("precise/athena_en_athena-1.ogg", "athena"),
        ("activate/0ff728b5_nohash_0.ogg", "activate"),
        ("go/1.ogg", "go"),
        ("clips/common_voice_en_1.wav", None),
        ("news/recording_2.wav", None),
        ("xqzt/take-3.wav", None),
    ],
)
def test_a_clip_may_be_named_after_its_word(path: str, word: str | None) -> None:
    assert module._named(Path(path)) == word


@pytest.mark.parametrize(("length", "text"), [(2, "alice"), (5, None)])
def test_whoever_speaks_for_long_does_not_say_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, text: str | None
) -> None:
    told: list[str | None] = []

    def heard(_: Samples, said: str | None) -> Labels:
        told.append(said)
        return np.zeros(0, np.uint8)

    monkeypatch.setattr(module, "listened", heard)
    (tmp_path / "alice").mkdir()
    soundfile.write(tmp_path / "alice" / "1.wav", np.resize(read(SAMPLE), length * 16_000), 16_000)
    module._labels(tmp_path / "alice" / "1.wav", tmp_path)
    assert told == [text]


@pytest.mark.skipif(not shutil.which("flite"), reason="flite is not installed")
def test_a_synthesiser_tells_its_sounds(tmp_path: Path) -> None:
    (said,) = read_aloud(["activate"], tmp_path, seed=0)
    assert sounds(said.labels) == ["AE", "K", "T", "AH", "V", "EY", "T"]
    assert len(said.labels) == -(-len(said.samples) // HOP)
