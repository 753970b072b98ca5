"""An Inception-ResNet for faces of 48 x 48 pixels.

Source: C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", arXiv:1602.07261: its residual blocks and reductions, narrower and fewer, behind a stem that
keeps more of a small picture. Three things are cheaper here: the 1 x 1 convolutions that begin a block's branches are
one, whose channels are shared out; nothing stands between the two halves of a factorised convolution; and where the
paper scales what is added, its normalisation begins as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import layers, ops

from trigger_api.training.emotions.layers import Blocks

Size = int | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many blocks at 24, 12 and 6 pixels, and the channels of the stem and of a block's branches there.

    ``step`` is the stem's: with 1 a face is seen twice as closely throughout.
    """

    blocks: tuple[int, int, int] = (1, 3, 6)
    stem: tuple[int, int] = (32, 64)
    widths: tuple[int, int, int] = (32, 64, 96)
    inner: int = 48
    step: int = 2


def features(faces: Any, blocks: Blocks, plan: Plan) -> Any:
    """Faces ``(batch, side, side, 1)`` to what is seen on them: at 6 x 6 places of 48 x 48, stepping by 2."""
    x = blocks.conv(faces, plan.stem[0], 5, strides=plan.step)
    x = blocks.conv(x, plan.stem[1])
    fine, middle, coarse = plan.widths
    for _ in range(plan.blocks[0]):
        x = _block(x, blocks, fine, [3], [3, 3])
    x = _first_reduced(x, blocks, plan.inner)
    for _ in range(plan.blocks[1]):
        x = _block(x, blocks, middle, [3], [3, 3])
    x = _reduced(x, blocks, (2 * middle, middle), middle)
    for _ in range(plan.blocks[2]):
        x = _block(x, blocks, coarse, [(1, 5), (5, 1)])
    return x


def _first_reduced(x: Any, blocks: Blocks, inner: int) -> Any:
    """As ``_reduced``, without 1 x 1 convolutions: at this size they cost more than they spare."""
    width = x.shape[-1]
    short = blocks.conv(x, width, strides=2)
    long = blocks.conv(blocks.conv(x, inner), width, strides=2)
    return layers.Concatenate()([short, long, layers.MaxPooling2D(3, strides=2, padding="same")(x)])


def _block(x: Any, blocks: Blocks, width: int, *branches: Sequence[Size]) -> Any:
    """A branch of nothing but 1 x 1 and further ones see, each ``width`` channels; what they see is added."""
    count = 1 + len(branches)
    plain, *others = ops.split(blocks.conv(x, width * count, 1), count, axis=-1)
    seen = [plain, *(_branch(begin, blocks, sizes) for begin, sizes in zip(others, branches, strict=True))]
    added = blocks.conv(layers.Concatenate()(seen), x.shape[-1], 1, linear=True)
    return layers.ReLU()(layers.Add()([x, added]))


def _branch(x: Any, blocks: Blocks, sizes: Sequence[Size]) -> Any:
    for size in sizes:
        half = isinstance(size, tuple) and size[0] == 1  # of a factorised convolution, the first
        x = blocks.half(x, size) if half else blocks.conv(x, x.shape[-1], size)
    return x


def _reduced(x: Any, blocks: Blocks, widths: tuple[int, int], inner: int) -> Any:
    """Half as high and as wide: by one convolution, by two, and by maxima."""
    first, second = ops.split(blocks.conv(x, 2 * inner, 1), 2, axis=-1)
    short = blocks.conv(first, widths[0], strides=2)
    long = blocks.conv(blocks.conv(second, inner), widths[1], strides=2)
    return layers.Concatenate()([short, long, layers.MaxPooling2D(3, strides=2, padding="same")(x)])
