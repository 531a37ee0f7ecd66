"""What one tick knows. It changes as jobs run; a report that asks what a tick would do fills in what it expects."""

from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from typing import Any

from crontabber.errors import ExitCode
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.policy import DEFAULT, Policy
from crontabber.rules.schedule import first_slot, is_unseen


class Tick:
    """The start of a tick, every state, which jobs have succeeded, which were lost to other processes.

    `unseen` has what is noted about jobs that have no state yet, `configured` the policies of all jobs. Only a report
    fills in `ongoing`, the app_names of jobs that other processes run, each with its facts: a tick asks the lock.
    """

    def __init__(
        self, started: datetime, states: dict[str, JobState], unseen: Mapping[str, JobState] = {},
        configured: Mapping[str, Policy] = {},
    ) -> None:  # fmt: skip
        self.started = started
        self.states = states
        self.configured = configured
        self.unseen = dict(unseen)
        self.ongoing: dict[str, Mapping[str, Any]] = {}
        self.newly_noted: set[str] = set()
        self.succeeded: set[str] = set()
        self.ongoing_elsewhere = False
        self.claim_lost = False
        self.anything_due = False
        self.has_run = False

    def row(self, app_name: str) -> JobState:
        """Return the state, or that of a job that has none."""
        return self.states.get(app_name) or self.unseen.get(app_name) or JobState(app_name)

    def gave_up(self, app_name: str) -> bool:
        return self.configured.get(app_name, DEFAULT).gave_up(self.states.get(app_name))

    def note(self, app_name: str, first_slot: datetime) -> None:
        """Remember that the slot of a first run is noted by this tick."""
        self.newly_noted.add(app_name)
        rows = self.states if app_name in self.states else self.unseen
        rows[app_name] = self.row(app_name)._replace(first_slot=first_slot)

    @property
    def met_other_processes(self) -> bool:
        return self.ongoing_elsewhere or self.claim_lost

    def exit_code(self) -> ExitCode:
        if self.ongoing_elsewhere:
            return ExitCode.ONGOING_ELSEWHERE
        return ExitCode.CLAIM_LOST if self.claim_lost else ExitCode.DONE


def first_slots(jobs: Iterable[Job], tick: Tick, zone: tzinfo) -> dict[str, tuple[datetime | None, datetime]]:
    """Return the slots of first runs that have to be noted: app_name -> (what is noted, the slot)."""
    changed = {}
    for job in jobs:
        if is_unseen(job.schedule, tick.states.get(job.app_name)):
            noted = tick.row(job.app_name).first_slot
            slot = first_slot(job.schedule, noted, tick.started, job.zone or zone)
            if slot != noted:
                changed[job.app_name] = (noted, slot)
    return changed
