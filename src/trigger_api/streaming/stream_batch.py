"""The hops of many streams as batches: the front end, and the inputs of the backbone and the heads."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Model
from trigger_api.scheduler import BatchQueue, Tensors
from trigger_api.streaming.session import BackboneStream, Samples, Session, StreamModel
from trigger_api.tasks.trigger.mel import FRAMES

_MIN_POWER = 1e-10  # -100 dBFS; the level of digital silence would be minus infinity


@dataclass(frozen=True)
class StreamBatch:
    """The next hop of several sessions.

    Attributes:
        sessions: one for each row.
        levels_dbfs: the level of each hop, dB relative to full scale.
        open: the rows that the backbone computes; those whose gate is closed are left out.
        blocks: the backbone's inputs for these rows, in blocks that it takes at once.
    """

    sessions: list[Session]
    levels_dbfs: list[float]
    open: list[int]
    blocks: list[Tensors]


@dataclass
class HeadBatch:
    """The embeddings for one head, and for each of its scores the place: row and keyword."""

    places: list[tuple[int, int]] = field(default_factory=list)
    recent: list[NDArray[np.float32]] = field(default_factory=list)

    def blocks(self, name: str, rows: int) -> list[Tensors]:
        """The head's inputs in blocks of up to ``rows``."""
        return [{name: np.stack(self.recent[part])} for part in _parts(len(self.recent), rows)]


def prepare(model: StreamModel, sessions: Sequence[Session], audio: Sequence[bytes], rows: int) -> StreamBatch:
    """Add each session's new audio, and compute the features of those with a complete hop.

    Args:
        model: constants of the backbone.
        sessions: the sessions.
        audio: the new audio of each.
        rows: how many rows the backbone takes at once.
    """
    hops = [(session, session.process(pcm)) for session, pcm in zip(sessions, audio, strict=True)]
    ready = [session for session, hop in hops if hop is not None]
    if not ready:
        return StreamBatch([], [], [], [])
    samples = np.stack([hop for _, hop in hops if hop is not None])
    levels = _levels(samples[:, model.overlap :])
    opened = [row for row, session in enumerate(ready) if session.gate is None or session.gate.opens(levels[row])]
    if len(opened) < len(ready):
        samples = samples[opened]
    return StreamBatch(ready, levels, opened, _blocks(model, samples, [ready[row] for row in opened], rows))


def _blocks(model: StreamModel, samples: Samples, sessions: Sequence[Session], rows: int) -> list[Tensors]:
    if not sessions:
        return []
    mel, states = model.front.steps(samples), [session.state for session in sessions]
    for session, features in zip(sessions, mel, strict=True):
        if session.backbone is not None:
            session.backbone.add_hop(features)
    parts = _parts(len(sessions), rows)
    return [{model.mel.name: mel[part], model.state.name: np.stack(states[part])} for part in parts]


def update_state(model: StreamModel, batch: StreamBatch, answers: Sequence[Tensors]) -> dict[Model, HeadBatch]:
    """Give the backbone's outputs to the sessions, and collect the inputs of each head."""
    states = [state for answer in answers for state in answer[model.state.name]]
    embeddings = [embedding[-1] for answer in answers for embedding in answer[model.embeddings]]
    for row, state, embedding in zip(batch.open, states, embeddings, strict=True):
        batch.sessions[row].update_state(state, embedding)
    return _head_batches((row, batch.sessions[row], batch.sessions[row].recent) for row in batch.open)


def _head_batches(rows: Iterable[tuple[int, Session, NDArray[np.float32]]]) -> dict[Model, HeadBatch]:
    """The inputs of each head for some rows, given their latest embeddings."""
    heads: dict[Model, HeadBatch] = {}
    for row, session, recent in rows:
        for place, keyword in enumerate(session.keywords):
            head = heads.get(keyword.model) or heads.setdefault(keyword.model, HeadBatch())
            head.places.append((row, place))
            head.recent.append(recent[-keyword.span :])
    return heads


