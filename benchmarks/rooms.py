"""Rooms that stream live: 64 of them for five minutes, then as many as the machine sustains.

    python benchmarks/rooms.py

Every room plays the project's two samples in turn, in real time, in frames of 80 ms, over a WebSocket of its own,
each from another place. The load comes from the same machine.
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
from listeners import FRAME_MS, Outcome, Script, encode, stream
from servers import server

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
class Trial:
    """What so many rooms for so long came to."""

    rooms: int
    seconds: float
    outcomes: list[Outcome]
    cores: float
    mib: float
    load: float

    @property
    def delays_ms(self) -> list[float]:
        """From a word's end to its detection, milliseconds, ascending."""
        return sorted(delay for room in self.outcomes for delay in room.delays_ms)

    @property
    def lost(self) -> int:
        """Rooms that were hung up on, or of whose audio something was not heard."""
        return sum(bool(room.error) or room.heard_ms < room.sent_ms for room in self.outcomes)

    @property
    def words(self) -> int:
        """Words that were said whole."""
        return sum(room.expected for room in self.outcomes)

    @property
    def sustained(self) -> bool:
        """Whether all went as it should."""
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
        alone = _try(script, pid, 1, 20)
        long = _try(script, pid, options.rooms, options.seconds)
        trials = _search(script, pid, options)
    text = _report(alone, long, trials)
    results.write(text)
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--step", type=int, default=100, help="rooms more in each trial of the search")
    parser.add_argument("--trial", type=float, default=30, help="seconds of a trial")
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


def _try(script: Script, pid: int, rooms: int, seconds: float) -> Trial:
    cpu = _cpu_seconds(pid)
    outcomes = uvloop.run(stream(PORT, script, rooms=rooms, seconds=seconds))
    trial = Trial(rooms, seconds, outcomes, (_cpu_seconds(pid) - cpu) / seconds, resident_mib(pid), os.getloadavg()[0])
    print(_row(trial), flush=True)
    return trial


def _search(script: Script, pid: int, options: argparse.Namespace) -> list[Trial]:
    """More rooms each time, until two trials in a row were not sustained: one may be the machine's other work."""
    trials: list[Trial] = []
    for rooms in range(options.step, options.most + 1, options.step):
        trials.append(_try(script, pid, rooms, options.trial))
        if not any(trial.sustained for trial in trials[-2:]):
            break
    return trials


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def _report(alone: Trial, long: Trial, trials: Iterable[Trial]) -> str:
    trials = list(trials)
    most = max((trial.rooms for trial in trials if trial.sustained), default=0)
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
        *(_row(trial) for trial in (alone, long, *trials)),
        "",
    ]
    return "\n".join(lines)


def _row(trial: Trial) -> str:
    delays = " | ".join(f"{trial.delay(share):.0f} ms" for share in (0.5, 0.95, 1))
    return (
        f"| {trial.rooms} | {trial.seconds:g} | {trial.lost} | {len(trial.delays_ms)}, {trial.words} | {delays} "
        f"| {trial.cores:.2f} | {trial.mib:.0f} | {trial.load:.1f} | {'yes' if trial.sustained else 'no'} |"
    )


if __name__ == "__main__":
    main()
