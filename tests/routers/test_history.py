"""The history over HTTP, on both databases."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from helpers.beep import beeps, encode
from helpers.people import accounts_app, another, join, running, token_of
from trigger_api.settings import Settings
from trigger_api.storage.tables import MEDIA_CHUNK

pytestmark = pytest.mark.usefixtures("quick_passwords")
UNKNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
async def ada(settings: Settings, emptied_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of somebody who is logged in."""
    async with running(accounts_app(settings, emptied_url)) as client:
        yield await join(client)


async def predict(
    client: httpx.AsyncClient, audio: bytes, name: str = "party.wav", path: str = "/v1/trigger", **query: Any
) -> httpx.Response:
    return await client.post(path, files={"audio": (name, audio)}, params=query)


async def saved(client: httpx.AsyncClient, audio: bytes, name: str = "party.wav") -> str:
    answer = await predict(client, audio, name, save=True)
    assert answer.status_code == 200, answer.text
    assert answer.json()["saved"] is True
    found: str = answer.json()["history_id"]
    return found


async def page(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get("/v1/history", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_prediction_is_kept_where_that_is_asked_for(ada: httpx.AsyncClient, two_beeps: bytes) -> None:
    answer = (await predict(ada, two_beeps, save=True)).json()
    assert (await predict(ada, two_beeps)).json().keys() == answer.keys() - {"saved", "history_id"}
    (item,) = await page(ada)
    assert item["id"] == answer["history_id"]
    assert (item["task"], item["path"], item["model"], item["version"]) == ("trigger", "/v1/trigger", "beep", "1")
    assert (item["file_name"], item["labels"], item["media_type"]) == ("party.wav", ["beep"], "audio/wav")
    assert item["media_bytes"] == len(two_beeps)
    assert item["duration_ms"] > 0
    entry = (await ada.get(f"/v1/history/{item['id']}")).json()
    assert entry.pop("answer") == {key: answer[key] for key in answer.keys() - {"saved", "history_id"}}
    assert entry == item
    media = await ada.get(f"/v1/history/{item['id']}/media")
    assert media.content == two_beeps
    account = (await ada.get("/v1/accounts/me")).json()
    assert account["stored_bytes"] > len(two_beeps)


async def test_an_account_may_keep_everything(ada: httpx.AsyncClient, two_beeps: bytes) -> None:
    await ada.patch("/v1/accounts/me", json={"keeps_history": True})
    assert (await predict(ada, two_beeps)).json()["saved"]
    assert "saved" not in (await predict(ada, two_beeps, save=False)).json()
    assert (await predict(ada, two_beeps, path="/predict")).json()["saved"]
    script = another(ada)
    script.headers["X-Api-Token"] = (await token_of(ada))["token"]
    assert (await predict(script, two_beeps)).json()["saved"]
    items = await page(ada)
    assert [item["path"] for item in items] == ["/v1/trigger", "/predict", "/v1/trigger"]
    assert (await script.get("/v1/history")).status_code == 403
    reader = another(ada)
    reader.headers["X-Api-Token"] = (await token_of(ada, "history"))["token"]
    assert await page(reader) == items
    entry = (await ada.get(f"/v1/history/{items[1]['id']}")).json()
    assert entry["answer"]["words"][0]["word"] == "beep"  # of one shape, whichever route was called


async def test_tensors_are_kept(ada: httpx.AsyncClient) -> None:
    body = {"inputs": [{"name": "embeddings", "shape": [1, 3, 2], "datatype": "FP32", "data": [0.5] * 6}]}
    answer = await ada.post("/v2/models/beep/infer", json=body, params={"save": "true"})
    assert answer.headers["History-Saved"] == "true"
    entry = (await ada.get(f"/v1/history/{answer.headers['History-Id']}")).json()
    assert (entry["task"], entry["path"], entry["media_type"]) == ("raw", "/v2/models/{name}/infer", None)
    assert entry["answer"]["outputs"] == answer.json()["outputs"]
    assert (await ada.get(f"/v1/history/{entry['id']}/media")).status_code == 404
    assert "History-Saved" not in (await ada.post("/v2/models/beep/infer", json=body)).headers
    assert (await ada.post("/v2/models/beep/infer", json=body, params={"save": "maybe"})).status_code == 400


async def test_pages_follow_each_other(ada: httpx.AsyncClient, two_beeps: bytes) -> None:
    ids = [await saved(ada, two_beeps, f"{number}.wav") for number in range(5)]
    found, cursor = [], None
    for size in (2, 2, 1):
        answer = (await ada.get("/v1/history", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        found += [item["id"] for item in answer["items"]]
        assert len(answer["items"]) == size
        cursor = answer["next"]
    assert found == ids[::-1]
    assert cursor is None


async def test_filters(ada: httpx.AsyncClient, two_beeps: bytes) -> None:
    first = await saved(ada, two_beeps, "beeps.wav")
    second = await saved(ada, encode(beeps([], seconds=1)), "silence.wav")

    async def ids(**query: Any) -> list[str]:
        return [item["id"] for item in await page(ada, **query)]

    assert await ids(task="trigger") == [second, first]
    assert await ids(task="digits") == []
    assert await ids(label="beep") == await ids(label="beep", task="trigger") == [first]
    assert await ids(label="beep", file_name="silence.wav") == []
    assert await ids(file_name="silence.wav") == [second]
    at = datetime.now(UTC)
    earlier, later = (at - timedelta(hours=1)).isoformat(), (at + timedelta(hours=1)).isoformat()
    assert await ids(since=earlier, until=later) == [second, first]
    assert await ids(since=later) == await ids(until=earlier) == await ids(label="beep", since=later) == []


@pytest.mark.parametrize("text", ["%", "silence.wa_", "' OR 1=1 --", "\\", "*", '"; DROP TABLE predictions; --'])
async def test_what_filters_hold_means_nothing_else(ada: httpx.AsyncClient, two_beeps: bytes, text: str) -> None:
    await saved(ada, two_beeps, "silence.wav")
    for name in ("task", "label", "file_name"):
        assert await page(ada, **{name: text}) == []
    assert len(await page(ada)) == 1


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 101}, {"cursor": "1"}, {"since": "yesterday"}, {"label": "a\0"}, {"task": "t" * 65},
     {"since": "2026-01-01T00:00:00"}],
)  # fmt: skip
async def test_what_a_page_does_not_take(ada: httpx.AsyncClient, query: dict[str, Any]) -> None:
    assert (await ada.get("/v1/history", params=query)).status_code == 422


@pytest.mark.parametrize("year", ["0001", "1969", "9999"])
async def test_times_of_any_year(ada: httpx.AsyncClient, year: str) -> None:
    assert await page(ada, since=f"{year}-12-31T00:00:00Z", until=f"{year}-12-31T01:00:00+02:00") == []


async def test_deleting(ada: httpx.AsyncClient, two_beeps: bytes) -> None:
    ids = [await saved(ada, two_beeps, name) for name in ("a.wav", "b.wav", "b.wav", "c.wav")]
    assert (await ada.delete(f"/v1/history/{ids[0]}")).status_code == 204
    assert (await ada.delete(f"/v1/history/{ids[0]}")).status_code == 404
    assert (await ada.get(f"/v1/history/{ids[0]}/media")).status_code == 404
    assert (await ada.delete("/v1/history")).status_code == 422
    assert (await ada.delete("/v1/history", params={"file_name": "b.wav"})).json() == {"deleted": 2}
    assert [item["id"] for item in await page(ada)] == ids[3:]
    assert (await ada.delete("/v1/history", params={"everything": True})).json() == {"deleted": 1}
    assert (await ada.get("/v1/accounts/me")).json()["stored_bytes"] == 0


async def test_nobody_sees_what_is_anothers(ada: httpx.AsyncClient, two_beeps: bytes) -> None:
    one = await saved(ada, two_beeps)
    eve = await join(another(ada), "eve")
    for path in (one, UNKNOWN):
        answers = [await eve.get(f"/v1/history/{path}"), await eve.get(f"/v1/history/{path}/media"),
                   await eve.delete(f"/v1/history/{path}")]  # fmt: skip
        assert {answer.status_code for answer in answers} == {404}
        assert "two" not in answers[0].text
    assert await page(eve) == []
    assert await page(eve, cursor=one) == []
    assert (await eve.delete("/v1/history", params={"everything": True})).json() == {"deleted": 0}
    assert (await eve.get("/v1/history/export", params={"media": True})).content == b""
    assert len(await page(ada)) == 1
    stranger = another(ada)
    for path in ("", "/export", f"/{one}", f"/{one}/media"):
        assert (await stranger.get(f"/v1/history{path}")).status_code == 401


async def test_export(ada: httpx.AsyncClient, two_beeps: bytes) -> None:
    long = encode(beeps([1.0], seconds=60), subtype="PCM_16")
    ids = [await saved(ada, long, "long.wav"), await saved(ada, two_beeps)]
    answer = await ada.get("/v1/history/export")
    assert answer.headers["Content-Type"].startswith("application/jsonl")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["id"] for line in lines] == ids[::-1]
    assert lines[0] == (await ada.get(f"/v1/history/{ids[1]}")).json()
    answer = await ada.get("/v1/history/export", params={"media": True, "file_name": "long.wav"})
    assert base64.b64decode(json.loads(answer.text)["media"]) == long


