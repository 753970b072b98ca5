"""``python -m trigger_api.jobs.child COMMAND``: run a command for a server, at low priority, and never longer than it.

The server holds the other end of this process's standard input. When that is closed, because the server wants the
command to end or has died itself, the command is killed with every process that it has started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

_NICENESS = 15


def main(command: Sequence[str]) -> int:
    """Run the command, and return its exit status."""
    os.nice(_NICENESS)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - the server's
    threading.Thread(target=_kill_without_server, args=(process.pid,), daemon=True).start()
    return process.wait()


def _kill_without_server(group: int) -> None:
    while os.read(0, 1024):  # not by a buffered file: its lock would be held when the interpreter ends
        pass
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
