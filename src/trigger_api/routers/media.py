"""Kept media as responses: whole or a range, cached by their owner alone, and never run as a page."""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from trigger_api.history.manager import StoredMedia
from trigger_api.history.media import UNKNOWN_TYPE

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",  # kept by the browser, and shown again only to who may still see it
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def response(request: Request, media: StoredMedia) -> Response:
    """The answer to a request for some media."""
    row = media.prediction
    etag, size = f'"{row.id.hex}"', row.media_bytes
    headers = {**_HEADERS, "ETag": etag, "Vary": "Cookie, Authorization, X-Api-Token"}
    if etag in re.split(r",\s*(?:W/)?", request.headers.get("if-none-match", "").removeprefix("W/")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    media_type = row.media_type or UNKNOWN_TYPE
    kind = "attachment" if media_type == UNKNOWN_TYPE else "inline"
    headers |= {"Content-Disposition": disposition(kind, row.file_name), "Content-Type": media_type}
    wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
    found = byte_range(wanted, size)
    if found is None:
        return StreamingResponse(media.read(0, size), headers={**headers, "Content-Length": str(size)})
    start, stop = found
    if start >= stop:
        headers = {"Content-Range": f"bytes */{size}"}
        return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{size}", "Content-Length": str(stop - start)}
    return StreamingResponse(media.read(start, stop), HTTPStatus.PARTIAL_CONTENT, headers)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last; None for all: several ranges, and other units, may be ignored."""
    match = _RANGE.fullmatch(header or "")
    if match is None or match[1] == match[2] == "" or (match[1] and match[2] and int(match[1]) > int(match[2])):
        return None
    first, last = match.groups()
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size


def disposition(kind: str, name: str | None) -> str:
    """The header ``Content-Disposition`` (RFC 6266). Nothing of the name can end it, or the header."""
    return f"{kind}; filename*=UTF-8''{quote(name, safe='')}" if name else kind
