from trigger_api.routers.compat.columns import format_columns


def test_columns_of_the_original_service() -> None:
    rows = [("I", "O"), ("love", "O"), ("Paris", "B-LOC")]
    assert format_columns(rows) == ("I love Paris ", "O O    B-LOC ")


def test_a_column_is_as_wide_as_its_longer_cell() -> None:
    assert format_columns([("Al", "B-PER"), (".", "O")]) == ("Al    . ", "B-PER O ")


def test_no_words_have_no_columns() -> None:
    assert format_columns([]) == ("", "")
