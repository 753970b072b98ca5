"""What every task is: created from a context, called with ``predict``, listed in ``tasks.TASKS``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from trigger_api.inference import Engine
from trigger_api.media.audio import AudioLimits
from trigger_api.media.image import ImageLimits
from trigger_api.model_card import Decision, ModelCard
from trigger_api.registry import Model, Registry


@dataclass(frozen=True)
class Context:
    """What tasks are built on.

    Attributes:
        engine: preprocesses and infers.
        registry: hands out models.
        audio: limits of a recording.
        image: limits of a picture.
        max_text_characters: code points in all texts of one request.
    """

    engine: Engine
    registry: Registry
    audio: AudioLimits = field(default_factory=AudioLimits)
    image: ImageLimits = field(default_factory=ImageLimits)
    max_text_characters: int = 20_000


class Task(ABC):
    """One kind of prediction. The same object serves every front end: HTTP, streams, the command line, evaluation.

    A task knows no HTTP. It decodes and preprocesses in the engine's threads, infers through the batch queues of a
    model version that it holds for the whole request, and returns a frozen dataclass.
    """

    name: ClassVar[str]
    """The ``task`` of its model cards."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine
        self._registry = context.registry

    @property
    def models(self) -> list[str]:
        """The names of the models that serve this task; the first is the default."""
        cards = (version.card for version in self._registry.versions)
        return list(dict.fromkeys(card.name for card in cards if card.task == self.name))

    @staticmethod
    def load_assets(folder: Path, card: ModelCard) -> Any:
        """Read the files that one version needs beside its weights; its handle carries the result as ``assets``.

        Raises:
            OSError, ValueError: the version cannot be served.
        """
        return None

    @abstractmethod
    async def predict(self, *args: Any, **options: Any) -> Any:
        """Answer one request. Each task defines its own arguments and result.

        Raises:
            ServiceError: the input is rejected, or the engine cannot answer in time.
        """

    @asynccontextmanager
    async def _acquire(self, model: str | None, version: str | None) -> AsyncIterator[tuple[Model, float]]:
        """Hold one version for a whole request. Yields it with the request's deadline, in monotonic seconds.

        Raises:
            UnknownModel, NotReady: see ``Registry.acquire``.
            DeadlineExceeded: the block took longer than the model's limits allow.
        """
        with self._registry.acquire(self.name, model, version) as served:
            async with self._engine.deadline(served.queue.limits.deadline_s) as deadline:
                yield served, deadline


def threshold_of(card: ModelCard, override: float | None = None) -> float:
    """The threshold of one request: the caller's own, or else the card's."""
    return (card.decision or Decision()).threshold if override is None else override
