"""What twenty words cost instead of one: one client's requests to one service, interleaved.

    python benchmarks/words.py

All twenty are copies of the bundled word, so that where it was said, twenty heads and the backbone run.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import load
import results
from servers import server
from trigger_api.registry import BUNDLED

PORT, WORDS = 8101, 20
URL = f"http://127.0.0.1:{PORT}"
SAMPLES = Path(__file__).parent.parent / "samples"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="per clip, number of words and round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _copies(Path(folder))
        environment = {"TRIGGER_API_LOG_LEVEL": "warning", "TRIGGER_API_MODELS": folder}
        with server(["-m", "trigger_api", "serve", "--port", str(PORT)], f"{URL}/health/ready", environment):
            rows = [_row(name, clip, options) for name, clip in _clips().items()]
    text = _report(rows, options)
    results.write(text)
    print(text)


def _copies(folder: Path) -> None:
    """The bundled word under other names, beside itself."""
    for number in range(1, WORDS):
        copy = folder / "trigger" / f"word{number}" / "1"
        shutil.copytree(BUNDLED / "trigger" / "activate" / "1", copy)
        card = json.loads((copy / "card.json").read_text())
        (copy / "card.json").write_text(json.dumps({**card, "name": f"word{number}", "labels": [f"word {number}"]}))


def _clips() -> dict[str, bytes]:
    other, rate = soundfile.read(SAMPLES / "other.wav")
    return {
        "noise, 10 s": _wav(np.random.default_rng(0).normal(0, 0.05, 160_000), 16_000),
        "other words, 10 s": _wav(np.resize(other, 10 * rate), rate),
        "the word, 3.2 s": (SAMPLES / "activate.wav").read_bytes(),
    }


def _wav(samples: np.ndarray, rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _row(name: str, clip: bytes, options: argparse.Namespace) -> str:
    requests = {
        count: load.upload(f"{URL}/v1/trigger", "clip.wav", clip, "audio", word=word)
        for count, word in ((1, "activate"), (WORDS, "*"))
    }
    rounds = [
        {count: load.run(request, clients=1, seconds=options.seconds) for count, request in requests.items()}
        for _ in range(options.rounds)
    ]
    one, many = ([each[count].percentile(0.5) for each in rounds] for count in requests)
    ratios = [b / a for a, b in zip(one, many, strict=True)]
    failed = sum(len(each[count].failures) for each in rounds for count in requests)
    return (
        f"| {name} | {statistics.median(one):.1f} ms | {statistics.median(many):.1f} ms "
        f"| {statistics.median(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f}) | {failed} |"
    )


def _report(rows: list[str], options: argparse.Namespace) -> str:
    lines = [
        "## Twenty words",
        "",
        f"`python benchmarks/words.py`: one client, p50, medians of {options.rounds} interleaved rounds of "
        f"{options.seconds:g} s.",
        "",
        "| recording | one word | twenty | times one (least, most) | failed |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
