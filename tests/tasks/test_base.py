from __future__ import annotations

from pathlib import Path

import pytest

from helpers.beep import BeepModel, embedding_card, plain_card, trigger_card
from trigger_api.errors import UnknownModel
from trigger_api.inference import Engine
from trigger_api.model_card import Decision
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import ModelVersion, Registry
from trigger_api.tasks import TASKS, Context
from trigger_api.tasks.base import threshold_of
from trigger_api.tasks.digits.task import Digits
from trigger_api.tasks.trigger.task import Trigger


def test_every_task_has_a_name_of_its_own() -> None:
    assert len({task.name for task in TASKS}) == len(TASKS)


async def test_a_task_lists_its_own_models() -> None:
    versions = [ModelVersion(card, Path()) for card in (trigger_card("beep"), embedding_card(), trigger_card("other"))]
    engine = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=4)
    context = Context(engine, Registry(versions, lambda path, card: BeepModel(), engine.scheduler, Metrics()))
    assert Trigger(context).models == ["beep", "other"]
    assert Digits(context).models == []
    with pytest.raises(UnknownModel):
        await Digits(context).predict(b"")
    await engine.close(5)


def test_the_threshold_is_the_callers_the_cards_or_the_default() -> None:
    card = plain_card("table", sequence_lengths=())
    decided = card.model_copy(update={"decision": Decision(threshold=0.7)})
    assert threshold_of(card) == 0.5
    assert threshold_of(decided) == 0.7
    assert threshold_of(decided, 0.0) == 0.0
