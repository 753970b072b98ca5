from __future__ import annotations

from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pytest

from helpers.beep import beeps, encode


async def test_detections_end_with_their_words(client: httpx.AsyncClient, two_beeps: bytes) -> None:
    response = await client.post("/v1/trigger", files={"audio": ("two.wav", two_beeps)})
    assert response.status_code == 200
    answer = response.json()
    assert answer["detected"] is True
    assert answer["timestamps"] == pytest.approx([810, 2410], abs=40)
    assert [hit["time_ms"] for hit in answer["detections"]] == answer["timestamps"]
    assert answer["duration_ms"] == 3000
    assert (answer["model"], answer["version"], answer["threshold"]) == ("beep", "1", 0.5)


async def test_a_recording_without_the_word_has_no_detections(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/trigger", files={"audio": encode(beeps([], seconds=1))})
    assert response.json()["detected"] is False
    assert response.json()["timestamps"] == []


async def test_a_model_and_a_threshold_can_be_chosen(client: httpx.AsyncClient, two_beeps: bytes) -> None:
    form = {"model": "beep", "threshold": "0.25"}
    response = await client.post("/v1/trigger", files={"audio": two_beeps}, data=form)
    assert response.json()["threshold"] == 0.25
    empty = await client.post("/v1/trigger", files={"audio": two_beeps}, data={"model": ""})
    assert empty.status_code == 200


@pytest.mark.parametrize("word", [["*"], ["beep", "beep"], ["Beep"]])
async def test_words_are_answered_together(client: httpx.AsyncClient, two_beeps: bytes, word: list[str]) -> None:
    response = await client.post("/v1/trigger", files={"audio": two_beeps}, data={"word": word})
    answer = response.json()
    assert [hit["word"] for hit in answer["detections"]] == ["beep", "beep"]
    assert answer["words"] == [
        {
            "word": "beep",
            "detected": True,
            "timestamps": answer["timestamps"],
            "threshold": 0.5,
            "model": "beep",
            "version": "1",
        }
    ]


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"model": "nix"}, 404, "no such trigger model"),
        ({"threshold": "2"}, 422, "threshold"),
        ({"threshold": "nan"}, 422, "threshold"),
        ({"threshold": "high"}, 422, "threshold"),
        ({"sensitivity": "very"}, 422, "sensitivity"),
        ({"sensitivity": "high"}, 422, "medium"),
        ({"sensitivity": "medium", "threshold": "0.5"}, 422, "not both"),
        ({"model": "x" * 65}, 422, "model"),
        ({"word": "nix"}, 404, "known words: beep"),
        ({"word": "beep", "model": "beep"}, 422, "not both"),
        ({"word": ["x"] * 65}, 422, "word"),
    ],
)
async def test_bad_options_are_rejected(
    client: httpx.AsyncClient, two_beeps: bytes, form: dict[str, Any], status: int, words: str
) -> None:
    response = await client.post("/v1/trigger", files={"audio": two_beeps}, data=form)
    assert response.status_code == status
    assert words in response.json()["detail"]


async def test_a_recording_that_was_cut_off_is_searched_as_far_as_it_goes(client: httpx.AsyncClient) -> None:
    data = encode(beeps([1.0, 2.6], seconds=3))
    whole = (await client.post("/v1/trigger", files={"audio": data})).json()
    cut = (await client.post("/v1/trigger", files={"audio": data[: len(data) // 2]})).json()
    assert (len(whole["timestamps"]), whole["truncated"]) == (2, False)
    assert (cut["timestamps"], cut["truncated"]) == (whole["timestamps"][:1], True)
    assert cut["duration_ms"] < 1_600


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 422),
        (b"just text", 415),
        (encode(np.full(99, np.nan, np.float32), subtype="FLOAT"), 422),
        (encode(np.zeros(16_000 * 301, np.float32)), 413),
    ],
)
async def test_bad_recordings_are_rejected(client: httpx.AsyncClient, data: bytes, status: int) -> None:
    response = await client.post("/v1/trigger", files={"audio": data})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["success"] is False


async def test_a_body_that_is_not_a_form_is_rejected(client: httpx.AsyncClient) -> None:
    for content_type in ("application/json", "multipart/form-data", "multipart/form-data; boundary=x"):
        response = await client.post("/v1/trigger", content=b"nonsense", headers={"Content-Type": content_type})
        assert response.status_code in (400, 422)
        assert response.headers["content-type"] == "application/problem+json"


async def test_a_text_in_place_of_a_file_is_rejected(client: httpx.AsyncClient) -> None:
    parts = {"audio": (None, "clip.wav")}  # curl -F audio=clip.wav, where audio=@clip.wav was meant
    response = await client.post("/v1/trigger", files=parts)
    assert (response.status_code, response.json()["detail"]) == (422, "body.audio: this must be a file")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "audio/wav", ""])
async def test_a_body_that_is_not_a_form_is_told_so_in_one_sentence(client: httpx.AsyncClient, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await client.post("/v1/trigger", content=b"RIFF" * 20_000, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        "send a form with the file in its field `audio`: curl -F audio=@FILE /v1/trigger"
    )
    assert len(answer.content) < 500


async def test_a_file_under_another_name_is_told_the_right_one(client: httpx.AsyncClient, two_beeps: bytes) -> None:
    answer = await client.post("/v1/trigger", files={"file": two_beeps})
    assert answer.json()["detail"] == "body.file: unknown field; send the file as `audio`"
    answer = await client.post("/v1/trigger", files={"x" * 5_000: two_beeps})
    assert len(answer.content) < 1_000


async def test_scores_are_answered_on_request(client: httpx.AsyncClient, two_beeps: bytes) -> None:
    plain = (await client.post("/v1/trigger", files={"audio": two_beeps})).json()
    assert "scores" not in plain["words"][0]
    answer = (await client.post("/v1/trigger", files={"audio": two_beeps}, data={"scores": "true"})).json()
    curve = answer["words"][0].pop("scores")
    assert answer == plain
    assert len(curve["values"]) * curve["hop_ms"] >= answer["duration_ms"]
    over = [score >= answer["threshold"] for score in curve["values"]]
    crossings = [k for k, (before, now) in enumerate(pairwise([False, *over])) if now and not before]
    times = [(k + 1) * curve["hop_ms"] - curve["delay_ms"] for k in crossings]
    assert times == pytest.approx(answer["timestamps"], abs=1)
    assert curve["patience"] == 1


async def test_an_empty_optional_field_is_not_given(client: httpx.AsyncClient, two_beeps: bytes) -> None:
    empty = dict.fromkeys(("word", "model", "version", "sensitivity", "threshold"), "")
    answer = await client.post("/v1/trigger", files={"audio": two_beeps}, data=empty)
    assert (answer.status_code, answer.json()["detected"]) == (200, True)
