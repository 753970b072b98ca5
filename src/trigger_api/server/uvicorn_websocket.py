"""uvicorn's WebSocket protocol, without errors in the log for what the client did wrong."""

from __future__ import annotations

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

# A logger of its own: the request log already has what uvicorn would log, without path and query.
_log = logging.getLogger("trigger_api.server.uvicorn_websocket")
_log.setLevel(logging.WARNING)


class QuietWebSocket(WebSocketsSansIOProtocol):
    """Rejects handshakes, and closes on text that is not UTF-8, without logging an error."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _log

    async def send(self, message: Any) -> None:
        """Send a message. A rejection completes the handshake, which uvicorn does not record."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True

    def send_receive_event_to_app(self) -> None:
        """Pass a complete message on, or close the connection if its text is not UTF-8."""
        if self.curr_msg_data_type == "bytes" or self.close_sent or _is_text(b"".join(self.frames)):
            super().send_receive_event_to_app()
            return
        self.conn.send_close(CloseCode.INVALID_DATA)
        self.handle_parser_exception()


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
