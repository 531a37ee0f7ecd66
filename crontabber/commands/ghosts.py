"""--audit-ghosts: what the state remembers and the configuration does not."""

from collections.abc import Iterable


def render_ghosts(stored: Iterable[str], configured: Iterable[str]) -> str:
    """Nothing, or a heading and a line a ghost."""
    ghosts = sorted(set(stored) - set(configured))
    if not ghosts:
        return ""
    lines = ["Ghosts: in the state database, but not configured here", *(f"\t{ghost}" for ghost in ghosts)]
    return "".join(f"{line}\n" for line in lines)
