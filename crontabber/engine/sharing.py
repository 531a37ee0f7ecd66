"""Share the jobs of a tick with other processes: claim one of those that may run, instead of trying each."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

from crontabber.errors import ClaimFailedError
from crontabber.process.reports import END, REPORT
from crontabber.process.signals import INTERRUPTION
from crontabber.rules.job import Job
from crontabber.rules.verdict import NOT_YET, Condition
from crontabber.store.owners import ongoing_error

# So many jobs are offered to a claim, the more the further others are ahead of us.
FEWEST_CANDIDATES, MOST_CANDIDATES = 16, 128
# What was found out about the jobs holds for so long; after that, one that they depend on may have become due.
SHELF_LIFE_SECONDS = 1.0


class Sharing:
    """Runs those of `jobs` that no other process runs first, for a Runner.

    The states that it goes by may be out of date: the claim leaves out what others run or have run. Only when nothing
    seems to be left are the states read again. Then all that others have done counts, and there may be more to run.
    """

    def __init__(self, runner: Any, store: Any, clock: Callable[[], datetime], jobs: Sequence[Job]) -> None:
        self._runner = runner
        self._store = store
        self._clock = clock
        self._tick = runner.tick
        self._siblings = runner.siblings
        self._position = {job.app_name: number for number, job in enumerate(jobs)}
        # Each job is in one of these, until it has had its turn or is not due: those to be judged, those that may run,
        # those that something holds back, and those that others were running when we looked.
        self._unjudged = list(jobs)
        self._ready: dict[str, Job] = {}
        self._held_back: dict[str, tuple[Job, Condition]] = {}
        self._elsewhere: dict[str, Job] = {}
        # What was ongoing before this tick: its owner may be dead.
        self._to_examine = {job.app_name for job in jobs if self._tick.row(job.app_name).ongoing}
        # Rows as they were when nobody could claim them.
        self._refused: dict[str, Any] = {}
        self._is_up_to_date = False
        self._limit = MOST_CANDIDATES

    def run(self) -> None:
        while not (INTERRUPTION.signum or INTERRUPTION.restart):
            self._judge()
            if self._ready:
                self._run_one()
            elif not self._is_up_to_date and (self._held_back or self._elsewhere):
                self._look_around()
            elif not self._held_back or not self._siblings:
                return self._report()
            elif not self._hear_of_siblings():
                return None

    def _judge(self) -> None:
        """Find out which jobs may run, as far as we know."""
        while self._unjudged and len(self._ready) < MOST_CANDIDATES:
            job = self._unjudged.pop(0)
            if not self._runner.is_postponed(job) and self._is_free(job):
                reason = self._runner.why_not(job)
                if reason is None:
                    self._ready[job.app_name] = job
                elif reason.code not in NOT_YET:
                    self._held_back[job.app_name] = job, reason

    def _is_free(self, job: Job) -> bool:
        name = job.app_name
        if name in self._to_examine:
            self._to_examine.remove(name)
            return bool(self._runner.is_free(job, force=False))
        if self._tick.row(name).ongoing or self._refused.get(name) == self._tick.row(name):
            self._elsewhere[name] = job
            return False
        return True

    def _run_one(self) -> None:
        """Run the first job that can be claimed. If there is none, find out what others have done."""
        candidates = self._candidates()
        try:
            claim = self._runner.claim_one(candidates)
        except ClaimFailedError:
            # One of them may be in trouble. The others must not suffer from it.
            job = self._ready.pop(candidates[0].app_name)
            self._runner.attend(job, force=False)
            self._release_children(job.app_name)
            return
        passed = [*takewhile(lambda job: claim is None or job.app_name != claim.app_name, candidates)]
        self._elsewhere.update({job.app_name: self._ready.pop(job.app_name) for job in passed})
        self._limit = min(MOST_CANDIDATES, max(FEWEST_CANDIDATES, 8 * len(passed), self._limit // 2))
        if claim is None:
            self._refused.update({job.app_name: self._tick.row(job.app_name) for job in passed})
            self._look_around()
            return
        self._is_up_to_date = False
        self._tell_siblings(len(self._ready) - 1)
        began = time.monotonic()
        self._runner.run_claimed(self._ready.pop(claim.app_name), claim, force=False)
        self._release_children(claim.app_name)
        if time.monotonic() - began > SHELF_LIFE_SECONDS:
            self._put_back([*self._ready.values()])
            self._ready = {}

    def _candidates(self) -> list[Job]:
        """Return the jobs to offer: either all of them have run before, or none has."""
        states = self._tick.states
        is_new = next(iter(self._ready)) not in states
        return [job for name, job in self._ready.items() if (name not in states) == is_new][: self._limit]

    def _release_children(self, app_name: str) -> None:
        """Judge those jobs again that were held back by one that has succeeded here. If that changes nothing, a sibling
        may know better: what else they depend on may have succeeded elsewhere."""
        if app_name in self._tick.succeeded:
            children = [name for name, (job, _) in self._held_back.items() if app_name in job.depends_on]
            self._put_back([self._held_back.pop(name)[0] for name in children])
            if children:
                self._judge()
                self._tell_siblings(len(self._held_back.keys() & children))

    def _look_around(self) -> None:
        """Read the states again, and judge every job anew. Others have run most of them: if no job depends on another,
        those that are left are all we need to know."""
        held_back = [job for job, _ in self._held_back.values()]
        self._put_back([*self._ready.values(), *held_back, *self._elsewhere.values()])
        self._ready, self._held_back, self._elsewhere = {}, {}, {}
        states = self._tick.states
        if any(job.depends_on or job.app_name not in states for job in self._unjudged):
            states.update(self._store.states())
        else:
            left = self._store.unsettled(self._clock())
            states.update(left)
            self._unjudged = [job for job in self._unjudged if job.app_name in left]
        self._is_up_to_date = True

    def _put_back(self, jobs: Sequence[Job]) -> None:
        if jobs:
            self._unjudged = sorted([*jobs, *self._unjudged], key=lambda job: self._position[job.app_name])

    def _tell_siblings(self, number_ready: int) -> None:
        if self._siblings:
            self._siblings.ready(number_ready)

    def _hear_of_siblings(self) -> bool:
        """Wait until they may have made something ready to run. False if they will not, and this worker is to end."""
        word = self._siblings.wait_for_word()
        self._is_up_to_date = False
        if word == REPORT:
            self._siblings = None
        return bool(word != END)

    def _report(self) -> None:
        """Say what is left for others, and for later ticks."""
        for job in self._elsewhere.values():
            self._runner.pass_over(job, ongoing_error(job.app_name, self._tick.states.get(job.app_name)), force=False)
        for job, reason in self._held_back.values():
            self._runner.hold_back(job, reason)
