"""What the history costs: a prediction with it on and off, and a page of a million rows.

``python benchmarks/history.py [--postgresql URL] [--rows N]``. Without a URL, only SQLite is measured; the URL is that
of an empty database.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import text

import load
from load import LoadResult
from results import write
from servers import server
from trigger_api.registry import BUNDLED
from trigger_api.server.auth import _caller_name
from trigger_api.storage import users
from trigger_api.storage.database import Database
from trigger_api.storage.engine import is_postgresql
from trigger_api.storage.tables import first_id

PORT, TOKEN = 8_741, "bench"
ADDRESS = f"http://127.0.0.1:{PORT}"
CLIP = Path(__file__).parents[1] / "samples" / "activate.wav"
CLIENTS, SECONDS, ROUNDS = 8, 6.0, 7
PAGES = 400
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
TASKS = ("trigger", "digits", "emotions", "objects", "entities")
LABELS = tuple(f"label-{number}" for number in range(1_000))
# A prediction each second; what differs between the databases is filled in.
PREDICTIONS = """
INSERT INTO predictions (id, owner_id, created_at, task, path, model, version, file_name, duration_ms, answer,
  answer_bytes, media_type, media_bytes)
SELECT {id}, {owner}, {at},
  CASE n % 5 WHEN 0 THEN 'trigger' WHEN 1 THEN 'digits' WHEN 2 THEN 'emotions' WHEN 3 THEN 'objects'
  ELSE 'entities' END,
  '/v1/trigger', 'activate', '1', 'file-' || (n / 10) || '.wav', 12.5, '{{"detected": true}}', 18, 'audio/wav', 0
FROM {series}"""
PREDICTION_LABELS = """
INSERT INTO prediction_labels (owner_id, label, prediction_id, task)
SELECT {owner}, 'label-' || (n * 7 % 1000), {id},
  CASE n % 5 WHEN 0 THEN 'trigger' WHEN 1 THEN 'digits' WHEN 2 THEN 'emotions' WHEN 3 THEN 'objects'
  ELSE 'entities' END
FROM {series}"""
SQLITE = {
    "id": "printf('%012x', (1767225600 + n) * 1000) || '70008' || printf('%015x', n)", "owner": ":owner",
    "at": "strftime('%Y-%m-%d %H:%M:%f000', 1767225600 + n, 'unixepoch')",
    "series": "(WITH RECURSIVE s (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < :rows - 1) SELECT n FROM s)",
}  # fmt: skip
POSTGRESQL = {
    "id": "CAST(lpad(to_hex((1767225600 + n) * 1000), 12, '0') || '70008' || lpad(to_hex(n), 15, '0') AS uuid)",
    "owner": "CAST(:owner AS uuid)", "at": "to_timestamp(1767225600 + n)",
    "series": "generate_series(CAST(0 AS bigint), CAST(:rows AS bigint) - 1) AS s (n)",
}  # fmt: skip


def main() -> None:
    """Measure, and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgresql")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        urls = {"SQLite": f"sqlite:///{folder}/history.sqlite3"}
        if options.postgresql:
            urls["PostgreSQL"] = options.postgresql
        for name, url in urls.items():
            asyncio.run(_fill(url, options.rows))
            with _service(url):
                lines += [*_predictions(name), *_pages(name, options.rows)]
    write(_section(lines))


def _service(url: str) -> Any:
    environment = {
        "TRIGGER_API_DATABASE_URL": url, "TRIGGER_API_TOKENS": TOKEN, "TRIGGER_API_PORT": str(PORT),
        "TRIGGER_API_BUNDLED": "false", "TRIGGER_API_MODELS": str(BUNDLED / "trigger" / "activate"),
        "TRIGGER_API_LOG_LEVEL": "warning", "TRIGGER_API_QUOTA_MIB": "1000000",
    }  # fmt: skip
    return server(["-m", "trigger_api", "serve"], f"{ADDRESS}/health/ready", environment)


