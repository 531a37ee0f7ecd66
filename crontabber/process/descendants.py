"""The processes that a process has started, and those that these have started. Only Linux can tell."""

import os
import signal
import time
from collections.abc import Container, Iterator, Set
from contextlib import contextmanager, suppress

# Process id and start, in ticks of the kernel's clock: together they name one process.
Process = tuple[int, int]

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_SECONDS = 5.0


@contextmanager
def orphans_adopted() -> Iterator[None]:
    """Be the parent of every descendant whose own parent ends, so that none can get out of sight."""
    adopt_orphans()
    try:
        yield
    finally:
        _set_subreaper(0)


def adopt_orphans() -> None:
    """Do the same for the rest of this process."""
    _set_subreaper(1)


def descendants(pid: int, without: Container[int] = ()) -> set[Process]:
    """Return the descendants of a process that are still running, without some and what is below these."""
    found: set[Process] = set()
    if pid == os.getpid() and _is_childless():
        return found
    children = _children()
    parents = [pid]
    while parents:
        for process, is_running in children.get(parents.pop(), ()):
            if process[0] in without:
                continue
            if is_running:
                found.add(process)
            # While its other threads are ending, a process whose main thread has ended is still a parent.
            parents.append(process[0])
    return found


def kill_descendants(pid: int, but: Set[Process], without: Container[int] = ()) -> None:
    """Kill the descendants of a process, and those that they start meanwhile, except for those in `but`, and for
    `without` and what is below these."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while (left := descendants(pid, without) - but) and time.monotonic() < give_up_at:
        for process, _ in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


def _set_subreaper(value: int) -> None:
    import ctypes

    with suppress(OSError, AttributeError):  # not on Linux
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, value, 0, 0, 0)


def _is_childless() -> bool:
    """True if this process surely has no child. Most jobs start none, and to look at all processes takes 5 ms."""
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children", "rb") as file:  # noqa: PTH123  # pathlib takes 5 ms to import
                if file.read():
                    return False
    except OSError:  # a thread has just ended, or the kernel does not tell
        return False
    return True


def _children() -> dict[int, list[tuple[Process, bool]]]:
    """Return the processes of this machine by the process id of their parent, and whether each is still running."""
    children: dict[int, list[tuple[Process, bool]]] = {}
    with suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdecimal() and (process := _look(name)) is not None:
                parent, start, is_running = process
                children.setdefault(parent, []).append(((int(name), start), is_running))
    return children


def _look(pid: str) -> tuple[int, int, bool] | None:
    """Return the parent and the start of a process, and whether it is running; None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # pathlib takes 5 ms to import
            state, parent, *fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(parent), int(fields[17]), state not in (b"Z", b"X")
