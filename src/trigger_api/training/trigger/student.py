"""A student of the speech embedding: causal convolutions, few enough to cost a tenth of their teacher.

The teacher looks at 100 rows a second with convolutions of 3 x 1 and 1 x 3. The student halves the bands and the rate
in its first layers, and does most of its work at 12.5 rows a second, in a few large products. Each layer keeps the rows
that it looks back on in the state, so that `f(mel, state) -> (embeddings, state)` streams as the teacher does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.runtimes.speech_embedding import BANDS, EMBEDDING, SILENT

Numbers = NDArray[np.float32]

_SILENCE = 160  # frames after which nothing is left of what came before
# Of the first layers: rows that each looks at, rows of which it makes one, and the bands that it looks at.
_TIMES, _STRIDES, _SPANS = (6, 3, 3), (4, 1, 2), (5, 3, 3)


@dataclass(frozen=True)
class Shape:
    """Channels of the layers that look at bands, and of those that follow, one for each of the dilations."""

    bands: tuple[int, int, int] = (32, 48, 64)
    width: int = 160
    dilations: tuple[int, ...] = (1, 1, 2)


@dataclass(frozen=True)
class Student:
    """The layers, which a network for training and one for serving share."""

    shape: Shape
    normal: Any
    bands: Sequence[Any]
    narrow: Any
    blocks: Sequence[Any]
    last: Any

    @property
    def rows(self) -> list[tuple[int, ...]]:
        """The shape of what each layer keeps: rows, then bands and channels, or channels alone."""
        sides = [BANDS, BANDS // 2, BANDS // 4]
        channels = [1, *self.shape.bands[:2]]
        past = [time - stride for time, stride in zip(_TIMES, _STRIDES, strict=True)]
        wide = [(2 * dilation, self.shape.width) for dilation in self.shape.dilations]
        return [*zip(past, sides, channels, strict=True), *wide]

    def __call__(self, mel: Any, past: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Embeddings ``[B, T / 8, 96]`` of mel features ``[B, T, 32]``, and the rows that are looked back on next."""
        from keras import layers, ops

        flat = layers.Reshape((-1, BANDS // 8 * self.shape.bands[-1]))
        x, kept = ops.expand_dims(self.normal(mel), -1), []
        for number, layer in enumerate([*self.bands, *self.blocks]):
            if number == len(self.bands):
                x = self.narrow(flat(x))
            heard = ops.concatenate([past[number], x], axis=1)
            kept.append(heard[:, -self.rows[number][0] :])
            x = layer(_padded(heard, _SPANS[number])) if number < len(self.bands) else x + layer(heard)
        return self.last(x), kept

    def learning(self) -> Any:
        """The network to train: ``mel [T, 32]``, after silence, to ``embeddings [T / 8, 96]``."""
        import keras
        from keras import ops

        mel = keras.Input((None, BANDS), name="mel")
        frames = ops.repeat(ops.full_like(mel[:1, :1], SILENT), _SILENCE, axis=1)
        _, silence = self(frames, [ops.zeros((1, *shape)) for shape in self.rows])
        each = ops.ones_like(mel[:, 0, 0])
        past = [rows * ops.reshape(each, (-1, *(1 for _ in rows.shape[1:]))) for rows in silence]
        return keras.Model(mel, self(mel, past)[0], name="student_training")

    def serving(self) -> Any:
        """The network to serve: ``mel`` and ``state`` to ``embeddings`` and ``state``; zeros: silence came before."""
        import keras
        from keras import layers, ops

        sizes = [int(np.prod(shape)) for shape in self.rows]
        mel, state = keras.Input((None, BANDS), name="mel"), keras.Input((sum(sizes),), name="state")
        offset = layers.BatchNormalization(scale=False, epsilon=0.0, name="silence")  # of it only the sum is used
        parts = ops.split(offset(state), np.cumsum(sizes)[:-1].tolist(), axis=1)
        past = [ops.reshape(part, (-1, *shape)) for part, shape in zip(parts, self.rows, strict=True)]
        embeddings, kept = self(mel, past)
        after = ops.concatenate([ops.reshape(rows, (-1, size)) for rows, size in zip(kept, sizes, strict=True)], axis=1)
        outputs = {"embeddings": embeddings, "state": after - offset(ops.zeros_like(state))}
        return keras.Model({"mel": mel, "state": state}, outputs, name="speech_embedding_student")


def remember_silence(model: Any) -> None:
    """Let a state of zeros be what silence leaves behind, with the weights that a serving network has by now."""
    layer = model.get_layer("silence")
    none, one = (value(model.input["state"].shape[1:], np.float32) for value in (np.zeros, np.ones))
    layer.set_weights([none, none, one])
    frames = np.full((1, _SILENCE, BANDS), SILENT, np.float32)
    layer.set_weights([np.asarray(model({"mel": frames, "state": none[None]})["state"])[0], none, one])


def _padded(x: Any, span: int) -> Any:
    """With bands of zeros at both ends, so that a layer that looks at `span` of them gives half as many."""
    from keras import ops

    return ops.pad(x, ((0, 0), (0, 0), ((span - 2) // 2, (span - 1) // 2), (0, 0)))


def student(shape: Shape) -> Student:
    """New layers, with weights at random."""
    from keras import layers

    return Student(
        shape,
        layers.Rescaling(0.2, -1.0, name="normal"),  # to about -1..1
        [
            layers.Conv2D(channels, (time, span), (stride, 2), activation="relu", name=f"bands{number}")
            for number, (channels, time, stride, span) in enumerate(
                zip(shape.bands, _TIMES, _STRIDES, _SPANS, strict=True)
            )
        ],
        layers.Dense(shape.width, activation="relu", name="narrow"),
        [
            layers.Conv1D(shape.width, 3, dilation_rate=dilation, activation="relu", name=f"block{number}")
            for number, dilation in enumerate(shape.dilations)
        ],
        layers.Dense(EMBEDDING, name="embeddings"),
    )
