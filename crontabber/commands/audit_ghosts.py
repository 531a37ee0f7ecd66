"""--audit-ghosts: jobs that the state database remembers and the configuration does not have."""

from collections.abc import Iterable
from typing import Any, TextIO

from crontabber.commands import Application
from crontabber.process.streams import answer


def command(app: Any) -> None:
    app.audit_ghosts()


def audit_ghosts(app: Application, stream: TextIO | None) -> None:
    configured = [job.app_name for job in app.configured_jobs()]
    answer(render_ghosts(app.states_to_read(), configured), stream)


def render_ghosts(stored: Iterable[str], configured: Iterable[str]) -> str:
    """Return nothing, or a heading and one line per ghost."""
    ghosts = sorted(set(stored) - set(configured))
    if not ghosts:
        return ""
    lines = ["Ghosts: in the state database, but not configured here", *(f"\t{ghost}" for ghost in ghosts)]
    return "".join(f"{line}\n" for line in lines)
