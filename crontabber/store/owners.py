"""Name the owner of a claim, and find out whether that process is still running (only Linux can tell)."""

import os
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from crontabber.datetimeutil import host_time
from crontabber.errors import ChangedError, ForgottenError, LostClaimError, OngoingJobError
from crontabber.rules.job_state import JobState
from crontabber.rules.text import one_line

# Tolerance for comparing a claim's time with the start of a process, which the kernel keeps in ticks of 10 ms.
SLACK = timedelta(seconds=1)


class Verdict(Enum):
    """What happened to the owner in a row, if the lock of its job turns out to be free."""

    FREE = "free"  # there is no owner
    ALIVE = "alive"  # it is still running the job, or may be: the claim is not too old
    DEAD = "dead"  # it ended without a result


def judge(
    seen: JobState | None, now: datetime, max_age: timedelta, session_locks: bool,
    is_running: Callable[[JobState, datetime], bool],
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
    return Verdict.ALIVE if is_running(seen, now) else Verdict.DEAD


def is_elsewhere(seen: JobState) -> bool:
    """True if the owner in this row is on another host, where nobody can look for its process."""
    return bool(seen.process) and seen.process.rpartition(":")[0] != socket.gethostname()  # type: ignore[union-attr]


def is_of_version_1_0(seen: JobState) -> bool:
    """True if the owner in this row does not name its claim."""
    return bool(seen.owner) and "@" not in seen.owner  # type: ignore[operator]


def this_process() -> str:
    """Return the owner that stands for this process, without the time of its claim."""
    birth = _birth(_look(str(os.getpid())))
    return _name() + (f"/{birth}" if birth else "")


def is_running_here(seen: JobState, now: datetime) -> bool:
    """True if the owner in this row is another process of this host that still runs.

    A later process with the same process id has another birth, whatever the clock says. Owners of version 1.0 have no
    birth: then the process must be of this user, and must have been running when the claim was taken.
    """
    host, _, pid = (seen.process or "").rpartition(":")
    if host != socket.gethostname() or seen.process == _name() or not pid.isdecimal():
        return False
    process = _look(pid)
    if process is None or process.state in (b"Z", b"X"):
        return False
    if seen.birth:
        return _birth(process) == seen.birth
    age = timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME) - process.start_ticks / os.sysconf("SC_CLK_TCK"))
    was_there = seen.ongoing is not None and now - age <= seen.ongoing + SLACK
    return process.user == os.geteuid() and process.memory > 0 and was_there


def is_sibling(seen: JobState) -> bool:
    """True if the owner in this row has the same parent as this process, or ran on this host and has ended: a sibling
    may just have stored its last result."""
    host, _, pid = (seen.process or "").rpartition(":")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    process = _look(pid)
    return process is None or process.parent == os.getppid()


class _Process(NamedTuple):
    """What Linux says about a process; its start is in clock ticks since the machine was booted."""

    state: bytes
    parent: int
    start_ticks: int
    memory: int
    user: int


def _look(pid: str) -> _Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # pathlib takes 5 ms to import
            state, *fields = file.read().rpartition(b")")[2].split()
            return _Process(state, int(fields[0]), int(fields[18]), int(fields[19]), os.fstat(file.fileno()).st_uid)
    except OSError:
        return None


def _birth(process: _Process | None) -> str:
    """Return what tells a process from all others of its host: the machine's boot, and its own start after that."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123  # pathlib takes 5 ms to import
            boot = file.read(8)
    except OSError:
        return ""
    return f"{boot}-{process.start_ticks}" if process else ""


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def obituary(seen: JobState, session_locks: bool) -> str:
    """Say which process did not finish the run in the row `seen`, or that the run is too old."""
    if not seen.process or not session_locks:
        return f"it has been marked as ongoing{_since(seen)}, longer than crontabber.max_ongoing_age_hours allows"
    host, _, pid = one_line(seen.process).rpartition(":")
    return f"process {pid} on {host}, which had been running it{_since(seen)}, ended without a result"


def ongoing_error(app_name: str, seen: JobState | None) -> OngoingJobError:
    owner = one_line((seen and seen.process) or "another process")
    return OngoingJobError(f"{app_name!r} is already running ({owner}{_since(seen)})")


def taken_over_error(app_name: str) -> LostClaimError:
    return LostClaimError(
        f"{app_name!r} was taken over by another process, or reset, while it ran here: its result is not stored"
    )


def forgotten_error(app_name: str, last_success: datetime | None, stored: datetime) -> ForgottenError:
    after = f"after {host_time(last_success)}" if last_success else "from the first one on"
    return ForgottenError(
        f"{app_name!r}: the state database has forgotten the dates {after} up to {host_time(stored)}:"
        " perhaps a standby that lagged behind has taken over. The job runs these dates again"
    )


def vanished_error(app_name: str) -> LostClaimError:
    return LostClaimError(
        f"{app_name!r} was reset while it ran here, or the state database has forgotten it: its result is not stored"
    )


def changed_error(app_name: str) -> ChangedError:
    return ChangedError(f"last_success of {app_name!r} was changed while it ran: its result is not stored")


def _since(seen: JobState | None) -> str:
    return f" since {host_time(seen.ongoing)}" if seen and seen.ongoing else ""
