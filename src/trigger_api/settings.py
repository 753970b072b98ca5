"""Settings: one frozen object, read from ``TRIGGER_API_*`` environment variables."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import Field, JsonValue, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from trigger_api.model_card import Limits

RuntimeKind = Literal["auto", "tensorflow", "onnx"]
ENV_PREFIX = "TRIGGER_API_"
SECRETS = Path("/run/secrets")
"""Where containers find secrets: a file `trigger_api_tokens` says the same as a variable `TRIGGER_API_TOKENS`."""
_DATABASES = ("sqlite:///", "postgresql://", "postgres://")
_RATE = re.compile(r"[1-9]\d{0,8} ?/ ?([1-9]\d{0,5} ?)?(second|minute|hour|day)s?")
_MIB = 1024 * 1024


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _split_paths(text: str) -> list[str]:
    """The paths in a text. If the whole text is an existing path, it is not split, whatever characters it contains."""
    if Path(text).exists():
        return [text]
    return [item.strip() for item in re.split(f"[,{os.pathsep}]", text) if item.strip()]


class Settings(BaseSettings):
    """All settings of the service. The items of a list are separated by commas."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        secrets_dir=SECRETS if SECRETS.is_dir() else None,  # a missing folder would be warned of
    )

    host: str = Field("127.0.0.1", description="address that `serve` listens on")
    port: int = Field(8000, ge=0, le=65_535, description="port that `serve` listens on")
    workers: int = Field(1, ge=1, le=256, description="number of processes that `serve` starts; each loads all models")
    root_path: str = Field("", description="path prefix that a reverse proxy strips")

    grpc_port: int | None = Field(
        None, ge=0, le=65_535, description="port for the Open Inference Protocol over gRPC, on the same address"
    )
    grpc_max_calls: int = Field(512, ge=1, description="calls, and connections, that may be open over gRPC at once")

    auth: Literal["token", "required", "open"] = Field(
        "token",
        description="`token`: clients on other machines need a token; `required`: everybody needs one, or an account; "
        "`open`: nobody does",
    )
    tokens: Annotated[tuple[SecretStr, ...], NoDecode] = Field((), description="valid API tokens")
    admin_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="tokens that may load and unload models"
    )
    sign_up: Literal["callers", "open", "closed"] = Field(
        "callers",
        description="who may make an account: `callers`, whoever may use the service anyway; `open`: everybody; "
        "`closed`: administrators, by `trigger-api users create`",
    )
    session_days: float = Field(30.0, gt=0, le=400, description="days after which a session ends")
    session_idle_days: float = Field(7.0, gt=0, le=400, description="days without use after which a session ends")
    insecure_cookies: bool = Field(
        False, description="whether browsers on other machines may log in over plain HTTP, where others can listen"
    )
    rate_limit: str | None = Field(None, description="requests that a caller may send, such as `600/minute`")
    rate_limit_url: SecretStr = Field(
        SecretStr("memory://"), description="where requests are counted: in each process, or for all in `redis://host`"
    )
    max_requests_per_caller: int | None = Field(None, ge=1, description="requests that a caller may have open at once")
    quota_mib: int | None = Field(1_024, ge=1, description="largest history of an account, MiB")
    history_days: float | None = Field(None, gt=0, description="days after which a prediction leaves the history")
    history_entries: int | None = Field(
        None, ge=1, description="largest number of predictions in an account's history; the oldest leave it"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field((), description="origins that browsers may call from")

    models: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="folders of models, and model files, separated by commas or the system's path separator"
    )
    runtime: RuntimeKind = Field("auto", description="`tensorflow`, `onnx`, or `auto`: ONNX Runtime where possible")
    cache: Path | None = Field(
        None, description="folder for conversions to ONNX; if not given, one in the user's cache folder"
    )
    bundled: bool = Field(True, description="whether to serve the bundled models")
    inference_threads: int = Field(default_factory=_cores, ge=1, description="number of batches computed at once")
    intra_op_threads: int = Field(1, ge=1, description="number of threads that compute one batch")
    preprocess_threads: int = Field(default_factory=_cores, ge=1, description="number of requests decoded at once")
    preprocess_queue: int = Field(256, ge=1, description="requests that may wait to be decoded; more get 503")
    watch_s: float = Field(0.0, ge=0, description="seconds between scans for new and changed models; 0 for none")
    memory_mib: int | None = Field(None, ge=1, description="memory for the weights of all models, MiB")
    limits: dict[str, dict[str, JsonValue]] = Field(
        default_factory=dict, description="limits by model name, as a JSON object; they override those of the cards"
    )
    max_batch: int | None = Field(None, ge=1, description="largest batch size; overrides the cards")
    deadline_s: float | None = Field(None, gt=0, description="seconds that a request may take; overrides the cards")

    max_body_bytes: int = Field(32 * _MIB, ge=1, description="largest request body, bytes")
    body_timeout_s: float = Field(60.0, gt=0, description="seconds that a request body may take to arrive; then 408")
    max_audio_seconds: float = Field(300.0, gt=0, description="longest recording, seconds")
    max_audio_samples: int = Field(32_000_000, ge=1, description="largest recording, samples over all channels")

    max_job_bytes: int = Field(1024 * _MIB, ge=1, description="largest recording of a job, bytes")
    max_job_seconds: float = Field(14_400.0, gt=0, description="longest recording of a job, seconds")
    job_timeout_s: float = Field(3_600.0, gt=0, description="seconds that the recording of a job may take to arrive")

    training_folder: Path | None = Field(
        None,
        description="folder of the words that administrators train, served like any model; without it, one in the "
        "user's data folder; `none`: no training",
    )
    training_timeout_s: float = Field(7_200.0, gt=0, description="seconds that training a word may take")
    training_recordings: int = Field(100, ge=1, le=1_000, description="largest number of recordings of a word")
    training_negatives: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="folders of people saying other things, for training words"
    )

    max_image_bytes: int = Field(16 * _MIB, ge=1, description="largest picture file, bytes")
    max_image_pixels: int = Field(25_000_000, ge=1, le=89_000_000, description="largest number of pixels in a picture")
    max_image_side: int = Field(16_384, ge=1, le=65_535, description="longest side of a picture, pixels")

    jpeg_quality: int = Field(85, ge=1, le=95, description="quality of the JPEG pictures in answers")

    max_streams: int = Field(512, ge=1, description="largest number of live streams of a process")
    max_streams_per_caller: int = Field(128, ge=1, description="largest number of live streams of a client")
    stream_frame_bytes: int = Field(262_144, ge=2, description="largest WebSocket message, bytes")
    stream_backlog_s: float = Field(5.0, gt=0, description="seconds of audio that may wait or be ahead of real time")
    stream_idle_s: float = Field(30.0, gt=0, description="seconds without audio after which a stream is closed")
    events_kept: int = Field(1_000, ge=1, description="number of detections kept for subscribers that reconnect")
    max_subscribers: int = Field(256, ge=1, description="largest number of open event streams of a process")
    wyoming_uri: str | None = Field(None, description="address for Wyoming clients, such as tcp://0.0.0.0:10400")

    database_url: SecretStr | None = Field(
        None,
        description="`sqlite:///path` or `postgresql://…`; without it, SQLite in the user's data folder; "
        "`none`: no accounts and no history",
    )

    max_text_characters: int = Field(20_000, ge=1, description="largest number of characters in all texts of a request")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    otlp_url: str | None = Field(
        None, description="OpenTelemetry collector that traces are sent to, such as http://127.0.0.1:4318"
    )
    keep_alive_s: int = Field(75, ge=1, description="seconds that an idle connection is kept open")
    listen_when_ready: bool = Field(
        False, description="whether to accept connections only once every model has been loaded"
    )
    drain_s: int = Field(30, ge=0, description="seconds after SIGTERM to finish accepted requests")

    @field_validator("tokens", "admin_tokens", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return value

    @field_validator("models", "training_negatives", mode="before")
    @classmethod
    def _paths(cls, value: object) -> object:
        """Accept one path or several, and several in one string."""
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(path for item in items for path in (_split_paths(item) if isinstance(item, str) else [item]))

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretStr | None) -> SecretStr | None:
        url = value.get_secret_value() if value else "none"
        if url != "none" and not (url.startswith(_DATABASES) and url not in _DATABASES):
            raise ValueError("this must be sqlite:///path, a postgresql:// URL or none")
        return value

    @field_validator("rate_limit_url")
    @classmethod
    def _known_counter(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("memory://", "redis://", "rediss://")):
            raise ValueError("this must be memory:// or a redis:// URL")
        return value

    @field_validator("rate_limit")
    @classmethod
    def _valid_rate(cls, value: str | None) -> str | None:
        if value is not None and not _RATE.fullmatch(value):
            raise ValueError("this must be a number of requests and a time, such as 600/minute or 50/10 seconds")
        return value

    @field_validator("limits")
    @classmethod
    def _valid_limits(cls, value: dict[str, dict[str, JsonValue]]) -> dict[str, dict[str, JsonValue]]:
        for changes in value.values():
            Limits.model_validate(changes)
        return value

    @property
    def postgresql_url(self) -> str | None:
        """The database's URL if it is PostgreSQL, which carries events between processes too."""
        url = self.database_url.get_secret_value() if self.database_url else ""
        return url if url.startswith(_DATABASES[1:]) else None

    @property
    def trained_words(self) -> Path | None:
        """The folder of the words that administrators train; None if nobody does."""
        if not self.has_database or str(self.training_folder) == "none":
            return None
        return self.training_folder or user_data_path("trigger-api", appauthor=False) / "words"

    @property
    def has_database(self) -> bool:
        """Whether there are accounts and a history."""
        return self.database_url is None or self.database_url.get_secret_value() != "none"
