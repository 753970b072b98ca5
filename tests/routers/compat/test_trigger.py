from __future__ import annotations

import httpx
import pytest

from helpers.beep import beeps, encode


async def test_the_answer_has_the_shape_of_the_original(client: httpx.AsyncClient, two_beeps: bytes) -> None:
    answer = (await client.post("/predict", files={"audio": two_beeps})).json()
    assert answer.pop("timestamps") == pytest.approx([810, 2410], abs=40)
    assert answer == {"success": True, "detected": True, "trigget_detected": True}


async def test_predict_without_the_word(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/predict", files={"audio": encode(beeps([], seconds=1))})).json()
    assert answer == {"success": True, "detected": False, "trigget_detected": False, "timestamps": []}


async def test_predict_without_audio(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict")
    assert response.status_code == 422
    assert response.json()["success"] is False
    assert "audio" in response.json()["error"]
