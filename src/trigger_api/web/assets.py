"""Style sheet, scripts and samples: each lies at a path with the digest of all of them, so that browsers keep it."""

from __future__ import annotations

import hashlib
from pathlib import Path

_FOLDER = Path(__file__).parent / "static"
ASSETS = {path.relative_to(_FOLDER).as_posix(): path for path in sorted(_FOLDER.rglob("*")) if path.is_file()}
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".ogg": "audio/ogg",
}


def _digest() -> str:
    digest = hashlib.sha256()
    for name, path in ASSETS.items():
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


DIGEST = _digest()
