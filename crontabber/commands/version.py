"""--version: the version, and nothing else."""

from typing import Any, TextIO

from crontabber.commands import Application
from crontabber.process.streams import answer


def command(app: Any) -> None:
    app.print_version()


def print_version(app: Application, stream: TextIO | None) -> None:
    answer(f"{app.app_version}\n", stream)
