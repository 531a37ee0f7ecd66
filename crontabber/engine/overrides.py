"""The decisions of a tick that an application may take over, as the original let its subclasses do."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from crontabber.rules.job import Job
from crontabber.rules.job_state import Outcome
from crontabber.rules.verdict import Judges

# Stores an outcome and ends the claim of the run.
Settle = Callable[[Outcome], None]


class Overrides(NamedTuple):
    """Each one is None unless the application has its own.

    `order` takes the jobs and returns them in the order to run. `is_due` and `why_blocked` (None: not blocked) judge
    one job. `run_one` takes a job and whether it is forced, and runs it if it may run. `record` takes a job, the
    outcome of its run, what the job raised, and a function that stores the outcome, to be called or replaced.
    """

    order: Callable[[Sequence[Job]], list[Job]] | None = None
    is_due: Callable[[Job], bool] | None = None
    why_blocked: Callable[[Job], str | None] | None = None
    run_one: Callable[[Job, bool], None] | None = None
    record: Callable[[Job, Outcome, BaseException | None, Settle], None] | None = None

    @property
    def judges(self) -> Judges:
        return Judges(self.is_due, self.why_blocked)


NO_OVERRIDES = Overrides()
