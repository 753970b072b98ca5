from pathlib import Path

import pytest
from typer.testing import CliRunner

from trigger_api.evaluation.commands import app
from trigger_api.evaluation.trigger import learning


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_learning_takes_even_seeds_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "learn", lambda speech, names, counts, seeds, out: {"seeds": seeds})
    options = [f"--{name}={tmp_path}" for name in ("words", "others", "out")]
    assert '"seeds": [\n    0,\n    2,\n    4\n  ]' in run("learning", *options)[1]
    assert '"seeds": [\n    1\n  ]' in run("learning", *options, "--seed", "1")[1]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("seed", "-1", "'--seed'"),
        ("snr", "nan", "finite number"),
        ("snr", "inf", "finite number"),
        ("noise", None, "no noise to mix in"),
    ],
)
def test_a_trigger_is_not_measured_with_faulty_options(
    tmp_path: Path, option: str, value: str | None, words: str
) -> None:
    (tmp_path / "a.wav").touch()
    options = [f"--{name}={tmp_path}" for name in ("positives", "negatives")]
    code, output = run("trigger", *options, f"--{option}={value or tmp_path}")
    assert code == 2
    assert words in output
