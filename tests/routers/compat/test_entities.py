from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from helpers.running import started
from helpers.tiny_ner import entities_app
from trigger_api.errors import MALFORMED_JSON


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with started(entities_app(tmp_path)) as http:
        yield http


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", ""])
@pytest.mark.parametrize("body", ["I love Paris", {"text": "I love Paris"}])
async def test_words_and_tags_are_in_columns(client: httpx.AsyncClient, body: object, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = (await client.post("/api", content=json.dumps(body), headers=headers)).json()
    assert answer["input"] == "I love Paris "
    assert answer["output"] == "O O    B-LOC "
    assert answer["entities"][0]["text"] == "Paris"


async def test_bodies_other_than_json_are_rejected(client: httpx.AsyncClient) -> None:
    for content, status, text in (
        ("I love Paris", 400, MALFORMED_JSON),
        ('"\\ud800"', 400, MALFORMED_JSON),
        ("", 400, MALFORMED_JSON),
        ("[1]", 422, "body: this must be a JSON object"),
        ('{"text": 3}', 422, "`text`: Input should be a valid string"),
        ("{}", 422, "body: give text or texts"),
    ):
        response = await client.post("/api", content=content)
        assert response.status_code == status
        assert response.json()["error"] == text
        assert response.json()["success"] is False
