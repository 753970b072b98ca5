"""Rooms that stream live audio: 64 of them for five minutes, then as many as the machine sustains.

    python benchmarks/rooms.py

Every room plays the project's two samples in turn, in real time, in frames of 80 ms, over a WebSocket of its own and
from an offset of its own. The load comes from the same machine.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import uvloop

import results
from servers import server
from stream_clients import FRAME_MS, ClientResult, Script, encode, stream

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples"
PORT, RATE = 8110, 16_000
WORD_MS = 2_200  # samples/README.md
DELAY_MS = 300
MARGIN_MIB = 64
SETTINGS = {
    "TRIGGER_API_LOG_LEVEL": "warning",
    "TRIGGER_API_MAX_STREAMS": "4096",
    "TRIGGER_API_MAX_STREAMS_PER_CALLER": "4096",
}


@dataclass(frozen=True)
class Run:
    """The results of some rooms over some time."""

    rooms: int
    seconds: float
    outcomes: list[ClientResult]
    cores: float
    mib: float
    load: float

    @property
    def delays_ms(self) -> list[float]:
        """From a word's end to its detection, milliseconds, ascending."""
        return sorted(delay for room in self.outcomes for delay in room.delays_ms)

    @property
    def lost(self) -> int:
        """Rooms that were disconnected, or whose audio was not processed completely."""
        return sum(bool(room.error) or room.heard_ms < room.sent_ms for room in self.outcomes)

    @property
    def words(self) -> int:
        """Words that were played completely."""
        return sum(room.expected for room in self.outcomes)

    @property
    def sustained(self) -> bool:
        """Whether nothing was lost or late."""
        return not self.lost and len(self.delays_ms) >= self.words and self.delay(0.95) <= DELAY_MS

    def delay(self, share: float) -> float:
        """Milliseconds from a word's end to its detection; the share (0..1) was faster."""
        ordered = self.delays_ms or [float("inf")]
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def main() -> None:
    options = _options()
    script = _script()
    command = ["-m", "trigger_api", "serve", "--port", str(PORT)]
    with server(command, f"http://127.0.0.1:{PORT}/health/ready", SETTINGS) as process:
        pid = process.pid
        alone = _run(script, pid, 1, 20)
        long = _run(script, pid, options.rooms, options.seconds)
        runs = _search(script, pid, options)
    text = _report(alone, long, runs)
    results.write(text)
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--step", type=int, default=100, help="more rooms in each run of the search")
    parser.add_argument("--run-seconds", type=float, default=30, help="seconds of each run of the search")
    parser.add_argument("--most", type=int, default=2_000)
    return parser.parse_args()


def _script() -> Script:
    other, said = (_recording(name) for name in ("other.wav", "activate.wav"))
    size = RATE * FRAME_MS // 1000
    samples = np.concatenate([other, said])
    samples = samples[: len(samples) // size * size]
    pcm = np.asarray(samples * 32_767, "<i2").tobytes()
    frames = [encode(pcm[start : start + 2 * size]) for start in range(0, len(pcm), 2 * size)]
    return Script(frames, [round(1000 * len(other) / RATE) + WORD_MS])


def _recording(name: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    samples, rate = soundfile.read(SAMPLES / name, dtype="float32")
    return np.asarray(soxr.resample(samples, rate, RATE), np.float32)


def _run(script: Script, pid: int, rooms: int, seconds: float) -> Run:
    cpu = _cpu_seconds(pid)
    outcomes = uvloop.run(stream(PORT, script, rooms=rooms, seconds=seconds))
    run = Run(rooms, seconds, outcomes, (_cpu_seconds(pid) - cpu) / seconds, resident_mib(pid), os.getloadavg()[0])
    print(_row(run), flush=True)
    return run


def _search(script: Script, pid: int, options: argparse.Namespace) -> list[Run]:
    """More rooms each time, until two runs in a row are not sustained: one may be other work on the machine."""
    runs: list[Run] = []
    for rooms in range(options.step, options.most + 1, options.step):
        runs.append(_run(script, pid, rooms, options.run_seconds))
        if not any(run.sustained for run in runs[-2:]):
            break
    return runs


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def _report(alone: Run, long: Run, runs: Iterable[Run]) -> str:
    runs = list(runs)
    most = max((run.rooms for run in runs if run.sustained), default=0)
    more = long.mib - alone.mib
    lines = [
        "## Rooms that stream live",
        "",
        f"`python benchmarks/rooms.py` on {os.cpu_count()} cores, the load on the same machine: each room is a "
        f"WebSocket of its own with 16 kHz audio in frames of {FRAME_MS} ms, in real time. Sustained means: no room "
        "was hung up on, all audio was heard, every word was, and 95 % of the detections came within "
        f"{DELAY_MS} ms of the word's end.",
        "",
        f"**{long.rooms} rooms for {long.seconds:g} s: {'sustained' if long.sustained else 'not sustained'}; "
        f"{more:.0f} MiB above one room (target: at most {MARGIN_MIB}). Most rooms sustained: {most} (aim: 300).**",
        "",
        "| rooms | seconds | lost | words heard, of | delay p50 | p95 | most | cores | MiB | load | sustained |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(_row(run) for run in (alone, long, *runs)),
        "",
    ]
    return "\n".join(lines)


def _row(run: Run) -> str:
    delays = " | ".join(f"{run.delay(share):.0f} ms" for share in (0.5, 0.95, 1))
    return (
        f"| {run.rooms} | {run.seconds:g} | {run.lost} | {len(run.delays_ms)}, {run.words} | {delays} "
        f"| {run.cores:.2f} | {run.mib:.0f} | {run.load:.1f} | {'yes' if run.sustained else 'no'} |"
    )


if __name__ == "__main__":
    main()
