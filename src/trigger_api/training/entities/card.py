"""The card of a trained named-entity model: its sources, and its metrics on every test set at hand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from trigger_api.evaluation.entities.error_analysis import count, examples
from trigger_api.evaluation.entities.latency import SENTENCE, time_entities
from trigger_api.evaluation.entities.scores import SERVED_BATCH, Report, measure_entities, read_samples
from trigger_api.evaluation.serving import ServedModel, serving
from trigger_api.model_card import DataSource, read_card, write_card
from trigger_api.runtimes import digest
from trigger_api.tasks.entities.bio import TYPES
from trigger_api.training.loop import Log

_THREE = ("PER", "ORG", "LOC")


@dataclass(frozen=True, slots=True)
class _TestSet:
    """A test set: a file, or a part of it, and how to evaluate on it."""

    file: str
    types: Collection[str] = TYPES
    part: int | None = None
    lowercase: bool = False
    isolated: bool = False

    def evaluate(self, served: ServedModel, data: Path) -> Report:
        samples = read_samples(data / self.file, part=self.part, lowercase=self.lowercase)
        return measure_entities(samples, served, self.types, isolated=self.isolated)

    @property
    def command(self) -> str:
        """The command that repeats the measurement."""
        types = f" --types {','.join(self.types)}" if len(self.types) < len(TYPES) else ""
        part = f" --part {self.part}" if self.part else ""
        flags = " --lowercase" * self.lowercase + " --isolated" * self.isolated
        return f"trigger-api evaluate entities DATA/entities/{self.file}{types}{part}{flags} --json"


_DEV, _WIKIGOLD, _EWT = "dev.conll.xz", "wikigold.conll.xz", "uner_ewt_test.conll.xz"
_SETS = {
    "dev": _TestSet(_DEV),
    "dev, EWT": _TestSet(_DEV, part=1),
    "dev, CrossNER": _TestSet(_DEV, part=2),
    "dev, GUM": _TestSet(_DEV, part=3),
    "gmb_dev": _TestSet("gmb_dev.conll.xz"),
    "wikigold": _TestSet(_WIKIGOLD),
    "wikigold, sentences apart": _TestSet(_WIKIGOLD, isolated=True),
    "wikigold, small letters": _TestSet(_WIKIGOLD, lowercase=True),
    "uner_ewt_test": _TestSet(_EWT, _THREE),
    "uner_ewt_test, sentences apart": _TestSet(_EWT, _THREE, isolated=True),
    "uner_ewt_test, small letters": _TestSet(_EWT, _THREE, lowercase=True),
}
_EXAMPLES = 8
_COMMAND = "trigger-api train entities --data DATA/entities --published MINILM --out OUTPUT/minilm/1 --work WORK"

_SOURCES = (
    DataSource(
        name="all-MiniLM-L6-v2 (sentence-transformers)", licence="Apache-2.0", note="the encoder's initial weights"
    ),
    DataSource(name="Universal NER, English EWT", licence="CC BY-SA 4.0"),
    DataSource(name="Universal NER, English PUD", licence="CC BY-SA 3.0"),
    DataSource(name="CrossNER", licence="MIT"),
    DataSource(
        name="GUM",
        licence="CC BY 4.0 (annotations)",
        note="its texts have licences of their own, some non-commercial; the model folder holds none of them",
    ),
    DataSource(name="WNUT 2017 emerging entities", licence="CC BY 4.0"),
    DataSource(name="Broad Twitter Corpus", licence="CC BY 4.0"),
    DataSource(name="Groningen Meaning Bank", licence="public domain", note="tagged by machine"),
    DataSource(name="GeoNames cities and regions", licence="CC BY 4.0", note="in the gazetteers"),
    DataSource(name="dariusk/corpora", licence="CC0", note="in the gazetteers: people, companies, places, surnames"),
    DataSource(name="NameDatabases surnames", licence="Unlicense", note="in the gazetteers"),
    DataSource(
        name="open lists of first names, countries and nationalities",
        licence="CC BY 4.0, CC0, Unlicense or Apache-2.0",
        note="in the gazetteers",
    ),
)

_FAILURES = (
    "Titles of songs, books and films, and names of events, are the hardest: corpora agree least on MISC.",
    "Bands, teams and places that share a name (a city and its club) are distinguished by their context only.",
    "English text only; names from other languages are found within English sentences.",
    "A surname that is also a word may be missed at the start of a sentence (Ban Ki-moon), and an e-mail address that "
    "holds names may be taken for one.",
    "Without capitals fewer names are found, above all rare surnames and companies.",
)


def describe(*, model: Path, data: Path, log: Log = lambda _: None) -> None:
    """Evaluate a model folder on the folder ``data`` and write the metrics into its card.

    Raises:
        OSError: a file cannot be read.
        pydantic.ValidationError: the model's card is invalid.
    """
    metrics: dict[str, JsonValue] = {}
    with serving(model, batch=SERVED_BATCH) as served:
        for name, each in _SETS.items():
            report = each.evaluate(served, data)
            metrics[name] = {"command": each.command, **_plain(report)}
            log(f"{name}: F1 {report.overall.f1:.2f}")
            if name == "dev":
                metrics["dev, mistakes"] = {**count(report), "examples": list(map(dict, examples(report, _EXAMPLES)))}
    metrics["speed"] = {"text": SENTENCE, **time_entities(model)}
    update = {
        "description": "Named entities in English text: people, organisations, places and other names, as BIO tags.",
        "figures": metrics,
        "training_data": _SOURCES,
        "training_command": _COMMAND,
        "known_failures": _FAILURES,
        "sha256": digest(model),
    }
    write_card(model, read_card(model).model_copy(update=update))


def _plain(report: Report) -> dict[str, JsonValue]:
    return {"sentences": report.sentences, **{name: dict(each) for name, each in report.figures().items()}}
