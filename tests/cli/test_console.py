import pytest
import typer

from trigger_api.cli.console import abort, cli_errors, format_error


def test_an_error_that_was_foreseen_is_told_in_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, cli_errors(OSError, ValueError):
        raise ValueError("the word is empty")
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "error: the word is empty\n"


def test_a_package_that_is_not_there_is_told_with_what_brings_it() -> None:
    missing = ModuleNotFoundError("No module named 'sounddevice'", name="sounddevice")
    assert format_error(missing) == "this needs the extra 'listen': pip install '.[listen]'"
    assert format_error(ModuleNotFoundError("No module named 'x'", name="x")) == "No module named 'x'"


def test_what_stands_in_brackets_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        abort("pip install '.[listen]'")
    assert capsys.readouterr().err == "error: pip install '.[listen]'\n"


def test_any_other_error_is_ours() -> None:
    with pytest.raises(KeyError), cli_errors(OSError):
        raise KeyError
