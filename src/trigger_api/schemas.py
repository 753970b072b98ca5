"""Every request and answer of the public API. Imports nothing of ours."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class Problem(_Schema):
    """An error (RFC 9457). ``success`` and ``error`` are what older clients read."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str
    success: Literal[False] = False
    error: str


class Detection(_Schema):
    """The word was said once."""

    time_ms: int = Field(description="end of the word, milliseconds from the start of the recording")
    score: float = Field(ge=0, le=1)


class TriggerAnswer(_Schema):
    """What was heard in a recording."""

    detected: bool
    timestamps: list[int] = Field(description="end of each word, milliseconds from the start of the recording")
    detections: list[Detection]
    duration_ms: int = Field(description="length of the recording")
    threshold: float = Field(description="the score from which a word counts")
    model: str
    version: str


class PredictAnswer(_Schema):
    """The answer of the original trigger-word service, its spelling included."""

    success: Literal[True] = True
    detected: bool
    trigget_detected: bool = Field(description="the same, as the original spelled it")
    timestamps: list[int] = Field(description="end of each word, milliseconds from the start of the recording")


class Health(_Schema):
    """Whether the process lives, or may be sent requests."""

    status: Literal["ok", "ready"]


class ModelStatus(_Schema):
    """One version of a model, and whether it serves."""

    task: str
    name: str
    version: str
    labels: list[str] = Field(description="names for this version, such as stable or canary")
    state: Literal["found", "loading", "ready", "failed", "unloaded"]
    serving: bool
    reason: str = Field(description="why it, or its last reload, failed")
    description: str