class TestMedia:
    async def test_ranges(self, ada: httpx.AsyncClient) -> None:
        audio = encode(beeps([1.0], seconds=60))
        url = f"/v1/history/{await saved(ada, audio)}/media"
        size, edge = len(audio), MEDIA_CHUNK
        for wanted, part in (
            ("bytes=0-9", slice(0, 10)), (f"bytes={edge - 5}-{edge + 4}", slice(edge - 5, edge + 5)),
            (f"bytes={edge}-", slice(edge, size)), ("bytes=-7", slice(size - 7, size)),
            (f"bytes=5-{size * 9}", slice(5, size)), (f"bytes=-{size * 2}", slice(0, size)),
        ):  # fmt: skip
            answer = await ada.get(url, headers={"Range": wanted})
            assert answer.status_code == 206
            assert answer.content == audio[part]
            assert answer.headers["Content-Range"] == f"bytes {part.start}-{part.stop - 1}/{size}"
        for ignored in ("bytes=9-5", "bytes=-", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes=" + "9" * 30 + "-"):
            answer = await ada.get(url, headers={"Range": ignored})
            assert (answer.status_code, len(answer.content)) == (200, size)
        answer = await ada.get(url, headers={"Range": f"bytes={size}-"})
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
        assert (await ada.get(url, headers={"Range": "bytes=-0"})).status_code == 416

    async def test_caching(self, ada: httpx.AsyncClient, two_beeps: bytes) -> None:
        url = f"/v1/history/{await saved(ada, two_beeps)}/media"
        first = await ada.get(url)
        etag = first.headers["ETag"]
        assert first.headers["Cache-Control"] == "private, no-cache"
        assert (first.headers["Accept-Ranges"], first.headers["Content-Length"]) == ("bytes", str(len(two_beeps)))
        for given in (etag, f'W/{etag}, "x"', f'"x", {etag}'):
            again = await ada.get(url, headers={"If-None-Match": given})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
        assert (await ada.get(url, headers={"If-None-Match": '"x"'})).status_code == 200
        answers = [await ada.get(url, headers={"If-Range": each, "Range": "bytes=0-1"}) for each in (etag, '"x"')]
        assert [answer.status_code for answer in answers] == [206, 200]

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\ada\\party.wav", "party.wav"),
            ("a\r\nSet-Cookie: x=1.wav", "aSet-Cookie: x=1.wav"),
            ('"; filename="evil.html', '"; filename="evil.html'),
            ("<script>alert(1)</script>.wav", "script>.wav"),
            ("gnp.\u202ewav", "gnp.wav"),
            ("Ä%0d%0a🎉.wav", "Ä%0d%0a🎉.wav"),
            ("n" * 400, "n" * 255),
            ("..", None),
        ],
    )
    async def test_names_harm_nobody(
        self, ada: httpx.AsyncClient, two_beeps: bytes, name: str, shown: str | None
    ) -> None:
        found = await ada.post("/v1/trigger", params={"save": "true"}, content=_form(name, two_beeps),
                               headers={"Content-Type": "multipart/form-data; boundary=x"})  # fmt: skip
        one = found.json()["history_id"]
        assert (await ada.get(f"/v1/history/{one}")).json()["file_name"] == shown
        answer = await ada.get(f"/v1/history/{one}/media")
        assert "set-cookie" not in answer.headers
        disposition = answer.headers["Content-Disposition"]
        if shown is None:
            assert disposition == "inline"
        else:
            assert disposition.startswith("inline; filename*=UTF-8''")
            assert not set(disposition.removeprefix("inline; filename*=UTF-8''")) & set("\"';<> \r\n")
            assert len(await page(ada, file_name=shown)) == 1

    async def test_types_are_found_in_the_bytes(self, ada: httpx.AsyncClient, two_beeps: bytes) -> None:
        files = {"audio": ("page.html", two_beeps, "text/html")}
        answer = await ada.post("/v1/trigger", files=files, params={"save": True})
        media = await ada.get(f"/v1/history/{answer.json()['history_id']}/media")
        assert media.headers["Content-Type"] == "audio/wav"
        assert media.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in media.headers["Content-Security-Policy"]


