"""Why does a job not run in this tick?"""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from crontabber.engine.overrides import NO_OVERRIDES, Overrides
from crontabber.errors import ExitCode
from crontabber.rules.dependencies import why_blocked
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.policy import HOW_TO_GO_ON
from crontabber.rules.schedule import is_due


class Tick:
    """The facts of one tick: its start, every state, which jobs have succeeded, which were lost to other processes.

    `first_slots` has the noted slots of jobs that have no state yet.
    """

    def __init__(
        self, started: datetime, states: dict[str, JobState], first_slots: Mapping[str, datetime | None] = {}
    ) -> None:
        self.started = started
        self.states = states
        self._first_slots = dict(first_slots)
        self.succeeded: set[str] = set()
        self.ongoing_elsewhere = False
        self.claim_lost = False
        self.anything_due = False

    def row(self, app_name: str) -> JobState:
        """Return the state, or that of a job that has none."""
        return self.states.get(app_name) or JobState(app_name, first_slot=self._first_slots.get(app_name))

    def note(self, app_name: str, first_slot: datetime) -> None:
        """Remember that the slot of a first run is noted."""
        if app_name in self.states:
            self.states[app_name] = self.states[app_name]._replace(first_slot=first_slot)
        else:
            self._first_slots[app_name] = first_slot

    @property
    def met_other_processes(self) -> bool:
        return self.ongoing_elsewhere or self.claim_lost

    def exit_code(self) -> ExitCode:
        if self.ongoing_elsewhere:
            return ExitCode.ONGOING_ELSEWHERE
        return ExitCode.CLAIM_LOST if self.claim_lost else ExitCode.DONE


class Skip(NamedTuple):
    """Why a job does not run. One that is not `due` is not worth a log line."""

    reason: str
    due: bool = True
    unknown_dependency: bool = False


def why_skip(
    job: Job, tick: Tick, configured: Sequence[str], now: datetime, zone: tzinfo, force: bool = False,
    overrides: Overrides = NO_OVERRIDES,
) -> Skip | None:  # fmt: skip
    """Return why `job` may not run now, or None if it may. With `force`, it always may."""
    state = tick.states.get(job.app_name)
    if force:
        return None
    due = overrides.is_due(job) if overrides.is_due else is_due(job.schedule, tick.row(job.app_name), now, zone)
    if not due:
        return Skip("it is not due", due=False)
    if job.broken_dependency:
        return Skip(f"it depends on {job.broken_dependency!r}, whose entry in the setting jobs is broken")
    if overrides.why_blocked:
        reason = overrides.why_blocked(job)
        return None if reason is None else Skip(reason)
    if job.policy.gave_up(state):
        return Skip(f"it gave up: {HOW_TO_GO_ON}")
    reason = why_blocked(job.depends_on, tick.states, tick.succeeded, now)
    if reason is None:
        return None
    unknown = any(name not in configured and name not in tick.states for name in job.depends_on)
    return Skip(f"its dependency {reason}", unknown_dependency=unknown)
