"""How many recordings a word needs: it is learned from a few of them, and measured on people who said the others.

Nothing is measured that was trained on: clips of the word with even numbers may be learned from and those with odd
numbers are tested, half of all other speech is learned from and the other half tested (which half follows the seed),
and one synthesiser, whose running speech is a third test, is left out of the training. So is every other one of the
words near in sound, to be measured apart.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from trigger_api.cards import CARD_FILE
from trigger_api.evaluation.trigger.listening import Spotter, load
from trigger_api.evaluation.trigger.report import milliseconds, read_noise, surroundings
from trigger_api.evaluation.trigger.rounds import part_of, prose, read_sentences
from trigger_api.evaluation.trigger.sphinx import Sphinx
from trigger_api.evaluation.trigger.trials import Clip, Point, Trial, clips, listen, merged
from trigger_api.training.trigger.lookalikes import lookalikes
from trigger_api.training.trigger.material import Sources
from trigger_api.training.trigger.recipe import train_trigger
from trigger_api.training.trigger.recordings import audio_files

FALSE_PER_HOUR = 0.5
SNR_DB = 10.0
PACES = (1.0, 1.0, 1.0, 0.8, 0.8, 0.8, 1.25, 1.25, 1.25)  # each sentence by three voices at three paces
_PARTS = 2
_NUMBER = re.compile(r"(\d+)$")

Train = Callable[[Sources, Path, int], object]


@dataclass(frozen=True)
class Speech:
    """What there is: a folder of clips for each word, other speech, noise, and the synthesiser to leave out.

    `prose` is a file with a sentence a line for that synthesiser to read; without it there is some in this package.
    """

    words: Path
    others: tuple[Path, ...]
    noise: tuple[Path, ...]
    program: str
    prose: Path | None = None

    def unsaid(self, word: str) -> list[Path]:
        """Every clip in which people say other things; one that is named after the word says it."""
        paths = audio_files([self.words, *self.others])
        return [path for path in paths if word.lower() not in f"{path.parent.name} {path.stem}".lower()]

    def running(self, word: str, cache: Path) -> list[Clip]:
        """Sentences without the word, read by the synthesiser: the package's over and over, those of a file once."""
        texts = read_sentences(self.prose, word)
        return prose(texts, self.program, cache, (1.0,) if self.prose else PACES)


@dataclass(frozen=True)
class Case:
    """A word, how many recordings of it there are to learn from (None: PocketSphinx), and the seed."""

    word: str
    recordings: int | None
    seed: int

    @property
    def road(self) -> str:
        """What learns the word, or from how many recordings."""
        return "PocketSphinx" if self.recordings is None else str(self.recordings)

    @property
    def folder(self) -> str:
        """The name of its model's folder."""
        return f"{self.word}-{self.road}-{self.seed}"

    @property
    def part(self) -> int:
        """The half of other speech and of noise that it is tested on."""
        return self.seed % _PARTS

    def known(self, paths: Iterable[Path]) -> tuple[Path, ...]:
        """Of some clips, the half to learn from."""
        return tuple(path for path in paths if part_of(path, _PARTS) != self.part)

    def unknown(self, paths: Iterable[Path]) -> tuple[Path, ...]:
        """Of some clips, the half to be tested on."""
        return tuple(path for path in paths if part_of(path, _PARTS) == self.part)


@dataclass(frozen=True)
class Outcome:
    """What a case came to, by what was heard, each at the most false accepts an hour that are allowed."""

    case: Case
    points: Mapping[str, Point]


def learn(
    speech: Speech, words: Sequence[str], counts: Sequence[int | None], seeds: Sequence[int], out: Path
) -> dict[str, JsonValue]:
    """Train and measure every case, and write the figures to ``learning.json`` in `out`; models there are used again.

    Args:
        speech: what there is to learn from and to be measured on.
        words: the words, each with a folder of its own.
        counts: how many recordings of the word to learn from; None for PocketSphinx, which learns nothing.
        seeds: one training of every word and count for each.
        out: folder of the models.
    """
    done = []
    for word, count, seed in product(words, counts, seeds):
        case = Case(word, count, seed)
        spotter = Sphinx(word) if count is None else learned(speech, case, out, _train)
        done.append(measure(speech, case, spotter, out))
        (out / "learning.json").write_text(json.dumps(figures(done), indent=2) + "\n", encoding="utf-8")
    return figures(done)