def _predictions(name: str) -> Iterator[str]:
    """The same clip with the history off and on, in turns."""
    rounds: list[dict[str, LoadResult]] = []
    for _ in range(ROUNDS):
        rounds.append({way: _load(way) for way in ("false", "true")})
        print(name, *(f"{one.percentile(0.5):.1f} ms" for one in rounds[-1].values()))
    off, on = ([one[way].percentile(0.5) for one in rounds] for way in ("false", "true"))
    ratio = statistics.median(b / a for a, b in zip(off, on, strict=True))
    failures = sum(len(one.failures) for each in rounds for one in each.values())
    size = CLIP.stat().st_size // 1024
    yield (
        f"| {name}: a clip of {size} KiB, {CLIENTS} clients, p50 | {statistics.median(off):.1f} ms off, "
        f"{statistics.median(on):.1f} ms on: ratio {ratio:.3f}, {failures} failures | at most 1.10 |"
    )


def _load(save: str) -> LoadResult:
    request = load.upload(f"{ADDRESS}/v1/trigger?save={save}", "activate.wav", CLIP.read_bytes(), "audio")
    request = load.Request(request.url, request.body, {**request.headers, "X-Api-Token": TOKEN})
    return load.run(request, clients=CLIENTS, seconds=SECONDS)


def _pages(name: str, rows: int) -> Iterator[str]:
    """Pages of 50 at random places, by each of the filters."""
    chance = random.Random(0)  # noqa: S311 - not a secret
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    for what, query in _queries(rows, chance).items():
        times = sorted(_time(connection, next(query)) for _ in range(PAGES))
        p50, p99 = times[PAGES // 2] * 1000, times[int(PAGES * 0.99)] * 1000
        print(name, what, f"{p50:.1f} {p99:.1f} ms")
        yield f"| {name}: a page of {rows:,} rows, {what} | p50 {p50:.1f} ms, p99 {p99:.1f} ms | p99 under 20 ms |"


def _queries(rows: int, chance: random.Random) -> Mapping[str, Iterator[dict[str, str]]]:
    def at() -> datetime:
        return FIRST + timedelta(seconds=chance.randrange(rows))

    def cursor() -> str:
        return str(first_id(at()))

    return {
        "the first": _forever(dict),
        "any": _forever(lambda: {"cursor": cursor()}),
        "of a task": _forever(lambda: {"cursor": cursor(), "task": chance.choice(TASKS)}),
        "with a label": _forever(lambda: {"cursor": cursor(), "label": chance.choice(LABELS)}),
        "of a file name": _forever(lambda: {"file_name": f"file-{chance.randrange(rows // 10)}.wav"}),
        "of a time": _forever(lambda: {"until": at().isoformat()}),
        "of a task with a label": _forever(lambda: {"label": chance.choice(LABELS), "task": chance.choice(TASKS)}),
    }


def _forever(make: Any) -> Iterator[dict[str, str]]:
    while True:
        yield make()


def _time(connection: http.client.HTTPConnection, query: Mapping[str, str]) -> float:
    started = time.perf_counter()
    connection.request("GET", f"/v1/history?{urlencode(query)}", headers={"X-Api-Token": TOKEN})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return time.perf_counter() - started


async def _fill(url: str, rows: int) -> None:
    """Give the token of the benchmark a history."""
    database = Database(url)
    await database.migrate()
    async with database.write() as session:
        owner = (await users.ensure(session, name=f"token:{_caller_name(TOKEN)}")).id
    started = time.perf_counter()
    dialect = POSTGRESQL if is_postgresql(url) else SQLITE
    values = {"rows": rows, "owner": str(owner) if is_postgresql(url) else owner.hex}
    async with database.write() as session:
        for statement in (PREDICTIONS, PREDICTION_LABELS):
            await session.execute(text(statement.format(**dialect)), values)
    async with database.write() as session:
        await session.execute(text("ANALYZE"))
    await database.close()
    print(f"{rows} rows in {time.perf_counter() - started:.0f} s")


def _section(lines: list[str]) -> str:
    head = [
        "## History",
        "",
        "`python benchmarks/history.py --postgresql URL`: the word `activate` behind one process, the load on the same "
        "2 cores; predictions with `save=false` and `save=true` in turns, pages of 50 over HTTP. All rows are one "
        "account's.",
        "",
        "| what | measured | wanted |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *lines]) + "\n"


if __name__ == "__main__":
    main()
