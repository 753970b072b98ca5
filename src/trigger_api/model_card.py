"""Model cards: what a model folder says of itself in ``card.json``.

A model is a folder ``<task>/<name>/<version>/`` that holds ``model.keras`` and ``card.json``. The card carries
everything that serving needs to know beside the weights, so that nothing about a model is written in code.
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
    """One tensor of the model, without its batch axis.

    A dimension of -1 is variable: it takes one of the card's ``sequence_lengths``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "int32", "uint8"] = "float32"
    value_range: tuple[float, float] | None = Field(
        default=None, description="the values that make sense; a conversion is tried with such"
    )
    vocab_size: int | None = Field(
        default=None, gt=0, description="of the table that its values point into; others are refused"
    )


class MelFrontEnd(_Frozen):
    """The mel spectrogram of the speech embedding, on 16 kHz audio."""

    kind: Literal["mel"] = "mel"
    sample_rate: int = Field(default=16_000, gt=0, description="Hz")
    window: int = Field(default=400, gt=0, description="samples in one analysis window")
    transform: int = Field(default=512, gt=0, description="samples of the Fourier transform around a window")
    hop: int = Field(default=160, gt=0, description="samples from one frame to the next")
    lookback: int = Field(default=480, ge=0, description="samples before a step that its first frame begins with")
    bands: int = Field(default=32, gt=0)
    low_hz: float = Field(default=60.0, ge=0)
    high_hz: float = Field(default=3_800.0, gt=0)
    tail_ms: int = Field(
        default=500, ge=0, description="silence put after a clip: a word at its end is decided on in it"
    )


class SpectrogramFrontEnd(_Frozen):
    """The one-sided power spectrogram of the "Trigger Word Detection" exercise, on 44.1 kHz 16-bit audio."""

    kind: Literal["spectrogram"] = "spectrogram"
    sample_rate: int = Field(default=44_100, gt=0, description="Hz")
    window: int = Field(default=200, gt=0, description="samples in one analysis window")
    hop: int = Field(default=80, gt=0, description="samples from one frame to the next")
    nominal_rate: int = Field(default=8_000, gt=0, description="the Fs that scales the power density")
    tail_ms: int = Field(default=0, ge=0, description="silence put after a clip: a word at its end is decided on in it")
    level_dbfs: float | None = Field(default=-20.0, description="loudness the clip is brought to; null leaves it")


FrontEnd = Annotated[MelFrontEnd | SpectrogramFrontEnd, Field(discriminator="kind")]
Threshold = Annotated[float, Field(ge=0, le=1)]


class Decision(_Frozen):
    """How scores become detections."""

    threshold: Threshold = 0.5
    patience: int = Field(default=1, ge=1, description="consecutive scores at or above the threshold")
    refractory_ms: int = Field(default=1_000, ge=0, description="after a detection, none for this long")
    delay_ms: int = Field(default=0, ge=0, description="median lag from the word's end to its detection, subtracted")
    sensitivities: dict[str, Threshold] = Field(default_factory=dict, description="low / medium / high: thresholds")


class Limits(_Frozen):
    """What the engine may do with this model; settings override each."""

    batch_sizes: tuple[int, ...] = Field(default=(1, 2, 4, 8), description="allowed sizes; batches are padded up")
    stream_batch_sizes: tuple[int, ...] = Field(
        default=(1, 8, 16, 32), description="the same for the window that live streams use; see ``stream_length``"
    )
    queue: int = Field(default=64, ge=1, description="requests that may wait; one more is answered 503")
    deadline_s: float = Field(default=30.0, gt=0, description="seconds from acceptance to answer; then 504")
    concurrency: int = Field(default=2, ge=1, description="batches of this model in flight at once")

    @model_validator(mode="after")
    def _ascending(self) -> Limits:
        for sizes in (self.batch_sizes, self.stream_batch_sizes):
            if not sizes or min(sizes) < 1 or list(sizes) != sorted(set(sizes)):
                raise ValueError("batch sizes must be ascending positive numbers")
        return self


class DataSource(_Frozen):
    """Something the model was trained on."""

    name: str
    licence: str
    note: str = ""


class ModelCard(_Frozen):
    """The whole card. ``figures`` maps the name of a measurement to its result, command and test set."""

    task: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,31}$", description="a task of the service, or `embedding`: a backbone"
    )
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    version: str = Field(pattern=r"^[0-9]{1,9}$")
    description: str = ""
    labels: tuple[str, ...] = ()
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    sequence_lengths: tuple[int, ...] = Field(
        default=(), description="allowed values of the inputs' variable dimension"
    )
    frame_ms: float | None = Field(default=None, description="time from one output to the next, milliseconds")
    context: int = Field(
        default=0, ge=0, description="outputs at a window's start, of a head inputs, that lean on what came before it"
    )
    front_end: FrontEnd | None = None
    decision: Decision | None = None
    backbone: str = Field(default="", description="the embedding model whose embeddings this head takes")
    crop_margin: float = Field(
        default=1.0, ge=0.5, le=3, description="side of the crop, in longer sides of the face's box"
    )
    limits: Limits = Limits()
    parameters: int = 0
    training_data: tuple[DataSource, ...] = ()
    training_command: str = ""
    figures: dict[str, JsonValue] = Field(default_factory=dict)
    known_failures: tuple[str, ...] = ()
    sha256: str = Field(default="", description="of the weights file; checked at load when given")

    @property
    def stream_length(self) -> int | None:
        """The sequence length that live streams use, the shortest; None of a model that takes no streams."""
        streams = self.task == "embedding" or (self.task == "trigger" and bool(self.backbone))
        return min(self.sequence_lengths) if streams else None

    @model_validator(mode="after")
    def _can_be_decided_on(self) -> ModelCard:
        if self.task == "trigger" and not (self.decision and self.frame_ms and (self.front_end or self.backbone)):
            raise ValueError("a trigger's card needs decision, frame_ms and a front_end or a backbone")
        if self.task == "embedding" and not (isinstance(self.front_end, MelFrontEnd) and self.frame_ms):
            raise ValueError("an embedding's card needs a mel front_end and frame_ms")
        if self.task == "embedding" and not self.sequence_lengths:
            raise ValueError("an embedding's card needs sequence_lengths")
        if self.backbone and min(self.sequence_lengths, default=0) != self.context + 1:
            raise ValueError("a head's shortest length is its context and one more: the embeddings of one score")
        return self


def weights(path: Path) -> list[Path]:
    """The files of a model's weights: its folder's own, those of a folder of KerasHub's, or the bare file itself."""
    if not path.is_dir():
        return [path]
    own = path / WEIGHTS_FILE
    return [own] if own.exists() else sorted(path.glob("*.weights.h5"))


def read_card(folder: Path) -> ModelCard:
    """Read ``card.json`` of a model folder.

    Raises:
        OSError: the file cannot be read.
        pydantic.ValidationError: it is not a card.
    """
    return ModelCard.model_validate_json((folder / CARD_FILE).read_bytes())


def write_card(folder: Path, card: ModelCard) -> None:
    """Write ``card.json`` into a model folder."""
    (folder / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
