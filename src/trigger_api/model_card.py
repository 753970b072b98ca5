"""Model cards: the description of a model in ``card.json``.

A model is a folder ``<task>/<name>/<version>/`` with ``model.keras`` and ``card.json``. The card holds everything that
serving needs to know besides the weights, so that nothing about a particular model is in the code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

CARD_FILE = "card.json"
WEIGHTS_FILE, CONVERTED_FILE = "model.keras", "model.onnx"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(_Frozen):
    """A tensor of the model, without its batch axis.

    A dimension of -1 is variable: its size is one of the card's ``sequence_lengths``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "int32", "uint8"] = "float32"
    value_range: tuple[float, float] | None = Field(
        default=None, description="range of valid values, used to test conversions"
    )
    vocab_size: int | None = Field(
        default=None, gt=0, description="size of the vocabulary that its values are indices of; others are rejected"
    )


class MelFrontEnd(_Frozen):
    """The mel spectrogram of the speech embedding, on 16 kHz audio."""

    kind: Literal["mel"] = "mel"
    sample_rate: int = Field(default=16_000, gt=0, description="Hz")
    window: int = Field(default=400, gt=0, description="samples in one analysis window")
    transform: int = Field(default=512, gt=0, description="samples in one Fourier transform, which contains the window")
    hop: int = Field(default=160, gt=0, description="samples between two frames")
    lookback: int = Field(default=480, ge=0, description="samples before a step that belong to its first frame")
    bands: int = Field(default=32, gt=0)
    low_hz: float = Field(default=60.0, ge=0)
    high_hz: float = Field(default=3_800.0, gt=0)
    tail_ms: int = Field(
        default=500, ge=0, description="silence added to a clip, so that a word at its end is detected"
    )


class SpectrogramFrontEnd(_Frozen):
    """The one-sided power spectrogram of the "Trigger Word Detection" exercise, on 44.1 kHz 16-bit audio."""

    kind: Literal["spectrogram"] = "spectrogram"
    sample_rate: int = Field(default=44_100, gt=0, description="Hz")
    window: int = Field(default=200, gt=0, description="samples in one analysis window")
    hop: int = Field(default=80, gt=0, description="samples between two frames")
    nominal_rate: int = Field(default=8_000, gt=0, description="sampling frequency that scales the power density, Hz")
    tail_ms: int = Field(default=0, ge=0, description="silence added to a clip, so that a word at its end is detected")
    level_dbfs: float | None = Field(default=-20.0, description="level that clips are normalised to; null for none")


FrontEnd = Annotated[MelFrontEnd | SpectrogramFrontEnd, Field(discriminator="kind")]
Threshold = Annotated[float, Field(ge=0, le=1)]


class Decision(_Frozen):
    """The rule that turns scores into detections."""

    threshold: Threshold = 0.5
    patience: int = Field(default=1, ge=1, description="number of consecutive scores at or above the threshold")
    refractory_ms: int = Field(default=1_000, ge=0, description="milliseconds after a detection without another")
    delay_ms: int = Field(
        default=0,
        ge=0,
        description="median delay of detections, subtracted from timestamps",
    )
    interpolated: bool = Field(
        default=False,
        description="whether the moment of a crossing is looked for between two scores, rather than in their middle",
    )
    gate: Threshold = Field(default=0.0, description="score on the student's embeddings below which there is no word")
    sensitivities: dict[str, Threshold] = Field(default_factory=dict, description="thresholds of low, medium and high")


