"""A cheap backbone by distillation: a student learns to give the speech embedding's numbers, from unlabelled speech.

    python -m trigger_api.training.trigger.distillation OUT --speech FOLDER --speech FOLDER --noise FOLDER

Scenes of people and synthetic voices are made once, with what the teacher makes of them; half an hour of one core for
the scenes and the fit. Killed and started again, it goes on from its last part, and from its last epoch.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from trigger_api.datasets.tts import say
from trigger_api.evaluation.trigger.embedder import FOLDER
from trigger_api.model_card import DataSource, Limits, ModelCard, TensorSpec, read_card
from trigger_api.training.compressed_save import save_model_folder
from trigger_api.training.trigger import examples
from trigger_api.training.trigger.collect import Sources, people, pools, read_noise
from trigger_api.training.trigger.examples import Examples
from trigger_api.training.trigger.scenes import Pools
from trigger_api.training.trigger.script import Script
from trigger_api.training.trigger.student import Shape, remember_silence, student

Numbers = NDArray[np.float32]

CHECKPOINT = "student.keras"
WORK_FOLDER = ".distillation"
ERROR = "mean squared error in scenes of people held out, in deviations of each number"
PARTS = 50
_COMMAND = (
    "python -m trigger_api.training.trigger.distillation OUT --speech DATA/speech/ljspeech "
    "--speech DATA/speech/commands --speech DATA/speech/precise-community --speech DATA/speech/alphanum "
    "--speech DATA/speech-commands --noise DATA/speech/noise"
)
_SPEECH = (
    DataSource(name="LJ Speech, 20 minutes (LJ001)", licence="public domain"),
    DataSource(name="Picovoice speech-to-intent benchmark, 45 minutes", licence="Apache-2.0"),
    DataSource(name="Mycroft Precise community data, 33 minutes", licence="public domain"),
    DataSource(name="AlphaNum, 30 minutes of 70 people spelling", licence="MIT"),
    DataSource(name="Speech Commands, 3 000 clips", licence="CC BY 4.0"),
    DataSource(
        name="synthetic speech by Kokoro-82M, espeak-ng, flite, festival and Piper", licence="made for this model"
    ),
    DataSource(name="ESC-10, folds 1-4", licence="CC BY / CC0", note="as noise"),
)
_ROWS = 64  # scenes at a time, of those held out
_PHRASE = "activate"  # what synthetic voices say for this word besides it


@dataclass(frozen=True)
class Schedule:
    """How long to train: batches of scenes, in epochs after each of which a checkpoint is kept."""

    epochs: int = 20
    steps: int = 500
    batch: int = 64
    rate: float = 2e-3


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of each of the teacher's 96 numbers: each counts as much as any other."""

    mean: Numbers
    deviation: Numbers

    @classmethod
    def of(cls, examples: Examples) -> Scale:
        """Measured on scenes."""
        some = examples.embeddings[::20].reshape(-1, examples.embeddings.shape[-1]).astype(np.float32)
        return cls(some.mean(axis=0), some.std(axis=0))

    def down(self, embeddings: NDArray[np.float16]) -> Numbers:
        """Embeddings at about -1..1."""
        scaled: Numbers = (embeddings.astype(np.float32) - self.mean) / self.deviation
        return scaled


