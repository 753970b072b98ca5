"""A tiny CNN for some minutes: fails if the service has lost ground to the servers that it is compared with.

    python benchmarks/quick.py            # compare with quick.json
    python benchmarks/quick.py --store    # write quick.json, and a section of RESULTS.md

Rates depend on the machine, and ratios to other servers hardly do. A ratio is how often ``trigger_api`` answers in the
time that the server answers once: the median over rounds, in which all servers are measured in turn.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import compare
import load
import results

STORED = Path(__file__).parent / "quick.json"
LEAST = 0.9  # of the stored ratio
ROUNDS, SECONDS = 5, 1.5
NAMES = (compare.OVERHEAD, compare.TUNED, compare.MOSEC, compare.BATCHES, compare.ONNX)
Ratios = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="store_true", help="store the ratios that are measured")
    store = parser.parse_args().store
    with tempfile.TemporaryDirectory() as folder:
        case = next(compare.make_cases(Path(folder)))
        with compare.all_up(case, Path(folder), NAMES) as requests:
            rounds = [_round(requests, case.clients, turn) for turn in range(ROUNDS)]
    measured, section = ratios(rounds, case.clients), report(case, rounds)
    print(section)
    if store:
        STORED.write_text(json.dumps(measured, indent=2) + "\n")
        results.write(section)
        return
    fallen = lost_ground(measured, json.loads(STORED.read_text()))
    print(*fallen, sep="\n")
    sys.exit(bool(fallen))


def ratios(rounds: list[compare.Run], clients: tuple[int, ...]) -> Ratios:
    """The ratio to each server at each number of clients, such as ``mosec, 8 clients``."""
    return {
        f"{name}, {count} clients": round(
            statistics.median(each[compare.ONNX, count].rate / each[name, count].rate for each in rounds), 2
        )
        for name in NAMES[:-1]
        for count in clients
    }


def lost_ground(measured: Ratios, stored: Ratios) -> list[str]:
    """What has fallen too far below its stored ratio, in words."""
    return [
        f"{key}: {measured[key]:.2f}, and {ratio:.2f} is stored"
        for key, ratio in stored.items()
        if measured[key] < LEAST * ratio
    ]


def report(case: compare.Case, rounds: list[compare.Run]) -> str:
    """A section of RESULTS.md."""
    text = (
        f"`python benchmarks/quick.py`: {len(rounds)} rounds of {SECONDS:g} s on {compare.CORES} cores, all servers up "
        "at once and in another order each round, medians; the columns are those of `compare.py`. `make bench-quick` "
        "fails where a ratio is more than a tenth lower."
    )
    return "\n".join(["## Quick comparison: tiny CNN", "", text, "", *compare.table(case, rounds), ""])


def _round(requests: Mapping[str, load.Request], clients: tuple[int, ...], turn: int) -> compare.Run:
    order = random.Random(turn).sample(sorted(requests), len(requests))  # noqa: S311
    return {
        (name, count): load.run(requests[name], clients=count, seconds=SECONDS) for count in clients for name in order
    }


if __name__ == "__main__":
    main()
