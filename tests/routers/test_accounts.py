"""Accounts over HTTP, on both databases, and attacks on them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from starlette.testclient import TestClient, WebSocketDenialResponse

from helpers.people import PASSWORD, URL, accounts_app, another, join, log_in, running, token_of
from trigger_api.accounts import limits
from trigger_api.settings import Settings
from trigger_api.storage.database import Database
from trigger_api.storage.tables import PasswordReset, Prediction, PredictionMedia, Session, Token, User, now

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
async def client(settings: Settings, emptied_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with accounts, on each database in turn."""
    async with running(accounts_app(settings, emptied_url)) as client:
        yield client


def database_of(client: httpx.AsyncClient) -> Database:
    database: Database = client._transport.app.state.service.database  # type: ignore[attr-defined]
    return database


def forget(client: httpx.AsyncClient) -> None:
    """As after some seconds, or in another process: nothing is remembered."""
    client._transport.app.state.accounts._identities._known.clear()  # type: ignore[attr-defined]


class TestAccounts:
    async def test_an_account_is_made_used_changed_and_deleted(self, client: httpx.AsyncClient) -> None:
        await join(client, "Ada")
        account = (await client.get("/v1/accounts/me")).json()
        assert account["name"] == "ada"
        assert (account["is_admin"], account["keeps_history"], account["stored_bytes"]) == (False, False, 0)
        changed = await client.patch("/v1/accounts/me", json={"keeps_history": True})
        assert changed.json()["keeps_history"] is True
        wrong = await client.request("DELETE", "/v1/accounts/me", json={"password": "not this one"})
        assert wrong.status_code == 403
        gone = await client.request("DELETE", "/v1/accounts/me", json={"password": PASSWORD})
        assert gone.status_code == 204
        assert (await client.get("/v1/accounts/me")).status_code == 401
        async with database_of(client).read() as session:
            assert list(await session.scalars(select(User))) == []
            assert list(await session.scalars(select(Session))) == []

    async def test_a_name_is_given_once(self, client: httpx.AsyncClient) -> None:
        await join(client)
        again = await client.post("/v1/accounts", json={"name": " ADA ", "password": PASSWORD})
        assert (again.status_code, again.headers["Content-Type"]) == (409, "application/problem+json")

    @pytest.mark.parametrize(
        "body",
        [
            {"name": "ada", "password": "short"},
            {"name": "", "password": PASSWORD},
            {"name": "ada lovelace", "password": PASSWORD},
            {"name": "token:0123456789abcdef", "password": PASSWORD},
            {"name": "<b>ada</b>", "password": PASSWORD},
            {"name": "ada'; DROP TABLE users; --", "password": PASSWORD},
            {"name": "a\x00da", "password": PASSWORD},
            {"name": "a" * 65, "password": PASSWORD},
            {"name": "ada", "password": "\ud800" * 10},
            {"name": "ada", "password": "p" * 257},
            {"name": "ada", "password": PASSWORD, "is_admin": True},
            {"name": ["ada"], "password": {"a": 1}},
        ],
    )
    async def test_a_bad_name_or_password_makes_none(self, client: httpx.AsyncClient, body: object) -> None:
        answer = await client.post(
            "/v1/accounts", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 422
        assert PASSWORD not in answer.text

    async def test_another_password_ends_all_other_sessions(self, client: httpx.AsyncClient) -> None:
        await join(client)
        other = another(client)
        await log_in(other)
        wrong = await client.put("/v1/accounts/me/password", json={"password": "wrong", "new_password": "new password"})
        assert wrong.status_code == 403
        body = {"password": PASSWORD, "new_password": "new password"}
        assert (await client.put("/v1/accounts/me/password", json=body)).status_code == 204
        assert (await client.get("/v1/accounts/me")).status_code == 200
        assert (await other.get("/v1/accounts/me")).status_code == 401
        await log_in(other, password="new password")

    async def test_a_reset_works_once(self, client: httpx.AsyncClient) -> None:
        await join(client)
        users = client._transport.app.state.accounts.users  # type: ignore[attr-defined]
        earlier, secret = await users.permit_reset("ada"), await users.permit_reset("ada")
        statuses = []
        for each in (earlier, secret, secret, "tar_" + "A" * 43, ""):
            body = {"secret": each, "new_password": "new password"}
            statuses.append((await another(client).post("/v1/accounts/reset", json=body)).status_code)
        assert statuses == [422, 204, 422, 422, 422]
        assert (await client.get("/v1/accounts/me")).status_code == 401  # its sessions have ended
        await log_in(client, password="new password")

    async def test_an_expired_reset_is_none(self, client: httpx.AsyncClient) -> None:
        await join(client)
        secret = await client._transport.app.state.accounts.users.permit_reset("ada")  # type: ignore[attr-defined]
        async with database_of(client).write() as session:
            await session.execute(update(PasswordReset).values(expires_at=now()))
        body = {"secret": secret, "new_password": "new password"}
        assert (await client.post("/v1/accounts/reset", json=body)).status_code == 422

    async def test_the_export_has_everything_and_no_secrets(self, client: httpx.AsyncClient) -> None:
        await join(client)
        token = await token_of(client)
        async with database_of(client).write() as session:
            (user,) = await session.scalars(select(User))
            for number in range(101):  # more than a page
                row = Prediction(
                    owner_id=user.id, task="digits", path="/v1/digits", model="m", version="1", duration_ms=1,
                    answer={"prediction": number},
                )  # fmt: skip
                session.add(row)
            await session.flush()
            session.add(PredictionMedia(prediction_id=row.id, content=b"\x89PNG"))
        await join(another(client), "eve")
        exported = await client.get("/v1/accounts/me/export")
        assert exported.headers["Content-Type"] == "application/jsonl"
        lines = [json.loads(line) for line in exported.text.splitlines()]
        kinds = [line["kind"] for line in lines]
        assert kinds == ["user", "session", "token", *["prediction"] * 101, "prediction_media"]
        assert [line["answer"]["prediction"] for line in lines if "answer" in line] == [*range(101)]
        assert lines[-1]["content"] == "iVBORw=="
        assert not {"password_hash", "secret_hash"} & {key for line in lines for key in line}
        assert token["token"] not in exported.text
        assert "eve" not in exported.text

    @pytest.mark.parametrize(("sign_up", "status"), [("open", 201), ("callers", 401), ("closed", 401)])
    async def test_who_may_sign_up(self, settings: Settings, emptied_url: str, sign_up: str, status: int) -> None:
        body = {"name": "ada", "password": PASSWORD}
        async with running(accounts_app(settings, emptied_url, sign_up=sign_up)) as client:
            assert (await client.post("/v1/accounts", json=body)).status_code == status

    @pytest.mark.parametrize(("sign_up", "status"), [("callers", 201), ("closed", 403)])
    async def test_a_caller_may_sign_up_unless_it_is_closed(
        self, settings: Settings, emptied_url: str, sign_up: str, status: int
    ) -> None:
        app = accounts_app(settings, emptied_url, sign_up=sign_up, auth="token", tokens="of-the-settings")
        async with running(app) as client:
            headers, body = {"X-Api-Token": "of-the-settings"}, {"name": "ada", "password": PASSWORD}
            assert (await client.post("/v1/accounts", json=body, headers=headers)).status_code == status
            assert (await client.post("/v1/accounts", json={**body, "name": "eve"})).status_code == 401

    async def test_without_a_database_there_are_none(self, settings: Settings) -> None:
        async with running(accounts_app(settings, "none", auth="open")) as client:
            for method, path in (("GET", "/v1/accounts/me"), ("GET", "/v1/tokens"), ("POST", "/v1/sessions")):
                answer = await client.request(method, path, json={"name": "a", "password": "b"})
                assert answer.status_code == 404
                assert "no database" in answer.json()["detail"]


class TestSessions:
    async def test_logging_in_and_out(self, client: httpx.AsyncClient) -> None:
        answer = await log_in(await join(client))
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-trigger_api_session=tas_")
        assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "Domain" not in cookie
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.delete("/v1/sessions/current")).status_code == 204
        assert not client.cookies
        assert (await client.get("/metrics")).status_code == 401

    async def test_a_session_that_was_copied_ends_with_the_log_out(self, client: httpx.AsyncClient) -> None:
        await join(client)
        copied = another(client)
        copied.cookies.update(client.cookies)
        assert (await copied.get("/v1/accounts/me")).status_code == 200
        await client.delete("/v1/sessions/current")
        assert (await copied.get("/v1/accounts/me")).status_code == 401

    async def test_sessions_are_listed_and_revoked(self, client: httpx.AsyncClient) -> None:
        await join(client)
        other = another(client)
        other.headers["User-Agent"] = "<script>alert(1)</script>" + "x" * 500
        await log_in(other)
        listed = (await client.get("/v1/sessions")).json()
        assert [each["current"] for each in listed] == [False, True]
        assert [each["address"] for each in listed] == ["203.0.113.8", "203.0.113.7"]
        assert len(listed[0]["user_agent"]) == 256
        assert "secret" not in str(listed)
        assert (await client.delete(f"/v1/sessions/{listed[0]['id']}")).status_code == 204
        assert (await other.get("/v1/sessions")).status_code == 401
        await log_in(other)
        assert (await client.delete("/v1/sessions")).status_code == 204
        assert (await other.get("/v1/sessions")).status_code == 401
        assert len((await client.get("/v1/sessions")).json()) == 1

    async def test_a_session_ends_when_it_is_old_or_idle(self, client: httpx.AsyncClient) -> None:
        for change in ({"expires_at": now()}, {"seen_at": now() - timedelta(days=8)}):
            if "expires_at" in change:
                await join(client)
            else:
                await log_in(client)
            assert (await client.get("/v1/accounts/me")).status_code == 200
            async with database_of(client).write() as session:
                await session.execute(update(Session).values(**change))
            forget(client)
            assert (await client.get("/v1/accounts/me")).status_code == 401

    async def test_use_is_noted(self, client: httpx.AsyncClient) -> None:
        await join(client)
        long_ago = now() - timedelta(days=1)
        async with database_of(client).write() as session:
            await session.execute(update(Session).values(seen_at=long_ago))
        forget(client)
        await client.get("/v1/accounts/me")
        await client._transport.app.state.accounts._identities.close()  # type: ignore[attr-defined]
        (listed,) = (await client.get("/v1/sessions")).json()
        assert listed["seen_at"] > long_ago.isoformat()

    async def test_an_account_has_a_bounded_number(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("trigger_api.accounts.sessions._MOST", 2)
        await join(client)
        others = [another(client), another(client)]
        for other in others:
            await log_in(other)
        assert (await client.get("/v1/sessions")).status_code == 401  # the oldest has ended
        assert len((await others[0].get("/v1/sessions")).json()) == 2

    @pytest.mark.parametrize("name", ["ada", "nobody", "' OR '1'='1", "<b>", "\u202e", "local:"])
    async def test_a_wrong_password_and_an_unknown_name_are_answered_alike(
        self, client: httpx.AsyncClient, name: str
    ) -> None:
        await join(client)
        client.cookies.clear()
        answers = [
            (await client.post("/v1/sessions", json={"name": each, "password": "wrong"})) for each in ("ada", name)
        ]
        assert [answer.status_code for answer in answers] == [401, 401]
        bodies = [{**answer.json(), "request_id": ""} for answer in answers]
        assert bodies[0] == bodies[1]

    async def test_an_unknown_name_costs_one_hash_as_a_wrong_password_does(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await join(client)
        hasher = client._transport.app.state.accounts._passwords._hasher  # type: ignore[attr-defined]
        await client.post("/v1/sessions", json={"name": "nobody", "password": "x"})
        verified: list[str] = []
        monkeypatch.setattr(hasher, "verify", lambda password, stored: verified.append(stored[:25]))
        for name in ("ada", "nobody"):
            await client.post("/v1/sessions", json={"name": name, "password": "wrong"})
        assert len(verified) == 2
        assert verified[0] == verified[1]  # the same costs

    async def test_a_flood_of_log_ins_is_throttled(self, client: httpx.AsyncClient) -> None:
        await join(client)
        guesser = another(client, host="198.51.100.1")
        answers = [
            await guesser.post("/v1/sessions", json={"name": "ada", "password": f"guess {number}"})
            for number in range(12)
        ]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
        problem = answers[-1].json()
        assert problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
        assert problem["violated-policies"] == ["log-in"]
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 900
        right = await guesser.post("/v1/sessions", json={"name": "ada", "password": PASSWORD})
        assert right.status_code == 429  # and learns nothing
        await log_in(another(client))  # the owner is not locked out

    async def test_one_address_may_not_try_many_names(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(limits._LOG_IN, "log-in-address", limits.parse("3/hour"))
        statuses = [
            (await client.post("/v1/sessions", json={"name": f"name{number}", "password": "x"})).status_code
            for number in range(4)
        ]
        assert statuses == [401, 401, 401, 429]

    async def test_a_planted_session_is_not_taken_over(self, client: httpx.AsyncClient) -> None:
        """Session fixation: the attacker's own session, or an invented one, in the victim's browser."""
        attacker = await join(another(client), "eve")
        await join(client)
        for planted in (attacker.cookies["__Host-trigger_api_session"], "tas_" + "A" * 43):
            victim = another(client, host="203.0.113.9")
            victim.cookies.set("__Host-trigger_api_session", planted, domain="service.example")
            await log_in(victim, "ada")
            assert victim.cookies["__Host-trigger_api_session"] != planted
            assert (await victim.get("/v1/accounts/me")).json()["name"] == "ada"
        assert (await attacker.get("/v1/accounts/me")).status_code in (200, 401)
        assert (await attacker.get("/v1/accounts/me")).json().get("name") != "ada"

    async def test_over_https_only_the_guarded_cookie_counts(self, client: httpx.AsyncClient) -> None:
        """A neighbouring host of the domain can plant a cookie without the prefix, and no other."""
        await join(client)
        secret = client.cookies["__Host-trigger_api_session"]
        client.cookies.clear()
        client.cookies.set("trigger_api_session", secret)
        assert (await client.get("/v1/accounts/me")).status_code == 401

    async def test_plain_http_is_for_the_machine_itself(self, settings: Settings, emptied_url: str) -> None:
        body = {"name": "ada", "password": PASSWORD}
        async with running(
            accounts_app(settings, emptied_url), host="127.0.0.1", url="http://127.0.0.1:8000"
        ) as client:
            answer = await log_in(await join(client))
            assert answer.headers["Set-Cookie"].startswith("trigger_api_session=tas_")
            assert "Secure" not in answer.headers["Set-Cookie"]
            assert (await client.get("/v1/accounts/me")).status_code == 200
            refused = await another(client).post("/v1/sessions", json=body)
            assert (refused.status_code, "Set-Cookie" in refused.headers) == (403, False)
        app = accounts_app(settings, emptied_url, insecure_cookies=True)
        async with running(app, url="http://service.example") as client:
            await log_in(client)
            assert (await client.get("/v1/accounts/me")).status_code == 200

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 200),
            ({"Origin": "https://service.example"}, 200),
            ({"Sec-Fetch-Site": "same-origin", "Origin": "https://service.example"}, 200),
            ({"Sec-Fetch-Site": "none"}, 200),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": "https://service.example.evil.example"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Sec-Fetch-Site": "same-site", "Origin": "https://evil.service.example"}, 403),
        ],
    )
    async def test_a_page_of_another_site_changes_nothing(
        self, client: httpx.AsyncClient, headers: dict[str, str], status: int
    ) -> None:
        await join(client)
        answer = await client.patch("/v1/accounts/me", json={"keeps_history": True}, headers=headers)
        assert answer.status_code == status
        account = (await client.get("/v1/accounts/me")).json()
        assert account["keeps_history"] is (status == 200)

    @pytest.mark.parametrize("path", ["/v1/sessions", "/v1/accounts", "/v1/accounts/reset"])
    async def test_a_page_of_another_site_logs_nobody_in(self, client: httpx.AsyncClient, path: str) -> None:
        await join(client)
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            body = {"name": "ada", "password": PASSWORD}
            answer = await another(client).post(path, json=body, headers=headers)
            assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Api-Token": "t" * 60_000},
            {"X-Api-Token": "tat_" + "\xff" * 43},
            {"Authorization": "Bearer " + "tas_" * 10_000},
            {"Cookie": "__Host-trigger_api_session=" + "c" * 60_000},
            {"Cookie": "__Host-trigger_api_session=tas_" + "A" * 43 + "; " * 20_000},
            {"Cookie": '__Host-trigger_api_session="\\000\\377; =;;="'},
            {"Origin": "x" * 60_000, "User-Agent": "\x01" * 1_000, "Sec-Fetch-Site": "none"},
        ],
    )
    async def test_a_large_or_strange_header_is_refused_without_an_error(
        self, client: httpx.AsyncClient, headers: dict[str, str]
    ) -> None:
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        answer = await client.get("/v1/accounts/me", headers=encoded)
        assert answer.status_code == 401
        assert len(answer.text) < 1_000
        logged_in = await client.post("/v1/sessions", json={"name": "a", "password": "b"}, headers=encoded)
        assert logged_in.status_code in (401, 403)


