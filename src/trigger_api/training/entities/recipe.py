"""The recipe for named entities: a published MiniLM, cut to Latin script, trained on hand-made and silver data.

A run that was stopped resumes from what it kept in ``work``.
"""

from __future__ import annotations

from pathlib import Path

import keras

from trigger_api.datasets.conll import read_conll
from trigger_api.evaluation.entities.scores import compare, scorer, tag
from trigger_api.model_card import WEIGHTS_FILE, Limits, ModelCard, TensorSpec
from trigger_api.tasks.entities.bio import LABELS
from trigger_api.tasks.entities.casing import WORD_SHAPES
from trigger_api.tasks.entities.gazetteers import FEATURES, write_gazetteers
from trigger_api.tasks.entities.tagger import GAZETTEERS_FILE, SCORES, VOCABULARY_FILE, Tagger
from trigger_api.training.compressed_save import save_model_folder
from trigger_api.training.dtype_policy import dtype_policy
from trigger_api.training.entities.bias_tuning import tune_begin_bias
from trigger_api.training.entities.compounds import Tagged, tag_parts
from trigger_api.training.entities.corpus import (
    SILVER,
    read_corpus,
    read_lists,
    read_organisations,
    sampling_probability,
    select_vocabulary,
)
from trigger_api.training.entities.examples import Augmentation, examples
from trigger_api.training.entities.mentions import collect_names, replace_mentions
from trigger_api.training.entities.network import STYLES, ModelConfig, build
from trigger_api.training.entities.sampler import SentenceSampler
from trigger_api.training.entities.weights import Published, load_pretrained, read_published
from trigger_api.training.loop import Log, TrainingConfig, train

LENGTHS = (16, 32, 48, 64, 96, 128)
CONFIG = TrainingConfig(batch_size=4096, epochs=4, learning_rate=3e-4)
# Weights are rounded to multiples of 2^-8: an error of 2 % of their spread, without a measurable effect.
_STEP = 2.0**-8
# Training pads to finer lengths than serving, where each length costs a compiled function: padding is a third of the
# work.
_BUCKETS = (12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 112, 128)
# Share of the mentions that are replaced in a copy of their sentence.
_REPLACED = 0.12
# Share of sentences without their neighbours: most requests are one sentence.
_ALONE = 0.4


def train_entities(
    *,
    data: Path,
    published: Path,
    output: Path,
    work: Path,
    start: Path | None = None,
    config: TrainingConfig = CONFIG,
    precision: str = "mixed_bfloat16",
    log: Log = lambda _: None,
) -> None:
    """Train a model folder.

    Args:
        data: the folder of the corpora and gazetteers.
        published: folder of a published MiniLM.
        output: the model folder, ending in ``<name>/<version>``.
        work: keeps what a stopped run resumes from.
        start: folder of a model that was trained on the same data, to start from.
        config: how long and how fast to train.
        precision: Keras's dtype policy while training.
        log: is given a line of progress at a time.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: a word of the corpora has no tag, or an unknown one.
    """
    output.mkdir(parents=True, exist_ok=True)
    pretrained, rows, card = _assets(data, published, output)
    tagger = Tagger.load(output, card.labels, card.sequence_lengths)
    log(f"{len(rows)} word pieces kept; reading the corpora")
    corpus, dev = _corpus(data, tagger), read_conll(data / "dev.conll.xz")
    with dtype_policy(precision):
        model = _build(pretrained, rows)
    if start:
        model.set_weights(keras.models.load_model(start / WEIGHTS_FILE, compile=False).get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
    score = scorer(model)

    def metrics() -> str:
        report = compare(dev, tag(dev, tagger, score))
        types = (f"{kind} {each.f1:.1f}" for kind, each in report.types.items())
        return f"dev F1 {report.overall.f1:.2f} ({', '.join(types)})"

    train(model, _sampler(corpus, tagger, config), config, work, loss=loss, log=log, metrics=metrics)
    final = _build(pretrained, rows)
    final.set_weights(model.get_weights())
    log(f"beginning a name is penalised by {tune_begin_bias(final, tagger, dev)}")
    save_model_folder(final, output, card, _STEP)


def _sampler(corpus: list[Tagged], tagger: Tagger, config: TrainingConfig) -> SentenceSampler:
    prepared = examples(corpus, tagger.wordpieces, tagger.gazetteers, LENGTHS[-1])
    probs = [sampling_probability(sentence.part) for sentence in corpus]
    return SentenceSampler(prepared, probs, _BUCKETS, Augmentation(), config, _ALONE)


def _corpus(data: Path, tagger: Tagger) -> list[Tagged]:
    """The corpora in one form, and copies of sentences tagged by hand with other names in them."""
    kinds = tagger.gazetteers.kinds
    corpus = [tag_parts(sample, kinds) for sample in read_corpus(data)]
    names = collect_names(corpus, kinds, read_organisations(data / "gazetteers"))
    return corpus + replace_mentions([each for each in corpus if each.part != SILVER], names, _REPLACED)


def _assets(data: Path, published: Path, output: Path) -> tuple[Published, list[int], ModelCard]:
    pretrained = read_published(published)
    rows = select_vocabulary(pretrained.vocabulary)
    kept = [pretrained.vocabulary[row] for row in rows]
    (output / VOCABULARY_FILE).write_text("\n".join(kept) + "\n", encoding="utf-8")
    write_gazetteers(output / GAZETTEERS_FILE, read_lists(data / "gazetteers"))
    return pretrained, rows, _card(output, len(rows))


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
        limits=Limits(batch_sizes=(1, 2, 4, 8), queue=256),  # the longest text alone is about eighty items
    )


def _build(pretrained: Published, rows: list[int]) -> keras.Model:
    width, inner = pretrained.arrays["encoder.layer.0.output.dense.weight"].shape
    sizes = {"layers": pretrained.layers, "width": width, "heads": pretrained.heads, "inner": inner}
    model = build(ModelConfig(len(rows), len(LABELS), positions=LENGTHS[-1], **sizes))
    load_pretrained(model, pretrained.arrays, rows)
    return model