class Limits(_Frozen):
    """How the engine runs the model. Settings override each limit."""

    batch_sizes: tuple[int, ...] = Field(default=(1, 2, 4, 8), description="allowed sizes; smaller batches are padded")
    stream_batch_sizes: tuple[int, ...] = Field(default=(1, 8, 16, 32), description="the same for live streams")
    queue: int = Field(default=64, ge=1, description="number of items that may wait; one more is answered with 503")
    deadline_s: float = Field(default=30.0, gt=0, description="seconds that a request may take; then 504")
    concurrency: int = Field(default=2, ge=1, description="number of batches that are computed at once")

    @model_validator(mode="after")
    def _ascending(self) -> Limits:
        for sizes in (self.batch_sizes, self.stream_batch_sizes):
            if not sizes or min(sizes) < 1 or list(sizes) != sorted(set(sizes)):
                raise ValueError("batch sizes must be positive and in ascending order")
        return self


class DataSource(_Frozen):
    """A data set that the model was trained on."""

    name: str
    licence: str
    note: str = ""


class ModelCard(_Frozen):
    """A model card. ``figures`` maps the name of a measurement to its result, command and test set."""

    task: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,31}$", description="a task of the service, or `embedding` for a backbone"
    )
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    version: str = Field(pattern=r"^[0-9]{1,9}$")
    description: str = ""
    labels: tuple[str, ...] = ()
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    sequence_lengths: tuple[int, ...] = Field(default=(), description="allowed sizes of the inputs' variable dimension")
    frame_ms: float | None = Field(default=None, description="milliseconds between two outputs")
    context: int = Field(
        default=0,
        ge=0,
        description="outputs (a head's inputs) at the start of a window that depend on what precedes it",
    )
    front_end: FrontEnd | None = None
    decision: Decision | None = None
    backbone: str = Field(default="", description="the embedding model whose outputs this head takes")
    student: str = Field(
        default="",
        description="a cheaper embedding model distilled from the backbone: the head scores its embeddings first, and "
        "the backbone's where a score reaches ``decision.gate``",
    )
    crop_margin: float = Field(
        default=1.0,
        ge=0.5,
        le=3,
        description="side of a face's crop, relative to the longer side of its box",
    )
    limits: Limits = Limits()
    parameters: int = 0
    training_data: tuple[DataSource, ...] = ()
    training_command: str = ""
    figures: dict[str, JsonValue] = Field(default_factory=dict)
    known_failures: tuple[str, ...] = ()
    sha256: str = Field(default="", description="of the weights file; checked at load if given")

    @property
    def stream_length(self) -> int | None:
        """The sequence length of live streams, which is the shortest; None for a model that takes no streams."""
        streams = self.task == "embedding" or (self.task == "trigger" and bool(self.backbone))
        return min(self.sequence_lengths) if streams else None

    @model_validator(mode="after")
    def _complete(self) -> ModelCard:
        if self.task == "trigger" and not (self.decision and self.frame_ms and (self.front_end or self.backbone)):
            raise ValueError("the card of a trigger model needs decision, frame_ms, and front_end or backbone")
        if self.task == "embedding" and not (isinstance(self.front_end, MelFrontEnd) and self.frame_ms):
            raise ValueError("the card of an embedding model needs a mel front_end and frame_ms")
        if self.task == "embedding" and not self.sequence_lengths:
            raise ValueError("the card of an embedding model needs sequence_lengths")
        if self.backbone and min(self.sequence_lengths, default=0) != self.context + 1:
            raise ValueError("the shortest sequence length of a head must be its context plus one")
        return self


def weights(path: Path) -> list[Path]:
    """The weights files of a model: in a model folder, in a folder of KerasHub, or the bare file itself."""
    if not path.is_dir():
        return [path]
    own = path / WEIGHTS_FILE
    return [own] if own.exists() else sorted(path.glob("*.weights.h5"))


def read_card(folder: Path) -> ModelCard:
    """Read ``card.json`` from a model folder.

    Raises:
        OSError: the file cannot be read.
        pydantic.ValidationError: it is not a valid card.
    """
    return ModelCard.model_validate_json((folder / CARD_FILE).read_bytes())


def write_card(folder: Path, card: ModelCard) -> None:
    """Write ``card.json`` into a model folder."""
    (folder / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
