import pytest

from trigger_api.tasks.entities.compounds import all_parts
from trigger_api.tasks.entities.gazetteers import Gazetteers
from trigger_api.training.entities.compounds import Tagged
from trigger_api.training.entities.corpus import SILVER
from trigger_api.training.entities.mentions import Mention, collect_names, mentions, replace, replace_mentions

KINDS = Gazetteers({"ada": "f"}).kinds


def sentence(words: str, tags: str, part: int = 1, unsure: tuple[int, ...] = ()) -> Tagged:
    return Tagged(tuple(words.split()), tuple(tags.split()), part, frozenset(unsure))


LONDON = sentence("The London-based firm hired Ada Byron", "O B-LOC O O O O B-PER I-PER", unsure=(3, 7))


def test_mentions_begin_and_end_with_a_word() -> None:
    assert list(mentions(LONDON)) == [Mention(4, 6, "PER")]


def test_a_replaced_mention_keeps_the_tags_around_it() -> None:
    made = replace(LONDON, Mention(4, 6, "PER"), ("Jean-Luc",))
    assert made.words == ("The", "London-based", "firm", "hired", "Jean-Luc")
    assert made.tags == ("O", "B-LOC", "O", "O", "O", "O", "B-PER", "I-PER", "I-PER")
    assert made.unsure == {3}


def test_what_stands_in_for_a_name_may_be_none() -> None:
    made = replace(
        sentence("Ada Byron won", "B-PER I-PER O", unsure=(2,)), Mention(0, 2, "PER"), ("ada@mail.com",), named=False
    )
    assert made == sentence("ada@mail.com won", "O O", unsure=(1,))


def test_names_are_collected_by_how_they_are_written() -> None:
    corpus = [
        LONDON,
        sentence("Kim Jong-un thanked @AdaByron", "B-PER I-PER I-PER I-PER O B-PER"),
        sentence("Jean-Luc left Coca-Cola", "B-PER I-PER I-PER O B-ORG I-ORG I-ORG", SILVER),
    ]
    names = collect_names(corpus, KINDS, ["Rolls Royce", "A Name Of Five Words", ""])
    assert dict(names.hyphenated) == {"PER": [("Kim", "Jong-un"), ("Jean-Luc",)]}, "a machine's organisations are not"
    assert dict(names.handles) == {"PER": [("@AdaByron",)]}
    assert names.people == [("Ada", "Byron")]
    assert names.organisations == [("Rolls", "Royce")]


@pytest.mark.parametrize("part", [1, 5])
def test_every_copy_has_one_other_name_and_a_tag_for_each_part(part: int) -> None:
    text = sentence("Ada Byron left Acme in Rome", "B-PER I-PER O B-ORG O B-LOC", part)
    corpus = [text, sentence("Kim Jong-un", "B-PER I-PER I-PER I-PER"), sentence("Guinea-Bissau", "B-LOC I-LOC I-LOC")]
    names = collect_names(corpus, KINDS, ["Rolls Royce"])
    copies = replace_mentions([text] * 50, names, 1.0, seed=3)
    assert copies == replace_mentions([text] * 50, names, 1.0, seed=3)
    assert all(len(all_parts(copy.words)) == len(copy.tags) for copy in copies)
    kept = [(copy.words[:2] == text.words[:2], "Acme" in copy.words, copy.words[-1] == "Rome") for copy in copies]
    assert {sum(each) for each in kept} == {2}
    made = {word for copy in copies for word in copy.words}
    assert {"@AdaByron", "Guinea-Bissau", "Rolls", "Jong-un", "Ada-Ada"} <= made
    assert any("@" in word and not word.startswith("@") for word in made)


def test_nothing_is_replaced_where_no_names_are_known() -> None:
    names = collect_names([], KINDS, [])
    assert replace_mentions([sentence("In Rome", "O B-LOC")] * 5, names, 1.0) == []
    assert replace_mentions([LONDON] * 5, names, 0.0) == []
