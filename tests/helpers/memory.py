"""What Linux says of the memory of a process."""

from __future__ import annotations

import os
from pathlib import Path


def resident_mib(pid: int | None = None, field: str = "VmRSS") -> float:
    """MiB that a process holds, by default this one; ``VmHWM`` is the most that it has held."""
    status = Path(f"/proc/{pid or os.getpid()}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(field)]
    return int(line.split()[1]) / 1024
