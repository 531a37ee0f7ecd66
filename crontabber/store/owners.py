"""Who owns a claim, as `host:pid`, and does that process still run? Linux tells; elsewhere nobody does."""

import os
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum

from crontabber.rules.job_state import JobState

# Between the start of a process and its first claim lies more than the kernel's clock is coarse.
SLACK = timedelta(seconds=1)


class Verdict(Enum):
    """What became of the owner in a row, if the lock of the job turns out to be free."""

    FREE = "free"  # there is none
    ALIVE = "alive"  # it still runs the job, or is too young to be given up
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
    if not seen.owner or not session_locks:
        return Verdict.ALIVE
    # An owner that lost its connection, and with it the lock, still runs the job.
    return Verdict.ALIVE if is_running(seen.owner, seen.ongoing, now) else Verdict.DEAD


def this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def is_running_here(owner: str, since: datetime, now: datetime) -> bool:
    """Does `owner`, another process of this host and user, run, that owned the claim at `since`?

    A process that has begun after that has only been given the same number. So has one of another user's, or one of the
    kernel's: containers may have the host's name, and numbers of their own.
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
    begun, memory = int(fields[18]) / os.sysconf("SC_CLK_TCK"), int(fields[19])
    age = timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME) - begun)
    return state not in (b"Z", b"X") and user == os.geteuid() and memory > 0 and now - age <= since + SLACK