@dataclass(frozen=True)
class CandidateBatch:
    """Rows in which a word may have been said, by the scores on the student's embeddings.

    Attributes:
        rows: of the batch.
        current: streams whose backbone has embedded every hop but this one.
        behind: streams whose backbone has to catch up.
        behind_rows: their rows.
    """

    rows: list[int]
    current: list[BackboneStream]
    behind: list[BackboneStream]
    behind_rows: list[int]

    @classmethod
    def of(cls, batch: StreamBatch, scores: Sequence[Sequence[float]]) -> CandidateBatch:
        """Collect the candidates of a batch with these scores."""
        rows = [row for row in batch.open if batch.sessions[row].is_candidate(scores[row])]
        streams = [(row, stream) for row in rows if (stream := batch.sessions[row].backbone) is not None]
        current = [stream for _, stream in streams if stream.pending_hops == 1]
        behind = [(row, stream) for row, stream in streams if stream.pending_hops > 1]
        return cls(rows, current, [stream for _, stream in behind], [row for row, _ in behind])

    def blocks(self, model: StreamModel, rows: int) -> tuple[list[Tensors], list[Tensors]]:
        """The backbone's inputs: the latest hop of current streams, and all frames of those behind."""
        mel, state = model.mel.name, model.state.name
        steps: list[Tensors] = [
            {mel: np.stack([one.frames[-FRAMES:] for one in part]), state: np.stack([one.state for one in part])}
            for part in (self.current[part] for part in _parts(len(self.current), rows))
        ]
        return steps, [{mel: one.frames[None], state: np.zeros_like(one.state)[None]} for one in self.behind]

    def update_state(
        self, model: StreamModel, batch: StreamBatch, answers: Sequence[Tensors]
    ) -> dict[Model, HeadBatch]:
        """Give the answers back; what each head is to be asked once more."""
        pairs = [pair for one in answers for pair in zip(one[model.state.name], one[model.embeddings], strict=True)]
        for stream, (state, embeddings) in zip([*self.current, *self.behind], pairs, strict=True):
            stream.update_state(state, embeddings)
        sessions = [(row, batch.sessions[row]) for row in self.rows]
        return _head_batches((row, each, each.backbone.recent) for row, each in sessions if each.backbone is not None)

    def earlier(self, batch: StreamBatch) -> dict[Model, HeadBatch]:
        """What each head is to be asked about the hop before, in streams that were behind: the student scored it."""
        pairs = zip(self.behind_rows, self.behind, strict=True)
        return _head_batches((row, batch.sessions[row], stream.earlier) for row, stream in pairs)


def _levels(hops: Samples) -> list[float]:
    power = np.einsum("ij,ij->i", hops, hops) / hops.shape[1]
    levels: list[float] = np.round(10 * np.log10(power + _MIN_POWER), 1).tolist()
    return levels


def _parts(count: int, rows: int) -> Iterator[slice]:
    for start in range(0, count, rows):
        yield slice(start, start + rows)


class PrebatchedQueue(BatchQueue):
    """A queue whose items are batches already, collected from many streams by one caller.

    A future for each stream and hop would cost more than computing the hop.

    Args:
        queue: the model's queue for the same shapes; its compiled functions are shared.
        metrics: count the batches.
    """

    def __init__(self, queue: BatchQueue, metrics: Metrics) -> None:
        super().__init__(f"{queue.name}/stream", queue.specs, queue.functions, queue.limits, metrics)
        self.rows = self.largest
        self.largest = 1

    def check(self, item: Tensors) -> None:
        """Reject an item that is not a block.

        Raises:
            ValueError: a tensor is missing or of the wrong shape, or there are too many rows.
        """
        for spec in self.specs:
            rows, *shape = item[spec.name].shape if spec.name in item else (0,)
            if tuple(shape) != spec.shape or not 0 < rows <= self.rows:
                raise ValueError(f"{self.name} takes up to {self.rows} rows of {spec.name}, each of shape {spec.shape}")

    def compute(self, items: Sequence[Tensors]) -> list[Tensors]:
        """Compute the block, padded to an allowed batch size."""
        (block,) = items
        count = len(block[self.specs[0].name])
        size = next(size for size in self.functions if size >= count)
        started = time.monotonic()
        outputs = self.functions[size]({spec.name: _padded(block[spec.name], size) for spec in self.specs})
        self.observe(count, time.monotonic() - started)
        return [{name: tensor[:count] for name, tensor in outputs.items()}]


def _padded(tensor: NDArray[Any], size: int) -> NDArray[Any]:
    missing = size - len(tensor)
    return np.concatenate([tensor, np.zeros((missing, *tensor.shape[1:]), tensor.dtype)]) if missing else tensor
