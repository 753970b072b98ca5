from pathlib import Path

from trigger_api.datasets.marked import MarkedText, parse_marked, read_marked


def test_marks_are_taken_off_and_their_places_kept() -> None:
    made = parse_marked("[Kim Jong-un](PER) met [U2](ORG) (twice).")
    assert made == MarkedText("Kim Jong-un met U2 (twice).", ((0, 11, "PER"), (16, 18, "ORG")))
    assert [made.text[start:end] for start, end, _ in made.names] == ["Kim Jong-un", "U2"]


def test_a_text_without_names_stays_as_it_is() -> None:
    assert parse_marked("A well-known [sic] case.") == MarkedText("A well-known [sic] case.", ())


def test_blank_lines_and_headings_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "texts.md").write_text("# Names\n\nIn [Paris](LOC).\n\nNothing.\n", encoding="utf-8")
    assert [each.text for each in read_marked(tmp_path / "texts.md")] == ["In Paris.", "Nothing."]
