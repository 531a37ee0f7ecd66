"""Who owns a claim, as `host:pid`, and does that process still run? Linux tells; elsewhere nobody does."""

import os
import socket
import time
from datetime import datetime, timedelta

# Between the start of a process and its first claim lies more than the kernel's clock is coarse.
SLACK = timedelta(seconds=1)


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
