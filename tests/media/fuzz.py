"""Damages recordings and pictures of every kind and decodes them, for as long as it is told to.

    make fuzz MINUTES=10

Each file is decoded as an upload is, and some as a live stream. What is refused must be refused by one of the service's
own errors, within the limit of time; memory must not grow. Prints a line a minute, and fails at the first wrong thing,
whose file it keeps.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image

from helpers.beep import beeps, encode
from helpers.encoded import encoded
from helpers.memory import resident_mib
from trigger_api.errors import ServiceError
from trigger_api.media import audio, image
from trigger_api.media.ffmpeg import LiveRecording
from trigger_api.media.pipe import Pipe

SLOWEST = 5.0  # seconds that one decoder may take
GROWTH = 1.25  # of memory, from the end of the first minute
LIMITS = audio.AudioLimits(seconds=10, samples=1_000_000)
AUDIO = [
    *(("webm", "libopus", 48_000), ("ogg", "libopus", 48_000), ("matroska", "pcm_f32le", 48_000)),
    *(("mp4", "aac", 48_000), ("mp4", "alac", 48_000), ("mov", "pcm_s16le", 48_000), ("mpegts", "aac", 48_000)),
    *(("3gp", "libopencore_amrnb", 8_000), ("amr", "libopencore_amrnb", 8_000), ("adts", "aac", 48_000)),
    *(("caf", "alac", 48_000), ("aiff", "pcm_s16be", 48_000), ("au", "pcm_mulaw", 8_000), ("w64", "pcm_s16le", 16_000)),
    *(("mp3", "libmp3lame", 44_100), ("wav", "libmp3lame", 44_100), ("mp2", "mp2", 44_100), ("ogg", "flac", 16_000)),
    *(("flac", "flac", 16_000), ("wv", "wavpack", 44_100), ("wav", "pcm_u8", 8_000), ("wav", "adpcm_ms", 22_050)),
    *(("asf", "wmav1", 22_050), ("asf", "wmav2", 44_100), ("wav", "g726", 8_000), ("avi", "pcm_s16le", 16_000)),
]
LIVE = {
    "webm": ("libopus", {"live": "1"}),
    "ogg": ("libopus", {}),
    "mp4": ("aac", {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "200000"}),
}
PICTURES = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "AVIF")
EXTREMES = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f")

Case = tuple[str, Callable[[bytes], object], bytes]


def cases() -> list[Case]:
    """Every kind of file, whole, beside what decodes it."""

    def sound(rate: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        return beeps([0.5], seconds=1, rate=rate)[:, None]

    files: list[Case] = [
        (f"{container}/{codec}", decode_audio, encoded(sound(rate), rate, container, codec))
        for container, codec, rate in AUDIO
    ]
    files += [
        (kind, decode_audio, encode(sound(16_000)[:, 0], 16_000, kind, "VORBIS" if kind == "OGG" else "PCM_16"))
        for kind in ("WAV", "OGG", "FLAC", "AIFF", "CAF")
    ]
    for container, (codec, options) in LIVE.items():
        data = encoded(sound(48_000), 48_000, container, codec, **options)
        files.append((f"live {container}", live(container), data))
    return files + [(kind, decode_image, picture(kind)) for kind in PICTURES]


def picture(kind: str) -> bytes:
    """Noise, as a file of this kind."""
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(buffer := BytesIO(), kind)
    return buffer.getvalue()


def decode_audio(data: bytes) -> None:
    """As an upload is decoded."""
    audio.decode(data, LIMITS)


def decode_image(data: bytes) -> None:
    """As an upload is decoded."""
    image.decode(data, image.ImageLimits())


def live(container: str) -> Callable[[bytes], None]:
    """What decodes the first ten million samples of a stream."""

    def decode(data: bytes) -> None:
        pipe, heard = Pipe(10_000_000, lambda: None), 0
        pipe.write(data)
        pipe.close()
        with LiveRecording(pipe, container) as recording:
            for block in recording.blocks():
                if (heard := heard + len(block)) > 10_000_000:
                    break

    return decode


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, put in, left out, doubled, or the end cut off; headers more often than the rest."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64))):
        at = rng.randrange(len(changed) if rng.random() < 0.5 else min(len(changed), 512))
        match rng.choices(("change", "put in", "cut", "double", "extreme"), (60, 15, 10, 7, 8))[0]:
            case "change":
                changed[at] = rng.randrange(256)
            case "put in":
                changed[at : at + rng.randrange(1, 200)] = rng.randbytes(8)
            case "cut":
                del changed[max(at, 1) :]
            case "double":
                start = rng.randrange(len(changed))
                changed[at:at] = changed[start : start + rng.randrange(1, 400)]
            case _:
                changed[at : at + 4] = rng.choice(EXTREMES)
    return bytes(changed)


def attack(name: str, decode: Callable[[bytes], object], data: bytes) -> tuple[bool, float]:
    """Whether it could be read, and the seconds that took. What is wrong is kept as a file, and ends the program."""
    begun, is_read = time.perf_counter(), True
    try:
        decode(data)
    except ServiceError:
        is_read = False
    except Exception as error:  # the very thing that is looked for
        sys.exit(f"{name}: {type(error).__name__}: {error}; see {kept(data)}")
    if (seconds := time.perf_counter() - begun) > SLOWEST:
        sys.exit(f"{name}: took {seconds:.1f} s; see {kept(data)}")
    return is_read, seconds


def kept(data: bytes) -> Path:
    """The file to look at."""
    path = Path(tempfile.mkdtemp()) / "input"
    path.write_bytes(data)
    return path


def main() -> None:
    """Run it."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    warnings.simplefilter("ignore")  # of Pillow, about what is damaged
    rng, files, memory = random.Random(options.seed), cases(), list[float]()
    tried, read, slowest = 0, 0, 0.0
    begun = time.monotonic()
    while (elapsed := time.monotonic() - begun) < 60 * options.minutes:
        name, decode, data = rng.choice(files)
        is_read, seconds = attack(name, decode, damaged(data, rng))
        tried, read, slowest = tried + 1, read + is_read, max(slowest, seconds)
        if elapsed > 60 * (len(memory) + 1):
            memory.append(resident_mib())
            print(f"{tried} tried, {read} read, slowest {slowest:.2f} s, {memory[-1]:.0f} MiB", flush=True)
    print(f"{tried} tried, {read} read, none wrong; slowest {slowest:.2f} s; MiB by the minute: {np.round(memory)}")
    if memory and memory[-1] > GROWTH * memory[0]:
        sys.exit("memory grew")


if __name__ == "__main__":
    main()
