"""The recipe of a trigger: from a word to a model folder, offline, on two cores, in minutes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from trigger_api.cards import WEIGHTS_FILE, Decision, LogMelFrontEnd, ModelCard, TensorSpec, write_card
from trigger_api.tasks.log_mel import LogMel
from trigger_api.training.small import write_small
from trigger_api.training.trigger import corpus, curves, phrases
from trigger_api.training.trigger.calibration import calibrate
from trigger_api.training.trigger.corpus import Bank, Pools
from trigger_api.training.trigger.fitting import Schedule, Share
from trigger_api.training.trigger.material import Material, Sources, gather
from trigger_api.training.trigger.network import Shape, folded, together
from trigger_api.training.trigger.workers import Fitted, Task, fit_all

WORK_FOLDER = ".training"
_APART = 2  # between the seeds of two turns
TRUNK = Path(__file__).with_name("trunk.weights.h5")  # as `trigger-api train speech` writes it


class Step(Protocol):
    """Is told what is being done, and which part of a network has just been trained."""

    def __call__(self, what: str, part: float = 0.0) -> None:
        """Say it."""


@dataclass(frozen=True)
class Member:
    """One network of a model: `start` holds weights to begin with, of which the first `frozen` layers stay as they are.

    `near`: whether it learns that words near in sound are other words.
    """

    start: Path | None = None
    frozen: int = 0
    near: bool = False


@dataclass(frozen=True)
class Recipe:
    """Sizes of a run: scenes to build, scenes of each kind in a batch, and the schedule; and the model's networks.

    They are trained in several `turns`, each with synthetic speech, splices and scenes of its own: one turn's networks
    share what they are mistaken about, two turns' do not.
    """

    real: int = 2_500
    synthetic: int = 3_000
    others: int = 4_000
    speech: int = 6_000
    noise: int = 1_200
    test: int = 700
    batch: tuple[int, int, int, int, int] = (30, 30, 26, 34, 8)
    schedule: Schedule = field(default_factory=Schedule)
    shape: Shape = field(default_factory=Shape)
    members: tuple[Member, ...] = (Member(TRUNK, 2, near=True), Member())
    turns: int = 1
    least: Mapping[str, float] = field(default_factory=dict)  # thresholds that sensitivities have at least


# Where nobody real says the word: what sounds like a part of it is taken for it, too, but not for as long. A scene is
# too short to tell how often: the thresholds are what three words needed beside other people and news.
UNHEARD = Recipe(turns=2, shape=Shape(recent=10), least={"low": 0.9, "medium": 0.8, "high": 0.5})


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
    """Train a detector of `word` and write ``model.keras``, ``card.json`` and two curves into `out`.

    Killed and started again with the same arguments, it goes on from its last epoch.

    Raises:
        PhraseError: the word cannot be spoken.
        ValueError: there is nobody to say it: no synthesiser is installed and no recordings were given.
    """
    recipe = recipe or (Recipe() if recordings else UNHEARD)
    sources = Sources(phrases.checked(word), recordings, negatives, noise, synthesizer, without)
    work = out / WORK_FOLDER
    work.mkdir(parents=True, exist_ok=True)
    with _progress(sources.word, recipe.turns * len(recipe.members)) as step:
        trained, tests = _in_turns(sources, recipe, seed, work, step)
    networks = [network for network, _ in trained]
    decision, costs = calibrate(together(networks, recipe.shape), *tests, recipe.shape.stride * 10, recipe.least)
    curves.learning([losses for _, losses in trained], out / "learning.png")
    curves.tradeoff(costs, out / "tradeoff.png")
    card = _write(out, sources.word, folded(networks, recipe.shape), recipe.shape, decision)
    shutil.rmtree(work)
    return card


def _in_turns(
    sources: Sources, recipe: Recipe, seed: int, work: Path, step: Step
) -> tuple[list[Fitted], tuple[Bank, Bank]]:
    """Gather material and train all members, turn after turn; and scenes to calibrate on, of the first turn's."""
    trained: list[Fitted] = []
    tests: tuple[Bank, Bank] | None = None
    checkpoints = work / _digest(sources, recipe, seed)
    for turn in range(recipe.turns):
        own = seed + _APART * turn
        material = gather(sources, work / "speech", own, step)
        trained += _trained(material, recipe, own, checkpoints / f"turn-{turn}", step)
        tests = tests or _tests(material, recipe, own)
    assert tests is not None
    return trained, tests


