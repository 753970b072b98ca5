"""The tables. A change here needs a migration in ``migrations/versions``; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import JSON, BigInteger, DateTime, Dialect, ForeignKey, Index, LargeBinary, MetaData, String, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

NAME, LABEL, FILE_NAME, MEDIA_TYPE, PATH = 64, 128, 255, 100, 200  # characters
MEDIA_CHUNK = 768 * 1024  # bytes of media in a row: a multiple of 3, so that chunks can be put into base64 one by one


def new_id() -> UUID:
    """A unique id; later ones sort after earlier ones (version 7)."""
    return uuid_utils.compat.uuid7()


def first_id(at: datetime) -> UUID:
    """The smallest id of a moment: what was made from then on has a larger one."""
    milliseconds = max(0, int(at.timestamp() * 1000))
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62)


def now() -> datetime:
    """The current time, UTC."""
    return datetime.now(UTC)


class UtcTime(TypeDecorator[datetime]):
    """A time with its zone, which is always UTC; SQLite keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC."""
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """With the zone."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The base of all tables. Constraints have names, so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcTime(), UUID: Uuid(), bytes: LargeBinary(), dict[str, Any]: JSON(),
    }  # fmt: skip


def _owner() -> Mapped[UUID]:
    return mapped_column(ForeignKey("users.id", ondelete="CASCADE"))


class User(Base):
    """An account, and the owner of everything else.

    Tokens of the settings and callers of this machine own things as well: an account without a password, whose name
    holds a colon, which no name of a person does. Nobody can log in to it.
    """

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(NAME), unique=True)
    """In lower case: names that differ in nothing else are one name."""
    password_hash: Mapped[str | None] = mapped_column(String(255))
    is_admin: Mapped[bool] = mapped_column(default=False)
    keeps_history: Mapped[bool] = mapped_column(default=False)
    """Whether predictions are kept without being asked to for each."""
    stored_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    """Bytes of media and answers that the account holds, for its quota."""
    created_at: Mapped[datetime] = mapped_column(default=now)


class Session(Base):
    """A browser that is logged in."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = _owner()
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    user_agent: Mapped[str] = mapped_column(String(256), default="")
    address: Mapped[str] = mapped_column(String(64), default="")
    __table_args__ = (Index(None, "user_id"), Index(None, "expires_at"))


class PasswordReset(Base):
    """A permission to set a new password once."""

    __tablename__ = "password_resets"

    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[UUID] = _owner()
    expires_at: Mapped[datetime]
    __table_args__ = (Index(None, "user_id"),)


class Token(Base):
    """An API token."""

    __tablename__ = "tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = _owner()
    name: Mapped[str] = mapped_column(String(NAME))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scopes: Mapped[str] = mapped_column(String(200))
    """Separated by spaces."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    __table_args__ = (Index(None, "user_id"),)


class Prediction(Base):
    """A past prediction. Its id sorts by time; pages are read in the order of ``(owner_id, id)``."""

    __tablename__ = "predictions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[UUID] = _owner()
    created_at: Mapped[datetime] = mapped_column(default=now)
    task: Mapped[str] = mapped_column(String(NAME))
    path: Mapped[str] = mapped_column(String(PATH))
    model: Mapped[str] = mapped_column(String(LABEL))
    version: Mapped[str] = mapped_column(String(NAME))
    file_name: Mapped[str | None] = mapped_column(String(FILE_NAME))
    duration_ms: Mapped[float]
    """How long the prediction took."""
    answer: Mapped[dict[str, Any]]
    answer_bytes: Mapped[int] = mapped_column(default=0)
    """Size of the answer, as the quota counts it."""
    media_type: Mapped[str | None] = mapped_column(String(MEDIA_TYPE))
    media_bytes: Mapped[int] = mapped_column(default=0)
    __table_args__ = (
        Index(None, "owner_id", "id"),
        Index(None, "owner_id", "task", "id"),
        Index(None, "owner_id", "file_name", "id"),
    )


class PredictionLabel(Base):
    """What a prediction found: a word, an emotion, a class; several rows for several labels."""

    __tablename__ = "prediction_labels"

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    label: Mapped[str] = mapped_column(String(LABEL), primary_key=True)
    prediction_id: Mapped[UUID] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"), primary_key=True)
    task: Mapped[str] = mapped_column(String(NAME), server_default="")
    """That of the prediction: pages of a task's label are a range of an index."""
    __table_args__ = (Index(None, "prediction_id"), Index(None, "owner_id", "label", "task", "prediction_id"))


class PredictionMedia(Base):
    """A chunk of the input of a prediction, in a table of its own: pages of the history do not read it."""

    __tablename__ = "prediction_media"

    prediction_id: Mapped[UUID] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, default=0)
    """Counts the chunks from 0; all but the last have ``MEDIA_CHUNK`` bytes."""
    content: Mapped[bytes]


class Job(Base):
    """A recording that is too long for one request."""

    __tablename__ = "jobs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[UUID] = _owner()
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    task: Mapped[str] = mapped_column(String(NAME))
    status: Mapped[str] = mapped_column(String(16))
    """``receiving``, ``queued``, ``running``, ``done`` or ``failed``."""
    attempts: Mapped[int] = mapped_column(default=0)
    """How often it was begun: a recording that ends its process is not tried for ever."""
    progress: Mapped[float] = mapped_column(default=0.0)
    """From 0 to 1."""
    parameters: Mapped[dict[str, Any]]
    file_name: Mapped[str | None] = mapped_column(String(FILE_NAME))
    media_type: Mapped[str | None] = mapped_column(String(MEDIA_TYPE))
    media_bytes: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(NAME))
    """The process that runs it; ``updated_at`` says when it was last heard of."""
    error: Mapped[str | None] = mapped_column(String(500))
    prediction_id: Mapped[UUID | None] = mapped_column(ForeignKey("predictions.id", ondelete="SET NULL"))
    """The result."""
    __table_args__ = (Index(None, "owner_id", "id"), Index(None, "status", "id"), Index(None, "prediction_id"))


class JobMedia(Base):
    """A chunk of the recording of a job, as in ``PredictionMedia``."""

    __tablename__ = "job_media"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, default=0)
    content: Mapped[bytes]
