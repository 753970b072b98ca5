import pytest
import typer

from trigger_api.cli.console import abort, cli_errors, format_error


def test_an_expected_error_is_printed_as_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, cli_errors(OSError, ValueError):
        raise ValueError("the word is empty")
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "error: the word is empty\n"


def test_a_missing_package_is_printed_with_its_extra() -> None:
    missing = ModuleNotFoundError("No module named 'sounddevice'", name="sounddevice")
    assert format_error(missing) == "this needs the extra 'listen': pip install '.[listen]'"
    assert format_error(ModuleNotFoundError("No module named 'x'", name="x")) == "No module named 'x'"


def test_brackets_are_printed_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        abort("pip install '.[listen]'")
    assert capsys.readouterr().err == "error: pip install '.[listen]'\n"


def test_any_other_error_is_raised() -> None:
    with pytest.raises(KeyError), cli_errors(OSError):
        raise KeyError
