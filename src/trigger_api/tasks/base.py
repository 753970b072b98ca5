"""What every task is: made from one context, asked with ``predict``, listed in ``tasks.TASKS``."""

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
from trigger_api.model_card import ModelCard
from trigger_api.registry import Model, Registry


@dataclass(frozen=True)
class Context:
    """What tasks stand on.

    Attributes:
        engine: decodes and infers.
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
    """One kind of question. The same object answers every front end: HTTP, live rooms, the command line, evaluation.

    A task knows no HTTP. It decodes and preprocesses in the engine's threads, infers through the batch queues of a
    model version that it holds for the whole request, and answers with a frozen dataclass.
    """

    name: ClassVar[str]
    """What model cards call it."""

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
        """Read what one version needs beside its weights: the handle carries it as ``assets``. Nothing, by default.

        Raises:
            OSError, ValueError: the version cannot be served.
        """
        return None

    @abstractmethod
    async def predict(self, *args: Any, **options: Any) -> Any:
        """Answer one request; every task says what it takes and returns.

        Raises:
            ServiceError: the input cannot be taken, or the engine cannot answer in time.
        """

    @asynccontextmanager
    async def _acquire(self, model: str | None, version: str | None) -> AsyncIterator[tuple[Model, float]]:
        """Hold one version for a whole request: yields it, and the request's deadline in monotonic seconds.

        Raises:
            UnknownModel, NotReady: see ``Registry.acquire``.
            DeadlineExceeded: the block took longer than the model's limits allow.
        """
        with self._registry.acquire(self.name, model, version) as served:
            async with self._engine.deadline(served.queue.limits.deadline_s) as deadline:
                yield served, deadline
