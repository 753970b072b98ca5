"""uvicorn's WebSockets without an error in the log for what only the other side did."""

from __future__ import annotations

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

# A logger of its own: the request's line says what uvicorn's would, and names no path and no query.
_log = logging.getLogger("trigger_api.server.uvicorn_websocket")
_log.setLevel(logging.WARNING)


class QuietSocket(WebSocketsSansIOProtocol):
    """Refuses handshakes, and closes on text that is none, as a matter of course."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _log

    async def send(self, message: Any) -> None:
        """Send; a refusal that is out completes the handshake, which uvicorn forgets to note."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True

    def send_receive_event_to_app(self) -> None:
        """Pass a whole message on. What is not UTF-8 ends the stream, and is nobody's fault but the client's."""
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
