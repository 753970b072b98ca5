"""How well a model finds named entities in plain text, which it splits into words itself."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from trigger_api.datasets.marked import read_marked
from trigger_api.evaluation.entities.scores import Report, count_spans
from trigger_api.evaluation.serving import serving
from trigger_api.tasks.entities.bio import TYPES, Span
from trigger_api.tasks.entities.task import Entities, EntitiesResult


def evaluate_texts(file: Path, model: Path, types: Collection[str] = TYPES) -> Report:
    """Measure a model folder on a file of marked texts, a request for each.

    Args:
        file: see ``read_marked``.
        model: the folder.
        types: spans of other types are dropped from both sides before counting.

    Raises:
        OSError: a file cannot be read.
        ValueError: the model cannot be loaded.
    """
    texts = read_marked(file)
    with serving(model, batch=1) as served:
        answers = list(served.predict_all(Entities, ([each.text] for each in texts)))
    wanted = [[Span(*name) for name in each.names if name[2] in types] for each in texts]
    found = [[span for span in _found(answer) if span.kind in types] for answer in answers]
    return Report(*count_spans(zip(wanted, found, strict=True), types), len(texts), [])


def _found(answer: EntitiesResult) -> list[Span]:
    entities = (entity for sentences in answer.texts for each in sentences for entity in each.entities)
    return [Span(entity.start, entity.end, entity.type) for entity in entities]
