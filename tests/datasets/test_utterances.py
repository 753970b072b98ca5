from pathlib import Path

import pytest

from trigger_api.datasets.utterances import Mention, Utterance, is_alone, is_said_once, mention, read_manifest

HEADER = "file,speaker,transcript,word_start_s,word_end_s,phone\n"


def test_a_manifest_lists_utterances(tmp_path: Path) -> None:
    rows = 'a.ogg,s1,"Hi, ann. Operator",2.1,2.7,cellphone\nb.ogg,s2,nothing,0,0,landlinephone\nc.ogg,s2,x,4.2,0,y\n'
    (tmp_path / "manifest.csv").write_text(HEADER + rows)
    first, second, third = read_manifest(tmp_path / "manifest.csv")
    assert first == Utterance(tmp_path / "a.ogg", "s1", "Hi, ann. Operator", (2.1, 2.7), "cellphone")
    assert second.span is third.span is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,speaker\na,b\n", "missing column: transcript, word_start_s"),
        (HEADER + "a,b,c,0,0,x\na,b,c,soon,0,x\n", "line 3: could not convert"),
        (HEADER + "a,b\n", "line 2: "),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_manifest(tmp_path / "manifest.csv")


@pytest.mark.parametrize(
    ("transcript", "found"),
    [
        ("[click] Operator {breath}", Mention.SAID),
        ("call the operator, please", Mention.SAID),
        ("[background noise/] Please give me the [noise/] Operator [/noise] [/background noise]", Mention.SAID),
        ("through Op- Operator", Mention.SAID),
        ("_operator_ is the word Operator", Mention.SAID),
        ("{smack}Operator{breath}", Mention.SAID),
        ("*gosh call the Operator", Mention.SAID),
        ("call the _Operator_ now", Mention.ATTEMPT),
        ("call ((the operator))", Mention.ATTEMPT),
        ("theOperator_ [click]", Mention.ATTEMPT),
        ("-perator", Mention.ATTEMPT),
        ("oper- {laugh}", Mention.ATTEMPT),
        ("the O-ator", Mention.ATTEMPT),
        ("Ope{breath}rator", Mention.ATTEMPT),
        ("[say oper-]", Mention.ATTEMPT),
        ("two operators", Mention.DERIVED),
        ("the operator's voice", Mention.DERIVED),
        ("operatorcould you", Mention.DERIVED),
        ("op- what is opera", Mention.NONE),
        ("you can op-erate it", Mention.NONE),
        ("(( )) [static] -Are you there", Mention.NONE),
        ("", Mention.NONE),
    ],
)
def test_a_transcript_says_the_word_or_not(transcript: str, found: Mention) -> None:
    assert mention(transcript, "Operator") is found


@pytest.mark.parametrize("mark", "*+^~")
def test_a_marked_word_is_an_attempt(mark: str) -> None:
    assert mention(f"call the {mark}Operator", "operator") is Mention.ATTEMPT


def test_phrases_are_words_too() -> None:
    assert mention("well hey  Jarvis", "hey jarvis") is Mention.SAID
    assert mention("they jarvis", "hey jarvis") is Mention.DERIVED
    assert mention("jarvis", "hey jarvis") is Mention.NONE


def test_alone_is_without_any_other_word() -> None:
    assert is_alone("[noise][click] Operator. [oh ok(( ))]", "operator")
    assert not is_alone("[click] Operator please", "operator")
    assert not is_alone("_operator_", "operator")


def test_once_is_neither_again_nor_in_part() -> None:
    assert is_said_once("the {breath} Operator, please", "operator")
    for transcript in ("operator Operator", "oper- Operator", "_operator_ Operator", "operators Operator", "none"):
        assert not is_said_once(transcript, "operator")
