"""JSON bodies in another charset than UTF-8: made into UTF-8 before anything parses them."""

from __future__ import annotations

import codecs
import json
import re
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trigger_api.errors import MALFORMED_JSON, NOT_UTF8
from trigger_api.server.problems import id_of, problem

_JSON: Final = re.compile(r"\s*(application/(.+\+)?json|text/json|text/plain)\s*(;|$)", re.ASCII | re.IGNORECASE)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.ASCII | re.IGNORECASE)
_SUPPORTED: Final = re.compile(  # Python has codecs for more, some of which take quadratic time, or are none of text
    r"(us-)?ascii|utf-?8|utf-?(16|32)(-?[lb]e)?|latin-?1|iso-?8859-?\d+|(windows-|cp)125\d|shift[-_]jis|euc-(jp|kr)"
    r"|gb(k|2312|18030)|big5|koi8-[ru]",
    re.ASCII | re.IGNORECASE,
)
_MARK: Final = 4  # bytes that tell UTF-8, UTF-16 and UTF-32 apart


class Charset:
    """Recodes JSON bodies: from the charset that their Content-Type names, or from UTF-16 or UTF-32, found out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        kind = _json_type(scope) if scope["type"] == "http" else ""
        if not kind:
            await self._app(scope, receive, send)
            return
        charset = named[1] if (named := _CHARSET.search(kind)) else None
        if charset is not None and not _is_supported(charset):
            await _refusal(scope, charset)(scope, receive, send)
        else:
            # Most bodies are in UTF-8 already: a copy of the headers would be all that happens to their requests.
            recoded = _recoded(scope) if charset else scope
            await self._app(recoded, _Body(receive, charset).receive, send)


class _Body:
    """A body of text, as UTF-8."""

    def __init__(self, receive: Receive, charset: str | None) -> None:
        self._receive = receive
        self._charset = charset
        self._decoder: codecs.IncrementalDecoder | None = None
        self._is_utf8 = False
        self._begun = b""  # too few bytes to tell a charset

    async def receive(self) -> Message:
        """The next piece, or a disconnect.

        Raises:
            HTTPException: it is in another charset. FastAPI lets only this kind out of its body parser.
        """
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._decoder is None:
            self._begun += body
            if more and len(self._begun) < _MARK:
                return {"type": "http.request", "body": b"", "more_body": True}
            body = self._begun
            found = codecs.lookup(self._charset or json.detect_encoding(body))
            self._decoder, self._is_utf8 = found.incrementaldecoder(), found.name == "utf-8"
        return {"type": "http.request", "body": self._recode(self._decoder, body, final=not more), "more_body": more}

    def _recode(self, decoder: codecs.IncrementalDecoder, body: bytes, *, final: bool) -> bytes:
        try:
            text = decoder.decode(body, final)
            return body if self._is_utf8 else text.encode()  # pieces of UTF-8 stay as they are, once they are checked
        except UnicodeError:
            named = f"not in {self._charset}, as its Content-Type says: send UTF-8" if self._charset else NOT_UTF8
            raise HTTPException(HTTPStatus.BAD_REQUEST, f"{MALFORMED_JSON}: the body is {named}") from None


def _json_type(scope: Scope) -> str:
    """The content type, if the body is JSON alone; the binary tensors that may follow it have no charset."""
    headers = Headers(scope=scope)
    kind = headers.get("content-type", "")
    return kind if _JSON.match(kind) and "inference-header-content-length" not in headers else ""


def _is_supported(charset: str) -> bool:
    with suppress(LookupError):
        return _SUPPORTED.fullmatch(charset) is not None and bool(codecs.lookup(charset))
    return False


def _recoded(scope: Scope) -> Scope:
    """The request as if its body had come in UTF-8; how long that is, nobody knows yet."""
    recoded = {**scope, "headers": list(scope["headers"])}
    del MutableHeaders(scope=recoded)["content-length"]
    return recoded


def _refusal(scope: Scope, charset: str) -> ASGIApp:
    detail = f"charset={charset[:40]} is not supported: send JSON in UTF-8"
    return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, request_id=id_of(scope))
