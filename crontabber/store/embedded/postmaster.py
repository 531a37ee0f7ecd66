"""The postmaster on a folder: does it live, is it ready, start it, stop it.

A pid file is never believed: who listens on the socket in the folder lives, and the kernel knows that process.
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
from crontabber.store.embedded.programs import ServerAccount, last_words, run
from crontabber.store.embedded.socket_path import SOCKET_NAME

START_PATIENCE_SECONDS = 120
STOP_PATIENCE_SECONDS = 60
POLL_SECONDS = 0.01
PID_FILE = "postmaster.pid"
STATUS_LINE = 7
LONGEST_LOG_BYTES = 1_000_000


def postmaster_pid(socket_directory: str) -> int | None:
    """None if nobody listens; 0 if it lives where we cannot see it, in another container."""
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
    """Waits for a postmaster that someone else has started; False if there is none, or it ends instead."""
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while postmaster_pid(socket_directory) is not None:
        status = _pid_file_lines(socket_directory)[STATUS_LINE : STATUS_LINE + 1]
        if status in (["ready"], ["standby"]):
            return True
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"PostgreSQL in {socket_directory} has not become ready for {START_PATIENCE_SECONDS} seconds:"
                f" {' '.join(status)}"
            )
        time.sleep(POLL_SECONDS)
    return False


def start_postmaster(folder: str, programs: str, account: ServerAccount) -> None:
    """Returns when it takes connections. It lives on after us: nothing of ours but the log's path goes with it."""
    _forget_stale_pid(folder)
    log = os.path.join(folder, LOG_FILE)
    before = _trimmed_size(log)
    pg_ctl = [os.path.join(programs, "pg_ctl"), "--silent", "--wait", f"--timeout={START_PATIENCE_SECONDS}"]
    try:
        run([*pg_ctl, f"--log={LOG_FILE}", "start"], account, folder)
    except EmbeddedServerError as error:
        said = _text_after(log, before)
        reason = last_words(said) if said.strip() else str(error)
        raise EmbeddedServerError(
            f"PostgreSQL did not start in {folder}: {reason}\nIts log is {log}"
        ) from error


def stop_postmaster(folder: str, socket_directory: str) -> None:
    """At once, but in good order: open transactions of others are rolled back, everything committed is on disk."""
    pid = postmaster_pid(socket_directory)
    if not pid:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + STOP_PATIENCE_SECONDS
    # Not asked through the socket: the postmaster would fork a child for every such question.
    while left_pid_file(folder) or os.path.exists(f"/proc/{pid}/cwd"):
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"PostgreSQL in {folder} (process {pid}) has not stopped for {STOP_PATIENCE_SECONDS} seconds:"
                f" see its log, {os.path.join(folder, LOG_FILE)}"
            )
        time.sleep(POLL_SECONDS)


def left_pid_file(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, PID_FILE))


def _forget_stale_pid(folder: str) -> None:
    """A killed postmaster leaves its number behind. PostgreSQL refuses to start if its user has some process of that
    number, be it a zombie or a stranger, or if a power cut has emptied the file.
    """
    if not left_pid_file(folder) or not os.path.exists("/proc/self/cwd") or _is_best_left_alone(folder):
        return
    for name in (PID_FILE, f"{SOCKET_NAME}.lock"):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))


def _is_best_left_alone(folder: str) -> bool:
    """Not if it names a process that is no postmaster: that one works in its data folder, a zombie works nowhere."""
    pid = _recorded_pid(folder)
    if pid and not os.path.exists(f"/proc/{pid}"):
        # PostgreSQL sees that for itself, and reads in the file what else has to end before it may start.
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


def _trimmed_size(log: str) -> int:
    """PostgreSQL itself never shortens it; one older part is kept."""
    with suppress(FileNotFoundError):
        if os.path.getsize(log) <= LONGEST_LOG_BYTES:
            return os.path.getsize(log)
        os.replace(log, f"{log}.1")
    return 0


def _text_after(log: str, position: int) -> str:
    with suppress(OSError):
        return Path(log).read_bytes()[position:].decode(errors="replace")
    return ""
