"""Words above their tags, in the columns of the original named-entity service."""

from __future__ import annotations

from collections.abc import Iterable


def format_columns(rows: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Format (word, tag) pairs in columns, each as wide as its longer cell plus one space.

    >>> aligned([("I", "O"), ("love", "O"), ("Paris", "B-LOC")])
    ('I love Paris ', 'O O    B-LOC ')
    """
    words, tags = "", ""
    for word, tag in rows:
        width = max(len(word), len(tag)) + 1
        words += word.ljust(width)
        tags += tag.ljust(width)
    return words, tags
