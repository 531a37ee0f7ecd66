"""One job under the rules of its schedule, without a database: what a tick does to its state."""

from datetime import timedelta

from crontabber.rules.backfill import backfill_dates, date_after
from crontabber.rules.job_state import Failure, JobState, Outcome, settled
from crontabber.rules.schedule import (
    is_due,
    next_run_after_failure,
    next_run_after_success,
    slot_to_remember,
)

RETRY_AFTER = timedelta(minutes=5)
FAILURE = Failure("<class 'OSError'>", "no such luck", "", "OSError('no such luck')")


class SimulatedJob:
    """Runs as the runner would run it. `runs` has the start of each success; for a backfill job, its dates."""

    def __init__(self, schedule, zone, state=None):
        self.schedule = schedule
        self.zone = zone
        self.state = state
        self.runs = []

    def is_due(self, now):
        return is_due(self.schedule, self.state, now, self.zone)

    def tick(self, now, fails=False, tick_started=None):
        """Run the job if it is due. Return whether it ran."""
        if not self.is_due(now):
            return False
        self.run(now, fails, tick_started=tick_started)
        return True

    def run(self, now, fails=False, forced=False, tick_started=None):
        before = self.state
        if fails:
            self._settle(Outcome(now, now, None, FAILURE), next_run_after_failure(now, RETRY_AFTER))
            return
        next_run = next_run_after_success(self.schedule, before, now, self.zone, forced, tick_started)
        slot = slot_to_remember(self.schedule, before, now, self.zone, forced)
        self._settle(Outcome(now, now, slot or now), next_run)
        self.runs.append(now)

    def _settle(self, outcome, next_run):
        self.state = settled(self.state or JobState("job"), outcome, next_run)


class SimulatedBackfillJob(SimulatedJob):
    """`fate` says for each date whether it "succeeds" or "fails", or whether the process is killed "before" or "after"
    its success is stored."""

    def tick(self, now, fate=lambda date: "succeeds"):
        """Run the job if it is due or a dead owner left it. Return whether it ran."""
        left_by_dead_owner = self.state is not None and self.state.ongoing is not None
        if not (left_by_dead_owner or self.is_due(now)):
            return False
        before = self._claim(now)
        last_date = None
        for date in backfill_dates(self.schedule, before, now, self.zone):
            end = fate(date)
            if end == "fails":
                outcome = Outcome(now, now, last_date, FAILURE)
                self._settle(outcome, next_run_after_failure(now, RETRY_AFTER))
                return True
            if end == "before":
                return True
            self.runs.append(date)
            last_date = date
            self.state = self.state._replace(last_success=date)
            if end == "after":
                return True
        next_run = date_after(self.schedule, last_date or before.last_success, self.zone)
        self._settle(Outcome(now, now, last_date), next_run)
        return True

    def _claim(self, now):
        """Return the state that the run sees: None on a first run. A dead owner's run counts as failed."""
        before = self.state
        if before is None:
            self.state = JobState("job", first_run=now, ongoing=now)
            return None
        if before.ongoing is not None:
            before = before._replace(ongoing=None, error_count=before.error_count + 1)
        self.state = before._replace(ongoing=now)
        return before
