"""How many strings of handwritten digits are read correctly, and how many blank papers and textures as nothing.

    python benchmarks/digit_strings.py --images t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz

`synthetic_pages.py` composes the pictures of labelled digits, reproducibly for a seed. They go through the service as
uploads do, without HTTP. A string counts as correct if every digit is, and no other is found.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import results
import synthetic_pages
from trigger_api.datasets.mnist import read_images, read_labels
from trigger_api.evaluation.report import share
from trigger_api.evaluation.serving import ServedModel, serving
from trigger_api.observability import logs
from trigger_api.registry import BUNDLED
from trigger_api.tasks.digits.task import Digits

PLAIN = synthetic_pages.Style()
STYLES = {
    "strings": PLAIN,
    "on ruled paper": replace(PLAIN, ruled=1.0),
    "light on dark": replace(PLAIN, inverted=1.0),
    "digits 18 to 24 pixels high": replace(PLAIN, height=(18, 24)),
    "many touching": replace(PLAIN, gap=(-0.15, 0.1)),
}
NOTHING = "blank papers and textures"


def main() -> None:
    options = _options()
    logs.configure("error")  # standard output is for the figures
    digits, labels = read_images(options.images), read_labels(options.labels)
    count, seed, kinds = options.count, options.seed, options.only or [*STYLES, NOTHING]
    styles = {name: style for name, style in STYLES.items() if name in kinds}
    sets = {name: synthetic_pages.digit_strings(count, digits, labels, seed, style) for name, style in styles.items()}
    if NOTHING in kinds:
        sets[NOTHING] = synthetic_pages.blank_pages(count, seed)
    with serving(options.models) as served:
        figures = {name: _accuracy(served, samples) for name, samples in sets.items()}
    print(json.dumps(figures, indent=2))
    if options.write:
        results.write(_report(figures, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="MNIST's pictures: idx, idx.gz or npz")
    parser.add_argument("--labels", type=Path, required=True, help="their labels")
    parser.add_argument("--models", type=Path, default=BUNDLED / "digits", help="model folder")
    parser.add_argument("--count", type=int, default=1_000, help="pictures of each kind")
    parser.add_argument("--only", action="append", choices=[*STYLES, NOTHING], help="only this kind; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="put the figures into RESULTS.md")
    return parser.parse_args()


def _accuracy(served: ServedModel, samples: Sequence[synthetic_pages.Sample]) -> float:
    """Percent."""
    answers = served.predict_all(Digits, (sample.data for sample in samples))
    correct = sum("/".join(answer.lines) == sample.text for answer, sample in zip(answers, samples, strict=True))
    return share(correct, len(samples))


def _report(figures: dict[str, float], options: argparse.Namespace) -> str:
    rows = "\n".join(f"| {name} | {value:.1f} % |" for name, value in figures.items())
    return f"""## Strings of digits

`python benchmarks/digit_strings.py`: {options.count} pictures of each kind, seed {options.seed}, composed by
`synthetic_pages.py` of MNIST's test digits: 3 to 8 of them, 22 to 64 pixels high, rotated by up to 10 degrees, on paper
with grain, shade and, for a quarter of them, ruled lines; 15 % are light on dark. Correct means that every digit is and
that no other is found; in the last row, that nothing is found. Where many touch, the gaps between neighbours' boxes are
from a tenth of a digit's height to -15 % of it.

| pictures | correct |
|---|---|
{rows}
"""


if __name__ == "__main__":
    main()
