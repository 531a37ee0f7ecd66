"""One tick: why_skip -> claim -> execute -> settle, for one job after another."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from crontabber.engine.job_run import JobRun, RunSettings
from crontabber.engine.overrides import NO_OVERRIDES, Overrides
from crontabber.engine.plans import correct_plans, note_first_slots
from crontabber.errors import (
    ChangedError,
    ClaimFailedError,
    ExitCode,
    ForgottenError,
    LostClaimError,
    OngoingJobError,
    OwnerInDoubtError,
)
from crontabber.process.signals import INTERRUPTION
from crontabber.rules.after_run import Occasion
from crontabber.rules.dependencies import why_blocked
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.local_time import UTC
from crontabber.rules.schedule import is_due
from crontabber.store import second_look
from crontabber.store.claims import Claim, RowLevelLockError
from crontabber.store.connections import cut_off_forked_children
from crontabber.store.patrol import patrol


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
    # If a job has an owner although it is not due, the owner died or runs it by force: the claim will tell.
    abandoned = state is not None and state.process is not None
    if force:
        return None
    due = overrides.is_due(job) if overrides.is_due else is_due(job.schedule, tick.row(job.app_name), now, zone)
    if not abandoned and not due:
        return Skip("it is not due", due=False)
    if job.broken_dependency:
        return Skip(f"it depends on {job.broken_dependency!r}, whose entry in the setting jobs is broken")
    if overrides.why_blocked:
        reason = overrides.why_blocked(job)
        return None if reason is None else Skip(reason)
    reason = why_blocked(job.depends_on, tick.states, tick.succeeded, now)
    if reason is None:
        return None
    unknown = any(name not in configured and name not in tick.states for name in job.depends_on)
    return Skip(f"its dependency {reason}", unknown_dependency=unknown)


class Runner:
    """Runs the jobs of one tick and keeps their state in `store`; `configured` are the app_names of all jobs.

    StateDatabaseError if the state cannot be reached.
    """

    def __init__(self, store: Any, settings: RunSettings, configured: Sequence[str]) -> None:
        self._store = store
        self._settings = settings
        self._configured = configured
        self._logger = settings.logger
        self._clock = settings.clock
        started, states = self._clock(), store.states()
        self.tick = Tick(started, states, getattr(store, "first_slots", {}))
        # Jobs whose owner on another host needs a second look, and those that depend on them.
        self._postponed: dict[str, Job] = {}

    def run(self, jobs: Sequence[Job], force: bool = False) -> None:
        """Run those of `jobs` that are due, in the given order. Stop before the next one once a signal asks for it."""
        cut_off_forked_children()
        correct_plans(self._store, self.tick, jobs, self._settings.retry_after, self._logger)
        if not force:
            note_first_slots(self._store, self.tick, jobs)
        with INTERRUPTION.deferred(), INTERRUPTION.patrolled(patrol):
            self._attend_each(jobs, force)
            postponed, self._postponed = self._postponed, {}
            if postponed:
                INTERRUPTION.sleep(second_look.SECOND_LOOK_SECONDS)
                self._look_again(list(postponed))
                self._attend_each(list(postponed.values()), force)

    def _attend_each(self, jobs: Sequence[Job], force: bool) -> None:
        run_one = self._settings.overrides.run_one or self.attend
        for job in jobs:
            if INTERRUPTION.signum or INTERRUPTION.restart:
                break
            run_one(job, force)

    def attend(self, job: Job, force: bool) -> None:
        """Run `job` if it is due and nothing holds it back, or with `force` anyway."""
        if not self._postponed.keys().isdisjoint(job.depends_on):
            self._postponed[job.app_name] = job
            return
        tick = self.tick
        skip = self._why_skip(job, force)
        if skip is not None and skip.due and tick.met_other_processes:
            # Its parents may have succeeded elsewhere by now. Without a second look, a job whose two parents always run
            # in two processes would never run.
            self._look_again(job.depends_on)
            skip = self._why_skip(job, force)
        if skip is None:
            tick.anything_due = True
            _make_logger(self._logger)
            claim = self._claim(job, force)
            if claim is not None:
                self._run(job, claim, force)
        elif skip.due:
            tick.anything_due = True
            log = self._logger.warning if skip.unknown_dependency else self._logger.info
            log("%s is held back: %s", job.app_name, skip.reason)

    def _why_skip(self, job: Job, force: bool = False) -> Skip | None:
        now, zone = self._clock(), self._zone_for(job)
        return why_skip(job, self.tick, self._configured, now, zone, force, self._settings.overrides)

    def _zone_for(self, job: Job) -> tzinfo:
        """Return the zone for judging whether `job` is due: only a first run needs the server's, which takes 2 ms."""
        state = self.tick.states.get(job.app_name)
        return UTC if state is not None and state.next_run is not None else self._store.zone

    def _claim(self, job: Job, force: bool) -> Claim | None:
        """Claim `job`. Return None if it must not run here: another process runs it, or a signal asks us to stop."""
        seen = self.tick.states.get(job.app_name)
        try:
            claim = self._store.claims.take(job.app_name, job.depends_on, seen, self._clock())
        except OngoingJobError as error:
            self._pass_over(job, error, force)
            return None
        except OwnerInDoubtError as error:
            self._postponed[job.app_name] = job
            self._logger.info("%s", error)
            return None
        except RowLevelLockError as error:
            self.tick.claim_lost = True
            self._logger.info("%s", error)
            return None
        except ClaimFailedError as error:
            self._logger.warning("%s", error)
            return None
        if INTERRUPTION.signum:
            self._store.claims.release(claim)
            return None
        return claim  # type: ignore[no-any-return]

    def _run(self, job: Job, claim: Claim, force: bool) -> None:
        """Run `job` under its claim and note its new state."""
        tick = self.tick
        before = claim.state if job.app_name in tick.states else None
        try:
            occasion = Occasion(before, tick.started, force, claim.state.first_slot)
            state = JobRun(self._store, self._settings, job, claim, occasion).complete()
        except ForgottenError as error:
            self._logger.error("%s", error)
            self._store.claims.release(claim)
            return
        except LostClaimError as error:
            tick.claim_lost = True
            self._logger.warning("%s", error)
            # Nobody else would remove our mark from the row.
            leave = self._store.claims.release if isinstance(error, ChangedError) else self._store.claims.give_up
            leave(claim)
            return
        tick.states[job.app_name] = state
        if not state.last_error:
            tick.succeeded.add(job.app_name)

    def _pass_over(self, job: Job, error: OngoingJobError, force: bool) -> None:
        """Note that another process runs `job`, which matters only if the job is due or forced."""
        if force or is_due(job.schedule, self.tick.row(job.app_name), self._clock(), self._zone_for(job)):
            self.tick.ongoing_elsewhere = True
            self._logger.info("%s", error)

    def _look_again(self, app_names: Sequence[str]) -> None:
        for app_name in app_names:
            state = self._store.state(app_name)
            if state is not None:
                self.tick.states[app_name] = state


def _make_logger(logger: Any) -> None:
    """Make the logger that a quiet tick does without: the job that is about to run may ask `logging` for it by name."""
    getattr(logger, "logger", None)
