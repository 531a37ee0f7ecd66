"""The right to run a job, and why it may be refused."""

from datetime import datetime
from typing import Any, NamedTuple

import psycopg2

from crontabber.rules.job_state import JobState


class RowLevelLockError(psycopg2.OperationalError):
    """Another process has claimed the job since its state was read."""


class Claim(NamedTuple):
    """The right to run a job. `state` is its row as claimed; `died` says which owner left an unfinished run, if any."""

    app_name: str
    owner: str
    since: datetime
    state: JobState
    died: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return what another process needs to find the claim again, as JSON knows it."""
        return {"app_name": self.app_name, "owner": self.owner, "since": self.since.isoformat()}

    def key(self) -> dict[str, Any]:
        """Return what the statements need to recognise the row as ours."""
        return {"app_name": self.app_name, "owner": self.owner, "since": self.since}
