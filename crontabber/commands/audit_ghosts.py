"""--audit-ghosts: jobs that are in the state database but not in the configuration."""

from collections.abc import Iterable
from typing import Any, TextIO

from crontabber.process.streams import answer
from crontabber.rules.text import printable

HEADING = "Found the following in the state database but not configured here:\n"


def command(app: Any) -> None:
    app.audit_ghosts()


def audit_ghosts(app: Any, stream: TextIO | None) -> None:
    ghosts = list(app._get_ghosts())
    if app.config.get("format") == "json":
        from crontabber.commands.job_facts import answer_json

        answer_json(app, {"ghosts": ghosts}, stream)
    else:
        answer(render_ghosts(ghosts), stream)
    if ghosts and (nameless := app.configured_jobs().nameless()):
        app.config.logger.warning("some of these names may belong to broken entries: %s", ", ".join(nameless))


def render_ghosts(ghosts: Iterable[str]) -> str:
    """Return nothing, or a heading and one line per ghost."""
    lines = [f"\t{printable(ghost)}\n" for ghost in ghosts]
    return "".join([HEADING, *lines]) if lines else ""
