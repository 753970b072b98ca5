"""Words above their tags, aligned as the original named-entity service aligned them."""

from __future__ import annotations

from collections.abc import Iterable


def format_columns(rows: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Lay (word, tag) pairs out in columns, each as wide as its longer cell and one space more.

    >>> aligned([("I", "O"), ("love", "O"), ("Paris", "B-LOC")])
    ('I love Paris ', 'O O    B-LOC ')
    """
    words, tags = "", ""
    for word, tag in rows:
        width = max(len(word), len(tag)) + 1
        words += word.ljust(width)
        tags += tag.ljust(width)
    return words, tags
