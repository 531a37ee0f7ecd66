"""One job under the rules of its schedule, without a database: what a tick does to its state."""


from crontabber.rules.after_run import Occasion, state_after
from crontabber.rules.backfill import backfill_dates, calendar_date
from crontabber.rules.job import Job
from crontabber.rules.job_state import Failure, JobState, Outcome
from crontabber.rules.policy import DEFAULT
from crontabber.rules.schedule import first_slot, is_due, is_unseen

RETRY_AFTER = DEFAULT.error_retry_time
FAILURE = Failure("<class 'OSError'>", "no such luck", "", "OSError('no such luck')")


class Plain:
    pass


class Backfill:
    _is_backfill_app = True


class SimulatedJob:
    """Runs as the runner would run it, at any `schedule` and `zone` of the moment. `runs` has the start of each success;
    for a backfill job, its dates."""

    job_class = Plain

    def __init__(self, schedule, zone, state=None):
        self.schedule = schedule
        self.zone = zone
        self.state = state
        self.first_slot = None
        self.runs = []

    def is_due(self, now):
        self._note(now)
        return is_due(self.schedule, self._row(), now, self.zone)

    def tick(self, now, fails=False, tick_started=None):
        """Run the job if it is due. Return whether it ran."""
        if not self.is_due(now):
            return False
        self.run(now, fails, tick_started=tick_started)
        return True

    def run(self, now, fails=False, forced=False, tick_started=None):
        outcome = Outcome(now, now, None, FAILURE) if fails else Outcome(now, now, now)
        self._settle(Occasion(self.state, tick_started or now, forced, self.first_slot), outcome)
        if not fails:
            self.runs.append(now)

    def _note(self, now):
        """Note the slot of the first run, as a tick does before it runs anything."""
        if is_unseen(self.schedule, self.state):
            self.first_slot = first_slot(self.schedule, self.first_slot, now, self.zone)
            if self.state is not None:
                self.state = self.state._replace(first_slot=self.first_slot)

    def _row(self):
        return self.state or JobState("job", first_slot=self.first_slot)

    def _settle(self, occasion, outcome):
        job = Job("job", self.job_class, None, self.schedule)
        self.state = state_after(job, occasion, outcome, self.zone)


class SimulatedBackfillJob(SimulatedJob):
    """`fate` says for each date whether it "succeeds" or "fails", or whether the process is killed "before" or "after"
    its success is stored."""

    job_class = Backfill

    def tick(self, now, fate=lambda date: "succeeds"):
        """Run the job if it is due or a dead owner left it. Return whether it ran."""
        left_by_dead_owner = self.state is not None and self.state.ongoing is not None
        if not (self.is_due(now) or left_by_dead_owner):
            return False
        before = self._claim(now)
        occasion = Occasion(before, now, first_slot=self.first_slot)
        last_date = None
        for date in backfill_dates(self.schedule, occasion.row("job"), now, self.zone):
            end = fate(date)
            if end == "fails":
                self._settle_with_notes(occasion, Outcome(now, now, last_date, FAILURE))
                return True
            if end == "before":
                return True
            self.runs.append(date)
            last_date = date
            self._store(date)
            if end == "after":
                return True
        self._settle_with_notes(occasion, Outcome(now, now, last_date))
        return True

    def _store(self, date):
        """Store a date that is done: in the table crontabber, and its calendar date in crontabber_job."""
        self.state = self.state._replace(last_success=date)
        if self.schedule.at is not None:
            day = calendar_date(self.schedule.at, date, self.zone)
            self.state = self.state._replace(first_slot=None, last_date=day, last_date_for=date)

    def _settle_with_notes(self, occasion, outcome):
        """Settle, which changes only the table crontabber."""
        notes = self.state
        self._settle(occasion, outcome)
        self.state = self.state._replace(
            first_slot=notes.first_slot, last_date=notes.last_date, last_date_for=notes.last_date_for
        )

    def _claim(self, now):
        """Return the state that the run sees: None on a first run. A dead owner's run counts as failed."""
        before = self.state
        if before is None:
            self.state = JobState("job", first_run=now, ongoing=now, first_slot=self.first_slot)
            return None
        if before.ongoing is not None:
            before = before._replace(ongoing=None, error_count=before.error_count + 1)
        self.state = before._replace(ongoing=now)
        return before
