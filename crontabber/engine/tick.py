"""One tick: verdict -> claim -> execute -> settle, for one job after another."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from typing import Any

from crontabber.engine.plans import correct_plans, note_first_slots
from crontabber.engine.run_settings import RunSettings
from crontabber.errors import (
    ChangedError,
    ClaimFailedError,
    ForgottenError,
    LostClaimError,
    OngoingJobError,
    OwnerInDoubtError,
)
from crontabber.process.signals import INTERRUPTION
from crontabber.rules.after_death import date_of_death, with_the_deadly_last
from crontabber.rules.job import Job
from crontabber.rules.local_time import UTC
from crontabber.rules.policy import Policy
from crontabber.rules.schedule import is_due
from crontabber.rules.tick import Tick
from crontabber.rules.verdict import NOT_YET, Condition, first_reason
from crontabber.rules.words import because
from crontabber.store import second_look
from crontabber.store.claims import Claim, RowLevelLockError
from crontabber.store.connections import cut_off_forked_children
from crontabber.store.owners import is_sibling
from crontabber.store.patrol import patrol


class Runner:
    """Runs the jobs of one tick and keeps their state in `store`; `configured` are the policies of all jobs.

    StateDatabaseError if the state cannot be reached.
    """

    def __init__(self, store: Any, settings: RunSettings, configured: Mapping[str, Policy]) -> None:
        self._store = store
        self._settings = settings
        self._logger = settings.logger
        self._clock = settings.clock
        started, states = self._clock(), store.states()
        self.tick = Tick(started, states, getattr(store, "unseen", {}), configured)
        self._judges = settings.overrides.judges
        # Jobs whose owner on another host needs a second look, and those that depend on them.
        self._postponed: dict[str, Job] = {}

    def run(self, jobs: Sequence[Job], force: bool = False) -> None:
        """Run those of `jobs` that are due, in the given order. Stop before the next one once a signal asks for it."""
        cut_off_forked_children()
        correct_plans(self._store, self.tick, jobs, self._logger)
        if not force:
            note_first_slots(self._store, self.tick, jobs)
        with INTERRUPTION.deferred(), INTERRUPTION.patrolled(patrol):
            self._attend_each(with_the_deadly_last(jobs, self.tick.states), force)
            postponed, self._postponed = self._postponed, {}
            if postponed:
                INTERRUPTION.sleep(second_look.SECOND_LOOK_SECONDS)
                self._look_again(list(postponed))
                self._attend_each(list(postponed.values()), force)

    def _attend_each(self, jobs: Sequence[Job], force: bool) -> None:
        run_one = self._settings.overrides.run_one or self.attend
        if self.siblings and not self._can_share():
            self.siblings.ready(len(jobs))
        for number, job in enumerate(jobs):
            if INTERRUPTION.signum or INTERRUPTION.restart:
                break
            if (self.tick.met_other_processes or self.siblings) and not force and self._can_share():
                from crontabber.engine.sharing import Sharing

                return Sharing(self, self._store, self._clock, jobs[number:]).run()
            run_one(job, force)

    def _can_share(self) -> bool:
        """True if neither the application nor its state class has to be asked about one job after another."""
        theirs = self._settings.overrides
        return not (theirs.run_one or theirs.is_due or theirs.why_blocked) and hasattr(self._store.claims, "take_one")

    def attend(self, job: Job, force: bool) -> None:
        """Run `job` if it is due and nothing holds it back, or with `force` anyway."""
        if self.is_postponed(job) or not self.is_free(job, force):
            return
        tick = self.tick
        reason = self.why_not(job, force)
        if reason is not None and reason.code not in NOT_YET and tick.met_other_processes:
            # Its parents may have succeeded elsewhere by now. Without a second look, a job whose two parents always run
            # in two processes would never run.
            self._look_again(job.depends_on)
            reason = self.why_not(job, force)
        if reason is None:
            claim = self._claim(job, force)
            if claim is not None:
                self.run_claimed(job, claim, force)
        elif reason.code not in NOT_YET:
            self.hold_back(job, reason)

    def is_postponed(self, job: Job) -> bool:
        """True if `job` has to wait for a second look at the owner of one that it depends on."""
        if self._postponed.keys().isdisjoint(job.depends_on):
            return False
        self._postponed[job.app_name] = job
        return True

    def hold_back(self, job: Job, reason: Condition) -> None:
        self.tick.anything_due = True
        log = self._logger.warning if reason.code == "dependency_unconfigured" else self._logger.info
        log("%s is held back: %s", job.app_name, because(reason))

    def why_not(self, job: Job, force: bool = False) -> Condition | None:
        """Return why `job` may not run now, or None if it may."""
        return None if force else first_reason(job, self.tick, self._clock(), self._zone_for(job), self._judges)

    def _zone_for(self, job: Job) -> tzinfo:
        """Return the zone for judging whether `job` is due: only a first run needs one. The server's takes 2 ms."""
        state = self.tick.states.get(job.app_name)
        return UTC if state is not None and state.next_run is not None else job.zone or self._store.zone

    def is_free(self, job: Job, force: bool) -> bool:
        """True if no process runs `job`. If the one that did has died, record that."""
        seen, bury = self.tick.states.get(job.app_name), getattr(self._store.claims, "bury", None)
        if seen is None or seen.ongoing is None or bury is None:
            return True
        with self._passing_over(job, force):
            state = bury(seen, self._clock(), job.policy, lambda: date_of_death(job, seen, self._store.zone))
            self.tick.states[job.app_name] = state
            from crontabber.engine.run_log import log_dead_rerun, log_death

            now = self._clock()
            if seen.is_rerun:
                log_dead_rerun(self._logger, seen)
            else:
                log_death(self._logger, job, state, now)
                died = str(state.last_error.get("value"))
                self._settings.monitors.failed(job, seen.ongoing, now, died, self._store.zone)
            return True
        return False

    def _claim(self, job: Job, force: bool) -> Claim | None:
        """Claim `job`. Return None if another process runs it."""
        self._about_to_run()
        seen = self.tick.states.get(job.app_name)
        with self._passing_over(job, force):
            return self._store.claims.take(job.app_name, job.depends_on, seen, self._clock())  # type: ignore[no-any-return]
        return None

    def claim_one(self, jobs: Sequence[Job]) -> Claim | None:
        """Claim the first of `jobs` that no other process runs, or has run. Either all of them have a state, or none
        has. ClaimFailedError if a later attempt may succeed."""
        self._about_to_run()
        states, claims, now = self.tick.states, self._store.claims, self._clock()
        if jobs[0].app_name in states:
            return claims.take_one({job.app_name: states[job.app_name].next_run for job in jobs}, now)  # type: ignore[no-any-return]
        return claims.take_one_new({job.app_name: job.depends_on for job in jobs}, now)  # type: ignore[no-any-return]

    def _about_to_run(self) -> None:
        """Make the logger that a quiet tick does without: a job may ask `logging` for it by name."""
        self.tick.anything_due = True
        getattr(self._logger, "logger", None)

    @contextmanager
    def _passing_over(self, job: Job, force: bool) -> Iterator[None]:
        """Leave the block, and the job to the next tick, if another process has it, or for a passing reason."""
        try:
            yield
        except OngoingJobError as error:
            self.pass_over(job, error, force)
        except OwnerInDoubtError as error:
            self._postponed[job.app_name] = job
            self._logger.info("%s", error)
        except RowLevelLockError as error:
            self.tick.claim_lost = True
            self._logger.info("%s", error)
        except ClaimFailedError as error:
            self._logger.warning("%s", error)

    def run_claimed(self, job: Job, claim: Claim, force: bool) -> None:
        """Run `job` under its claim and note its new state. Do not start it if a signal asks us to stop."""
        # Most ticks run no job.
        from crontabber.engine.job_run import JobRun
        from crontabber.rules.after_run import Occasion

        is_paused = claim.state.paused_at is not None
        if INTERRUPTION.signum or (is_paused and not force):  # since the tick has read the states
            self._store.claims.release(claim)
            return
        if is_paused:
            self._logger.warning("%s is paused, and runs because of --force", job.app_name)
        tick = self.tick
        tick.has_run = True
        before = claim.state if job.app_name in tick.states else None
        try:
            self._settings.monitors.started(job, claim.since, self._store.zone)
            occasion = Occasion(before, tick.started, force, claim.state.first_slot)
            if job.policy.catchup and job.is_backfill:
                from crontabber.engine.catchup import catch_up

                claim, occasion = catch_up(self._store, self._logger, job, claim, occasion)
            state = JobRun(self._store, self._settings, job, claim, occasion).complete()
        except LostClaimError as error:
            self._lose(job, claim, error)
            return
        tick.states[job.app_name] = state
        if not state.last_error:
            tick.succeeded.add(job.app_name)

    def _lose(self, job: Job, claim: Claim, error: LostClaimError) -> None:
        """Leave a job whose result could not be stored."""
        if isinstance(error, ForgottenError):
            self._logger.error("%s", error)
        else:
            self.tick.claim_lost = True
            self._logger.warning("%s", error)
        # Nobody else would remove our mark from the row.
        is_marked = isinstance(error, (ForgottenError, ChangedError))
        (self._store.claims.release if is_marked else self._store.claims.give_up)(claim)
        self._settings.monitors.failed(job, claim.since, self._clock(), str(error), self._store.zone)

    def pass_over(self, job: Job, error: OngoingJobError, force: bool) -> None:
        """Note that another process runs `job`, which matters only if the job is due or forced."""
        if self.siblings and is_sibling(self.tick.row(job.app_name)):
            return
        if force or is_due(job.schedule, self.tick.row(job.app_name), self._clock(), self._zone_for(job)):
            self.tick.anything_due = self.tick.ongoing_elsewhere = True
            self._logger.info("%s", error)

    @property
    def siblings(self) -> Any:
        """The reporter through which this worker reaches the others of one supervisor; None if it has none."""
        reporter = self._settings.reporter
        return reporter if reporter and reporter.worker else None

    def _look_again(self, app_names: Sequence[str]) -> None:
        for app_name in app_names:
            state = self._store.state(app_name)
            if state is not None:
                self.tick.states[app_name] = state
