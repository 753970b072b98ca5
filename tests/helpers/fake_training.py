"""Stands in for the training of a word: ``fake_training.py MADE WORD OUT RECORDINGS END``.

It says that it is half done, waits for the file END, and copies a model that was made before. If END holds "fail" or
"crash", it does that.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path


def main(made: str, word: str, out: str, recordings: str, end: str) -> int:
    """Train nothing."""
    assert word == "hey ada"
    assert not [name for name in os.environ if name.startswith("TRIGGER_API_")]
    Path(end).with_name("pid").write_text(str(os.getpid()))
    heard = len(list(Path(recordings).glob("*.wav"))) if recordings else 0
    sys.stderr.write(f"50 % hearing {heard} recordings\n")
    while not Path(end).exists():
        time.sleep(0.02)
    if Path(end).read_text() == "fail":
        sys.stderr.write("error: there is nobody to say it\n")
        return 2
    if Path(end).read_text() == "crash":
        return 3
    shutil.copytree(next(Path(made).glob("trigger/*/*/card.json")).parent, out)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
