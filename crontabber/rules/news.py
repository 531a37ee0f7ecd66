"""Is a failure news to somebody who has heard of the one before? Pure."""

import re
from datetime import tzinfo

from crontabber.rules.job_state import JobState, Outcome
from crontabber.rules.local_time import local_date

# In a traceback. The frames of an exception group are set off by bars.
_FRAME = re.compile(r'^[ |]*(File "(.*)", line \d+, in .*)$', re.MULTILINE)


def is_news(before: JobState | None, outcome: Outcome, zone: tzinfo, code: str) -> bool:
    """True if the failure of a run is unlike that of the run before, or the first one on its date in `zone`.

    `before` is the state that the run found, `code` the beginning of every path of the job's own code.
    """
    failure = outcome.failure
    assert failure is not None
    if before is None or before.last_run is None or not before.last_error:
        return True
    if local_date(before.last_run, zone) != local_date(outcome.started, zone):
        return True
    last_type, last_traceback = str(before.last_error.get("type")), str(before.last_error.get("traceback"))
    if last_type != failure.type:
        return True
    # A signal may stop a job at any line.
    return not outcome.interrupted and _place(last_traceback, code) != _place(failure.traceback, code)


def _place(traceback: str, code: str) -> str:
    """Return the innermost line of the job's own code, or of any code if there is none of its own."""
    frames = _FRAME.findall(traceback)
    return next((frame for frame, path in reversed(frames) if path.startswith(code)), frames[-1][0] if frames else "")