def _form(name: str, audio: bytes) -> bytes:
    """A form as somebody writes it who keeps to no rules; the parser takes a backslash and an escaped quote."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("\r\n", "\r\n ").encode()
    quoted = quoted.replace(b"\r\n ", b"")
    return (
        b'--x\r\nContent-Disposition: form-data; name="audio"; filename="'
        + quoted
        + b'"\r\n\r\n'
        + audio
        + b"\r\n--x--\r\n"
    )


async def test_who_has_no_history(settings: Settings, tmp_path: Path, two_beeps: bytes) -> None:
    url = f"sqlite:///{tmp_path}/d.sqlite3"
    async with running(accounts_app(settings, url, auth="open")) as client:
        assert "saved" not in (await predict(client, two_beeps)).json()
        assert (await predict(client, two_beeps, save=True)).status_code == 401
        assert (await client.get("/v1/history")).status_code == 401
    async with running(accounts_app(settings, "none", auth="open")) as client:
        answer = await predict(client, two_beeps, save=True)
        assert (answer.status_code, "no history" in answer.json()["detail"]) == (422, True)
        assert (await predict(client, two_beeps, save=False)).status_code == 200
        assert (await client.get("/v1/history")).status_code == 404


async def test_tokens_of_the_settings_and_this_machine_have_a_history(
    settings: Settings, tmp_path: Path, two_beeps: bytes
) -> None:
    url = f"sqlite:///{tmp_path}/d.sqlite3"
    app = accounts_app(settings, url, auth="token", tokens="one,two")
    async with running(app) as client:
        one, two = another(client), another(client)
        one.headers["X-Api-Token"], two.headers["X-Api-Token"] = "one", "two"
        await saved(one, two_beeps)
        assert [len(await page(each)) for each in (one, two)] == [1, 0]
    async with running(accounts_app(settings, url, auth="token"), host="127.0.0.1", url="http://localhost") as local:
        await saved(local, two_beeps)
        assert len(await page(local)) == 1


async def test_a_quota(settings: Settings, emptied_url: str) -> None:
    audio = encode(beeps([1.0], seconds=20))
    async with running(accounts_app(settings, emptied_url, quota_mib=1)) as client:
        await join(client)
        ids = [await saved(client, audio)]
        refused = await predict(client, audio, save=True)
        assert (refused.status_code, refused.json()["answer"]["detected"]) == (507, True)
        assert "delete some of it" in refused.json()["detail"]
        await client.patch("/v1/accounts/me", json={"keeps_history": True})
        answer = (await predict(client, audio)).json()
        assert (answer["saved"], answer["detected"]) == (False, True)
        assert "history_id" not in answer
        assert "delete some of it" in answer["save_error"]
        await client.delete(f"/v1/history/{ids[0]}")
        await saved(client, audio)
