"""All channels of a recording as one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Block = NDArray[np.int16] | Samples

_CANCELLED = 0.05  # of the energy that a mean of unlike channels has: what is left is noise


class Downmix:
    """The mean of all channels, block by block; or one channel alone.

    A microphone wired the wrong way round gives two channels in opposite phase, whose mean is silence: ``cancelled``
    tells, and the recording is read again with the loudest channel alone.
    """

    def __init__(self, channel: int | None = None) -> None:
        self._channel = channel
        self._blocks: list[Samples] = []
        self._energies: NDArray[np.float64] | float = 0.0
        self._mixed = 0.0
        self.frames = 0

    def add(self, block: Block, scale: float = 1.0) -> None:
        """Take the next samples ``(n, channels)``, to be multiplied by ``scale``."""
        self._blocks.append(self.mix(block, scale))

    def mix(self, block: Block, scale: float = 1.0) -> Samples:
        """The same, for a recording that is too long to be kept: returns them as mono samples ``(n,)``."""
        self.frames += len(block)
        with np.errstate(invalid="ignore", over="ignore"):  # whoever asks refuses what is not a number
            mixed = np.multiply(self._mix(block), scale, dtype=np.float32)
            if block.shape[1] > 1 and self._channel is None:
                scaled = np.multiply(block, scale, dtype=np.float32)
                self._energies = self._energies + np.einsum("ij,ij->j", scaled, scaled, dtype=np.float64)
                self._mixed += float(np.einsum("i,i->", mixed, mixed, dtype=np.float64))
        return mixed

    @property
    def samples(self) -> Samples:
        """Mono samples ``(n,)`` of everything so far."""
        return np.concatenate(self._blocks) if self._blocks else np.empty(0, np.float32)

    @property
    def cancelled(self) -> bool:
        """Whether the channels cancel each other out."""
        return self._mixed < _CANCELLED * float(np.sum(self._energies)) / np.size(self._energies) ** 2

    @property
    def loudest(self) -> int:
        """The channel with the most energy."""
        return int(np.argmax(self._energies))

    def _mix(self, block: Block) -> NDArray[np.float32] | NDArray[np.int16]:
        if self._channel is not None:
            return block[:, self._channel]
        return block[:, 0] if block.shape[1] == 1 else np.asarray(block.mean(axis=1, dtype=np.float32))
