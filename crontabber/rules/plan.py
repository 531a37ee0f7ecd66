"""What would a tick do with each job? Pure: the steps of a tick, without running anything."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from crontabber.rules.after_death import with_the_deadly_last
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.tick import Tick, first_slots
from crontabber.rules.verdict import NO_JUDGES, NOT_YET, Condition, Judges, conditions, unmet
from crontabber.rules.wrong_clock import corrected, ran_in_the_future


class Step(NamedTuple):
    """What a tick does with a job: it runs, unless there are reasons. `row` is its state as the tick judges it; `died`
    means that the process that last ran it has died."""

    job: Job
    row: JobState
    conditions: tuple[Condition, ...]
    died: bool = False

    @property
    def reasons(self) -> tuple[Condition, ...]:
        return tuple(unmet(self.conditions))

    @property
    def next_run(self) -> datetime | None:
        """When the job is due, also for its first run. None if it is due as soon as a tick sees it."""
        return self.row.next_run or self.row.first_slot

    @property
    def runs(self) -> bool:
        return not self.reasons

    @property
    def is_stopped(self) -> bool:
        """True if it does not run, due or not, until somebody resumes it."""
        return any(condition.code in ("paused", "gave_up") for condition in self.conditions)

    @property
    def is_due(self) -> bool:
        return not any(condition.code in NOT_YET for condition in self.conditions)


def steps(
    jobs: Sequence[Job], tick: Tick, zone: tzinfo, dead: Mapping[str, JobState] = {}, judges: Judges = NO_JUDGES,
    force: bool = False,
) -> list[Step]:  # fmt: skip
    """Return what a tick that starts at `tick.started` does with `jobs`, in order, if every run succeeds.

    `dead` has the states, after their deaths, of the jobs whose owners died. Every success is noted in `tick`.
    """
    found = []
    for job in with_the_deadly_last(jobs, tick.states):
        if job.app_name in dead:
            tick.states[job.app_name] = dead[job.app_name]
        judged = tuple(conditions(job, tick, tick.started, zone, judges))
        if force:
            judged = tuple(condition for condition in judged if condition.about == "ongoing")
        step = Step(job, tick.row(job.app_name), judged, job.app_name in dead)
        if step.runs:
            tick.succeeded.add(job.app_name)
        found.append(step)
    return found


def prepare(jobs: Iterable[Job], tick: Tick, zone: tzinfo, takes_notes: bool = True) -> None:
    """Do with `tick` what a tick does before its first job: correct the plans of a wrong clock, note first slots."""
    jobs = list(jobs)
    for job in ran_in_the_future(jobs, tick.states, tick.started):
        state = tick.states[job.app_name]
        tick.states[job.app_name] = corrected(job, state, tick.started, zone) or state
    for name, (_, slot) in first_slots(jobs, tick, zone).items() if takes_notes else ():
        tick.note(name, slot)
