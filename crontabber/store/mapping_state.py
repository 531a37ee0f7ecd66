"""Keep the state in a class that is only a mapping, as in the original: no claims, no history, times of day in UTC."""

from collections.abc import MutableMapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from crontabber.datetimeutil import UTC, host_time
from crontabber.errors import OngoingJobError
from crontabber.rules.job_state import JobState
from crontabber.store.claims import Claim
from crontabber.store.owners import this_process
from crontabber.store.rows import as_mapping, state_from_mapping


class MappingState:
    """Offers the engine what JobStateDatabase does, on a mapping app_name -> dict with the public keys of a state.

    `claims` is the object itself. A job that has been ongoing for less than `max_ongoing_age` is left alone.
    """

    zone = UTC

    def __init__(self, mapping: MutableMapping[str, Any], max_ongoing_age: timedelta) -> None:
        self.mapping = mapping
        self._max_ongoing_age = max_ongoing_age

    @property
    def claims(self) -> "MappingState":
        return self

    def states(self) -> dict[str, JobState]:
        states = ((app_name, self.state(app_name)) for app_name in list(self.mapping))
        return {app_name: state for app_name, state in states if state is not None}

    def state(self, app_name: str) -> JobState | None:
        try:
            return state_from_mapping(app_name, self.mapping[app_name])
        except KeyError:
            return None

    def store(self, state: JobState) -> None:
        self.mapping[state.app_name] = as_mapping(state)

    def log_run(self, app_name: str, duration: timedelta, success: datetime | None, failure: Any = None) -> None:
        """Do nothing: there is no history."""

    # -- claims

    def take(self, app_name: str, depends_on: Sequence[str], seen: JobState | None, now: datetime) -> Claim:
        """Mark a job as ongoing. OngoingJobError if it is already."""
        before = self.state(app_name)
        if before is not None and before.ongoing is not None and now - before.ongoing < self._max_ongoing_age:
            raise OngoingJobError(f"{app_name!r} is already running (since {host_time(before.ongoing)})")
        state = (before or JobState(app_name, depends_on=tuple(depends_on)))._replace(ongoing=None)
        self.store(state._replace(ongoing=now))
        return Claim(app_name, this_process(), now, state)

    def settle(self, claim: Claim, state: JobState, *history: Any, **more_history: Any) -> None:
        self.store(state)

    def settle_date(self, claim: Claim, date: datetime, duration: timedelta) -> None:
        state = self.state(claim.app_name) or claim.state
        self.store(state._replace(last_success=date))

    def bury_killed(self, seen: JobState, state: JobState, *history: Any) -> None:
        self.store(state)

    def release(self, claim: Claim) -> None:
        state = self.state(claim.app_name)
        if state is not None and state.last_run is None and state.next_run is None:
            del self.mapping[claim.app_name]
        elif state is not None and state.ongoing is not None:
            self.store(state._replace(ongoing=None))

    def give_up(self, claim: Claim) -> None:
        """Do nothing: there is no lock."""

    def is_own_database(self, connection: Any) -> bool:
        return False
