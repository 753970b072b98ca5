from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from helpers.beep import BeepModel
from helpers.people import accounts_app, join, log_in
from helpers.people import running as running_accounts
from helpers.running import started
from trigger_api.app import create_app
from trigger_api.settings import Settings
from trigger_api.storage.tables import User
from trigger_api.web.pages import PAGES

OPEN = [page.path for page in PAGES if page.needs == "nothing"]
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def people(settings: Settings, tmp_path: Path, quick_passwords: None) -> FastAPI:
    """A service in which everybody needs an account."""
    return accounts_app(settings, f"sqlite:///{tmp_path}/database.sqlite3")


def addresses(html: str) -> list[str]:
    """Everything that a page loads or leads to."""
    return re.findall(r'(?:src|href|action)="([^"#][^"]*)"', html)


@pytest.mark.parametrize("path", [*OPEN, "/upload-image"])
async def test_a_page_is_strict_about_what_it_loads(client: httpx.AsyncClient, path: str) -> None:
    page = await client.get(path, headers=BROWSER)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page.text)
    assert all(address.startswith("/") for address in addresses(page.text))
    assert (await client.head(path, headers=BROWSER)).status_code == 200


async def test_what_a_page_loads_may_be_kept_for_good(client: httpx.AsyncClient) -> None:
    page = (await client.get("/trigger")).text
    files = [address for address in addresses(page) if "/static/" in address]
    assert {Path(file).suffix for file in files} == {".css", ".js", ".svg"}
    for file in files:
        answer = await client.get(file)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
    older = await client.get(re.sub(r"/static/\w+/", "/static/older/", files[0]))
    assert (older.status_code, older.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize("name", ["nix.js", "../pages.py", "..%2fpages.py", "%2e%2e/%2e%2e/pages.py", ""])
async def test_no_other_file_is_served(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/static/x/{name}")).status_code == 404


async def test_the_first_page_is_light(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    sizes = [len((await client.get(address)).content) for address in addresses(page.text) if "/static/" in address]
    assert len(page.content) + sum(sizes) < 50_000


async def test_clients_of_the_original_at_the_root_get_no_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert answer.headers["allow"] == "POST"
    for accept in ("*/*", "text/html"):
        page = await client.get("/", headers={"Accept": accept})
        assert "What can it hear and see?" in page.text


async def test_pages_work_below_a_prefix(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app, root_path="/speech")
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        for path in OPEN:
            page = (await client.get(f"/speech{path}")).text
            assert all(address.startswith("/speech/") for address in addresses(page))
            assert "http://localhost/speech/v1/" in page
        script = next(address for address in addresses(page) if address.endswith("page.js"))
        assert (await client.get(script)).status_code == 200


async def test_without_accounts_there_are_no_pages_of_them(client: httpx.AsyncClient) -> None:
    for path in ("/log-in", "/sign-up", "/account", "/history"):
        assert (await client.get(path)).status_code == 404
    assert "Log in" not in (await client.get("/")).text


async def test_pages_are_public_where_callers_need_a_token(settings: Settings, network: BeepModel) -> None:
    guarded = create_app(Settings(**settings.model_dump(exclude_unset=True), tokens="t"), loader=lambda p, c: network)
    async with started(guarded, host="203.0.113.7", url="http://service.example") as client:
        assert (await client.get("/digits")).status_code == 200
        assert (await client.get("/v1/models")).status_code == 401
        assert (await client.post("/")).status_code == 401
        assert (await client.post("/upload-image")).status_code == 401


async def test_where_everybody_needs_an_account_pages_lead_to_the_log_in(people: FastAPI) -> None:
    async with running_accounts(people) as client:
        for path in (*OPEN, "/account", "/history", "/upload-image"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/log-in?next={path[1:]}")
        for path in ("/log-in", "/sign-up", "/account/reset"):
            assert (await client.get(path)).status_code == 200
        await join(client)
        page = await client.get("/digits")
        assert page.status_code == 200
        assert "Log out" in page.text
        assert page.headers["cache-control"] == "no-store"


async def test_only_administrators_see_how_to_train(client: httpx.AsyncClient, people: FastAPI) -> None:
    assert "Your own word" not in (await client.get("/trigger")).text  # without a database there is no training
    async with running_accounts(people) as visitor:
        await join(visitor)
        assert "Your own word" not in (await visitor.get("/trigger")).text
        async with people.state.service.database.write() as session:
            await session.execute(update(User).values(is_admin=True))
        await log_in(visitor)
        assert "Your own word" in (await visitor.get("/trigger")).text


async def test_who_may_not_sign_up_is_told_so(settings: Settings, tmp_path: Path) -> None:
    closed = accounts_app(settings, f"sqlite:///{tmp_path}/database.sqlite3", sign_up="closed")
    async with running_accounts(closed) as client:
        page = (await client.get("/sign-up")).text
        assert "by the administrator" in page
        assert "<form" not in page


async def test_a_host_name_cannot_break_out_of_the_page(client: httpx.AsyncClient) -> None:
    page = await client.get("/digits", headers={"Host": 'localhost"><script>'})
    assert "<script>" not in page.text
