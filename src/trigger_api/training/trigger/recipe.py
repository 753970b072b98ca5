"""The recipe of a trigger word: from a phrase to a model folder, offline, on two cores, in minutes."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from trigger_api.datasets import phrases
from trigger_api.datasets.speech import RATE, Samples
from trigger_api.evaluation.trigger.embedder import STEP_SECONDS, Embedder, Embeddings
from trigger_api.model_card import WEIGHTS_FILE, Decision, ModelCard, TensorSpec, write_card
from trigger_api.runtimes.speech_embedding import EMBEDDING
from trigger_api.training.compressed_save import save_compressed
from trigger_api.training.trigger import calibration, low_rank, plots, scenes
from trigger_api.training.trigger.collect import Material, Sources, Step, collect
from trigger_api.training.trigger.fit import Schedule, fit, windows
from trigger_api.training.trigger.head import Shape, serving_network
from trigger_api.training.trigger.scenes import NO_WORD, Bank

WORK_FOLDER = ".training"
BACKBONE, STUDENT = "speech-embedding", "speech-embedding-student"
GATE = 0.018
"""A score by the student that was reached in each of 1 400 recordings of words that the backbone found there."""
_SAMPLE = 30_000  # windows that the low-rank head is right on, in the mean square
_CLIP = 144  # embeddings of a window of a recording: 11.5 s
_PIECE = 30  # embeddings of a scene
_TAIL = RATE // 2  # silence after a recording, as the service puts it there


@dataclass(frozen=True)
class Recipe:
    """Sizes of a run: scenes to build of each kind, the head's shape, and the schedule.

    Of each recording of the word come `each` scenes, and `real` of all: few recordings must not be learned by heart.
    """

    each: int = 200
    real: int = 2_000
    synthetic: int = 5_000
    others: int = 4_000
    near: int = 2_000
    speech: int = 6_000
    noise: int = 800
    shape: Shape = field(default_factory=Shape)
    schedule: Schedule = field(default_factory=Schedule)


def train_trigger(
    word: str,
    out: Path,
    recordings: Sequence[Path] = (),
    negatives: Sequence[Path] = (),
    noise: Sequence[Path] = (),
    *,
    seed: int = 0,
    synthesizer: str | None = None,
    without: tuple[str, ...] = (),
    cache: Path | None = None,
    recipe: Recipe | None = None,
) -> ModelCard:
    """Train a detector of `word` and write ``model.keras``, ``card.json`` and two pictures into `out`.

    Killed and started again with the same arguments, it goes on where it was. `cache` keeps what synthetic voices said
    for the next word, too.

    Raises:
        PhraseError: the word cannot be spoken.
        ValueError: there is nobody to say it: no synthesiser is installed and no recordings were given.
    """
    recipe = recipe or Recipe()
    sources = Sources(phrases.checked(word), tuple(recordings), tuple(negatives), tuple(noise), synthesizer, without)
    work = out / WORK_FOLDER
    work.mkdir(parents=True, exist_ok=True)
    with _progress(sources.word) as step:
        material = collect(sources, cache or work / "speech", seed, step)
        banks = _banks(material, recipe, seed, step)
        step("training", 0.1)
        embedder = Embedder()
        data = windows(list(banks.values()), recipe.shape.steps, embedder.silence)
        checkpoints = work / _digest(sources, recipe, seed)
        trained, losses = fit(
            data, recipe.shape, recipe.schedule, seed, checkpoints, lambda part: step("training", part / 2)
        )
    network = serving_network(trained, recipe.shape)
    decision = _calibrated(network, material, banks, recipe.shape, embedder, out, seed)
    plots.loss(losses or [1.0], out / "learning.png")
    card = _write(out, sources.word, network, recipe.shape, decision)
    low_rank.write(out, network, data.take(_sample(data.negatives, seed)))
    shutil.rmtree(work)
    return card


def _digest(sources: Sources, recipe: Recipe, seed: int) -> str:
    """A name for what is trained: with another word, another clip or another voice, checkpoints are of no use."""
    clips = [
        (p.as_posix(), p.stat().st_size)
        for p in sources.files([*sources.negatives, *sources.noise, *sources.recordings])
    ]
    return hashlib.sha256(repr((sources, sources.voices(), clips, recipe, seed)).encode()).hexdigest()[:16]


@contextmanager
def _progress(word: str) -> Iterator[Step]:
    """A bar on a terminal; elsewhere lines such as ``40 % training``, which programs can read."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (TextColumn(f"[bold]{word}[/]"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda what, part=0.0: progress.update(task, description=what, advance=part)


class _Lines:
    """Prints a line whenever another percent is done, or something else begins."""

    def __init__(self) -> None:
        self._done = 0.0
        self._printed = ""

    def __call__(self, what: str, part: float = 0.0) -> None:
        """Say it."""
        self._done += part
        line = f"{min(100, round(100 * self._done))} % {what}"
        if line != self._printed:
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is the command's output
            self._printed = line


