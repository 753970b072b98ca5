"""The history and jobs through both clients."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from helpers.beep import beeps, encode
from helpers.people import PASSWORD, accounts_app
from helpers.running import serving
from trigger_api.client import AsyncClient, Client, ProblemError
from trigger_api.settings import Settings

pytestmark = pytest.mark.usefixtures("quick_passwords")
AUDIO = encode(beeps([1.0], seconds=2))
NO_ONE = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "day.wav"
    path.write_bytes(AUDIO)
    return path


def test_the_blocking_client(settings: Settings, tmp_path: Path, recording: Path) -> None:
    app = accounts_app(settings, f"sqlite:///{tmp_path}/d.sqlite3")
    with serving(app) as address, Client(f"http://{address}") as service:
        service.sign_up("ada", PASSWORD)
        service.log_in("ada", PASSWORD)
        answer = service.trigger(recording, save=True)
        assert answer.history_id
        later = datetime.now(UTC) + timedelta(hours=1)
        assert service.history(task="trigger", label="beep", file_name="day.wav", until=later).items[0].labels == [
            "beep"
        ]
        assert service.history(since=later).items == []
        assert service.history_entry(answer.history_id).answer["detected"] is True
        assert service.history_media(answer.history_id) == AUDIO
        (exported,) = service.export_history(media=True)
        assert exported.media == AUDIO
        assert service.keep_history(True).keeps_history
        assert service.trigger(recording).saved
        assert service.trigger(recording, save=False).saved is None
        service.delete_prediction(answer.history_id)
        with pytest.raises(ProblemError, match="no such prediction"):
            service.history_entry(answer.history_id)
        job = service.wait_for_job(service.submit_job(recording, threshold=0.5).id, every_s=0.05)
        assert (job.status, job.file_name) == ("done", "day.wav")
        assert job.history_id
        assert [each.id for each in service.jobs(limit=1).items] == [job.id]
        service.delete_job(job.id)
        with pytest.raises(ProblemError, match="no such job"):
            service.job(job.id)
        assert service.delete_history(everything=True) == 2
        with pytest.raises(ProblemError, match="give a filter"):
            service.delete_history()
        service.log_out()
        with pytest.raises(ProblemError, match="log in"):
            list(service.export_history())


def test_the_asynchronous_client(settings: Settings, tmp_path: Path, recording: Path) -> None:
    async def use(address: str) -> None:
        async with AsyncClient(f"http://{address}") as service:
            await service.sign_up("ada", PASSWORD)
            await service.log_in("ada", PASSWORD)
            answer = await service.trigger(recording, save=True)
            assert answer.history_id
            page = await service.history(limit=1)
            assert ([each.id for each in page.items], page.next) == ([answer.history_id], None)
            assert (await service.history_entry(answer.history_id)).file_name == "day.wav"
            assert await service.history_media(answer.history_id) == AUDIO
            assert [each.media async for each in service.export_history()] == [None]
            assert (await service.keep_history(False)).keeps_history is False
            job = await service.wait_for_job((await service.submit_job(recording)).id, every_s=0.05)
            assert (await service.job(job.id)).status == "done"
            assert len((await service.jobs()).items) == 1
            await service.delete_job(job.id)
            await service.delete_prediction(answer.history_id)
            assert await service.delete_history(file_name="day.wav") == 1
            with pytest.raises(ProblemError):
                [each async for each in service.export_history(label="\0")]

    with serving(accounts_app(settings, f"sqlite:///{tmp_path}/d.sqlite3")) as address:
        asyncio.run(use(address))
