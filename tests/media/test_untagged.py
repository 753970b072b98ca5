from __future__ import annotations

from io import BytesIO

import pytest

from trigger_api.media.untagged import Untagged

WAV = (
    b"RIFF....WAVE" + b"LIST\x1a\0\0\0INFOISFT" + b"fmt " + b"LIST\n\n\n\nadtl" + b"data" + b"LIST" + bytes(4) + b"INFO"
)


@pytest.mark.parametrize("size", [*range(1, 14), 1_000])
def test_tags_are_skipped_wherever_they_are_cut(size: int) -> None:
    file = Untagged(BytesIO(WAV))
    read = b"".join(iter(lambda: file.read(size), b""))
    assert read == WAV.replace(b"LIST\x1a", b"JUNK\x1a").replace(b"LIST\0", b"JUNK\0")
    assert file.tell() == len(WAV)


def test_it_can_be_read_from_any_place() -> None:
    file = Untagged(BytesIO(WAV))
    file.seek(14)
    assert file.read(4) == b"NK\x1a\0"
