from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from helpers.running import started
from helpers.tiny_ner import entities_app
from trigger_api.client import AsyncClient

URL = "/v1/entities"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with started(entities_app(tmp_path)) as http:
        yield http


async def test_words_and_entities_of_a_text_are_returned(client: httpx.AsyncClient) -> None:
    answer = (await client.post(URL, json={"text": "I love Paris. I love Rome."})).json()
    assert [token["tag"] for token in answer["tokens"]] == ["O", "O", "B-LOC", "O"] * 2
    assert [(found["type"], found["text"], found["start"], found["end"]) for found in answer["entities"]] == [
        ("LOC", "Paris", 7, 12),
        ("LOC", "Rome", 21, 25),
    ]
    assert 0.9 < answer["entities"][0]["score"] <= 1
    assert (answer["results"], answer["model"], answer["version"]) == ([], "tiny", "3")


async def test_further_texts_are_tagged_independently(client: httpx.AsyncClient) -> None:
    answer = (await client.post(URL, json={"texts": ["Rome", "", "I"], "model": "tiny"})).json()
    assert [[found["text"] for found in result["entities"]] for result in answer["results"]] == [["Rome"], [], []]
    assert answer["tokens"] == []


async def test_the_client(client: httpx.AsyncClient) -> None:
    async with AsyncClient("http://localhost", transport=client._transport) as service:
        answer = await service.entities("I love Paris", "Rome", model="tiny")
    assert [found.text for found in answer.entities] == ["Paris"]
    assert [[found.text for found in result.entities] for result in answer.results] == [["Rome"]]


@pytest.mark.parametrize(
    ("content", "status", "expected"),
    [
        ('{"text": "' + "a" * 2_001 + '"}', 413, "longer than 2000 characters"),
        ('{"text": 7}', 422, "text"),
        ('{"text": "\\ud800"}', 422, "text"),
        ('{"texts": "Rome"}', 422, "texts"),
        ('{"texts": [' + ",".join(['""'] * 257) + "]}", 422, "texts"),
        ('{"text": "Rome", "model": "nix"}', 404, "no such entities model"),
        ("{", 400, "failed to parse json"),
        ('"Rome"', 422, "body"),
        ("{}", 422, "give text or texts"),
        ('{"txt": "Rome"}', 422, "give text or texts"),
    ],
)
async def test_bad_requests_are_rejected(client: httpx.AsyncClient, content: str, status: int, expected: str) -> None:
    response = await client.post(URL, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert expected in response.json()["detail"]


async def test_a_form_in_place_of_json_is_rejected(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}  # what curl -d sends by default
    response = await client.post(URL, content='{"text": "Rome"}', headers=headers)
    assert response.status_code == 422
    assert response.json()["detail"] == "body: this must be a JSON object, sent as Content-Type: application/json"


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\x01\x7f", "\u202e\ufeff\U0001f600", "\ue000" * 50])
async def test_odd_texts_are_accepted(client: httpx.AsyncClient, text: str) -> None:
    response = await client.post(URL, json={"text": text})
    assert response.status_code == 200
    assert all(text[token["start"] : token["end"]] == token["text"] for token in response.json()["tokens"])
