"""Name the owner of a claim as `host:pid`, and find out whether that process still runs. Only Linux can tell."""

import os
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum

from crontabber.errors import OngoingJobError
from crontabber.rules.job_state import JobState

# Tolerance for comparing a claim's time with the start of a process, which the kernel keeps in ticks of 10 ms.
SLACK = timedelta(seconds=1)


class Verdict(Enum):
    """What happened to the owner in a row, if the lock of its job turns out to be free."""

    FREE = "free"  # there is none
    ALIVE = "alive"  # it still runs the job, or may do so and is not too old
    DEAD = "dead"  # it ended without a result


def judge(
    seen: JobState | None, now: datetime, max_age: timedelta, session_locks: bool,
    is_running: Callable[[str, datetime, datetime], bool],
) -> Verdict:  # fmt: skip
    """Judge the owner in the row `seen` (None: no row). Pure, if `is_running` is: it answers as `is_running_here`."""
    if seen is None or seen.ongoing is None:
        return Verdict.FREE
    if now - seen.ongoing >= max_age:
        return Verdict.DEAD
    # The original writes no owner, and without session locks a free lock proves nothing: only the age tells.
    if not seen.process or not session_locks:
        return Verdict.ALIVE
    # An owner that lost its connection, and with it the lock, still runs the job.
    return Verdict.ALIVE if is_running(seen.process, seen.ongoing, now) else Verdict.DEAD


def is_of_version_1_0(seen: JobState) -> bool:
    """True if the owner in this row does not name its claim."""
    return bool(seen.owner) and "@" not in seen.owner  # type: ignore[operator]


def this_process() -> str:
    """Return the owner that this process is."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_running_here(owner: str, since: datetime, now: datetime) -> bool:
    """True if `owner` is another process of this host and user that is running now and was running at `since`.

    A process that started later merely has the same process id. So does a process of another user or of the kernel:
    containers may share the host's name, but they have process ids of their own.
    """
    host, _, pid = owner.rpartition(":")
    if host != socket.gethostname() or owner == this_process() or not pid.isdecimal():
        return False
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # pathlib takes 5 ms to import
            state, *fields = file.read().rpartition(b")")[2].split()
            user = os.fstat(file.fileno()).st_uid
    except OSError:
        return False
    started, memory = int(fields[18]) / os.sysconf("SC_CLK_TCK"), int(fields[19])
    age = timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    return state not in (b"Z", b"X") and user == os.geteuid() and memory > 0 and now - age <= since + SLACK


def obituary(seen: JobState, session_locks: bool) -> str:
    """Say whose unfinished run the row `seen` tells of, or that it is too old."""
    if not seen.process or not session_locks:
        return f"it has been marked as ongoing{_since(seen)}, longer than crontabber.max_ongoing_age_hours allows"
    host, _, pid = seen.process.rpartition(":")
    return f"its owner, process {pid} on {host}, ended without a result; it had been running{_since(seen)}"


def ongoing_error(app_name: str, seen: JobState | None) -> OngoingJobError:
    owner = (seen and seen.process) or "another process"
    return OngoingJobError(f"{app_name!r} is already running ({owner}{_since(seen)})")


def _since(seen: JobState | None) -> str:
    return f" since {seen.ongoing.isoformat(' ', 'seconds')}" if seen and seen.ongoing else ""
