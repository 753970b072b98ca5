"""The recipe of a trigger: from a word to a model folder, offline, on two cores, in minutes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from trigger_api.cards import WEIGHTS_FILE, Decision, LogMelFrontEnd, ModelCard, TensorSpec, write_card
from trigger_api.tasks.log_mel import LogMel
from trigger_api.training import corpus, phrases
from trigger_api.training.corpus import Pools
from trigger_api.training.fitting import Schedule, Share, fit
from trigger_api.training.material import Sources, gather
from trigger_api.training.network import Shape, folded

WORK_FOLDER = ".training"


@dataclass(frozen=True)
class Recipe:
    """Sizes of a run: scenes to build, scenes of each kind in a batch, and the schedule."""

    real: int = 3_000
    synthetic: int = 4_000
    others: int = 4_500
    speech: int = 4_500
    noise: int = 400
    batch: tuple[int, int, int, int, int] = (32, 32, 32, 28, 4)
    schedule: Schedule = field(default_factory=Schedule)
    shape: Shape = field(default_factory=Shape)


def train_trigger(
    word: str,
    out: Path,
    recordings: Path | None = None,
    negatives: tuple[Path, ...] = (),
    noise: tuple[Path, ...] = (),
    *,
    seed: int = 0,
    synthesizer: str | None = None,
    without: tuple[str, ...] = (),
    recipe: Recipe | None = None,
) -> ModelCard:
    """Train a detector of `word` and write ``model.keras``, ``card.json`` and ``learning.png`` into `out`.

    Raises:
        PhraseError: the word cannot be spoken.
        ValueError: there is nobody to say it: no synthesiser is installed and no recordings were given.
    """
    recipe = recipe or Recipe()
    sources = Sources(phrases.checked(word), recordings, negatives, noise, synthesizer, without)
    work = out / WORK_FOLDER
    work.mkdir(parents=True, exist_ok=True)
    with _progress(sources.word) as progress:
        task = progress.add_task("preparing", total=1.0)
        real, synthetic = gather(sources, work / "speech", seed, lambda what: progress.update(task, description=what))
        progress.update(task, description="building scenes")
        shares = _shares(real, synthetic, recipe, seed)
        progress.update(task, description="training")
        network, losses = fit(
            shares, recipe.shape, recipe.schedule, seed, work / "checkpoint", lambda part: progress.advance(task, part)
        )
    card = _write(out, sources, folded(network, recipe.shape), recipe.shape)
    shutil.rmtree(work)
    return card


@contextmanager
def _progress(word: str) -> Iterator[Progress]:
    columns = (TextColumn(f"[bold]{word}[/]"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns) as progress:
        yield progress


def _shares(real: Pools, synthetic: Pools, recipe: Recipe, seed: int) -> list[Share]:
    """Banks of scenes and their part of a batch; where nobody real says the word, synthetic voices take that part."""
    if not real.words and not synthetic.words:
        raise ValueError("nobody says the word: install espeak-ng, flite or festival, or give recordings")
    both = replace(real, words=[*real.words, *synthetic.words])
    scenes = (
        partial(corpus.said_scene, real if real.words else synthetic),
        partial(corpus.said_scene, synthetic if synthetic.words else real),
        partial(corpus.other_scene, both),
        partial(corpus.speech_scene, both),
        partial(corpus.noise_scene, both),
    )
    front = LogMel(LogMelFrontEnd(bands=recipe.shape.bands))
    sizes = (recipe.real, recipe.synthetic, recipe.others, recipe.speech, recipe.noise)
    banks = [
        corpus.build(size, scene, front, seed * 10 + k)
        for k, (size, scene) in enumerate(zip(sizes, scenes, strict=True))
    ]
    return [Share(bank, count) for bank, count in zip(banks, recipe.batch, strict=True)]


def _write(out: Path, sources: Sources, network: Any, shape: Shape) -> ModelCard:
    network.save(out / WEIGHTS_FILE)
    card = ModelCard(
        task="trigger",
        name=sources.word.replace(" ", "-").replace("'", ""),
        version="1",
        description=f"hears the word {sources.word!r}",
        labels=(sources.word,),
        inputs=(TensorSpec(name="features", shape=(-1, shape.bands)), TensorSpec(name="state", shape=(shape.state,))),
        outputs=(TensorSpec(name="scores", shape=(-1,)), TensorSpec(name="state", shape=(shape.state,))),
        lengths=(8, 1024),
        frame_ms=shape.stride * 10,
        context=shape.context,
        front_end=LogMelFrontEnd(bands=shape.bands),
        decision=Decision(threshold=0.9, patience=2, refractory_ms=1_000, delay_ms=40),
        parameters=network.count_params(),
        sha256=hashlib.sha256((out / WEIGHTS_FILE).read_bytes()).hexdigest(),
    )
    write_card(out, card)
    return card
