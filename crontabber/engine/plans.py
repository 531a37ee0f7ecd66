"""Before the jobs of a tick run: note when those run that never ran."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from crontabber.errors import StateDatabaseError
from crontabber.rules.job import Job
from crontabber.rules.schedule import first_slot, is_unseen


def note_first_slots(store: Any, tick: Any, jobs: Sequence[Job]) -> None:
    """Note the slot of the first run of each job with a time of day, so that a tick after midnight serves it, too."""
    plans = getattr(store, "plans", None)
    unseen = [job for job in jobs if is_unseen(job.schedule, tick.states.get(job.app_name))]
    if plans is None:
        return
    changed: dict[str, tuple[datetime | None, datetime]] = {}
    for job in unseen:
        noted = tick.row(job.app_name).first_slot
        slot = first_slot(job.schedule, noted, tick.started, store.zone)
        if slot != noted:
            changed[job.app_name] = (noted, slot)
    if changed:
        # What cannot be noted now is noted by the next tick.
        with suppress(StateDatabaseError):
            for name in plans.note_first_slots(changed):
                tick.note(name, changed[name][1])
