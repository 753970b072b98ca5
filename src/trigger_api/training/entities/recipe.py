"""The named-entity recipe: a published MiniLM, cut to Latin script, taught to tag by hand-made and silver data.

A training that was broken off goes on from what it kept in ``work``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trigger_api.datasets.conll import read_conll
from trigger_api.evaluation.entities.scores import compare, scorer, tag
from trigger_api.model_card import WEIGHTS_FILE, Limits, ModelCard, TensorSpec, write_card
from trigger_api.tasks.entities.bio import LABELS
from trigger_api.tasks.entities.casing import WORD_SHAPES
from trigger_api.tasks.entities.gazetteers import FEATURES, write_gazetteers
from trigger_api.tasks.entities.tagger import GAZETTEERS_FILE, SCORES, VOCABULARY_FILE, Tagger
from trigger_api.training.compressed_save import write_small
from trigger_api.training.entities.batches import Dealer
from trigger_api.training.entities.bias_tuning import grow_cautious
from trigger_api.training.entities.corpus import kept_rows, read_lists, read_material, share
from trigger_api.training.entities.examples import Disturbance, examples
from trigger_api.training.entities.network import STYLES, Plan, build
from trigger_api.training.entities.weights import Published, adopt, read_published
from trigger_api.training.loop import Course, Say, learn
from trigger_api.training.precision import computing_in

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

LENGTHS = (16, 32, 48, 64, 96, 128)
# Weights are kept to a multiple of 2^-8: an error of 2 % of their spread, which costs nothing measurable.
_STEP = 2.0**-8
# Learning pads to finer lengths than serving: a graph more costs nothing there, and padding is a third of the work.
_BUCKETS = (12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 112, 128)
# Of the sentences, those that are shown without their neighbours: most requests are one sentence.
_ALONE = 0.4


def train_entities(
    *,
    data: Path,
    published: Path,
    output: Path,
    work: Path,
    start: Path | None = None,
    course: Course | None = None,
    precision: str = "mixed_bfloat16",
    say: Say = lambda _: None,
) -> None:
    """Train a model folder ``output`` from ``data`` (the entities folder) and a ``published`` MiniLM's folder.

    ``output`` must end in ``<name>/<version>``; ``work`` keeps what a broken-off training resumes from. ``start`` is
    the folder of a model trained before on the same material, to go on from; ``precision`` is the Keras dtype policy to
    learn in. ``say`` is told how it goes, a line at a time.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: a word of the material has no tag, or an unknown one.
    """
    import keras

    output.mkdir(parents=True, exist_ok=True)
    teacher, rows, card = _assets(data, published, output)
    tagger = Tagger.load(output, card.labels, card.sequence_lengths)
    say(f"{len(rows)} pieces kept; reading the material")
    samples = read_material(data)
    material = examples(samples, tagger.wordpieces, tagger.gazetteers, LENGTHS[-1])
    course = course or Course()
    dealer = Dealer(material, [share(sample) for sample in samples], _BUCKETS, Disturbance(), course.size, _ALONE)
    with computing_in(precision):
        network = _network(teacher, rows)
    if start:
        network.set_weights(keras.models.load_model(start / WEIGHTS_FILE, compile=False).get_weights())
    learn(network, dealer, cross_entropy, course, work, say=say, figures=_figures(network, tagger, data))
    final = _network(teacher, rows)
    final.set_weights(network.get_weights())
    cost = grow_cautious(final, tagger, read_conll(data / "dev.conll.xz"))
    say(f"beginning a name costs {cost}")
    write_small(final, output / WEIGHTS_FILE, _STEP)
    write_card(output, card.model_copy(update={"parameters": final.count_params()}))


def cross_entropy(scores: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The weighted mean of the labels' cross-entropy."""
    import tensorflow as tf
    from keras import losses

    each = losses.sparse_categorical_crossentropy(labels, scores, from_logits=True)
    return tf.reduce_sum(each * weights) / tf.reduce_sum(weights)


def _assets(data: Path, published: Path, output: Path) -> tuple[Published, list[int], ModelCard]:
    teacher = read_published(published)
    rows = kept_rows(teacher.vocabulary)
    kept = [teacher.vocabulary[row] for row in rows]
    (output / VOCABULARY_FILE).write_text("\n".join(kept) + "\n", encoding="utf-8")
    write_gazetteers(output / GAZETTEERS_FILE, read_lists(data / "gazetteers"))
    return teacher, rows, _card(output, len(rows))


def _card(output: Path, vocabulary: int) -> ModelCard:
    return ModelCard(
        task="entities",
        name=output.parent.name,
        version=output.name,
        labels=LABELS,
        inputs=(
            TensorSpec(name="pieces", shape=(-1,), dtype="int32", vocab_size=vocabulary),
            TensorSpec(name="shapes", shape=(-1,), dtype="int32", vocab_size=WORD_SHAPES + STYLES),
            TensorSpec(name="gazetteers", shape=(-1, FEATURES)),
        ),
        outputs=(TensorSpec(name=SCORES, shape=(-1, len(LABELS))),),
        sequence_lengths=LENGTHS,
        limits=Limits(batch_sizes=(1, 2, 4, 8), queue=256),  # the longest text alone is about eighty pieces of work
    )


def _network(teacher: Published, rows: list[int]) -> keras.Model:
    width, inner = teacher.arrays["encoder.layer.0.output.dense.weight"].shape
    plan = Plan(len(rows), len(LABELS), teacher.layers, width, teacher.heads, inner, positions=LENGTHS[-1])
    network = build(plan)
    adopt(network, teacher.arrays, rows)
    return network


def _figures(network: keras.Model, tagger: Tagger, data: Path) -> Callable[[], str]:
    samples = read_conll(data / "dev.conll.xz")
    score = scorer(network)

    def figures() -> str:
        report = compare(samples, tag(samples, tagger, score))
        types = (f"{kind} {each.f1:.1f}" for kind, each in report.types.items())
        return f"dev F1 {report.overall.f1:.2f} ({', '.join(types)})"

    return figures
