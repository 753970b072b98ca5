"""``trigger-api history``: past predictions on a running service."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from trigger_api.cli.console import abort, cli_errors, stderr, stdout
from trigger_api.cli.remote import LOCAL, Token, Url, connected

app = typer.Typer(no_args_is_help=True, help=__doc__)
Task = Annotated[str | None, typer.Option(help="Only predictions of this task.")]
Label = Annotated[str | None, typer.Option(help="Only those that found this.")]
FileName = Annotated[str | None, typer.Option(help="Only those of files of this name.")]
Since = Annotated[datetime | None, typer.Option(help="Only those from then on.")]
Until = Annotated[datetime | None, typer.Option(help="Only those before then.")]
Id = Annotated[str, typer.Argument(help="Id of the prediction.")]


@app.command(name="list")
def list_history(
    task: Task = None,
    label: Label = None,
    file_name: FileName = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of predictions.")] = 50,
    url: Url = LOCAL,
    token: Token = None,
) -> None:
    """List predictions, the newest first."""
    filters: dict[str, Any] = _filters(task, label, file_name, since, until)
    table = Table("id", "time", "task", "model", "file", "found", "bytes")
    cursor, left = None, limit
    with connected(url, token) as client:
        while left:
            page = client.history(**filters, cursor=cursor, limit=min(left, 100))
            for each in page.items:
                at, model = f"{each.created_at.astimezone():%Y-%m-%d %H:%M:%S}", f"{each.model} {each.version}"
                found = ", ".join(each.labels)
                table.add_row(str(each.id), at, each.task, model, each.file_name, found, str(each.media_bytes))
            cursor, left = page.next, left - len(page.items) if page.next else 0
    stdout.print(table)


@app.command()
def show(
    history_id: Id,
    media: Annotated[Path | None, typer.Option(help="File to write what it was made of to.", dir_okay=False)] = None,
    url: Url = LOCAL,
    token: Token = None,
) -> None:
    """Print a prediction as JSON."""
    with connected(url, token) as client, cli_errors(OSError):
        typer.echo(client.history_entry(history_id).model_dump_json(indent=2))
        if media is not None:
            media.write_bytes(client.history_media(history_id))


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="File to write, one JSON object a line.", dir_okay=False)],
    task: Task = None,
    label: Label = None,
    file_name: FileName = None,
    since: Since = None,
    until: Until = None,
    media: Annotated[bool, typer.Option("--media", help="Add what each was made of, in base64.")] = False,
    url: Url = LOCAL,
    token: Token = None,
) -> None:
    """Write predictions to a file."""
    filters: dict[str, Any] = _filters(task, label, file_name, since, until)
    count = 0
    with connected(url, token) as client, cli_errors(OSError), out.open("w", encoding="utf-8") as file:
        for entry in client.export_history(**filters, media=media):
            file.write(f"{entry.model_dump_json(exclude_none=not media)}\n")
            count += 1
    stderr.print(f"{count} predictions")


@app.command()
def delete(
    history_ids: Annotated[list[str] | None, typer.Argument(help="Ids of predictions.")] = None,
    task: Task = None,
    label: Label = None,
    file_name: FileName = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--everything", help="Delete the whole history.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = LOCAL,
    token: Token = None,
) -> None:
    """Delete predictions: by their ids, or all that match."""
    filters: dict[str, Any] = _filters(task, label, file_name, since, until)
    if not history_ids and not everything and not any(filters.values()):
        abort("give ids, an option that says which predictions, or --everything")
    if not yes:
        typer.confirm("Delete these predictions? This cannot be undone.", abort=True)
    with connected(url, token) as client:
        for each in history_ids or ():
            client.delete_prediction(each)
        count = len(history_ids or ()) or client.delete_history(**filters, everything=everything)
    stderr.print(f"deleted {count} predictions")


def _filters(
    task: str | None, label: str | None, file_name: str | None, since: datetime | None, until: datetime | None
) -> dict[str, Any]:
    return {"task": task, "label": label, "file_name": file_name, "since": since, "until": until}
