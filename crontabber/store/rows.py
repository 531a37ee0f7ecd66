"""Turn rows of the state table into states and back."""

import json
import socket
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from crontabber.rules.dependencies import names_in
from crontabber.rules.job_state import Failure, JobState

# The keys of a job's dict, as existing users know it: no more, no less.
PUBLIC_KEYS = (
    "next_run", "first_run", "last_run", "last_success", "depends_on", "error_count", "last_error", "ongoing",
)  # fmt: skip


def state_from_row(row: Sequence[Any]) -> JobState:
    """Return the state in a row of sql.COLUMNS."""
    app_name, next_run, first_run, last_run, last_success, error_count, depends_on, last_error, *others = row
    return JobState(
        app_name, next_run, first_run, last_run, last_success, error_count or 0, tuple(depends_on or ()),
        from_json(last_error), *others,
    )  # fmt: skip


def state_from_mapping(app_name: str, info: Mapping[str, Any]) -> JobState:
    """Return the state in a mapping of the public keys, any of which may be missing."""
    known = {key: info[key] for key in PUBLIC_KEYS if info.get(key) is not None}
    known["depends_on"] = names_in(known.get("depends_on"))
    known["last_error"] = from_json(known.get("last_error"))
    return JobState(app_name, owner=info.get("owner"), **known)


def as_mapping(state: JobState) -> dict[str, Any]:
    """Return the state as existing users know it: the public keys, with a list and a plain dict."""
    values = {key: getattr(state, key) for key in PUBLIC_KEYS}
    return values | {"depends_on": list(state.depends_on), "last_error": dict(state.last_error)}


def as_json(value: Mapping[str, Any]) -> str:
    """Return JSON that PostgreSQL accepts: NULs and lone surrogates escaped, objects unknown to JSON as their repr."""
    return json.dumps(dict(value), default=repr)


def storable(text: str) -> str:
    """Return `text` with the characters escaped that PostgreSQL refuses: NULs and lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def from_json(value: Any) -> dict[str, Any]:
    """Return the dict in a json column. `value` is what the driver returns: a dict, None for NULL, or text if its
    typecaster is off. Anything that we did not write becomes the text of an error."""
    if isinstance(value, (str, bytes)):
        try:
            value = json.loads(value)
        except ValueError:
            value = {"value": value}
    if isinstance(value, Mapping) or value is None:
        return dict(value or {})
    return {"value": value}


def before_claim(state: JobState, is_new: bool) -> JobState:
    """Return the row as the job and the rules should see it: as if it had not been claimed."""
    return state._replace(ongoing=None, owner=None, first_run=None if is_new else state.first_run)


def claim_parameters(
    key: Mapping[str, Any], owner: str, now: datetime, depends_on: Sequence[str], seen: JobState | None
) -> dict[str, Any]:
    """Return the parameters of the claiming statements."""
    return {
        **key,
        "owner": owner,
        "now": now,
        "depends_on": list(depends_on),
        "next_run": seen and seen.next_run,
        "seen_ongoing": seen and seen.ongoing,
        "seen_owner": seen and seen.owner,
    }


def bury_parameters(
    key: Mapping[str, Any], seen: JobState, state: JobState, failure: Failure, now: datetime, slot: datetime | None
) -> dict[str, Any]:
    """Return the parameters of the statement that ends the run in the row `seen` with `failure`; it was for `slot`."""
    return {
        **key,
        "now": now,
        "next_run": seen.next_run,
        "seen_ongoing": seen.ongoing,
        "seen_owner": seen.owner,
        "new_next_run": state.next_run,
        "last_run": state.last_run,
        "error_count": state.error_count,
        "last_error": as_json(state.last_error),
        "exc_type": failure.type,
        "exc_value": failure.representation,
        "exc_traceback": failure.traceback,
        "slot": slot,
        "host": seen.process and seen.process.rpartition(":")[0],
    }


def log_parameters(
    app_name: str, duration: timedelta, success: datetime | None, failure: Failure | None
) -> dict[str, Any]:  # fmt: skip
    """Return the parameters of a row of the log for a run without a claim."""
    return {
        "app_name": app_name,
        "duration": duration,
        "success": success,
        "exc_type": failure and failure.type,
        "exc_value": failure and failure.representation,
        "exc_traceback": failure and failure.traceback,
        "slot": None,
        "host": socket.gethostname(),
    }


def settle_parameters(
    key: Mapping[str, Any], state: JobState, duration: timedelta, success: datetime | None, failure: Failure | None,
    slot: datetime | None = None, last_date: date | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the parameters of the settling statements; `key` is the claim's, `slot` the date that the run was for,
    `last_date` its calendar date if that is done."""
    return {
        **key,
        "next_run": state.next_run,
        "first_run": state.first_run,
        "last_run": state.last_run,
        "error_count": state.error_count,
        "depends_on": list(state.depends_on),
        "last_error": as_json(state.last_error),
        "duration": duration,
        "last_date": last_date,
        "slot": slot,
        "success": success,
        "exc_type": failure and failure.type,
        "exc_value": failure and failure.representation,
        "exc_traceback": failure and failure.traceback,
    }