class TestTokens:
    @pytest.mark.parametrize("header", ["X-Api-Token", "Authorization"])
    async def test_a_token_is_shown_once_and_used_in_either_header(
        self, client: httpx.AsyncClient, header: str, two_beeps: bytes
    ) -> None:
        made = await token_of(await join(client))
        (listed,) = (await client.get("/v1/tokens")).json()
        assert "token" not in listed
        assert listed == {key: value for key, value in made.items() if key != "token"}
        script = another(client)
        script.headers[header] = ("Bearer " if header == "Authorization" else "") + made["token"]
        answer = await script.post("/v1/trigger", files={"audio": two_beeps})
        assert answer.status_code == 200
        async with database_of(client).read() as session:
            (row,) = await session.scalars(select(Token))
        assert made["token"].encode() not in row.secret_hash

    async def test_a_revoked_token_is_none(self, client: httpx.AsyncClient) -> None:
        made = await token_of(await join(client))
        script = another(client)
        script.headers["X-Api-Token"] = made["token"]
        assert (await script.get("/v1/models")).status_code == 200
        assert (await client.delete(f"/v1/tokens/{made['id']}")).status_code == 204
        assert (await client.delete(f"/v1/tokens/{made['id']}")).status_code == 404
        assert (await script.get("/v1/models")).status_code == 401

    async def test_an_expired_token_is_none(self, client: httpx.AsyncClient) -> None:
        made = await token_of(await join(client), days=1)
        script = another(client)
        script.headers["X-Api-Token"] = made["token"]
        assert (await script.get("/v1/models")).status_code == 200
        async with database_of(client).write() as session:
            await session.execute(update(Token).values(expires_at=now()))
        forget(client)
        assert (await script.get("/v1/models")).status_code == 401

    async def test_use_is_noted_once_a_minute(self, client: httpx.AsyncClient) -> None:
        made = await token_of(await join(client))
        script = another(client)
        script.headers["X-Api-Token"] = made["token"]
        identities = client._transport.app.state.accounts._identities  # type: ignore[attr-defined]
        used = []
        for _ in range(2):
            forget(client)
            await script.get("/v1/models")
            await identities.close()
            used.append((await client.get("/v1/tokens")).json()[0]["used_at"])
        assert used[0] is not None
        assert used[0] == used[1]

    async def test_scopes(self, client: httpx.AsyncClient, two_beeps: bytes) -> None:
        await join(client)
        for scopes, allowed in (
            (("predict",), {"/v1/trigger"}),
            (("stream",), {"/v1/rooms"}),
            (("predict", "stream"), {"/v1/trigger", "/v1/rooms"}),
        ):
            script = another(client)
            script.headers["X-Api-Token"] = (await token_of(client, *scopes))["token"]
            found = {
                "/v1/trigger": (await script.post("/v1/trigger", files={"audio": two_beeps})).status_code,
                "/v1/rooms": (await script.get("/v1/rooms")).status_code,
            }
            assert found == {path: 200 if path in allowed else 403 for path in found}
            assert (await script.get("/v1/models")).status_code == 200
            assert (await script.post("/v1/models/beep/load")).status_code == 403

    async def test_a_token_does_not_change_its_account(self, client: httpx.AsyncClient) -> None:
        script = another(client)
        script.headers["X-Api-Token"] = (await token_of(await join(client), "predict", "stream", "history"))["token"]
        for method, path, body in (
            ("GET", "/v1/accounts/me/export", None),
            ("GET", "/v1/tokens", None),
            ("POST", "/v1/tokens", {"name": "more"}),
            ("GET", "/v1/sessions", None),
            ("DELETE", "/v1/accounts/me", {"password": PASSWORD}),
            ("PUT", "/v1/accounts/me/password", {"password": PASSWORD, "new_password": "new password"}),
        ):
            assert (await script.request(method, path, json=body)).status_code == 403

    async def test_administrators(self, client: httpx.AsyncClient) -> None:
        await join(client)
        refused = await client.post("/v1/tokens", json={"name": "t", "scopes": ["models:admin"]})
        assert refused.status_code == 403
        async with database_of(client).write() as session:
            await session.execute(update(User).values(is_admin=True))
        forget(client)
        script = another(client)
        for scopes, status in ((("models:admin",), 200), (("predict",), 403)):
            script.headers["X-Api-Token"] = (await token_of(client, *scopes))["token"]
            assert (await script.post("/v1/models/beep/load")).status_code == status
        assert (await client.post("/v1/models/beep/load")).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            {"name": "t", "scopes": ["everything"]},
            {"name": "t", "scopes": []},
            {"name": "", "scopes": ["predict"]},
            {"name": "a\x00b"},
            {"name": "\u202etxt"},
            {"name": "n" * 65},
            {"name": "t", "days": 0},
            {"name": "t", "days": 1e9},
            {"name": "t", "user_id": "1"},
        ],
    )
    async def test_a_bad_token_request(self, client: httpx.AsyncClient, body: object) -> None:
        await join(client)
        assert (await client.post("/v1/tokens", json=body)).status_code == 422

    @pytest.mark.parametrize(
        "name", ["<img src=x onerror=alert(1)>", "'; DELETE FROM tokens; --", "%s {0} ${x}", "日本"]
    )
    async def test_a_name_is_text_and_nothing_else(self, client: httpx.AsyncClient, name: str) -> None:
        await token_of(await join(client))
        assert (await client.post("/v1/tokens", json={"name": name})).status_code == 201
        answer = await client.get("/v1/tokens")
        assert answer.headers["Content-Type"] == "application/json"
        assert [each["name"] for each in answer.json()] == [name, "script"]

    async def test_an_account_has_a_bounded_number(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("trigger_api.accounts.tokens._MOST", 1)
        await token_of(await join(client))
        assert (await client.post("/v1/tokens", json={"name": "second"})).status_code == 409

    async def test_guessing_is_throttled(self, client: httpx.AsyncClient) -> None:
        statuses = [
            (await client.get("/metrics", headers={"X-Api-Token": f"tat_{number:043d}"})).status_code
            for number in range(61)
        ]
        assert statuses == [401] * 60 + [429]
        assert (await client.get("/metrics", headers={"X-Api-Token": "of another kind"})).status_code == 401
        assert (await another(client).get("/metrics")).status_code == 401


class TestWebSockets:
    @pytest.fixture
    def browser(self, settings: Settings, emptied_url: str) -> Iterator[TestClient]:
        with ready_browser(accounts_app(settings, emptied_url)) as browser:
            yield browser

    def test_a_session_opens_one(self, browser: TestClient) -> None:
        for origin, status in ((URL, None), ("https://evil.example", 403)):
            assert open_stream(browser, headers={"Origin": origin}) == status
        browser.cookies.clear()
        assert open_stream(browser) == 401

    def test_an_origin_that_the_settings_name_has_tokens_and_no_cookies(
        self, settings: Settings, emptied_url: str
    ) -> None:
        app = accounts_app(settings, emptied_url, cors_origins="*")
        with ready_browser(app) as browser:
            assert open_stream(browser, headers={"Origin": "https://app.example"}) == 403
            token = browser.post("/v1/tokens", json={"name": "t", "scopes": ["stream"]}).json()["token"]
            browser.cookies.clear()
            headers = {"Origin": "https://app.example", "X-Api-Token": token}
            assert open_stream(browser, headers=headers) is None

    def test_a_token_opens_one_if_it_has_the_scope(self, browser: TestClient) -> None:
        for scope, status in (("stream", None), ("predict", 403)):
            token = browser.post("/v1/tokens", json={"name": "t", "scopes": [scope]}).json()["token"]
            cookies = dict(browser.cookies)
            browser.cookies.clear()
            assert open_stream(browser, subprotocols=["trigger-api", f"bearer.{token}"]) == status
            assert open_stream(browser, headers={"X-Api-Token": token, "Origin": "https://app.example"}) == status
            browser.cookies.update(cookies)


@contextmanager
def ready_browser(app: FastAPI) -> Iterator[TestClient]:
    """A client with WebSockets that is logged in."""
    with TestClient(app, base_url=URL, client=("203.0.113.7", 1)) as browser:
        while browser.get("/health/ready").status_code != 200:
            pass
        browser.post("/v1/accounts", json={"name": "ada", "password": PASSWORD})
        assert browser.post("/v1/sessions", json={"name": "ada", "password": PASSWORD}).status_code == 201
        yield browser


def open_stream(browser: TestClient, **options: Any) -> int | None:
    """The status with which a stream is refused, None if it is opened."""
    try:
        with browser.websocket_connect("wss://service.example/v1/trigger/stream?word=beep", **options) as socket:
            assert socket.receive_json()["type"] == "ready"
    except WebSocketDenialResponse as refusal:
        return int(refusal.status_code)
    return None


class TestOthers:
    """What belongs to somebody else is not there."""

    async def test_other_peoples_sessions_and_tokens(self, client: httpx.AsyncClient) -> None:
        await join(client)
        token = await token_of(client)
        (session,) = (await client.get("/v1/sessions")).json()
        eve = await join(another(client), "eve")
        assert (await eve.delete(f"/v1/tokens/{token['id']}")).status_code == 404
        assert (await eve.delete(f"/v1/sessions/{session['id']}")).status_code == 404
        assert len((await eve.get("/v1/sessions")).json()) == 1
        assert (await eve.get("/v1/tokens")).json() == []
        assert (await client.get("/v1/accounts/me")).status_code == 200
        assert len((await client.get("/v1/tokens")).json()) == 1

    @pytest.mark.parametrize("found", ["1", "..", "%2e%2e%2f", "' OR 1=1 --", "0" * 500, "\u0000"])
    async def test_an_id_is_a_uuid(self, client: httpx.AsyncClient, found: str) -> None:
        await join(client)
        for path in ("/v1/sessions", "/v1/tokens"):
            answer = await client.delete(httpx.URL(f"https://service.example{path}/").join(found.replace("\0", "%00")))
            assert answer.status_code in (404, 405, 422)
