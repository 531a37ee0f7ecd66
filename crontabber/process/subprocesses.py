"""Run a command to its end, or end it together with everything that it has started."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress

from crontabber.process.signals import INTERRUPTION, in_main_thread

# How long a command has, when it has to end, until it is killed.
GRACE_SECONDS = 0.5


def run(
    command: str | Sequence[str], input: str | bytes | None = None, timeout: float | None = None
) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command line for the shell, or of a program with its arguments as they are.

    Bytes that are no UTF-8 become lone surrogates, and are themselves again in `input`. subprocess.TimeoutExpired
    after `timeout` seconds. Whatever is raised, nothing of the command goes on running.
    """
    given = input.encode("utf-8", "surrogateescape") if isinstance(input, str) else input
    process = None
    try:
        with _without_interruption():
            process = _start(command, with_input=given is not None)
        stdout, stderr = process.communicate(given, timeout)
    except BaseException:
        if process is not None:
            _end(process)
        raise
    return process.returncode, _decoded(stdout), _decoded(stderr)


def _start(command: str | Sequence[str], with_input: bool) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        shell=isinstance(command, str),
        stdin=subprocess.PIPE if with_input else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A group that can be ended as a whole, and no terminal to ask at.
        start_new_session=True,
    )


def _without_interruption() -> AbstractContextManager[None]:
    """A signal between the start of a process and the moment we know of it would leave it running. Only the main
    thread gets signals."""
    return INTERRUPTION.deferred() if in_main_thread() else nullcontext()


def _end(process: "subprocess.Popen[bytes]") -> None:
    _signal(process, signal.SIGTERM)
    # The end of its output is the end of its children, too.
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=GRACE_SECONDS)
    _signal(process, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _signal(process: "subprocess.Popen[bytes]", signum: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signum)


def _decoded(output: bytes) -> str:
    return output.decode("utf-8", "surrogateescape").strip()
