from trigger_api.routers.compat.columns import format_columns


def test_the_original_service_answered_just_so() -> None:
    rows = [("I", "O"), ("love", "O"), ("Paris", "B-LOC")]
    assert format_columns(rows) == ("I love Paris ", "O O    B-LOC ")


def test_a_short_word_leaves_room_for_a_long_tag() -> None:
    assert format_columns([("Al", "B-PER"), (".", "O")]) == ("Al    . ", "B-PER O ")


def test_nothing_is_empty() -> None:
    assert format_columns([]) == ("", "")
