"""A copy of everything that is stored about an account, for its owner."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

from trigger_api.storage.database import Database
from trigger_api.storage.export import rows


async def export(database: Database, user_id: UUID) -> AsyncIterator[bytes]:
    """JSON lines; each says in ``kind`` what it is. Media are in base64."""
    async for kind, columns in rows(database, user_id=user_id):
        yield json.dumps({"kind": kind, **columns}, default=_plain).encode() + b"\n"


def _plain(value: Any) -> str:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case datetime():
            return value.isoformat()
        case _:
            return str(value)
