"""Settings: one frozen object, read from ``TRIGGER_API_*`` and passed to whoever needs it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from trigger_api.model_card import Limits

RuntimeKind = Literal["auto", "tensorflow", "onnx"]
ENV_PREFIX = "TRIGGER_API_"
_MIB = 1024 * 1024


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _split_paths(text: str) -> list[str]:
    """The paths in a text. One that exists is a path as a whole, whatever signs are in its name."""
    if Path(text).exists():
        return [text]
    return [item.strip() for item in re.split(f"[,{os.pathsep}]", text) if item.strip()]


class Settings(BaseSettings):
    """Every knob of the service. A comma separates the items of a list."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="address `serve` listens on")
    port: int = Field(8000, ge=0, le=65_535, description="port `serve` listens on")
    workers: int = Field(1, ge=1, le=256, description="processes `serve` starts; each holds its own models")
    root_path: str = Field("", description="path prefix that a reverse proxy strips")

    auth: Literal["token", "open"] = Field(
        "token", description="`token`: callers beyond loopback need one; `open`: nobody does"
    )
    tokens: Annotated[tuple[SecretStr, ...], NoDecode] = Field((), description="accepted API tokens")
    admin_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = Field((), description="tokens that may load and unload")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field((), description="origins that browsers may call from")

    models: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="folders of further models, and model files; a comma or the system's path separator between"
    )
    runtime: RuntimeKind = Field("auto", description="`tensorflow`, `onnx`, or `auto`: ONNX Runtime where it can serve")
    cache: Path | None = Field(None, description="folder to keep conversions in; if not given, none is made")
    bundled: bool = Field(True, description="serve the bundled models too")
    inference_threads: int = Field(default_factory=_cores, ge=1, description="batches computed at once")
    intra_op_threads: int = Field(1, ge=1, description="threads within one computation")
    preprocess_threads: int = Field(default_factory=_cores, ge=1, description="requests decoded at once")
    preprocess_queue: int = Field(256, ge=1, description="requests that may wait to be decoded; then 503")
    watch_s: float = Field(0.0, ge=0, description="seconds between looks at the models folder; 0: never")
    memory_mib: int | None = Field(None, ge=1, description="MiB that all models' weights may take together")
    limits: dict[str, dict[str, JsonValue]] = Field(
        default_factory=dict, description="limits by model name, over the cards': a JSON object"
    )
    max_batch: int | None = Field(None, ge=1, description="largest batch; overrides the models' cards")
    deadline_s: float | None = Field(None, gt=0, description="seconds a request may take; overrides the models' cards")

    max_body_bytes: int = Field(32 * _MIB, ge=1, description="largest request body")
    body_timeout_s: float = Field(60.0, gt=0, description="seconds a request body may take to arrive; then 408")
    max_audio_seconds: float = Field(300.0, gt=0, description="longest recording")
    max_audio_samples: int = Field(32_000_000, ge=1, description="decoded samples, all channels together")

    max_image_bytes: int = Field(16 * _MIB, ge=1, description="largest picture file")
    max_image_pixels: int = Field(25_000_000, ge=1, le=89_000_000, description="pixels of a picture")
    max_image_side: int = Field(16_384, ge=1, le=65_535, description="pixels of a picture's longer side")

    jpeg_quality: int = Field(85, ge=1, le=95, description="of pictures in answers")

    max_streams: int = Field(512, ge=1, description="live streams of a process")
    max_streams_per_caller: int = Field(128, ge=1, description="live streams of one token, or of one address without")
    stream_frame_bytes: int = Field(262_144, ge=2, description="largest WebSocket message")
    stream_backlog_s: float = Field(5.0, gt=0, description="seconds of audio that may wait, or be ahead of real time")
    stream_idle_s: float = Field(30.0, gt=0, description="seconds without audio until a stream is closed")
    events_kept: int = Field(1_000, ge=1, description="detections that followers can still ask for")
    max_followers: int = Field(256, ge=1, description="open event streams of a process")
    database_url: SecretStr | None = Field(None, description="a PostgreSQL URL: carries events between processes")
    wyoming_uri: str | None = Field(None, description="where `serve` speaks Wyoming too, such as tcp://0.0.0.0:10400")

    max_text_characters: int = Field(20_000, ge=1, description="characters of all texts of a request")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level logged")
    keep_alive_s: int = Field(75, ge=1, description="seconds an idle connection is kept")
    drain_s: int = Field(30, ge=0, description="seconds that SIGTERM leaves for what was accepted")

    @field_validator("tokens", "admin_tokens", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return value

    @field_validator("models", mode="before")
    @classmethod
    def _paths(cls, value: object) -> object:
        """One path or several, each given as it is or as a list in a string."""
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(path for item in items for path in (_split_paths(item) if isinstance(item, str) else [item]))

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("limits")
    @classmethod
    def _are_limits(cls, value: dict[str, dict[str, JsonValue]]) -> dict[str, dict[str, JsonValue]]:
        for changes in value.values():
            Limits.model_validate(changes)
        return value
