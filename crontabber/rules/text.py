"""Fit a text on one line, or within a length. Pure."""


def one_line(text: str) -> str:
    """Return `text` on one line: each run of white space and unprintable characters becomes one space."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def printable(text: str, keep: str = "") -> str:
    """Return `text` with each unprintable character escaped, except those in `keep`: a terminal might obey it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def shortened(text: str, length: int) -> str:
    """Return `text`, or its beginning and an ellipsis, `length` characters in all."""
    return text if len(text) <= length else text[: length - 1] + "…"


def quoted(text: str) -> str:
    """Return the repr of `text`, which an error is about, or of its beginning."""
    return repr(text) if len(text) <= 40 else f"{text[:40]!r}..."


def both_ends(text: str, length: int) -> str:
    """Return `text` if it has at most `length` characters, otherwise that many of them, half from each end."""
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
