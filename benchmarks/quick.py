"""A tiny CNN for some minutes: fails if the service has lost ground to the servers that it is compared with.

    python benchmarks/quick.py            # compare with quick.json
    python benchmarks/quick.py --store    # write quick.json anew

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

STORED = Path(__file__).parent / "quick.json"
LEAST = 0.9  # of the stored ratio
ROUNDS, SECONDS = 5, 2.0
NAMES = (compare.ONNX, compare.OVERHEAD, compare.TUNED, compare.MOSEC, compare.BATCHES)
Ratios = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="store_true", help="store the ratios that are measured")
    store = parser.parse_args().store
    measured = measure()
    if store:
        STORED.write_text(json.dumps(measured, indent=2) + "\n")
        return
    fallen = lost_ground(measured, json.loads(STORED.read_text()))
    print(*fallen, sep="\n")
    sys.exit(bool(fallen))


def measure() -> Ratios:
    """The ratio to each server at each number of clients, such as ``mosec, 8 clients``."""
    with tempfile.TemporaryDirectory() as folder:
        case = next(compare.make_cases(Path(folder)))
        with compare.all_up(case, Path(folder), NAMES) as requests:
            rounds = [_round(requests, case.clients, turn) for turn in range(ROUNDS)]
    ratios = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
    print(*(f"{key}: {ratio:.2f}" for key, ratio in ratios.items()), sep="\n")
    return {key: round(ratio, 2) for key, ratio in ratios.items()}


def lost_ground(measured: Ratios, stored: Ratios) -> list[str]:
    """What has fallen too far below its stored ratio, in words."""
    return [
        f"{key}: {measured[key]:.2f}, and {ratio:.2f} is stored"
        for key, ratio in stored.items()
        if measured[key] < LEAST * ratio
    ]


def _round(requests: Mapping[str, load.Request], clients: tuple[int, ...], turn: int) -> Ratios:
    ratios: Ratios = {}
    for count in clients:
        order = random.Random(turn).sample(sorted(requests), len(requests))  # noqa: S311
        rates = {name: load.run(requests[name], clients=count, seconds=SECONDS).rate for name in order}
        ours = rates.pop(compare.ONNX)
        ratios |= {f"{name}, {count} clients": ours / rate for name, rate in rates.items()}
    return ratios


if __name__ == "__main__":
    main()