def _digest(sources: Sources, recipe: Recipe, seed: int) -> str:
    """A name for what is trained: with another word, another clip or another voice, checkpoints are of no use."""
    folders = [*sources.negatives, *sources.noise, *([sources.recordings] if sources.recordings else [])]
    clips = [(path.as_posix(), path.stat().st_size) for path in sources.files(folders)]
    return hashlib.sha256(repr((sources, sources.voices(), clips, recipe, seed)).encode()).hexdigest()[:16]


def _trained(material: Material, recipe: Recipe, seed: int, folder: Path, step: Step) -> list[Fitted]:
    """Build scenes, and train all members; `folder` keeps their checkpoints."""
    step("building scenes")
    shares = _shares(material, recipe, seed)
    step("training")
    tasks = [
        Task(given, recipe.shape, recipe.schedule, seed, folder / f"{number}", member.start, member.frozen)
        for number, (member, given) in enumerate(zip(recipe.members, shares, strict=True))
    ]
    return fit_all(tasks, lambda part: step("training", part))


@contextmanager
def _progress(word: str, networks: int) -> Iterator[Step]:
    """A bar that is full when so many networks are trained."""
    columns = (TextColumn(f"[bold]{word}[/]"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("", total=float(networks))
        yield lambda what, part=0.0: progress.update(task, description=what, advance=part)


def _shares(material: Material, recipe: Recipe, seed: int) -> list[list[Share]]:
    """For each member banks of scenes and their part of a batch; what all of them learn from is built once.

    Where nobody real says the word, synthetic voices take that part.
    """
    front, words = LogMel(LogMelFrontEnd(bands=recipe.shape.bands)), material.pools(material.words)
    sizes = (recipe.real, recipe.synthetic, recipe.others, recipe.speech, recipe.noise)

    def built(number: int, scene: corpus.Scene, pools: Pools) -> Bank:
        return corpus.build(sizes[number], partial(scene, pools), front, 100 * seed + number)

    real = built(0, corpus.said_scene, material.pools(material.real or material.synthetic))
    synthetic = built(1, corpus.said_scene, material.pools(material.synthetic or material.real))
    others = {
        near: built(2, corpus.other_scene, words if near else replace(words, near=()))
        for near in {member.near for member in recipe.members}
    }
    speech, noise = built(3, corpus.speech_scene, material.rest), built(4, corpus.noise_scene, material.rest)
    return [_dealt((real, synthetic, others[member.near], speech, noise), recipe.batch) for member in recipe.members]


def _dealt(banks: Sequence[Bank], batch: Sequence[int]) -> list[Share]:
    """Every bank's part of a batch; of scenes without the word, those that are misheard are drawn more often."""
    return [Share(bank, count, hard=k >= 2) for k, (bank, count) in enumerate(zip(banks, batch, strict=True))]


def _tests(material: Material, recipe: Recipe, seed: int) -> tuple[Bank, Bank]:
    """New scenes with known words, and scenes of other speech that is kept from training."""
    front = LogMel(LogMelFrontEnd(bands=recipe.shape.bands))
    held = material.held_out
    plans = (
        partial(corpus.said_scene, replace(held, words=material.words)),
        partial(corpus.other_scene, held),
        partial(corpus.speech_scene, held),
    )
    said, *unsaid = (corpus.build(recipe.test, plan, front, 100 * seed + 50 + k) for k, plan in enumerate(plans))
    return said, corpus.joined(unsaid)


def _write(out: Path, word: str, network: Any, shape: Shape, decision: Decision) -> ModelCard:
    write_small(network, out / WEIGHTS_FILE)
    state = TensorSpec(name="state", shape=network.output["state"].shape[1:])
    card = ModelCard(
        task="trigger",
        name=word.replace(" ", "-").replace("'", ""),
        version="1",
        description=f"hears the word {word!r}",
        labels=(word,),
        inputs=(TensorSpec(name="features", shape=(-1, shape.bands)), state),
        outputs=(TensorSpec(name="scores", shape=(-1,)), state),
        lengths=(8, 1056),
        frame_ms=shape.stride * 10,
        context=shape.context,
        front_end=LogMelFrontEnd(bands=shape.bands),
        decision=decision,
        parameters=network.count_params(),
        sha256=hashlib.sha256((out / WEIGHTS_FILE).read_bytes()).hexdigest(),
    )
    write_card(out, card)
    return card
