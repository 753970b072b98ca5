import pytest
import typer

from trigger_api.console import told


def test_an_error_that_was_foreseen_is_told_in_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, told(OSError, ValueError):
        raise ValueError("the word is empty")
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "error: the word is empty\n"


def test_any_other_error_is_ours() -> None:
    with pytest.raises(KeyError), told(OSError):
        raise KeyError
