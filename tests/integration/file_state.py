"""A state class without PostgreSQL: a JSON file for each job, and a locked file for each claim."""

import fcntl
import json
import os
import socket
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote, unquote

from configman import Namespace, RequiredConfig

from crontabber.errors import LostClaimError, OngoingJobError
from crontabber.rules.job_state import JobState
from crontabber.store.claims import Claim, RowLevelLockError

TIMES = ("next_run", "first_run", "last_run", "last_success", "ongoing")


class FileState(RequiredConfig):
    required_config = Namespace()
    required_config.add_option("state_folder", default="state", doc="the folder that holds the state of the jobs")

    # HH:MM in the setting `jobs` is a time of day in this zone.
    zone = timezone.utc

    def __init__(self, config):
        self.folder = Path(config.state_folder)
        self.folder.mkdir(exist_ok=True)
        self.claims = FileClaims(self, config.logger)

    def states(self):
        names = [unquote(path.stem) for path in self.folder.glob("*.json")]
        return {name: self.state(name) for name in names}

    def state(self, app_name):
        if app_name not in self:
            return None
        values = json.loads(self.file(app_name, ".json").read_text("utf-8"))
        times = {name: datetime.fromisoformat(values[name]) if values[name] else None for name in TIMES}
        return JobState(**values | times | {"depends_on": tuple(values["depends_on"])})

    def store(self, state):
        times = {name: moment.isoformat() if (moment := getattr(state, name)) else None for name in TIMES}
        file = self.file(state.app_name, ".json")
        file.with_suffix(".new").write_text(json.dumps(state._asdict() | times), "utf-8")
        file.with_suffix(".new").replace(file)

    def log_run(self, app_name, duration, success, failure=None):
        with (self.folder / "log").open("a", encoding="utf-8") as log:
            log.write(json.dumps([app_name, str(success), failure and failure.value]) + "\n")

    def __contains__(self, app_name):
        return self.file(app_name, ".json").exists()

    def pop(self, app_name):
        self.file(app_name, ".json").unlink()

    def file(self, app_name, suffix):
        return self.folder / (quote(app_name, safe="") + suffix)


class FileClaims:
    """A process's locks end with it. So a free lock, next to a state that says `ongoing`, means that the owner died."""

    def __init__(self, states, logger):
        self.states = states
        self.logger = logger
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self.locks = {}

    def take(self, app_name, depends_on, seen, now):
        lock = self.states.file(app_name, ".lock").open("a", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OngoingJobError(f"{app_name!r} is already running (another process)") from None
        state = self.states.state(app_name)
        if (state and state.next_run) != (seen and seen.next_run):
            raise RowLevelLockError(f"another process claimed {app_name!r} first")
        self.locks[app_name] = lock
        died = f"its owner {state.owner} ended without a result" if state and state.ongoing else None
        if died:
            self.logger.warning("%s: %s. Running it now.", app_name, died)
        before = (state or JobState(app_name))._replace(depends_on=tuple(depends_on), ongoing=None, owner=None)
        self.states.store(before._replace(ongoing=now, owner=self.owner))
        return Claim(app_name, self.owner, now, before, died)

    def settle(self, claim, state, duration, success, failure, logged=False):
        self.check(claim)
        self.states.store(state)
        if not logged:
            self.states.log_run(claim.app_name, duration, success, failure)
        self.give_up(claim)

    def settle_date(self, claim, date, duration):
        self.states.store(self.check(claim)._replace(last_success=date))
        self.states.log_run(claim.app_name, duration, date)

    def release(self, claim):
        if claim.state.last_run:
            self.states.store(claim.state)
        else:
            self.states.pop(claim.app_name)
        self.give_up(claim)

    def give_up(self, claim):
        self.locks.pop(claim.app_name).close()

    def is_own_database(self, connection):
        return False

    def check(self, claim):
        """Return the stored state; LostClaimError if the job was reset or taken over meanwhile."""
        state = self.states.state(claim.app_name)
        if state is None or (state.owner, state.ongoing) != (claim.owner, claim.since):
            raise LostClaimError(f"{claim.app_name!r} was taken over by another process, or reset, while it ran here: its result is not stored")
        return state
