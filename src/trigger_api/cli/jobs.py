"""``trigger-api jobs``: a folder of long recordings, searched by a running service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trigger_api.cli.console import abort, stderr
from trigger_api.cli.remote import LOCAL, Token, Url, connected

if TYPE_CHECKING:
    from trigger_api.client import Client
    from trigger_api.schemas import JobStatus

_TOGETHER = 4  # recordings that are sent before the first is done
_SOUNDS = {
    *(".3gp", ".aac", ".ac3", ".aif", ".aiff", ".amr", ".au", ".avi", ".caf", ".flac", ".m4a", ".m4b", ".mka", ".mkv"),
    *(".mov", ".mp2", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".wav", ".w64", ".weba", ".webm", ".wma", ".wv"),
}


def jobs(
    folder: Annotated[Path, typer.Argument(help="Folder of recordings, searched with all below it; or one file.")],
    model: Annotated[str | None, typer.Option(help="Name of a trigger model.")] = None,
    word: Annotated[list[str] | None, typer.Option(help="Word to detect, instead; may be repeated.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Score from which a word counts as detected.")
    ] = None,
    url: Url = LOCAL,
    token: Token = None,
) -> None:
    """Search long recordings for trigger words, and print a JSON object for each. Exits with 1 if one has failed."""
    paths = list(_recordings(folder))
    if not paths:
        abort(f"{folder}: there are no recordings")
    options: dict[str, Any] = {"model": model, "words": word or (), "threshold": threshold}
    failed = False
    with connected(url, token) as client:
        for path, job in _run(client, paths, options):
            typer.echo(json.dumps({"file": str(path), **_result(client, job)}))
            failed |= job.status == "failed"
    if failed:
        raise typer.Exit(1)


def _recordings(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    yield from (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SOUNDS and path.is_file())


def _run(client: Client, paths: list[Path], options: dict[str, Any]) -> Iterator[tuple[Path, JobStatus]]:
    """Each recording with its finished job, in their order; the next ones are sent meanwhile."""
    sent: list[tuple[Path, JobStatus]] = []
    for number, path in enumerate(paths, 1):
        stderr.print(f"{number}/{len(paths)} {path}", highlight=False, markup=False)
        sent.append((path, client.submit_job(path, **options)))
        if len(sent) == _TOGETHER:
            first, job = sent.pop(0)
            yield first, client.wait_for_job(job.id)
    for path, job in sent:
        yield path, client.wait_for_job(job.id)


def _result(client: Client, job: JobStatus) -> dict[str, Any]:
    if job.history_id is None:
        return {"job": str(job.id), "error": job.error}
    answer = client.history_entry(job.history_id).answer
    return {"job": str(job.id), "history": str(job.history_id), **answer}
