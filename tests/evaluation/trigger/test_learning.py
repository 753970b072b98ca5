from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from trigger_api.cards import write_card
from trigger_api.evaluation.trigger import learning as module
from trigger_api.evaluation.trigger.learning import Case, Speech, figures, learn, learned, measure, number, picked
from trigger_api.evaluation.trigger.listening import Listener
from trigger_api.evaluation.trigger.trials import Clip
from trigger_api.tasks.log_mel import LogMel
from trigger_api.training.trigger.lookalikes import lookalikes
from trigger_api.training.trigger.material import Sources
from trigger_api.training.trigger.phrases import kept_prose
from trigger_api.training.trigger.recordings import RATE, audio_files

from .test_trials import FRONT_END, beeps, card, hears_highs

CLEAR, NOISY = 0.0, pytest.approx(0.0, abs=1)
MEANS = {"clean": CLEAR, "clean, people alone": CLEAR, "noisy": NOISY, "noisy, people alone": NOISY, "cases": 1}


@pytest.fixture
def speech(tmp_path: Path) -> Speech:
    for name, ends in {
        **{f"words/beep/{n:03}": (1.0 + n / 10,) for n in range(6)},
        **{f"words/hum/{n:03}": () for n in range(8)},
        **{f"others/{n}": () for n in range(8)},
        "others/hey-beep-1": (1.0,),
        **{f"noise/{n}": () for n in range(8)},
    }.items():
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, beeps(*ends), RATE)
    return Speech(tmp_path / "words", (tmp_path / "others",), (tmp_path / "noise",), "no-program")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Sources]:
    seen: list[Sources] = []

    def train(sources: Sources, out: Path, seed: int) -> None:
        seen.append(sources)
        out.mkdir(parents=True)
        write_card(out, card())

    monkeypatch.setattr(module, "load", lambda _: Listener(card(), LogMel(FRONT_END), hears_highs))
    monkeypatch.setattr(module, "_train", train)
    return seen


def test_what_is_learned_from_is_not_tested(speech: Speech, trained: list[Sources], tmp_path: Path) -> None:
    case = Case("beep", 2, 1)
    outcome = measure(speech, case, learned(speech, case, tmp_path / "out", module._train), tmp_path / "out")
    (sources,) = trained
    assert "no-program" in sources.without
    assert sources.near() == lookalikes("beep")[1::2]
    assert sources.recordings is not None
    assert [number(path) % 2 for path in audio_files([sources.recordings])] == [0, 0]
    everything = speech.unsaid("beep")
    assert len(everything) == 16
    assert sorted([*sources.negatives, *case.unknown(everything)]) == sorted(everything)
    assert not set(sources.noise) & set(case.unknown(audio_files(speech.noise)))
    assert [(point.words, point.hits) for name, point in outcome.points.items() if "clean" in name] == [(3, 3)] * 2


def test_a_model_that_is_there_is_used_again(speech: Speech, trained: list[Sources], tmp_path: Path) -> None:
    for _ in range(2):
        found = learn(speech, ["beep"], [0, 1], [0], tmp_path / "out")
    assert len(trained) == 2
    assert trained[0].recordings is None
    assert found["mean missed"] == {"0": MEANS, "1": MEANS}
    assert (tmp_path / "out" / "learning.json").exists()


def test_nothing_is_said_of_noise_without_any(speech: Speech, trained: list[Sources], tmp_path: Path) -> None:
    found = learn(replace(speech, noise=()), ["beep"], [0], [0], tmp_path / "out")
    assert found["mean missed"] == {"0": {"clean": CLEAR, "clean, people alone": CLEAR, "cases": 1}}


def test_a_capital_hides_no_clip_of_the_word(speech: Speech) -> None:
    assert speech.unsaid("Beep") == speech.unsaid("beep")


def test_the_same_seed_picks_the_same_recordings(speech: Speech, tmp_path: Path) -> None:
    def names(case: Case, folder: str) -> list[str]:
        out = picked(speech.words / "beep", case, tmp_path / folder)
        return [] if out is None else [path.name for path in audio_files([out])]

    assert names(Case("beep", 2, 3), "a") == names(Case("beep", 2, 3), "b")
    assert len(names(Case("beep", 9, 3), "c")) == 3
    assert names(Case("beep", 0, 3), "d") == []


def test_a_name_without_a_number_is_refused() -> None:
    assert number(Path("x_07.wav")) == 7
    with pytest.raises(ValueError, match="no number"):
        number(Path("hello.wav"))


def test_nothing_measured_has_no_means() -> None:
    assert figures([])["mean missed"] == {}


def test_a_baseline_learns_nothing(
    speech: Speech, trained: list[Sources], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Sphinx", lambda _: Listener(card(), LogMel(FRONT_END), hears_highs))
    found = learn(speech, ["beep"], [None], [0], tmp_path / "out")
    assert trained == []
    assert found["mean missed"] == {"PocketSphinx": MEANS}


def test_a_file_is_read_without_the_word(speech: Speech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def note(texts: Sequence[str], *_: object) -> list[Clip]:
        asked.append(tuple(texts))
        return []

    monkeypatch.setattr(module, "prose", note)
    (tmp_path / "news.txt").write_text("Nothing new today\n\nTwo Beeps were heard\n")
    replace(speech, prose=tmp_path / "news.txt").running("beep", tmp_path)
    speech.running("beep", tmp_path)
    assert asked == [("nothing new today",), tuple(kept_prose("beep"))]
