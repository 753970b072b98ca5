"""A command that works for a job: told to end with the job, its progress and its errors read from what it prints."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import structlog

from trigger_api.errors import ServiceError
from trigger_api.settings import ENV_PREFIX

_PROGRESS = re.compile(r"\s*(\d{1,3}) % (.{0,100})")
_ERROR = "error: "
_LINE_BYTES, _LINES = 65_536, 20
_log = structlog.get_logger(__name__)


async def run(command: Sequence[str], *, timeout_s: float, report: Callable[[float, str], None]) -> None:
    """Run a command. It is killed with everything that it has started if this is cancelled, or this process dies.

    Args:
        command: the program and its arguments.
        timeout_s: seconds that it may take.
        report: is told how far it is, from 0 to 1, and what it is doing: the command prints ``40 % training``.

    Raises:
        ServiceError: it has failed; the message is its own, the line ``error: …``.
    """
    try:
        async with asyncio.timeout(timeout_s), _started(command) as process:
            last = await _follow(process, report)
            status = await process.wait()
    except TimeoutError:
        raise ServiceError(f"it took longer than {timeout_s:g} s") from None
    if status:
        _log.error("command failed", status=status, printed=list(last))
        said = [line.removeprefix(_ERROR) for line in last if line.startswith(_ERROR)]
        raise ServiceError(said[-1] if said else f"it ended with status {status}; see the server's log")


@asynccontextmanager
async def _started(command: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "trigger_api.jobs.child", *command,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env=_environment(), limit=_LINE_BYTES,
    )  # fmt: skip
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()  # it kills the command, if that still runs
        await asyncio.shield(process.wait())


async def _follow(process: asyncio.subprocess.Process, report: Callable[[float, str], None]) -> Sequence[str]:
    """Report progress until the command closes its output; returns its last lines."""
    assert process.stderr is not None
    last: deque[str] = deque(maxlen=_LINES)
    async for raw in process.stderr:
        line = raw.decode(errors="replace").strip()
        if found := _PROGRESS.fullmatch(line):
            report(min(int(found[1]), 100) / 100, found[2])
        elif line:
            last.append(line)
    return last


def _environment() -> dict[str, str]:
    """The environment of this process without the service's settings: some are secrets, and none are the command's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
