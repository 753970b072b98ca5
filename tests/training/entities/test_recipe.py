import json
import lzma
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.datasets.conll import Sample
from trigger_api.evaluation.entities.scores import evaluate_entities
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.tasks.entities.bio import LABELS
from trigger_api.tasks.entities.casing import WORD_SHAPES, word_shape
from trigger_api.tasks.entities.gazetteers import FEATURES, Gazetteers
from trigger_api.tasks.entities.wordpiece import SPECIALS, Wordpieces
from trigger_api.training.entities import recipe
from trigger_api.training.entities.card import describe
from trigger_api.training.entities.compounds import tag_parts
from trigger_api.training.entities.corpus import SILVER, read_lists, sampling_probability, select_vocabulary
from trigger_api.training.entities.examples import Augmentation, examples
from trigger_api.training.entities.recipe import train_entities
from trigger_api.training.entities.sampler import Example, SentenceSampler, join
from trigger_api.training.loop import TrainingConfig

WORDS = ("i", "love", "paris", "berlin", "bob", "and", ".", "-")
VOCABULARY = (*SPECIALS, *WORDS, "never", "##s", "a")
PLAIN = Augmentation(lower=0, upper=0, without_gazetteers=0, styled=0, masked=0)


def sample(text: str, tags: str, part: int = 1) -> Sample:
    return Sample(tuple(text.split()), tuple(tags.split()), part)


SAMPLES = [sample("I love Paris .", "O O B-LOC O"), sample("Bob love Berlin", "B-PER O B-LOC"), sample("I love", "O O")]


def conll(samples: list[Sample]) -> bytes:
    blocks = ("\n".join(f"{word} {tag}" for word, tag in zip(each.words, each.tags, strict=True)) for each in samples)
    return lzma.compress("\n\n".join(["-DOCSTART- O", *blocks]).encode())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An entities folder of a few sentences."""
    folder = tmp_path / "entities"
    (folder / "gazetteers").mkdir(parents=True)
    for name in ("train", "dev", "gmb_silver", "gmb_dev", "wikigold", "uner_ewt_test"):
        (folder / f"{name}.conll.xz").write_bytes(conll(SAMPLES * 12))
    for name in ("cities_geonames_ccby4", "countries", "demonyms", "first_names", "loc_other_cc0", "org_cc0"):
        (folder / "gazetteers" / f"{name}.txt").write_text("Paris\nNew York\n", encoding="utf-8")
    for name in ("person_full_cc0", "subcountries_geonames_ccby4", "surnames_top1000_cc0", "surnames_us_unlicense"):
        (folder / "gazetteers" / f"{name}.txt").write_text("Bob\n", encoding="utf-8")
    return folder


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A BERT of one small layer, in the published format."""
    numpy = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    random = np.random.default_rng(0)
    width, inner = 8, 16

    def draw(*size: int) -> NDArray[np.float32]:
        return random.normal(0, 0.1, size).astype(np.float32)

    dense = {f"attention.{name}": (width, width) for name in ("self.query", "self.key", "self.value", "output.dense")}
    dense |= {"intermediate.dense": (inner, width), "output.dense": (width, inner)}
    arrays = {
        "embeddings.word_embeddings.weight": draw(len(VOCABULARY), width),
        "embeddings.position_embeddings.weight": draw(512, width),
        "embeddings.token_type_embeddings.weight": draw(2, width),
    }
    for name, size in dense.items():
        arrays[f"encoder.layer.0.{name}.weight"] = draw(*size)
        arrays[f"encoder.layer.0.{name}.bias"] = draw(size[0])
    for name in ("embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"):
        arrays[f"{name}.LayerNorm.weight"] = 1 + draw(width)
        arrays[f"{name}.LayerNorm.bias"] = draw(width)
    folder = tmp_path / "published"
    folder.mkdir()
    numpy.save_file(arrays, folder / "model.safetensors")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"num_hidden_layers": 1, "num_attention_heads": 2}))
    return folder


def config(batch_size: int) -> TrainingConfig:
    return TrainingConfig(batch_size=batch_size, epochs=1)


def example(text: str = "Bob love Berlin", tags: str = "B-PER O B-LOC", part: int = 1) -> Example:
    gazetteers = Gazetteers({"berlin": "c"})
    return examples([tag_parts(sample(text, tags, part), gazetteers.kinds)], Wordpieces(VOCABULARY), gazetteers, 16)[0]


def test_an_example_is_framed_and_its_first_pieces_count_most() -> None:
    made = example("Bobs love", "B-PER O")
    assert [VOCABULARY[row] for row in made.inputs["pieces"]] == ["[CLS]", "bob", "##s", "love", "[SEP]"]
    assert [LABELS[label] for label in made.labels] == ["O", "B-PER", "I-PER", "O", "O"]
    assert made.weights.tolist() == pytest.approx([0, 1, 0.3, 1, 0])


def test_the_parts_of_a_word_have_labels_of_their_own_and_doubtful_ones_do_not_count() -> None:
    made = example("Bobs-a Berlin-a", "B-PER O")
    assert [VOCABULARY[row] for row in made.inputs["pieces"][1:-1]] == ["bob", "##s", "-", "a", "berlin", "-", "a"]
    assert [LABELS[label] for label in made.labels[1:-1]] == ["B-PER", *["I-PER"] * 3, "O", "O", "O"]
    assert made.weights[1:-1].tolist() == pytest.approx([1, 0.3, 1, 1, 0, 1, 1])


