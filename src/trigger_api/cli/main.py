"""The command line: serve, detect, listen, record, train, evaluate and more."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from trigger_api.cli import bench, db, detect, evaluate, history, jobs, models, serve, streaming, train, users
from trigger_api.cli.console import cli_errors


class _Commands(TyperGroup):
    """A group of commands which report the extra that they need when a package is missing."""

    def invoke(self, ctx: Any) -> Any:
        with cli_errors(ModuleNotFoundError):
            return super().invoke(ctx)


app = typer.Typer(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(db.app, name="db")
app.add_typer(users.app, name="users")
app.add_typer(history.app, name="history")
app.command()(streaming.listen)
app.command()(streaming.wyoming)
app.command()(streaming.record)
app.command()(serve.serve)
app.command()(detect.detect)
app.command()(models.convert)
app.command()(models.export)
app.command()(jobs.jobs)
app.command()(bench.bench)
app.command(name="models")(models.list_models)
