"""Leave-one-out rounds: what a recipe finds of people, synthesisers and other speech that it never met.

Each round trains without one real speaker, one synthesiser and one part of the recordings of other speech, and is
measured on what it went without. Together the rounds score every clip once, none by a model that knows it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from trigger_api.cards import CARD_FILE
from trigger_api.evaluation.trigger.listening import load
from trigger_api.evaluation.trigger.report import draw, milliseconds
from trigger_api.evaluation.trigger.trials import THRESHOLDS, Clip, Point, Trial, clip, clips, listen
from trigger_api.training.trigger import phrases
from trigger_api.training.trigger.lookalikes import NEAREST, lookalikes
from trigger_api.training.trigger.material import Sources
from trigger_api.training.trigger.recipe import train_trigger
from trigger_api.training.trigger.recordings import Samples, audio_files
from trigger_api.training.trigger.speech import Line, say, voices

WITHIN_SECONDS = 0.12
ALLOWED = (0, 1, 2, 3)
_SPEAKER = re.compile(r"([0-9a-f]{8})_nohash")
_TEMPOS = ((0.85, 0.4), (1.0, 0.5), (1.15, 0.6))

Train = Callable[[Sources, Path], object]


@dataclass(frozen=True)
class HeldOut:
    """Who is left out of a round: recordings whose names match a pattern, and a synthesiser's program."""

    recordings: str
    program: str

    @classmethod
    def parse(cls, text: str) -> HeldOut:
        """From ``PATTERN:PROGRAM``.

        Raises:
            ValueError: it is not of that form.
        """
        recordings, colon, program = text.partition(":")
        if not (recordings and colon and program):
            raise ValueError(f"{text!r} is not PATTERN:PROGRAM, such as '*_ann:flite'")
        return cls(recordings, program)


@dataclass(frozen=True)
class Round:
    """One model, and what it heard: people, a program (its word, prose, words near in sound) and speech held out."""

    held_out: HeldOut
    people: Trial
    synthetic: Trial
    running: Trial
    near: Trial
    unsaid: Trial


