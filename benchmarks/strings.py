"""Whole strings of handwritten digits read right, and blank papers and textures on which nothing is read.

    python benchmarks/strings.py --images t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz

The pictures are made by `papers.py` from the labelled digits given, the same again for the same seed; they go through
the service as uploads do, without its network. A string counts if every digit is right and there is no other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import papers
import results
from trigger_api.datasets.mnist import read_images, read_labels
from trigger_api.observability.metrics import Metrics
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks.digits.task import Digits

PLAIN = papers.Style()
STYLES = {
    "strings": PLAIN,
    "on ruled paper": replace(PLAIN, ruled=1.0),
    "light on dark": replace(PLAIN, inverted=1.0),
    "digits 18 to 24 pixels high": replace(PLAIN, height=(18, 24)),
    "many touching": replace(PLAIN, gap=(-0.15, 0.1)),
}
NOTHING = "blank papers and textures"
_AT_ONCE = 4


def main() -> None:
    options = _options()
    digits, labels = read_images(options.images), read_labels(options.labels)
    count, seed, kinds = options.count, options.seed, options.only or [*STYLES, NOTHING]
    sets = {name: papers.strings(count, digits, labels, seed, STYLES[name]) for name in kinds if name in STYLES}
    if NOTHING in kinds:
        sets[NOTHING] = papers.nothing(count, seed)
    figures = asyncio.run(_measure(sets, options.models))
    print(json.dumps(figures, indent=2))
    if options.write:
        results.write(_report(figures, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="MNIST's pictures: idx, idx.gz or npz")
    parser.add_argument("--labels", type=Path, required=True, help="their labels")
    parser.add_argument("--models", type=Path, help="model folder; the bundled model if not given")
    parser.add_argument("--count", type=int, default=1_000, help="pictures of each kind")
    parser.add_argument("--only", action="append", choices=[*STYLES, NOTHING], help="this kind; may be given often")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="put the figures into RESULTS.md")
    return parser.parse_args()


async def _measure(sets: dict[str, list[papers.Sample]], models: Path | None) -> dict[str, float]:
    service = Service(Settings(models=models, bundled=models is None), Metrics())
    for entry in service.registry.versions:
        if entry.card.task == "digits":
            service.registry.load(entry)
    try:
        return {name: await _right(service, samples) for name, samples in sets.items()}
    finally:
        await service.close()


async def _right(service: Service, samples: Sequence[papers.Sample]) -> float:
    """Percent."""
    right = 0
    for start in range(0, len(samples), _AT_ONCE):
        batch = samples[start : start + _AT_ONCE]
        readings = await asyncio.gather(*(service.task(Digits).predict(sample.data) for sample in batch))
        right += sum("/".join(each.lines) == sample.text for each, sample in zip(readings, batch, strict=True))
    return round(100 * right / len(samples), 2)


def _report(figures: dict[str, float], options: argparse.Namespace) -> str:
    rows = "\n".join(f"| {name} | {share:.1f} % |" for name, share in figures.items())
    return f"""## Strings of digits

`python benchmarks/strings.py`: {options.count} pictures of each kind, seed {options.seed}, composed by `papers.py` of
MNIST's test digits: 3 to 8 of them, 22 to 64 pixels high, turned by up to 10 degrees, on paper with grain, shade and, a
quarter of them, rules; 15 % light on dark. Right means that every digit is right and there is no other; in the last
row, that nothing was read. Where many touch, the boxes of neighbours are from a tenth of a digit's height apart to 15 %
of it into each other.

| pictures | right |
|---|---|
{rows}
"""


if __name__ == "__main__":
    main()
