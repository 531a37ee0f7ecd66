"""Lay out a table for people: columns that stay aligned with any script, cut to the width of a terminal."""

import os
import sys
from collections.abc import Sequence

GAP = "  "
ELLIPSIS = "…"
# No column is cut to less than this.
NARROWEST = 8


def render_table(rows: Sequence[Sequence[str]], width: int | None = None, flexible: Sequence[int] = ()) -> list[str]:
    """Return a line for each row. If they are wider than `width`, the `flexible` columns are cut: texts lose their
    middle, and those of the last column their end."""
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    if width is not None:
        _narrow(widths, width, flexible)
    last = len(widths) - 1
    lines = []
    for row in rows:
        cells = [cut(text, widths[i], at_end=i == last) for i, text in enumerate(row)]
        padded = [text + " " * (widths[i] - display_width(text)) for i, text in enumerate(cells)]
        lines.append(GAP.join(padded).rstrip())
    return lines


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for each wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, width: int, at_end: bool = False) -> str:
    """Return `text` in at most `width` columns, without its middle, or without its end, if it is longer."""
    if display_width(text) <= width:
        return text
    tail = 0 if at_end else (width - 1) // 2
    head = width - 1 - tail
    return _beginning(text, head) + ELLIPSIS + _beginning(text[::-1], tail)[::-1]


def terminal_width() -> int | None:
    """Return the width of the terminal that stdout is, or None."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        return None


def _narrow(widths: list[int], width: int, flexible: Sequence[int]) -> None:
    """Take from the widest of the flexible columns until the table fits."""
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
    while excess > 0 and flexible:
        widest = max(flexible, key=lambda i: widths[i])
        if widths[widest] <= NARROWEST:
            return
        widths[widest] -= 1
        excess -= 1


def _beginning(text: str, width: int) -> str:
    taken = 0
    for position, character in enumerate(text):
        taken += display_width(character)
        if taken > width:
            return text[:position]
    return text
