"""Run a command to its end, or kill it together with everything it started."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from crontabber.process.signals import INTERRUPTION, in_main_thread

# The time between SIGTERM and SIGKILL.
GRACE_SECONDS = 0.5


def run(
    command: str | Sequence[Any], input: str | bytes | None = None, timeout: float | None = None
) -> tuple[int, str, str]:
    """Run a command line in the shell, or a program with its arguments. Return (exit code, stdout, stderr).

    Arguments that are neither text nor paths, such as numbers, become text by str(). Output is stripped. Bytes that are
    not UTF-8 become lone surrogates, which `input` turns back into those bytes.
    subprocess.TimeoutExpired after `timeout` seconds. Whatever is raised, the command is no longer running then.
    """
    given = input.encode("utf-8", "surrogateescape") if isinstance(input, str) else input
    process = None
    try:
        with _without_interruption():
            process = _start(command, with_input=given is not None)
        # Fakes of Popen in test suites take no timeout.
        stdout, stderr = process.communicate(given) if timeout is None else process.communicate(given, timeout)
    except BaseException:
        if process is not None and _is_real(process):
            _kill(process)
        raise
    return process.returncode, _decoded(stdout), _decoded(stderr)


def _start(command: str | Sequence[Any], with_input: bool) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [_argument(part) for part in command] if isinstance(command, (list, tuple)) else command,
        shell=isinstance(command, str),
        stdin=subprocess.PIPE if with_input else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A process group, which can be killed as a whole, and no terminal to ask questions on.
        start_new_session=True,
    )


def _without_interruption() -> AbstractContextManager[None]:
    """Defer signals: one that arrives after the start, but before we know the process, would leave it running."""
    return INTERRUPTION.deferred() if in_main_thread() else nullcontext()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    _signal(process, signal.SIGTERM)
    # When its output ends, its children have ended, too.
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


def _is_real(process: Any) -> bool:
    """False for the fake of a test suite, whose pid may be that of any process. A MagicMock counts as 1: init."""
    return any((base.__module__, base.__name__) == ("subprocess", "Popen") for base in type(process).__mro__)


def _argument(part: Any) -> Any:
    # Popen refuses None, which is a mistake.
    return part if part is None or isinstance(part, (str, bytes, os.PathLike)) else str(part)


def _decoded(output: bytes | str | None) -> str:
    text = output.decode("utf-8", "surrogateescape") if isinstance(output, bytes) else output
    return (text or "").strip()
