"""Secrets of 256 random bits: of sessions, of API tokens, and of permissions to set a new password.

Only their SHA-256 is stored: nobody guesses 256 bits, so a slow hash would protect nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from enum import StrEnum

_RANDOM = re.compile(r"[A-Za-z0-9_-]{43}")


class Kind(StrEnum):
    """What a secret is for. It begins with this, so that those who find one know what it is, and scanners find it."""

    SESSION = "tas_"
    TOKEN = "tat_"  # noqa: S105 - a prefix
    RESET = "tar_"


def new_secret(kind: Kind) -> str:
    """A new secret."""
    return kind + secrets.token_urlsafe(32)


def is_secret(text: str, kind: Kind) -> bool:
    """Whether a text may be a secret of a kind. Nothing else is looked up in the database."""
    return text.startswith(kind) and _RANDOM.fullmatch(text, len(kind)) is not None


def is_ours(text: str) -> bool:
    """Whether a text may be a secret of any kind."""
    return any(is_secret(text, kind) for kind in Kind)


def digest(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()
