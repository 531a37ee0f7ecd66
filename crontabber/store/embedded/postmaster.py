"""The postmaster of a folder: is it running, is it ready, start it, stop it.

Pid files are not trusted: what listens on the socket in the folder is running, and the kernel knows its pid.
"""

import os
import signal
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded.cluster import LOG_FILE
from crontabber.store.embedded.programs import ServerAccount, error_summary, run
from crontabber.store.embedded.socket_path import SOCKET_NAME

START_TIMEOUT_SECONDS = 120
STOP_TIMEOUT_SECONDS = 60
POLL_SECONDS = 0.01
PID_FILE = "postmaster.pid"
STATUS_LINE = 7  # of the pid file, counted from 0
LONGEST_LOG_BYTES = 1_000_000


def postmaster_pid(socket_directory: str) -> int | None:
    """Return the pid of the process that listens on the socket, 0 if in another container, None if there is none."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.path.join(socket_directory, SOCKET_NAME))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        if not hasattr(socket, "SO_PEERCRED"):
            return _recorded_pid(socket_directory)
        pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(pid)


def becomes_ready(socket_directory: str) -> bool:
    """Wait for a postmaster that another process has started. False if there is none, or if it ends instead."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while postmaster_pid(socket_directory) is not None:
        status = _pid_file_lines(socket_directory)[STATUS_LINE : STATUS_LINE + 1]
        if status in (["ready"], ["standby"]):
            return True
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"PostgreSQL in {socket_directory} was not ready within {START_TIMEOUT_SECONDS} seconds:"
                f" {' '.join(status)}"
            )
        time.sleep(POLL_SECONDS)
    return False


def start_postmaster(folder: str, programs: str, account: ServerAccount) -> None:
    """Start it, and wait until it accepts connections. It outlives us, and inherits nothing from us but its log."""
    _remove_stale_pid_file(folder)
    log = os.path.join(folder, LOG_FILE)
    before = _size_after_rotation(log)
    pg_ctl = [os.path.join(programs, "pg_ctl"), "--silent", "--wait", f"--timeout={START_TIMEOUT_SECONDS}"]
    try:
        run([*pg_ctl, f"--log={LOG_FILE}", "start"], account, folder)
    except EmbeddedServerError as error:
        logged = _text_after(log, before)
        reason = error_summary(logged) if logged.strip() else str(error)
        raise EmbeddedServerError(
            f"PostgreSQL did not start in {folder}: {reason}\nIts log is {log}"
        ) from error


def stop_postmaster(folder: str, socket_directory: str) -> None:
    """Shut it down fast: open transactions are rolled back, everything committed is on disk."""
    pid = postmaster_pid(socket_directory)
    if not pid:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    # Do not ask through the socket: the postmaster would fork a child for every question.
    while has_pid_file(folder) or os.path.exists(f"/proc/{pid}/cwd"):
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"PostgreSQL in {folder} (process {pid}) did not stop within {STOP_TIMEOUT_SECONDS} seconds:"
                f" see its log, {os.path.join(folder, LOG_FILE)}"
            )
        time.sleep(POLL_SECONDS)


def has_pid_file(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, PID_FILE))


def _remove_stale_pid_file(folder: str) -> None:
    """Remove the pid file of a postmaster that was killed.

    Otherwise PostgreSQL refuses to start if its user has another process with that number, even a zombie, or if a power
    cut has emptied the file.
    """
    if not has_pid_file(folder) or not os.path.exists("/proc/self/cwd") or _may_be_valid(folder):
        return
    for name in (PID_FILE, f"{SOCKET_NAME}.lock"):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))


def _may_be_valid(folder: str) -> bool:
    """False if the pid file names another process: a postmaster works in its data folder, a zombie in none."""
    pid = _recorded_pid(folder)
    if pid and not os.path.exists(f"/proc/{pid}"):
        # PostgreSQL notices that itself, and learns from the file which other processes must end before it starts.
        return True
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", folder)
    except PermissionError:
        return True
    except (FileNotFoundError, ProcessLookupError):
        return False


def _recorded_pid(folder: str) -> int:
    first = _pid_file_lines(folder)[:1]
    return int(first[0]) if first and first[0].isdecimal() else 0


def _pid_file_lines(folder: str) -> list[str]:
    with suppress(FileNotFoundError):
        return [line.strip() for line in Path(folder, PID_FILE).read_text(errors="replace").splitlines()]
    return []


def _size_after_rotation(log: str) -> int:
    """Return the size of the log, after renaming a long one to *.1: nothing else would ever shorten it."""
    with suppress(FileNotFoundError):
        if os.path.getsize(log) <= LONGEST_LOG_BYTES:
            return os.path.getsize(log)
        os.replace(log, f"{log}.1")
    return 0


def _text_after(log: str, position: int) -> str:
    with suppress(OSError):
        return Path(log).read_bytes()[position:].decode(errors="replace")
    return ""
