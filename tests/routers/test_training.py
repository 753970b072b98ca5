"""Words that administrators train: with a short command in place of the training, on both databases."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from helpers.beep import add_model, trigger_card
from helpers.people import accounts_app, another, join, log_in, running, token_of
from trigger_api.jobs import runner, training
from trigger_api.settings import Settings
from trigger_api.storage.tables import Job, JobMedia, User, now

pytestmark = pytest.mark.usefixtures("quick_passwords")
FAKE = Path(__file__).parents[1] / "helpers" / "fake_training.py"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_LOOK_S", 0.05)
    monkeypatch.setattr(runner, "_BEAT_S", 0.05)
    monkeypatch.setattr("trigger_api.jobs.manager._LOOK_S", 0.02)
    monkeypatch.setattr(training, "obstacle", lambda: None)
    monkeypatch.setattr(training, "has_voices", lambda: True)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that tells the command to end; until then it goes on."""
    add_model(tmp_path / "made", trigger_card("hey-ada"))
    end = tmp_path / "end"

    def command(word: str, out: Path, recordings: Path | None, negatives: Any) -> list[str]:
        return [sys.executable, str(FAKE), str(tmp_path / "made"), word, str(out), str(recordings or ""), str(end)]

    monkeypatch.setattr(training.Training.__init__, "__defaults__", (command,))
    return end


@pytest.fixture
def app(settings: Settings, emptied_url: str, tmp_path: Path, fake: Path) -> FastAPI:
    return accounts_app(settings, emptied_url, training_folder=tmp_path / "words")


async def administrator(app: FastAPI, client: httpx.AsyncClient, name: str = "ada") -> httpx.AsyncClient:
    """Somebody who may train."""
    await join(client, name)
    async with app.state.service.database.write() as session:
        await session.execute(update(User).where(User.name == name).values(is_admin=True))
    await log_in(client, name)
    return client


