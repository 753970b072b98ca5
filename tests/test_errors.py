from __future__ import annotations

from trigger_api import errors
from trigger_api.errors import ServiceError


def test_the_tree_at_the_modules_top_is_the_tree() -> None:
    drawn = errors.__doc__ or ""
    pending = [ServiceError]
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if kind.__module__ == errors.__name__:
            (line,) = [line for line in drawn.splitlines() if f" {kind.__name__} " in f" {line.strip()} "]
            assert line.endswith(str(int(kind.status)))
