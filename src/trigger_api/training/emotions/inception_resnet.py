"""An Inception-ResNet for faces of 48 x 48 pixels.

Source: C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", arXiv:1602.07261: its residual blocks and reductions, narrower and fewer, after a stem that
keeps more of a small picture. Three things are cheaper here: the 1 x 1 convolutions at the beginning of a block's
branches are one, whose channels are split; nothing stands between the two halves of a factorised convolution; and where
the paper scales the residual, the scale of its normalisation starts at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import layers, ops

from trigger_api.training.emotions.layers import Blocks

Size = int | tuple[int, int]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Blocks at 24, 12 and 6 pixels, and the channels of the stem and of the blocks' branches.

    ``step`` is the stem's stride: with 1, all feature maps are twice as large.
    """

    blocks: tuple[int, int, int] = (1, 3, 6)
    stem: tuple[int, int] = (32, 64)
    widths: tuple[int, int, int] = (32, 64, 96)
    inner: int = 48
    step: int = 2


def features(faces: Any, blocks: Blocks, model_config: ModelConfig) -> Any:
    """Faces ``(batch, side, side, 1)`` to feature maps: 6 x 6 for faces of 48 x 48 and a stride of 2."""
    x = blocks.conv(faces, model_config.stem[0], 5, strides=model_config.step)
    x = blocks.conv(x, model_config.stem[1])
    fine, middle, coarse = model_config.widths
    for _ in range(model_config.blocks[0]):
        x = _block(x, blocks, fine, [3], [3, 3])
    x = _first_reduction(x, blocks, model_config.inner)
    for _ in range(model_config.blocks[1]):
        x = _block(x, blocks, middle, [3], [3, 3])
    x = _reduction(x, blocks, (2 * middle, middle), middle)
    for _ in range(model_config.blocks[2]):
        x = _block(x, blocks, coarse, [(1, 5), (5, 1)])
    return x


def _first_reduction(x: Any, blocks: Blocks, inner: int) -> Any:
    """As ``_reduction``, without 1 x 1 convolutions: at this size they cost more than they save."""
    width = x.shape[-1]
    short = blocks.conv(x, width, strides=2)
    long = blocks.conv(blocks.conv(x, inner), width, strides=2)
    return layers.Concatenate()([short, long, layers.MaxPooling2D(3, strides=2, padding="same")(x)])


def _block(x: Any, blocks: Blocks, width: int, *branches: Sequence[Size]) -> Any:
    """A residual block: a branch of 1 x 1 and further branches, of ``width`` channels each."""
    count = 1 + len(branches)
    plain, *others = ops.split(blocks.conv(x, width * count, 1), count, axis=-1)
    outputs = [plain, *(_branch(first, blocks, sizes) for first, sizes in zip(others, branches, strict=True))]
    residual = blocks.conv(layers.Concatenate()(outputs), x.shape[-1], 1, linear=True)
    return layers.ReLU()(layers.Add()([x, residual]))


def _branch(x: Any, blocks: Blocks, sizes: Sequence[Size]) -> Any:
    for size in sizes:
        half = isinstance(size, tuple) and size[0] == 1  # of a factorised convolution, the first
        x = blocks.half(x, size) if half else blocks.conv(x, x.shape[-1], size)
    return x


def _reduction(x: Any, blocks: Blocks, widths: tuple[int, int], inner: int) -> Any:
    """Half the height and width: by one convolution, by two, and by maxima."""
    first, second = ops.split(blocks.conv(x, 2 * inner, 1), 2, axis=-1)
    short = blocks.conv(first, widths[0], strides=2)
    long = blocks.conv(blocks.conv(second, inner), widths[1], strides=2)
    return layers.Concatenate()([short, long, layers.MaxPooling2D(3, strides=2, padding="same")(x)])
