"""Speech synthesis: local programs and networks that turn a text, or phonemes, into a recording.

Every synthesiser is optional; those installed are used. Each utterance is kept in a cache folder, so an interrupted run
does not synthesise anything twice.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

import numpy as np

from trigger_api.datasets import kokoro, piper
from trigger_api.datasets.speech import Samples, keep, read

_SAY_SECONDS = 60
_FLITE = ("kal", "kal16", "rms", "slt", "awb")
_FESTIVAL = ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts")
_ESPEAK_ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029", "en-us-nyc")
# Without whispers, robots and effects, which teach a network nothing about people.
_ESPEAK_VARIANTS = (
    "",
    *(f"+m{n}" for n in range(1, 9)),
    *(f"+f{n}" for n in range(1, 6)),
    *(f"+klatt{n}" for n in ("", "2", "3", "4")),
    *("+Alex", "+Andy", "+Annie", "+Andrea", "+Denis", "+Diogo", "+Gene", "+Jacky", "+Lee", "+Mario", "+Michael"),
    *("+Mike", "+Storm", "+adam", "+anika", "+antonio", "+aunty", "+belinda", "+benjamin", "+boris", "+caleb"),
    *("+david", "+ed", "+edward", "+grandma", "+grandpa", "+henrique", "+john", "+linda", "+marcelo", "+marco"),
    *("+max", "+michel", "+miguel", "+pablo", "+paul", "+pedro", "+quincy", "+rob", "+robert", "+sandro", "+shelby"),
    *("+steph", "+travis", "+victor", "+zac"),
)


# Languages of espeak-ng that read Latin letters as they are written: they speak English with an accent.
_ESPEAK_LANGUAGES = (
    *("af", "az", "bs", "ca", "cs", "cy", "da", "de", "eo", "es", "es-419", "et", "eu", "fi", "fr-fr", "fr-be"),
    *("hr", "hu", "id", "is", "it", "ku", "la", "lt", "lv", "mi", "ms", "mt", "nb", "nl", "pap", "pl", "pt", "pt-br"),
    *("ro", "sk", "sl", "sq", "sv", "sw", "tn", "tr", "uz", "vi"),
)


@dataclass(frozen=True)
class Voice:
    """One voice of one synthesiser.

    Attributes:
        program: the synthesiser: ``flite``, ``festival``, ``espeak-ng``, ``kokoro``, ``piper``, or a command line.
        name: the voice; for Kokoro possibly a blend of two, ``af_heart+bm_lewis``.
        accent: whether it is a voice of another language, which reads respelled English.
    """

    program: str
    name: str
    accent: bool = False

    @property
    def takes_phonemes(self) -> bool:
        """Whether it takes phonemes instead of a text."""
        return self.program in ("kokoro", "piper")

    def command(self, text: str, out: Path, *, tempo: float, pitch: float) -> list[str]:
        """The command line that speaks `text` into the wav file `out`."""
        if self.program == "flite":
            stretch = f"duration_stretch={1 / tempo:.3f}"
            return ["flite", "-voice", self.name, "--setf", stretch, "-t", text, "-o", str(out)]
        if self.program == "espeak-ng":
            speed, height = str(round(160 * tempo)), str(round(99 * pitch))
            return ["espeak-ng", "-v", self.name, "-s", speed, "-p", height, "-w", str(out), text]
        if self.program == "festival":
            stretch = f"(Parameter.set 'Duration_Stretch {1 / tempo:.3f})"
            return ["text2wave", "-eval", f"(voice_{self.name})", "-eval", stretch, "-o", str(out)]
        return [part.format(text=text, out=out) for part in shlex.split(self.program)]


@dataclass(frozen=True)
class Line:
    """A text for a voice to say. A `tempo` of 1 is its natural pace, larger is faster; a `pitch` of 0.5 is natural."""

    voice: Voice
    text: str
    tempo: float = 1.0
    pitch: float = 0.5


def voices(command: str | None = None) -> list[Voice]:
    """Every voice of the programs that are installed, and of `command` with ``{text}`` and ``{out}``, if given.

    Raises:
        ValueError: the command lacks one of them or has another placeholder, or its program is not installed.
    """
    if command:
        _check(command)
    found = [Voice("flite", name) for name in _FLITE if shutil.which("flite")]
    if shutil.which("text2wave"):
        found += [Voice("festival", name) for name in _FESTIVAL]
    if shutil.which("espeak-ng"):
        found += [Voice("espeak-ng", _ESPEAK_ACCENTS[0] + variant) for variant in _ESPEAK_VARIANTS]
        found += [Voice("espeak-ng", accent) for accent in _ESPEAK_ACCENTS[1:]]
        found += [Voice("espeak-ng", language, accent=True) for language in _ESPEAK_LANGUAGES]
        if kokoro.available():
            found += [Voice("kokoro", name) for name in kokoro.voices()]
        if piper.available():
            found.append(Voice("piper", piper.VOICE))
    return [*found, Voice(command, "custom")] if command else found


def _check(command: str) -> None:
    if _blanks(command) != {"text", "out"}:
        raise ValueError(f"{command!r} is not a synthesiser: it must take {{text}} and write {{out}}")
    program = shlex.split(command)[0]
    if not shutil.which(program):
        raise ValueError(f"the synthesiser {program!r} is not installed")


def _blanks(command: str) -> set[str]:
    """The placeholders of a command; none if its braces do not match."""
    try:
        return {name for _, name, _, _ in Formatter().parse(command) if name is not None}
    except ValueError:
        return set()


def say(lines: Sequence[Line], cache: Path) -> list[Samples | None]:
    """Speak every line; None where the voice failed or produced nothing. Samples are 16 kHz mono."""
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda line: _say(line, cache), lines))


def _say(line: Line, cache: Path) -> Samples | None:
    key = f"{line.voice.program}|{line.voice.name}|{line.text}|{line.tempo:.3f}|{line.pitch:.3f}"
    target = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npy"
    if target.exists():
        spoken: Samples = np.load(target)
    else:
        spoken = _run(line, target.with_suffix(".wav"))
        if len(spoken):  # failures are not cached: the program may be fixed before the next run
            keep(target, spoken)
    return spoken if len(spoken) else None


def _run(line: Line, out: Path) -> Samples:
    try:
        if line.voice.program == "kokoro":
            return kokoro.speak(line.text, _style(line.voice.name), line.tempo)
        if line.voice.program == "piper":
            return piper.speak(line.text, line.tempo)
        return _called(line, out)
    except (OSError, subprocess.SubprocessError, RuntimeError, ValueError):
        return np.empty(0, np.float32)


def _style(name: str) -> kokoro.Style:
    first, _, second = name.partition("+")
    return kokoro.Style(first, second, 0.5) if second else kokoro.Style(first, first)


def _called(line: Line, out: Path) -> Samples:
    command = line.voice.command(line.text, out, tempo=line.tempo, pitch=line.pitch)
    try:
        subprocess.run(command, input=line.text.encode(), capture_output=True, timeout=_SAY_SECONDS, check=True)  # noqa: S603
        return read(out)
    finally:
        out.unlink(missing_ok=True)