@pytest.fixture
async def ada(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with running(app) as client:
        yield await administrator(app, client)


async def train(client: httpx.AsyncClient, word: str = "Hey  Ada", *recordings: bytes) -> httpx.Response:
    files = [("recording", (f"{number}.wav", each)) for number, each in enumerate(recordings)]
    return await client.post("/v1/training", data={"word": word}, files=files)


async def status(client: httpx.AsyncClient, training_id: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/training/{training_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def until(client: httpx.AsyncClient, training_id: str, **wanted: Any) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while not wanted.items() <= (found := await status(client, training_id)).items():
            assert found["status"] not in ("failed", "done"), found
            await asyncio.sleep(0.02)
    return found


async def test_a_word_is_trained_and_served(
    ada: httpx.AsyncClient, app: FastAPI, fake: Path, two_beeps: bytes, tmp_path: Path
) -> None:
    accepted = await train(ada, "Hey  Ada", two_beeps, two_beeps)
    assert accepted.status_code == 202, accepted.text
    made = accepted.json()
    assert accepted.headers["Location"] == f"/v1/training/{made['id']}"
    assert (made["word"], made["recordings"], made["status"]) == ("hey ada", 2, "queued")
    half = await until(ada, made["id"], progress=0.5)
    assert (half["status"], half["doing"]) == ("running", "hearing 2 recordings")
    let_end(fake)
    done = await until(ada, made["id"], status="done")
    assert (done["model"], done["version"], done["progress"], done["doing"]) == ("hey-ada", "1", 1.0, "")
    models = {model["name"]: model for model in (await ada.get("/v1/models")).json()}
    assert models["hey-ada"]["serving"]
    answer = await ada.post("/v1/trigger", files={"audio": two_beeps}, data={"word": "hey-ada"})
    assert answer.json()["words"][0]["model"] == "hey-ada"
    assert (await ada.post("/v1/trigger", files={"audio": two_beeps})).json()["model"] == "beep"  # as before
    async with app.state.service.database.read() as session:
        assert not await session.scalar(select(func.count()).select_from(JobMedia))
        assert not await session.scalar(select(User.stored_bytes).where(User.name == "ada"))
    again = await until(ada, (await train(ada)).json()["id"], status="done")
    assert (again["version"], (await status(ada, made["id"]))["version"]) == ("2", "1")
    assert not list((tmp_path / "words" / ".work").iterdir())
    listed = (await ada.get("/v1/training", params={"limit": 1})).json()
    assert ([item["id"] for item in listed["items"]], listed["available"]) == ([again["id"]], True)
    older = (await ada.get("/v1/training", params={"cursor": listed["next"]})).json()
    assert ([item["id"] for item in older["items"]], older["next"]) == ([made["id"]], None)
    assert (await ada.get("/v1/jobs")).json()["items"] == []


async def test_progress_comes_as_events(ada: httpx.AsyncClient, fake: Path) -> None:
    made = (await train(ada)).json()
    watching = asyncio.create_task(ada.get(f"/v1/training/{made['id']}/events"))
    await until(ada, made["id"], progress=0.5)
    let_end(fake)
    events = [block.split("\n") for block in (await watching).text.split("\n\n") if "event:" in block]
    said = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    assert 0.5 in [each["progress"] for each in said]
    assert (events[-1][0], said[-1]["status"]) == ("event: done", "done")


async def test_only_administrators_train(ada: httpx.AsyncClient, app: FastAPI, fake: Path) -> None:
    made = (await train(ada)).json()
    eve = await join(another(ada), "eve")
    token = (await token_of(ada, "predict"))["token"]
    scripted = httpx.AsyncClient(transport=another(ada)._transport, base_url=ada.base_url)
    for client, headers, code in ((eve, {}, 403), (scripted, {"X-Api-Token": token}, 403), (scripted, {}, 401)):
        assert (await client.post("/v1/training", data={"word": "hey eve"}, headers=headers)).status_code == code
        for path in ("", f"/{made['id']}", f"/{made['id']}/events"):
            assert (await client.get(f"/v1/training{path}", headers=headers)).status_code == code
        assert (await client.delete(f"/v1/training/{made['id']}", headers=headers)).status_code == code
    allowed = (await token_of(ada, "models:admin"))["token"]
    assert (await scripted.get("/v1/training", headers={"X-Api-Token": allowed})).status_code == 200
    grace = await administrator(app, another(ada), "grace")
    assert (await grace.get(f"/v1/training/{made['id']}")).status_code == 404
    foreign = {"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert (await ada.post("/v1/training", data={"word": "hey eve"}, headers=foreign)).status_code == 403
    let_end(fake)
    await until(ada, made["id"], status="done")


async def test_one_word_is_trained_at_a_time(
    ada: httpx.AsyncClient, settings: Settings, emptied_url: str, fake: Path, tmp_path: Path
) -> None:
    second = accounts_app(settings, emptied_url, training_folder=tmp_path / "words")
    async with running(second):
        ids = [(await train(ada)).json()["id"] for _ in range(3)]
        await until(ada, ids[0], progress=0.5)
        await asyncio.sleep(0.3)  # both servers have looked
        assert [(await status(ada, each))["status"] for each in ids] == ["running", "queued", "queued"]
        assert (await ada.delete(f"/v1/training/{ids[1]}")).status_code == 204
        let_end(fake)
        await until(ada, ids[2], status="done")


async def test_a_training_is_cancelled(ada: httpx.AsyncClient, fake: Path, tmp_path: Path) -> None:
    made = (await train(ada)).json()
    await until(ada, made["id"], progress=0.5)
    pid = int((tmp_path / "pid").read_text())
    assert (await ada.delete(f"/v1/training/{made['id']}")).status_code == 204
    await gone(pid)
    async with asyncio.timeout(20):
        while list((tmp_path / "words" / ".work").iterdir()):
            await asyncio.sleep(0.02)
    assert (await ada.get(f"/v1/training/{made['id']}")).status_code == 404


def let_end(fake: Path, how: str = "") -> None:
    """Let the command end."""
    fake.write_text(how)


def runs(pid: int) -> bool:
    """Whether a process has not ended."""
    return Path(f"/proc/{pid}").exists()


async def gone(pid: int) -> None:
    """Wait until a process has ended."""
    async with asyncio.timeout(20):
        while runs(pid):
            await asyncio.sleep(0.02)


async def test_a_training_survives_a_restart(
    settings: Settings, emptied_url: str, fake: Path, tmp_path: Path, two_beeps: bytes
) -> None:
    values = {"training_folder": tmp_path / "words"}
    app = accounts_app(settings, emptied_url, **values)
    async with running(app) as client:
        await administrator(app, client)
        made = (await train(client, "hey ada", two_beeps)).json()
        await until(client, made["id"], progress=0.5)
        pid = int((tmp_path / "pid").read_text())
    await gone(pid)
    let_end(fake)
    async with running(accounts_app(settings, emptied_url, **values)) as client:
        await log_in(client)
        done = await until(client, made["id"], status="done")
        assert (done["model"], done["recordings"]) == ("hey-ada", 1)
    async with running(accounts_app(settings, emptied_url, **values)) as client:
        await log_in(client)
        assert "hey-ada" in [model["name"] for model in (await client.get("/v1/models")).json()]


async def test_what_ends_every_server_has_failed(ada: httpx.AsyncClient, app: FastAPI, fake: Path) -> None:
    made = (await train(ada)).json()
    await until(ada, made["id"], progress=0.5)
    async with app.state.service.database.write() as session:  # as if it had been another server's, thrice
        lost = {"worker": "dead", "attempts": 3, "updated_at": now() - timedelta(minutes=1)}
        await session.execute(update(Job).values(**lost))
    failed = await until(ada, made["id"], status="failed")
    assert "3 times" in failed["error"]


async def test_what_the_command_says_of_its_failure(ada: httpx.AsyncClient, fake: Path) -> None:
    let_end(fake, "fail")
    failed = await until(ada, (await train(ada)).json()["id"], status="failed")
    assert failed["error"] == "there is nobody to say it"
    let_end(fake, "crash")
    failed = await until(ada, (await train(ada)).json()["id"], status="failed")
    assert failed["error"] == "it ended with status 3; see the server's log"


async def test_a_training_that_takes_too_long(settings: Settings, emptied_url: str, fake: Path, tmp_path: Path) -> None:
    app = accounts_app(settings, emptied_url, training_folder=tmp_path / "words", training_timeout_s=0.5)
    async with running(app) as client:
        await administrator(app, client)
        failed = await until(client, (await train(client)).json()["id"], status="failed")
        assert failed["error"] == "it took longer than 0.5 s"


@pytest.mark.parametrize("word", ["", "a", "-version", "x" * 41, "$(reboot)", "a\nb", "../../etc"])
async def test_words_that_are_none(ada: httpx.AsyncClient, fake: Path, word: str) -> None:
    assert (await train(ada, word)).status_code == 422


async def test_what_is_refused(
    ada: httpx.AsyncClient, app: FastAPI, fake: Path, two_beeps: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await train(ada, "beep")).status_code == 409  # the service detects it already
    assert (await train(ada, "hey ada", b"nonsense")).status_code == 415
    assert (await ada.post("/v1/training", data={"word": "hey ada", "colour": "red"})).status_code == 422
    many = await train(ada, "hey ada", *([two_beeps] * 101))
    assert (many.status_code, many.json()["detail"]) == (422, "there may be at most 100 recordings")
    monkeypatch.setattr(training, "has_voices", lambda: False)
    silent = await train(ada)
    assert (silent.status_code, "synthesiser" in silent.json()["detail"]) == (422, True)
    assert "recordings" in (await ada.get("/v1/training")).json()["advice"]
    monkeypatch.setattr(training, "obstacle", lambda: "training needs tensorflow")
    assert (await train(ada)).status_code == 409
    page = (await ada.get("/v1/training")).json()
    assert (page["available"], page["advice"], page["items"]) == (False, "training needs tensorflow", [])


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "find_spec", lambda name: None)
        patch.setattr("shutil.which", lambda name: None)
        assert training.obstacle() == (
            "training needs tensorflow and matplotlib: pip install '.[tensorflow,train]' on the server"
        )
        assert not training.has_voices()


async def test_training_can_be_off(settings: Settings, emptied_url: str) -> None:
    app = accounts_app(settings, emptied_url, training_folder="none")
    async with running(app) as client:
        await administrator(app, client)
        answer = await client.get("/v1/training")
        assert (answer.status_code, answer.json()["detail"]) == (404, "this server trains no words")


def test_the_command(tmp_path: Path) -> None:
    command = training.train_command("hey ada", tmp_path, None, [Path("talk")])
    assert command[1:] == ["-m", "trigger_api", "train", "trigger", "--word=hey ada", f"--out={tmp_path}",
                           "--negatives=talk"]  # fmt: skip
