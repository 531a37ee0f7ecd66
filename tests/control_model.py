"""A model of jobs in an operator's hands, written from docs/user/ alone: each rule quotes the sentence that it comes from.

tests/date_model.py says when a job is due, and for which dates.
"""

from collections.abc import Mapping
from datetime import date, datetime, time

from tests.date_model import DAY, Job, State, done, moment, next_moment, plain_run, slots_on, start

# A job, the date that it ran for (None for a plain job), and whether that succeeded.
Run = tuple[str, datetime | None, bool]


class Refused(Exception):
    """What is asked for makes no sense: nothing changes."""


class Crontab:
    """Jobs, in the order in which they run: app_name -> what its entry says, and what it depends on."""

    def __init__(self, jobs: Mapping[str, Job], depends_on: Mapping[str, tuple[str, ...]]) -> None:
        self.jobs, self.depends_on = dict(jobs), depends_on
        self.states = dict.fromkeys(jobs, State())
        self.paused: set[str] = set()
        self.have_run: set[str] = set()
        self.failed: set[str] = set()

    def tick(self, now: datetime, failing: Mapping[str, int]) -> list[Run]:
        """ "A paused job does not run on any host, and holds back the jobs that depend on it." """
        runs: list[Run] = []
        for name, job in self.jobs.items():
            before = self.states[name]
            is_held_back = name in self.paused or not all(self._is_recent(each, now) for each in self.depends_on[name])
            self.states[name], dates = start(before, job, now, failing.get(name), is_held_back)
            if self.states[name].planned != before.planned:
                self.have_run.add(name)
                runs += self._runs(name, dates, failing)
                self._note_failure(name, failing.get(name, len(dates)) < len(dates))
        return runs

    def rerun(
        self, name: str, dates: list[datetime], also_dependents: bool, now: datetime, failing: Mapping[str, int]
    ) -> list[Run]:  # fmt: skip
        """ "When the job runs next, and which dates are outstanding, stays as it was. If it fails, it stops."

        "The jobs that depend on it run afterwards, and those that depend on them: backfill jobs for all dates that they
        have had on the same days, others once. Those that are paused, or have no such date, are named and skipped."
        """
        days = sorted({date.astimezone(self.jobs[name].zone).date() for date in dates})
        runs, affected = self._runs(name, dates if self.jobs[name].backfill else [now], failing), {name}
        for child, job in self.jobs.items():
            if not also_dependents or affected.isdisjoint(self.depends_on[child]):
                continue
            affected.add(child)
            if child in self.paused or not all(ok for _, _, ok in runs):
                continue
            own = [date for day in days for date in self.dates_on(child, day) if date <= now] if job.backfill else [now]
            runs += self._runs(child, own, failing)
        return runs

    def mark(self, name: str, last: datetime | None, now: datetime) -> None:
        """ "The first one skips the next outstanding date, the second one all up to that date. For any other job,
        `--mark-success` stores a success as if the job had just run."
        """
        if last and last > now:
            raise Refused
        job, state = self.jobs[name], self.states[name]
        state = state._replace(first_run=state.first_run or now)
        if not job.backfill:
            self.states[name] = plain_run(state, job, now, None)[0]
        elif (date := next_moment(state, job)) > (last or now):
            return
        else:
            state = done(state, job, date)
            while last and (date := next_moment(state, job)) <= last:
                state = done(state, job, date)
            self.states[name] = state._replace(planned=next_moment(state, job))
        self.have_run.add(name)
        self.failed.discard(name)

    def rewind(self, name: str, first: datetime) -> None:
        """ "The next start runs all dates from 1 November on, in order, as if they had never been run." """
        job, state = self.jobs[name], self.states[name]
        if not state.last_success or first >= next_moment(state, job):
            raise Refused
        day = first.astimezone(job.zone).date()
        earlier = [date for number in range(9) for date in self.dates_on(name, day - number * DAY) if date < first]
        self.states[name] = done(state, job, max(earlier))._replace(planned=first)
        self.failed.discard(name)

    def dates_on(self, name: str, day: date) -> list[datetime]:
        """Return the dates of a backfill job on a day, whether they are done or not."""
        job, state = self.jobs[name], self.states[name]
        if job.cron:
            return slots_on(day, job) if state.last_success or state.noted or state.first_run else []
        if job.time:
            return [moment(day, job.time, job.zone)] if state.last_success or state.noted or state.first_run else []
        anchor = state.last_success or state.first_run
        if anchor is None:
            return []
        midnight, next_midnight = (moment(each, time(0), job.zone) for each in (day, day + DAY))
        first = anchor + -((anchor - midnight) // job.interval) * job.interval
        return [first + n * job.interval for n in range(3) if first + n * job.interval < next_midnight]

    def _is_recent(self, parent: str, now: datetime) -> bool:
        """False if it "has not run yet, failed when it ran last, or has not run recently", or is paused."""
        planned = self.states[parent].planned
        is_well = parent in self.have_run and parent not in self.failed | self.paused
        return is_well and planned is not None and planned > now

    def _runs(self, name: str, dates: list[datetime], failing: Mapping[str, int]) -> list[Run]:
        """Return a run for each date, up to the one that fails."""
        fails_at = failing.get(name, len(dates))
        is_backfill = self.jobs[name].backfill
        return [(name, date if is_backfill else None, n < fails_at) for n, date in enumerate(dates[: fails_at + 1])]

    def _note_failure(self, name: str, has_failed: bool) -> None:
        (self.failed.add if has_failed else self.failed.discard)(name)
