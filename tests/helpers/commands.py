"""The command line, called in the tests' own process."""

from __future__ import annotations

from typer.testing import CliRunner

from trigger_api.cli.main import app


def run(*arguments: str) -> tuple[int, str]:
    """The exit code and the output of a command."""
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output
