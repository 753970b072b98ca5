import json

from rich.console import Console
from rich.table import Table

from helpers.tiny_word import detector, sound
from trigger_api.evaluation.trigger.report import missed_figures, named_clips, operating_points, point_figures, tables
from trigger_api.evaluation.trigger.scoring import Clip, Word, score, without_word

WORD = Word(1.0, 1.2, 1.7)


def printed(drawn: Table) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get()


def test_points_are_json_and_a_table() -> None:
    heard, unheard = (Clip(name, 0.0, WORD, speaker=name) for name in ("ann", "bob"))
    run = score(detector(), [(heard, sound((1.04, 0.9))), (unheard, sound()), without_word("x", sound((2.0, 0.6)))])
    points = operating_points(run, [0, 2], [0.5])
    figures = {name: point_figures(point) for name, point in points.items()}
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert list(figures) == ["low", "medium", "high", "0 in all", "2 in all", "0.5 an hour"]
    (drawn,) = tables(figures)
    (row,) = [line for line in printed(drawn).splitlines() if "medium" in line]
    for cell in ("0.5000", "1 of 2", "50.0, 9.4-90.5", "900.00", "-80 / -80", "1 / 0 / 1"):
        assert cell in row


def test_nothing_measured_leaves_a_dash() -> None:
    run = score(detector(), [(Clip("ann", 0.0, WORD, kinds=("alone",)), sound())])
    point = run.at(0.5)
    figures = point_figures(point) | {"by_kind": {"alone": missed_figures(point.of_kind("alone"))}}
    assert figures["false_accepts_per_hour"] == [None, 0.0, None]
    whole, kinds = map(printed, tables({"medium": figures}))
    assert "- / -" in whole
    assert "alone" in kinds
    assert "1 of 1" in kinds


def test_the_first_ten_are_named() -> None:
    names = [f"clip{number}" for number in range(12)]
    fired = [{"clip": "x", "time_s": 2.08, "score": 0.6}]
    missed, falsely = named_clips({"missed_clips": names, "fired_falsely": fired})
    assert missed.endswith("clip9, and 2 more")
    assert falsely == "fired falsely: x (2.08 s, 0.600)"
    assert list(named_clips({"missed_clips": [], "fired_falsely": []})) == []
