"""Every test of rooms may have a running server."""

from __future__ import annotations

from helpers.live_server import serve, server

__all__ = ["serve", "server"]
