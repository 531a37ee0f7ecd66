"""Fit a text on one line, or within a length. Pure."""


def one_line(text: str) -> str:
    """Return `text` on one line: each run of white space and unprintable characters becomes one space."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def both_ends(text: str, length: int) -> str:
    """Return `text` if it has at most `length` characters, otherwise that much of it, half from each end."""
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
