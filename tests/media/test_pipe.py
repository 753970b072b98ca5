from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from trigger_api.errors import Overloaded
from trigger_api.media.pipe import Pipe


def test_what_is_written_is_read_in_order_and_waited_for() -> None:
    pipe = Pipe(10, lambda: pipe.write(b"late"))
    pipe.write(b"abc")
    pipe.write(b"def")
    assert [pipe.read(4), pipe.read(4), pipe.read(10)] == [b"abcd", b"ef", b"late"]
    pipe.close()
    assert pipe.ended
    assert pipe.read(4) == b""


def test_a_reader_waits_on_its_own_thread() -> None:
    with ThreadPoolExecutor(1) as pool:
        pipe = Pipe(10, lambda: None)
        reading = pool.submit(pipe.read, 4)
        pipe.write(b"abc")
        assert reading.result(10) == b"abc"
        reading = pool.submit(pipe.read, 4)
        pipe.close()
        assert reading.result(10) == b""


def test_it_holds_no_more_than_its_limit() -> None:
    pipe = Pipe(4, lambda: None)
    pipe.write(b"abcd")
    with pytest.raises(Overloaded):
        pipe.write(b"e")
    pipe.close()
    assert not pipe.ended
    pipe.close(drop=True)
    assert pipe.ended