def leave_one_out(
    sources: Sources,
    tests: Sequence[Path],
    held_out: Sequence[HeldOut],
    out: Path,
    *,
    seed: int = 0,
    prose_file: Path | None = None,
) -> dict[str, JsonValue]:
    """Train and measure all rounds, and write the figures to ``rounds.json`` in `out`.

    Args:
        sources: the word, its recordings, and speech and noise that every round trains on.
        tests: folders of other speech that is trained on and measured in turn.
        held_out: who each round goes without.
        out: folder for the rounds' models; what is already there is used again.
        seed: of the training.
        prose_file: sentences for the synthesisers to read, one a line; without it there are some in this package.
    """
    sources = replace(sources, word=phrases.checked(sources.word))  # as the training does

    def train(plan: Sources, folder: Path) -> None:
        train_trigger(
            plan.word,
            folder,
            plan.recordings,
            plan.negatives,
            plan.noise,
            seed=seed,
            synthesizer=plan.synthesizer,
            without=plan.without,
        )

    done = rounds(sources, tests, held_out, out, read_sentences(prose_file, sources.word), train)
    figures = reports(done)
    (out / "rounds.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    draw([together(done, threshold) for threshold in THRESHOLDS], out / "rounds.png")
    return figures


def rounds(
    sources: Sources,
    tests: Sequence[Path],
    held_out: Sequence[HeldOut],
    out: Path,
    texts: Sequence[str],
    train: Train,
) -> list[Round]:
    """Run every round. Of `tests`, folders of clips without the word, each round trains on all but its own part.

    `texts` are read by the synthesiser that a round goes without.

    A model folder that is already there is used again, so a run that was stopped goes on.
    """
    files = audio_files(tests)
    parts = [[path for path in files if part_of(path, len(held_out)) == k] for k in range(len(held_out))]
    return [
        _round(sources, files, part, one, out / f"round-{k}", texts, train)
        for k, (one, part) in enumerate(zip(held_out, parts, strict=True), 1)
    ]


def _round(
    sources: Sources,
    files: Sequence[Path],
    part: Sequence[Path],
    held_out: HeldOut,
    out: Path,
    texts: Sequence[str],
    train: Train,
) -> Round:
    if not (out / CARD_FILE).exists():
        known = tuple(path for path in files if path not in set(part))
        without = (held_out.recordings, held_out.program)
        train(replace(sources, negatives=(*sources.negatives, *known), without=without), out)
    model = load(out)
    people = [one for one in clips(_matching(sources, held_out), said=True) if one.word]
    synthetic = spoken(sources.word, held_out.program, out / "speech")
    running = prose(texts, held_out.program, out / "speech")
    near = nearby(sources.word, held_out.program, out / "speech")
    unsaid = clips(part, said=False)
    return Round(held_out, *(listen(model, heard) for heard in (people, synthetic, running, near, unsaid)))


def part_of(path: Path, parts: int) -> int:
    """Which part a clip belongs to; clips of one speaker stay together where their names tell (Speech Commands)."""
    speaker = _SPEAKER.search(path.name)
    key = speaker.group(1) if speaker else f"{path.parent.name}/{path.stem}"
    return zlib.crc32(key.encode()) % parts


def shared_threshold(done: Sequence[Round], allowed: int, *, prose: bool = False) -> float:
    """The lowest threshold at which the rounds together make no more false accepts than this, perhaps in prose, too."""
    trials = [trial for one in done for trial in ((one.unsaid, one.running) if prose else (one.unsaid,))]
    low, high = 0.0, 1.0
    for _ in range(24):
        middle = (low + high) / 2
        false = sum(trial.at(middle).false_accepts for trial in trials)
        low, high = (low, middle) if false <= allowed else (middle, high)
    return high


def spoken(word: str, program: str, cache: Path) -> list[Clip]:
    """The word as every voice of a program says it, at three paces."""
    lines = [Line(voice, word, *pace) for voice in voices() if voice.program == program for pace in _TEMPOS]
    found = [clip(f"{line.voice.name}@{line.tempo}", sound, said=True) for line, sound in _spoken(lines, cache)]
    return [one for one in found if one.word]


def read_sentences(file: Path | None, word: str) -> list[str]:
    """The sentences without the word of a file that has one a line; of this package where no file is given.

    Of a file, those with the word inside another ("Alexandria") are left out, too: somebody may take it for the word.

    Raises:
        OSError: the file cannot be read.
    """
    if file is None:
        return phrases.kept_prose(word.lower())
    lines = file.read_text(encoding="utf-8").lower().splitlines()
    return [line for line in lines if line.strip() and word.lower() not in line]


def prose(texts: Sequence[str], program: str, cache: Path, paces: Sequence[float] = (1.0,)) -> list[Clip]:
    """Sentences read by a program's voices in turn; once more, by the next voice, for each pace."""
    readers = [voice for voice in voices() if voice.program == program]
    lines = [
        Line(readers[(number + shift) % len(readers)], text, pace)
        for shift, pace in enumerate(paces)
        for number, text in enumerate(texts if readers else ())
    ]
    return [clip(line.voice.name, sound, said=False) for line, sound in _spoken(lines, cache)]


def nearby(word: str, program: str, cache: Path) -> list[Clip]:
    """Words near in sound, each by every voice of a program."""
    lines = [Line(voice, text) for text in lookalikes(word, NEAREST) for voice in voices() if voice.program == program]
    return [clip(line.text, sound, said=False) for line, sound in _spoken(lines, cache)]


def _spoken(lines: Sequence[Line], cache: Path) -> Iterator[tuple[Line, Samples]]:
    """Every line that its voice can say, and how."""
    said = zip(lines, say(lines, cache), strict=True)
    return ((line, sound) for line, sound in said if sound is not None)


def together(done: Sequence[Round], threshold: float) -> Point:
    """All rounds at one threshold, counted as one."""
    points = [trial.at(threshold) for one in done for trial in (one.people, one.synthetic, one.running, one.unsaid)]
    return Point(
        threshold,
        words=sum(point.words for point in points),
        hits=sum(point.hits for point in points),
        false_accepts=sum(point.false_accepts for point in points),
        hours=sum(point.hours for point in points),
        lags=tuple(lag for point in points for lag in point.lags),
        errors=tuple(error for point in points for error in point.errors),
    )


def reports(done: Sequence[Round]) -> dict[str, JsonValue]:
    """The figures of all rounds, as they go into a card, by how many false accepts they may make together."""
    return {
        f"at most {allowed} {what}": report(done, shared_threshold(done, allowed, prose=prose))
        for what, prose in (("in other speech", False), ("in other speech and prose", True))
        for allowed in ALLOWED
    }


def report(done: Sequence[Round], threshold: float) -> dict[str, JsonValue]:
    """The figures of all rounds at one threshold."""
    return {
        "threshold": round(threshold, 4),
        "false accepts in other speech": _false(done, threshold, lambda one: one.unsaid),
        "in prose": _false(done, threshold, lambda one: one.running),
        **{f"without {one.held_out.recordings} and {one.held_out.program}": _row(one, threshold) for one in done},
    }


def _false(done: Sequence[Round], threshold: float, trial: Callable[[Round], Trial]) -> str:
    points = [trial(one).at(threshold) for one in done]
    return f"{sum(point.false_accepts for point in points)} in {sum(point.hours for point in points):.2f} hours"


def _row(one: Round, threshold: float) -> dict[str, JsonValue]:
    heard = (one.people, one.synthetic, one.running, one.near)
    people, synthetic, running, near = (trial.at(threshold) for trial in heard)
    errors = [*people.errors, *synthetic.errors]
    within = sum(abs(error) <= WITHIN_SECONDS for error in errors)
    return {
        "false accepts in its running speech": f"{running.false_accepts} in {running.hours:.2f} hours",
        "taken for it of words near in sound": f"{near.false_accepts} of {len(one.near.takes)}",
        "people found": f"{people.hits} of {people.words}",
        "synthetic voices found": f"{synthetic.hits} of {synthetic.words}",
        "timestamps within 120 ms": f"{within} of {len(errors)}",
        "median timestamp error, ms": milliseconds([abs(error) for error in errors], 50),
    }


def _matching(sources: Sources, held_out: HeldOut) -> list[Path]:
    folder = [sources.recordings] if sources.recordings else []
    return [path for path in audio_files(folder) if path.match(f"{held_out.recordings}.*")]