def _banks(material: Material, recipe: Recipe, seed: int, step: Step) -> dict[str, Bank]:
    """Scenes of each kind as embeddings, and what people say besides, as it was recorded."""
    plans: dict[str, tuple[int, scenes.Scene, Sequence[Any]]] = {
        "real": (min(recipe.real, recipe.each * len(material.real)), scenes.said_scene, material.real),
        "synthetic": (recipe.synthetic if material.synthetic else 0, scenes.said_scene, material.synthetic),
        "others": (recipe.others, scenes.other_scene, [*material.real, *material.synthetic]),
        "near": (recipe.near if material.near else 0, scenes.near_scene, ()),
        "speech": (recipe.speech, scenes.speech_scene, ()),
        "noise": (recipe.noise, scenes.noise_scene, ()),
    }
    pools, banks = material.pools(()), {}
    for number, (name, (count, scene, words)) in enumerate(plans.items()):
        step(f"scenes: {name}", 0.05)
        if count:
            banks[name] = scenes.build(count, partial(scene, replace(pools, words=words)), 100 * seed + number)
    return banks | ({"people": _as_recorded(material.people, recipe.shape)} if material.people else {})


def _as_recorded(clips: Sequence[Samples], shape: Shape) -> Bank:
    """Everything that people say, in pieces that overlap by what a head looks back on."""
    embedder, advance = Embedder(), _PIECE - shape.steps + 1
    pieces = [piece for clip in clips for piece in _pieces(embedder.clip(clip), advance)]
    return Bank(np.stack(pieces).astype(np.float16), np.full(len(pieces), NO_WORD, np.float32))


def _pieces(embeddings: Embeddings, advance: int) -> Iterator[Embeddings]:
    for start in range(0, len(embeddings), advance):
        piece = embeddings[start : start + _PIECE]
        yield np.pad(piece, ((0, _PIECE - len(piece)), (0, 0)), mode="edge")


def _calibrated(
    network: Any, material: Material, banks: dict[str, Bank], shape: Shape, embedder: Embedder, out: Path, seed: int
) -> Decision:
    """A decision whose thresholds come from people who were held out; from synthetic speech where there are none."""
    rng, pools = np.random.default_rng(seed), material.pools(())
    lead = np.broadcast_to(embedder.silence, (shape.context, EMBEDDING))
    clips = (one for clip in material.held_out or material.spoken[::10] for one in scenes.conditions(clip, pools, rng))
    embedded = [embedder.clip(np.pad(clip, (0, _TAIL))) for clip in clips]
    hours = (sum(map(len, embedded)) * STEP_SECONDS - len(embedded) * _TAIL / RATE) / 3600
    highest = _highest(network, (np.concatenate([lead, clip]) for clip in embedded))
    levels = calibration.thresholds(highest, hours)
    plots.false_accepts(highest, hours, levels, out / "tradeoff.png")
    return calibration.decision(levels, network, banks.get("real") or banks["synthetic"], lead)


def _highest(network: Any, recordings: Iterable[Embeddings]) -> NDArray[np.float64]:
    """The peaks of all recordings, as logits."""
    return np.concatenate([calibration.peaks(calibration.logits(_scores(network, one))) for one in recordings])


def _scores(network: Any, embeddings: Embeddings) -> Embeddings:
    """Scores of one recording; its length is rounded up so that few shapes are compiled."""
    padded = np.pad(embeddings, ((0, -len(embeddings) % _CLIP), (0, 0)), mode="edge")
    scores: Embeddings = np.asarray(network({"embeddings": padded[None]})["scores"])[0]
    return scores[: len(scores) - (len(padded) - len(embeddings))]


def _sample(windows: NDArray[np.int32], seed: int) -> NDArray[np.int32]:
    return windows[np.random.default_rng(seed).integers(len(windows), size=_SAMPLE)]


def _write(out: Path, word: str, network: Any, shape: Shape, decision: Decision) -> ModelCard:
    save_compressed(network, out / WEIGHTS_FILE)
    card = ModelCard(
        task="trigger",
        name=phrases.file_name(word),
        version="1",
        description=f"hears the word {word!r}",
        labels=(word,),
        inputs=(TensorSpec(name="embeddings", shape=(-1, EMBEDDING), value_range=(-30.0, 30.0)),),
        outputs=(TensorSpec(name="scores", shape=(-1,)),),
        sequence_lengths=(shape.context + 1, shape.context + 32, shape.context + _CLIP),
        frame_ms=1000 * STEP_SECONDS,
        context=shape.context,
        backbone=BACKBONE,
        student=STUDENT,
        decision=decision.model_copy(update={"gate": GATE}),
        parameters=network.count_params(),
        sha256=hashlib.sha256((out / WEIGHTS_FILE).read_bytes()).hexdigest(),
    )
    write_card(out, card)
    return card
