"""Long recordings as jobs, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from helpers.beep import beeps, encode
from helpers.people import accounts_app, another, join, log_in, running
from trigger_api.jobs import runner
from trigger_api.settings import Settings
from trigger_api.storage import jobs as stored_jobs
from trigger_api.storage.database import Database
from trigger_api.storage.tables import Job, JobMedia, PredictionMedia, now

pytestmark = pytest.mark.usefixtures("quick_passwords")
ENDS = [1.0, 118.5, 119.5, 120.1, 121.0, 239.9, 240.5, 250.0]  # of beeps, some of them at the seams of parts
UNKNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_LOOK_S", 0.05)
    monkeypatch.setattr(runner, "_BEAT_S", 0.05)
    monkeypatch.setattr("trigger_api.jobs.manager._LOOK_S", 0.02)


@pytest.fixture(scope="module")
def recording() -> bytes:
    """Four and a half minutes, and so three parts."""
    return encode(beeps(ENDS, seconds=260, rate=8_000), 8_000)


@pytest.fixture
def app(settings: Settings, emptied_url: str) -> FastAPI:
    return accounts_app(settings, emptied_url)


@pytest.fixture
async def ada(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with running(app) as client:
        yield await join(client)


async def submit(client: httpx.AsyncClient, audio: bytes, name: str = "day.wav", **data: Any) -> httpx.Response:
    return await client.post("/v1/jobs", files={"audio": (name, audio)}, data=data)


async def status(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def finished(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (found := await status(client, job_id))["status"] not in ("done", "failed"):
            await asyncio.sleep(0.02)
    return found


async def count(app: FastAPI, table: Any) -> int:
    async with app.state.service.database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def test_a_job_finds_what_a_request_finds(ada: httpx.AsyncClient, app: FastAPI, recording: bytes) -> None:
    accepted = await submit(ada, recording)
    assert accepted.status_code == 202
    job = accepted.json()
    assert accepted.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["file_name"], job["media_bytes"], job["task"]) == ("day.wav", len(recording), "trigger")
    done = await finished(ada, job["id"])
    assert (done["status"], done["progress"], done["error"]) == ("done", 1.0, None)
    direct = (await ada.post("/v1/trigger", files={"audio": recording})).json()
    entry = (await ada.get(f"/v1/history/{done['history_id']}")).json()
    assert entry["answer"] == direct
    assert len(direct["detections"]) == len(ENDS)
    assert (entry["path"], entry["file_name"], entry["labels"]) == ("/v1/jobs", "day.wav", ["beep"])
    assert (await ada.get(f"/v1/history/{done['history_id']}/media")).content == recording
    assert await count(app, JobMedia) == 0
    stored = (await ada.get("/v1/accounts/me")).json()["stored_bytes"]
    assert len(recording) < stored < len(recording) + 10_000
    assert (await ada.delete(f"/v1/jobs/{job['id']}")).status_code == 204
    assert (await ada.delete(f"/v1/jobs/{job['id']}")).status_code == 404
    assert (await ada.get(f"/v1/history/{done['history_id']}")).status_code == 200
    await ada.delete("/v1/history", params={"everything": True})
    assert (await ada.get("/v1/accounts/me")).json()["stored_bytes"] == 0


async def test_a_recording_longer_than_a_request_may_be(settings: Settings, emptied_url: str) -> None:
    audio = encode(beeps([300.0, 700.0], seconds=720, rate=4_000), 4_000, "FLAC")
    async with running(accounts_app(settings, emptied_url, max_body_bytes=100_000)) as client:
        await join(client)
        assert len(audio) > 100_000
        assert (await client.post("/v1/trigger", files={"audio": audio})).status_code == 413
        done = await finished(client, (await submit(client, audio)).json()["id"])
        entry = (await client.get(f"/v1/history/{done['history_id']}")).json()
        assert entry["answer"]["duration_ms"] == 720_000
        assert entry["media_type"] == "audio/flac"


async def test_events(ada: httpx.AsyncClient, recording: bytes) -> None:
    job_id = (await submit(ada, recording)).json()["id"]
    text = (await ada.get(f"/v1/jobs/{job_id}/events")).text
    events = [dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != ":")
              for block in text.split("\n\n") if "event:" in block]  # fmt: skip
    assert {each["event"] for each in events[:-1]} <= {"progress"}
    assert events[-1]["event"] == "done"
    last = json.loads(events[-1]["data"])
    assert (last["id"], last["status"]) == (job_id, "done")
    assert (await ada.get(f"/v1/jobs/{UNKNOWN}/events")).status_code == 404


async def test_jobs_are_listed(ada: httpx.AsyncClient, two_beeps: bytes) -> None:
    ids = [(await submit(ada, two_beeps, f"{number}.wav")).json()["id"] for number in range(3)]
    first = (await ada.get("/v1/jobs", params={"limit": 2})).json()
    assert [job["id"] for job in first["items"]] == ids[:0:-1]
    second = (await ada.get("/v1/jobs", params={"cursor": first["next"]})).json()
    assert ([job["id"] for job in second["items"]], second["next"]) == (ids[:1], None)


async def test_nobody_sees_anothers_jobs(ada: httpx.AsyncClient, two_beeps: bytes) -> None:
    job_id = (await submit(ada, two_beeps)).json()["id"]
    eve = await join(another(ada), "eve")
    for path in ("", "/events"):
        assert (await eve.get(f"/v1/jobs/{job_id}{path}")).status_code == 404
    assert (await eve.delete(f"/v1/jobs/{job_id}")).status_code == 404
    assert (await eve.get("/v1/jobs")).json()["items"] == []
    assert (await another(ada).get("/v1/jobs")).status_code == 401
    assert (await finished(ada, job_id))["status"] == "done"


@pytest.mark.parametrize(
    ("audio", "error"),
    [(b"", "empty"), (b"nonsense", "not a recording"), (encode(np.zeros(0, np.float32)), "no samples"),
     (encode(np.zeros(9, np.float32), 2_000), "2000 Hz")],
    ids=["empty", "nonsense", "silent", "rate"],
)  # fmt: skip
async def test_what_cannot_be_read_fails(ada: httpx.AsyncClient, app: FastAPI, audio: bytes, error: str) -> None:
    failed = await finished(ada, (await submit(ada, audio)).json()["id"])
    assert (failed["status"], failed["history_id"]) == ("failed", None)
    assert error in failed["error"]
    assert await count(app, JobMedia) == 0
    assert (await ada.get("/v1/accounts/me")).json()["stored_bytes"] == 0


async def test_what_cannot_be_predicted_is_refused_at_once(ada: httpx.AsyncClient, two_beeps: bytes) -> None:
    assert (await submit(ada, two_beeps, model="nobody")).status_code == 404
    assert (await submit(ada, two_beeps, word="nobody")).status_code == 404
    assert (await submit(ada, two_beeps, threshold="0.5", sensitivity="high")).status_code == 422
    assert (await submit(ada, two_beeps, model="beep", word="beep")).status_code == 422
    assert (await submit(ada, two_beeps, colour="red")).status_code == 422
    assert (await ada.get("/v1/jobs")).json()["items"] == []


async def test_limits(settings: Settings, emptied_url: str, two_beeps: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(two_beeps)
    app = accounts_app(settings, emptied_url, max_job_bytes=size, max_job_seconds=2, quota_mib=1)
    async with running(app) as client:
        await join(client)
        failed = await finished(client, (await submit(client, two_beeps)).json()["id"])
        assert failed["error"] == "the recording is longer than 2 s"
        assert (await submit(client, two_beeps + b"\0")).status_code == 413
        assert (await submit(client, bytes(size + 100_000))).status_code == 413
        monkeypatch.setattr(stored_jobs, "claim", _nothing)
        refused = [await submit(client, two_beeps) for _ in range(5)]
        assert [answer.status_code for answer in refused] == [202, 202, 202, 507, 507]
        monkeypatch.setattr("trigger_api.jobs.manager._MOST", 3)
        assert (await submit(client, b"x")).status_code == 409


async def _nothing(*args: object, **options: object) -> None:
    return None


async def test_a_job_is_cancelled(
    ada: httpx.AsyncClient, app: FastAPI, recording: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def stuck(*args: object, **options: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = app.state.service.jobs._task
    monkeypatch.setattr(type(task), "predict_parts", stuck)
    job_id = (await submit(ada, recording)).json()["id"]
    await begun.wait()
    events = asyncio.create_task(ada.get(f"/v1/jobs/{job_id}/events"))
    while not app.state.service.jobs.watchers:
        await asyncio.sleep(0.01)
    assert (await status(ada, job_id))["status"] == "running"
    assert (await ada.delete(f"/v1/jobs/{job_id}")).status_code == 204
    await cancelled.wait()
    assert "event: deleted" in (await events).text
    monkeypatch.undo()
    assert (await ada.get("/v1/history")).json()["items"] == []
    assert (await ada.get("/v1/accounts/me")).json()["stored_bytes"] == 0
    assert await count(app, JobMedia) == 0


async def test_a_job_survives_a_restart(
    settings: Settings, emptied_url: str, two_beeps: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def stuck(*args: object, **options: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    app = accounts_app(settings, emptied_url)
    with monkeypatch.context() as patch:
        async with running(app) as client:
            await join(client)
            patch.setattr(type(app.state.service.jobs._task), "predict_parts", stuck)
            job_id = (await submit(client, two_beeps)).json()["id"]
            await begun.wait()
    async with running(accounts_app(settings, emptied_url)) as client:
        await log_in(client)
        assert (await finished(client, job_id))["status"] == "done"


async def test_what_a_dead_server_had_begun_is_done_by_another(
    ada: httpx.AsyncClient, app: FastAPI, two_beeps: bytes
) -> None:
    database: Database = app.state.service.database
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_jobs, "claim", _nothing)
        job_id = (await submit(ada, two_beeps)).json()["id"]
        async with database.write() as session:
            await session.execute(update(Job).values(status="running", worker="dead", attempts=1))
    assert (await status(ada, job_id))["status"] == "running"  # it may be alive
    async with database.write() as session:
        await session.execute(update(Job).values(updated_at=now() - timedelta(minutes=1)))
    assert (await finished(ada, job_id))["status"] == "done"


async def test_what_ends_every_server_is_given_up(ada: httpx.AsyncClient, app: FastAPI, two_beeps: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_jobs, "claim", _nothing)
        job_id = (await submit(ada, two_beeps)).json()["id"]
        async with app.state.service.database.write() as session:
            await session.execute(update(Job).values(attempts=3))
    failed = await finished(ada, job_id)
    assert (failed["status"], "3 times" in failed["error"]) == ("failed", True)


async def test_two_servers_share_the_work(settings: Settings, emptied_url: str, two_beeps: bytes) -> None:
    app = accounts_app(settings, emptied_url)
    async with running(app) as here, running(accounts_app(settings, emptied_url)) as there:
        await join(here)
        await log_in(there)
        ids = [(await submit(each, two_beeps)).json()["id"] for each in (here, there) * 5]
        done = [await finished(here, each) for each in ids]
        assert {each["status"] for each in done} == {"done"}
        assert len({each["history_id"] for each in done}) == len(ids)
        assert len((await there.get("/v1/history")).json()["items"]) == len(ids)
        assert await count(app, PredictionMedia) == len(ids)


async def test_who_takes_no_jobs(settings: Settings, two_beeps: bytes) -> None:
    async with running(accounts_app(settings, "none", auth="open")) as client:
        assert (await submit(client, two_beeps)).status_code == 404