def fit(
    examples: Examples, held_out: Examples, shape: Shape, schedule: Schedule, seed: int, folder: Path
) -> tuple[Any, Scale]:
    """Train, or go on training, a student: mel features to scaled embeddings."""
    import keras

    keras.utils.set_random_seed(seed)
    scale = Scale.of(examples)
    network = _resumed(folder / CHECKPOINT) or _compiled(shape, schedule)
    test = _tested(held_out, scale)
    for epoch in range(int(network.optimizer.iterations) // schedule.steps, schedule.epochs):
        batches = _batches(examples, scale, schedule, [seed, epoch])
        history = network.fit(batches, validation_data=test, validation_batch_size=_ROWS, shuffle=False, verbose=0)
        network.save(part := folder / f"part.{CHECKPOINT}")
        part.replace(folder / CHECKPOINT)  # whole or not at all, whenever the run is killed
        losses = (history.history[name][-1] for name in ("loss", "val_loss"))
        typer.echo("epoch {} of {}: loss {:.4f}, of people held out {:.4f}".format(epoch + 1, schedule.epochs, *losses))
    return network, scale


def _tested(held_out: Examples, scale: Scale) -> tuple[Numbers, Numbers]:
    return held_out.mels.astype(np.float32), scale.down(held_out.embeddings)


def _compiled(shape: Shape, schedule: Schedule) -> Any:
    import keras

    network = student(shape).learning()
    rate = keras.optimizers.schedules.CosineDecay(schedule.rate, schedule.epochs * schedule.steps, alpha=0.01)
    network.compile(keras.optimizers.Adam(rate), "mse")
    return network


def _resumed(path: Path) -> Any | None:
    import keras

    return keras.models.load_model(path, safe_mode=True) if path.exists() else None


def _batches(examples: Examples, scale: Scale, schedule: Schedule, seeds: list[int]) -> Any:
    """One epoch of scenes at random, each batch from a generator of its own."""
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        """Mel features ``[n, 240, 32]`` and scaled embeddings ``[n, 30, 96]``."""

        def __len__(self) -> int:
            return schedule.steps

        def __getitem__(self, number: int) -> tuple[Numbers, Numbers]:
            rng = np.random.default_rng([*seeds, number])
            rows = np.sort(rng.choice(len(examples), schedule.batch, replace=False))
            return examples.mels[rows].astype(np.float32), scale.down(examples.embeddings[rows])

    return Batches()


def serving_network(trained: Any, shape: Shape, scale: Scale) -> Any:
    """The backbone to serve, its weights such as float16 holds them; the scale is folded into the last layer."""
    fresh = student(shape)
    network = fresh.serving()
    for layer in (*fresh.bands, fresh.narrow, *fresh.blocks):
        layer.set_weights(_halves(trained.get_layer(layer.name).get_weights()))
    kernel, bias = trained.get_layer(fresh.last.name).get_weights()
    fresh.last.set_weights(_halves([kernel * scale.deviation, bias * scale.deviation + scale.mean]))
    remember_silence(network)
    return network


def _halves(arrays: Iterable[Numbers]) -> list[Numbers]:
    return [array.astype(np.float16).astype(np.float32) for array in arrays]


def distill(sources: Sources, out: Path, *, cache: Path | None = None, parts: int = PARTS, seed: int = 0) -> ModelCard:
    """Make the scenes, train a student on them, and write it as a model folder.

    Args:
        sources: `negatives` are the speech to learn from, a sixth of whose speakers are held out.
        out: the folder.
        cache: keeps what synthetic voices said.
        parts: a thousand scenes each.
        seed: of everything random.
    """
    work, shape = out / WORK_FOLDER, Shape()
    learned, held_out = _pools(sources, cache or work / "speech", seed)
    _build(held_out, work / "held_out", 1, seed + 1)
    _build(learned, work / "scenes", parts, seed)
    scenes, tested = examples.read(work / "scenes", parts), examples.read(work / "held_out", 1)
    trained, scale = fit(scenes, tested, shape, Schedule(), seed, work)
    error = trained.evaluate(*_tested(tested, scale), batch_size=_ROWS, verbose=0)
    return write(serving_network(trained, shape, scale), out, {ERROR: round(float(error), 4)})


def _build(clips: Pools, folder: Path, parts: int, seed: int) -> None:
    for number in examples.build(clips, folder, parts, seed):
        typer.echo(f"{folder.name}: {number + 1} of {parts}")


def _pools(sources: Sources, cache: Path, seed: int) -> tuple[Pools, Pools]:
    """What scenes are built from: people and synthetic voices; and the people held out."""
    heard, held_out = people(sources)
    noise = read_noise(sources)
    spoken = [clip for clip in say(Script(_PHRASE, sources.voices(), seed).others(), cache) if clip is not None]
    return pools([*heard, *spoken], noise), pools(held_out, noise)


def write(network: Any, out: Path, figures: dict[str, Any]) -> ModelCard:
    """Write a student as a model folder: ``model.keras`` and ``card.json``."""
    teacher = read_card(FOLDER)
    mel, state = teacher.inputs
    own = TensorSpec(name=state.name, shape=network.input[state.name].shape[1:])
    card = teacher.model_copy(
        update={
            "name": f"{teacher.name}-student",
            "description": f"nearly the numbers of {teacher.name}, at a thirteenth of its cost",
            "inputs": (mel, own),
            "outputs": (teacher.outputs[0], own),
            "context": 12,
            "limits": Limits(batch_sizes=(1,), stream_batch_sizes=(1, 4, 8, 16)),
            "training_data": (DataSource(name=teacher.name, licence="Apache-2.0", note="the teacher"), *_SPEECH),
            "training_command": _COMMAND,
            "figures": figures,
        }
    )
    return save_model_folder(network, out, card)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--speech", type=Path, action="append", required=True, help="folder of people who speak")
    parser.add_argument("--noise", type=Path, action="append", required=True, help="folder of noise")
    parser.add_argument("--cache", type=Path, help="folder that keeps what synthetic voices said")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sources = Sources(_PHRASE, negatives=tuple(options.speech), noise=tuple(options.noise))
    distill(sources, options.out, cache=options.cache, seed=options.seed)


if __name__ == "__main__":
    main()
