from __future__ import annotations

from trigger_api.schemas import RoomState
from trigger_api.streaming import presence
from trigger_api.streaming.event_log import now
from trigger_api.streaming.pubsub import PresenceUpdate


def test_updates_are_small_enough_for_postgresql() -> None:
    few = RoomState(
        room="r" * 64, node="n" * 8, stream=1, word="w" * 64, words=["w" * 64] * 3, model="m" * 64, version="1",
        rate=16_000, since=now(), heard_ms=10**9, level_dbfs=-20.5, detections=10**6, last_detection=None,
    )  # fmt: skip
    many = few.model_copy(update={"words": ["w" * 64] * 1_000})
    parts = list(presence._split([few] * 30 + [many]))
    assert sum(map(len, parts)) == 31
    assert len(parts) < 10
    assert max(len(PresenceUpdate(node="n", rooms=part).model_dump_json().encode()) for part in parts) < 8_000
    assert parts[-1][-1].words == [few.word]
    assert list(presence._split([])) == []