def test_a_long_example_is_truncated() -> None:
    assert len(example("love " * 40, "O " * 40).labels) == 16


def test_no_augmentation_changes_nothing() -> None:
    made = example()
    same = PLAIN(made, np.random.default_rng(0))
    assert all((same.inputs[name] == made.inputs[name]).all() for name in made.inputs)


def test_augmentation_lowercases_masks_and_adds_the_style() -> None:
    made = Augmentation(lower=1, upper=0, without_gazetteers=1, styled=1, masked=1)(
        example(part=3), np.random.default_rng(0)
    )
    assert [VOCABULARY[row] for row in made.inputs["pieces"]] == ["[CLS]", *["[UNK]"] * 3, "[SEP]"]
    assert made.inputs["shapes"].tolist() == [WORD_SHAPES + 3, *[word_shape("a", "a")] * 3, 0]
    assert not made.inputs["gazetteers"].any()


def test_epochs_differ_and_are_repeatable() -> None:
    material = [example(), example("love " * 9, "O " * 9)] * 40
    sampler = SentenceSampler(material, [1] * 80, (8, 16), PLAIN, config(64))
    first = sampler.epoch(0)
    assert first == sampler.epoch(0) != sampler.epoch(1)
    assert sorted(groups for batch in first for groups in batch) == [[number] for number in range(80)]
    inputs, labels, weights = sampler.batch(first[0], 0)
    assert {labels.shape, weights.shape} <= {(8, 8), (4, 16)}
    assert inputs["gazetteers"].shape == (*labels.shape, FEATURES)


def test_sentences_of_probability_0_are_left_out() -> None:
    sampler = SentenceSampler([example()] * 40, [0] * 20 + [1] * 20, (8,), PLAIN, config(32))
    assert sorted(group for batch in sampler.epoch(0) for group in batch) == [[number] for number in range(20, 40)]


def test_neighbours_of_one_corpus_are_joined() -> None:
    material = [example(part=part) for part in (1, 2) for _ in range(30)]
    sampler = SentenceSampler(material, [1] * 60, (64,), PLAIN, config(64), alone=0.2)
    groups = [group for batch in sampler.epoch(0) for group in batch]
    assert sorted(number for group in groups for number in group) == list(range(60))
    assert {len(group) > 1 for group in groups} == {True, False}
    assert all(group == list(range(group[0], group[-1] + 1)) for group in groups)
    assert not any({29, 30} <= set(group) for group in groups)
    inputs, labels, _ = sampler.batch([[0, 1]], 0)
    assert inputs["pieces"].shape == labels.shape == (1, 64)


def test_joined_sentences_keep_one_begin_row() -> None:
    joined = join([example("I love", "O O", 3), example("Paris", "B-LOC")])
    assert [VOCABULARY[row] for row in joined.inputs["pieces"]] == ["[CLS]", "i", "love", "[SEP]", "paris", "[SEP]"]
    assert [LABELS[label] for label in joined.labels] == ["O", "O", "O", "O", "B-LOC", "O"]
    assert joined.weights.tolist() == [0, 1, 1, 0, 1, 0]
    assert joined.part == 3


def test_silver_sentences_are_drawn_less() -> None:
    assert sampling_probability(1) == 1
    assert sampling_probability(SILVER) < 1


def test_a_vocabulary_keeps_latin_script_and_marks() -> None:
    whole = ("[CLS]", "[unused7]", "paris", *SPECIALS[:2], "[SEP]", "мир", "##é", "“", "7")
    assert [whole[row] for row in select_vocabulary(whole)] == [*SPECIALS, "paris", "##é", "“", "7"]


def test_gazetteers_are_merged(data: Path) -> None:
    assert read_lists(data / "gazetteers") == {"paris": "cgnoy", "new york": "cfgnoy", "bob": "prs"}


@pytest.mark.slow
def test_the_whole_recipe_learns_a_few_sentences_resumes_and_describes_itself(
    data: Path, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "_BUCKETS", (16, 128))
    monkeypatch.setattr(recipe, "LENGTHS", (16, 128))  # each is a function to compile
    output, work = tmp_path / "tiny" / "1", tmp_path / "work"
    lines: list[str] = []
    train = partial(train_entities, data=data, published=published, output=output)
    for config in [TrainingConfig(batch_size=128, epochs=24, learning_rate=0.03)] * 2:
        train(work=work, config=config, precision="float32", log=lines.append)
    card = read_card(output)
    assert (card.name, card.version, card.labels, card.parameters > 0) == ("tiny", "1", LABELS, True)
    assert (output / WEIGHTS_FILE).stat().st_size < 200_000
    assert sum(line.startswith("epoch") for line in lines) == 24, "the second run had nothing left to do"

    still = TrainingConfig(batch_size=128, epochs=1, learning_rate=0)
    train(work=tmp_path / "more", start=output, config=still)
    describe(model=output, data=data)
    figures = read_card(output).figures
    assert isinstance(figures["dev"], dict)
    assert isinstance(figures["dev"]["overall"], dict)
    assert figures["dev"]["overall"]["f1"] == 100
    assert isinstance(figures["wikigold"], dict)
    assert figures["wikigold"]["LOC"] == {"precision": 100, "recall": 100, "f1": 100, "spans": 24}
    assert evaluate_entities(data / "dev.conll.xz", output, ("PER",), lowercase=True).overall.wanted == 12
