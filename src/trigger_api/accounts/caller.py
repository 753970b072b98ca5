"""Who sent a request, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

Scope = Literal["predict", "stream", "history", "models:admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
LOCAL = "local:"  # owns what callers of this machine keep, who need no token


@dataclass(frozen=True)
class Caller:
    """The sender of a request."""

    admin: bool = False
    """Whether they may load and unload models."""
    name: str = ""
    """Distinguishes callers, for limits; reveals nothing else about them."""
    scopes: frozenset[str] = frozenset(SCOPES)
    has_token: bool = False
    """Whether they sent a valid token, which no browser adds to a request of another site's page by itself."""
    user_id: UUID | None = None
    """The account, of those who are logged in or sent a token of it."""
    session_id: UUID | None = None
    """The session, of those who are logged in."""
    owner: str | None = None
    """The account that owns what is kept, by name, of those without one of their own; None if nothing is kept."""
    keeps_history: bool = False
    """Whether predictions are kept without being asked to for each."""
    verified: bool = True
    """False if they sent a token or cookie that could not be looked up, and are let in without."""
