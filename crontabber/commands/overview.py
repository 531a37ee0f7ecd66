"""What the modes that answer questions read: the configuration, the state, and what a tick would do now."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from crontabber.commands import Application
from crontabber.commands.by_hand import overrides_of
from crontabber.engine.overrides import Overrides
from crontabber.errors import OwnerDiedError
from crontabber.rules.after_death import state_after_death
from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.dependencies import reorder_dag
from crontabber.rules.health import Health, health_of
from crontabber.rules.job import Job
from crontabber.rules.job_state import Failure, JobState
from crontabber.rules.plan import Step, prepare, steps
from crontabber.rules.policy import parse_duration
from crontabber.rules.tick import Tick
from crontabber.rules.verdict import first_reason
from crontabber.store.history import History, history_of
from crontabber.store.owners import Verdict, is_running_here, judge, obituary


class Foreseen(NamedTuple):
    """Stands for the runner of a tick: an application's check_dependencies asks it what has succeeded."""

    tick: Tick


class Overview(NamedTuple):
    """The configured jobs and the state as they are now. `history` is None for a state class that keeps no log."""

    app: Any
    configured: ConfiguredJobs
    tick: Tick
    zone: tzinfo
    history: History | None
    dead: Mapping[str, JobState]
    overrides: Overrides
    takes_notes: bool
    tick_interval: timedelta

    @property
    def now(self) -> datetime:
        return self.tick.started

    def durations(self) -> dict[str, timedelta]:
        """Return how long the last runs took, as far as that is cheap to find out."""
        return self.history.last_durations() if self.history else {}

    @property
    def is_tick_alive(self) -> bool:
        """True if a tick holds the lock of a job now."""
        return any(facts["holds_lock"] for facts in self.tick.ongoing.values())

    def health(self, step: Step) -> Health:
        return health_of(step, self.tick, self.zone, self.tick_interval)

    def steps(self, only: Job | None = None, force: bool = False) -> list[Step]:
        """Return what the next tick does, in its order, or what one with --job=`only` does."""
        jobs = [only] if only else (self.overrides.order or reorder_dag)(self.configured.jobs)
        tick = self.prepared(jobs, force)
        self.app._runner = Foreseen(tick)
        try:
            return steps(jobs, tick, self.zone, self.dead, self.overrides.judges, force)
        finally:
            self.app._runner = None

    def ready(self) -> list[Job]:
        """Return the jobs that may run as things are now, before any other has run."""
        tick, judges = self.prepared(self.configured.jobs), self.overrides.judges
        return [job for job in self.configured.jobs if first_reason(job, tick, self.now, self.zone, judges) is None]

    def prepared(self, jobs: Sequence[Job], force: bool = False) -> Tick:
        """Return a tick that is about to attend to its first job."""
        tick = Tick(self.now, dict(self.tick.states), self.tick.unseen, self.tick.configured)
        tick.ongoing = self.tick.ongoing
        prepare(jobs, tick, self.zone, self.takes_notes and not force)
        return tick


def overview(app: Application) -> Overview:
    """Read everything, with two statements at most."""
    configured, store, now = app.configured_jobs(), app.state_reader(), app.current_time()
    tick = Tick(now, store.states(), getattr(store, "unseen", {}), configured.policies())
    log = history_of(store)
    options = app.config.crontabber
    max_age = timedelta(hours=options.max_ongoing_age_hours)
    locks = bool(log) and options.get("session_locks", True)
    alive, dead = _owners(configured.jobs, tick.states, log, now, max_age, locks)
    tick.ongoing = alive
    takes_notes, tick_interval = hasattr(type(store), "plans"), interval_of_ticks(options)
    return Overview(app, configured, tick, store.zone, log, dead, overrides_of(app), takes_notes, tick_interval)


def interval_of_ticks(options: Any) -> timedelta:
    """Return how often cron starts crontabber; `options` is the namespace `crontabber`."""
    return parse_duration(options.get("tick_interval", "5m"))


def _owners(
    jobs: Sequence[Job], states: Mapping[str, JobState], log: History | None, now: datetime, max_age: timedelta,
    session_locks: bool,
) -> tuple[dict[str, Mapping[str, Any]], dict[str, JobState]]:  # fmt: skip
    """Return which jobs run in other processes, with their facts, and the states of those whose process has died."""
    ongoing = [(job, states[job.app_name]) for job in jobs if (row := states.get(job.app_name)) and row.ongoing]
    locked = log.locked([job.app_name for job, _ in ongoing]) if log else set()
    alive: dict[str, Mapping[str, Any]] = {}
    dead: dict[str, JobState] = {}
    for job, row in ongoing:
        holds_lock = job.app_name in locked
        if holds_lock or judge(row, now, max_age, session_locks, is_running_here) is Verdict.ALIVE:
            alive[job.app_name] = {"since": row.ongoing, "process": row.process, "holds_lock": holds_lock}
        elif log:
            died = obituary(row, session_locks)
            failure = Failure(repr(OwnerDiedError), died, "", repr(OwnerDiedError(died)))
            dead[job.app_name] = state_after_death(row, job.policy, failure, now)
        else:
            dead[job.app_name] = row._replace(ongoing=None)
    return alive, dead
