"""--audit-ghosts: jobs that are in the state database but not in the configuration."""

from collections.abc import Iterable
from typing import Any, TextIO

from crontabber.commands import Application
from crontabber.process.streams import answer
from crontabber.rules.job import ghosts_of
from crontabber.rules.text import printable

HEADING = "Found the following in the state database but not configured here:\n"


def command(app: Any) -> None:
    app.audit_ghosts()


def audit_ghosts(app: Application, stream: TextIO | None) -> None:
    answer(render_ghosts(ghosts_of(app.states_to_read(), app.configured_jobs())), stream)


def render_ghosts(ghosts: Iterable[str]) -> str:
    """Return nothing, or a heading and one line per ghost."""
    lines = [f"\t{printable(ghost)}\n" for ghost in ghosts]
    return "".join([HEADING, *lines]) if lines else ""
