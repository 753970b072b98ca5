import json
from pathlib import Path

import pytest
import soundfile

from trigger_api.cards import write_card
from trigger_api.evaluation.trigger import rounds as module
from trigger_api.evaluation.trigger.listening import Listener
from trigger_api.evaluation.trigger.rounds import (
    HeldOut,
    Round,
    leave_one_out,
    part_of,
    read_sentences,
    report,
    rounds,
    shared_threshold,
)
from trigger_api.tasks.log_mel import LogMel
from trigger_api.training.trigger.material import Sources
from trigger_api.training.trigger.phrases import kept_prose
from trigger_api.training.trigger.recordings import RATE

from .test_trials import FRONT_END, beeps, card, hears_highs

HELD_OUT = (HeldOut("*_ann", "nobody"), HeldOut("*_bob", "no-program"))


@pytest.fixture
def seen() -> list[Sources]:
    return []


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[Sources]) -> list[Round]:
    for name, ends in (("said/1_ann", (1.0,)), ("said/1_bob", (1.5,)), ("said/2_bob", (2.0,)), ("unsaid/x", (0.5,))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"{name}.wav", beeps(*ends), RATE)
    soundfile.write(tmp_path / "unsaid" / "y.wav", beeps(), RATE)
    monkeypatch.setattr(module, "load", lambda _: Listener(card(), LogMel(FRONT_END), hears_highs))

    def train(sources: Sources, out: Path) -> None:
        seen.append(sources)
        out.mkdir(parents=True)
        write_card(out, card())

    def run() -> list[Round]:
        sources = Sources("beep", tmp_path / "said")
        return rounds(sources, [tmp_path / "unsaid"], HELD_OUT, tmp_path / "out", [], train)

    run()
    return run()  # finds the models of the first run


def test_each_round_goes_without_its_own(done: list[Round], seen: list[Sources]) -> None:
    assert [sources.without for sources in seen] == [("*_ann", "nobody"), ("*_bob", "no-program")]
    assert [len(one.people.takes) for one in done] == [1, 2]
    known = [path.name for sources in seen for path in sources.negatives]
    assert sorted(known) == ["x.wav", "y.wav"]


def test_every_other_clip_is_scored_once(done: list[Round]) -> None:
    assert sorted(take.name for one in done for take in one.unsaid.takes) == ["x.wav", "y.wav"]


def test_one_threshold_for_all(done: list[Round]) -> None:
    strict, loose = shared_threshold(done, 0), shared_threshold(done, 1)
    assert sum(one.unsaid.at(strict).false_accepts for one in done) == 0
    assert loose < strict
    assert shared_threshold(done, 0, prose=True) >= strict


def test_the_report_is_json(done: list[Round]) -> None:
    figures = json.loads(json.dumps(report(done, shared_threshold(done, 1))))
    assert figures["false accepts in other speech"].split()[0] in ("0", "1")
    assert figures["in prose"] == "0 in 0.00 hours"
    assert figures["without *_bob and no-program"]["people found"] == "2 of 2"
    assert figures["without *_bob and no-program"]["synthetic voices found"] == "0 of 0"
    assert figures["without *_bob and no-program"]["taken for it of words near in sound"] == "0 of 0"


def test_who_is_held_out_is_said_in_one_word() -> None:
    assert HeldOut.parse("*_ann:flite") == HeldOut("*_ann", "flite")
    with pytest.raises(ValueError, match="PATTERN:PROGRAM"):
        HeldOut.parse("flite")


def test_leaving_one_out_writes_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: list[Round]) -> None:
    trained: list[str] = []
    monkeypatch.setattr(module, "train_trigger", lambda word, *_, **__: trained.append(word))
    monkeypatch.setattr(module, "rounds", lambda sources, *rest: rest[-1](sources, tmp_path) or done)
    figures = leave_one_out(Sources("beep"), [], HELD_OUT, tmp_path)
    assert trained == ["beep"]
    assert json.loads((tmp_path / "rounds.json").read_text()) == figures
    assert {"at most 0 in other speech", "at most 2 in other speech and prose"} <= figures.keys()
    assert (tmp_path / "rounds.png").stat().st_size < 60_000


def test_sentences_with_the_word_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "news.txt").write_text("Nothing new today\n\nTwo Beeps were heard\n")
    assert read_sentences(tmp_path / "news.txt", "beep") == ["nothing new today"]
    assert read_sentences(tmp_path / "news.txt", "Beep") == ["nothing new today"]
    assert read_sentences(None, "beep") == kept_prose("beep")
    assert len(read_sentences(None, "The")) == len(kept_prose("the")) < len(kept_prose("beep"))


def test_clips_of_one_speaker_stay_together() -> None:
    names = ["go/9a69672b_nohash_0.ogg", "up/9a69672b_nohash_4.ogg", "unknown/eight_9a69672b_nohash_1.wav.ogg"]
    assert len({part_of(Path(name), 7) for name in names}) == 1
    assert {part_of(Path(f"alexa/{number}.ogg"), 3) for number in range(30)} == {0, 1, 2}