def learned(speech: Speech, case: Case, out: Path, train: Train) -> Spotter:
    """The model of a case: trained, unless it is there."""
    folder = out / case.folder
    if not (folder / CARD_FILE).exists():
        recordings = picked(speech.words / case.word, case, out / f"{case.folder}-recordings")
        others, noise = case.known(speech.unsaid(case.word)), case.known(audio_files(speech.noise))
        without = speech.program, *lookalikes(case.word)[::2]
        train(Sources(case.word, recordings, others, noise, without=without), folder, case.seed)
    return load(folder)


def measure(speech: Speech, case: Case, spotter: Spotter, out: Path) -> Outcome:
    """Let it listen, in silence and, where there is some, in noise: to everything, and to people alone.

    Prose has words near in sound over and over, whose price a rate over all hides.
    """
    points: dict[str, Point] = {}
    for name, noisy in {"clean": False, **({"noisy": True} if speech.noise else {})}.items():
        people, running = heard(spotter, speech, case, out, noisy=noisy)
        points |= {name: _point(merged([people, running])), f"{name}, people alone": _point(people)}
    return Outcome(case, points)


def picked(folder: Path, case: Case, out: Path) -> Path | None:
    """A folder with as many of a word's recordings as the case has, any of those with even numbers."""
    if not case.recordings:
        return None
    even = [path for path in audio_files([folder]) if number(path) % 2 == 0]
    out.mkdir(parents=True, exist_ok=True)
    for index in np.random.default_rng([case.seed, case.recordings]).permutation(len(even))[: case.recordings]:
        shutil.copy(even[index], out)
    return out


def number(path: Path) -> int:
    """The number at the end of a recording's name.

    Raises:
        ValueError: there is none.
    """
    found = _NUMBER.search(path.stem)
    if found is None:
        raise ValueError(f"{path.name} has no number: recordings are told apart by odd and even ones")
    return int(found.group(1))


def heard(spotter: Spotter, speech: Speech, case: Case, out: Path, *, noisy: bool) -> tuple[Trial, Trial]:
    """What a model makes of the word and other speech by people, and of a synthesiser's prose, all of it new to it."""
    noise = read_noise(case.unknown(audio_files(speech.noise))) if noisy else []
    change = surroundings(noise, SNR_DB, reverb=False)
    odd = [path for path in audio_files([speech.words / case.word]) if number(path) % 2]
    said = listen(spotter, (one for one in clips(odd, said=True) if one.word), change, case.seed)
    unsaid = listen(spotter, clips(case.unknown(speech.unsaid(case.word)), said=False), change, case.seed + 1)
    running = listen(spotter, speech.running(case.word, out / "speech"), change, case.seed + 2)
    return merged([said, unsaid]), running


def _point(trial: Trial) -> Point:
    return trial.allowing(int(FALSE_PER_HOUR * trial.at(1.0).hours))


def figures(done: Sequence[Outcome]) -> dict[str, JsonValue]:
    """Every case's misses, and the mean of each count over words and seeds."""
    roads = dict.fromkeys(one.case.road for one in done)
    return {
        "false accepts an hour, at most": FALSE_PER_HOUR,
        "mean missed": {road: _means([one for one in done if one.case.road == road]) for road in roads},
        "cases": {one.case.folder: {name: _figures(point) for name, point in one.points.items()} for one in done},
    }


def _means(done: Sequence[Outcome]) -> dict[str, JsonValue]:
    names = dict.fromkeys(name for one in done for name in one.points)
    return {**{name: _mean(one.points[name] for one in done) for name in names}, "cases": len(done)}


def _mean(points: Iterable[Point]) -> float:
    return round(float(np.mean([point.misses.value for point in points])), 4)


def _figures(point: Point) -> dict[str, JsonValue]:
    rate = point.misses
    return {
        "missed": f"{point.words - point.hits} of {point.words}",
        "missed, share": [round(value, 4) for value in (rate.value, rate.low, rate.high)],
        "false accepts": point.false_accepts,
        "hours": round(point.hours, 2),
        "threshold": round(point.threshold, 4),
        "delay ms p95": milliseconds(point.lags, 95),
    }


def _train(sources: Sources, folder: Path, seed: int) -> None:
    train_trigger(
        sources.word, folder, sources.recordings, sources.negatives, sources.noise, seed=seed, without=sources.without
    )
