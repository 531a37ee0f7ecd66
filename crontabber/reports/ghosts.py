"""--audit-ghosts: what the state remembers and the configuration does not."""

from collections.abc import Iterable


def render_ghosts(stored: Iterable[str], configured: Iterable[str]) -> str:
    """Nothing, or a heading and a line a ghost."""
    ghosts = sorted(set(stored) - set(configured))
    if not ghosts:
        return ""
    return "".join(f"{line}\n" for line in ["Ghosts: in the state database, but not configured here", *(f"\t{g}" for g in ghosts)])
