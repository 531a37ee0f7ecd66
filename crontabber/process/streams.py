"""stdin, stdout and stderr as they are when we are started: perhaps closed, full, a broken pipe, or unable to say é."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO

from crontabber.errors import OutputError


class StatusLine:
    """The line of a terminal that shows progress, so that other lines can be written above it. A bar has `clear` and
    `refresh`."""

    bar: Any = None

    @contextmanager
    def out_of_the_way(self) -> Iterator[None]:
        if self.bar is None:
            yield
            return
        self.bar.clear()
        try:
            yield
        finally:
            self.bar.refresh()


# A process has one stderr.
STATUS_LINE = StatusLine()


def prepare() -> None:
    """Afterwards the descriptors 0 to 2 are open, and what a stream cannot encode it escapes.

    A closed descriptor would be given to the next file or connection that is opened, and what a child process writes
    to its stdout would go there.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def answer(text: str, stream: TextIO | None = None) -> None:
    """Write what was asked for, by default to stdout. OutputError if it cannot be written in full."""
    stream = stream or sys.stdout
    if stream is None:
        raise OutputError("stdout is closed: there is nowhere to write to")
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write to stdout: {getattr(error, 'strerror', None) or error}") from error


def say(text: str) -> None:
    """Write to stderr, if anybody can be told anything there. Not print(): it takes stdout where stderr is closed."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError), STATUS_LINE.out_of_the_way():
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def wants_colour() -> bool:
    """Of a terminal (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def finish() -> None:
    """Write what is still buffered, while there is someone to tell if that fails. OutputError, BrokenPipeError."""
    try:
        if sys.stdout is not None:
            answer("")
    finally:
        _let_go_of_what_cannot_be_written()


@contextmanager
def hushed(*, stdout: bool = False, stderr: bool = False) -> Iterator[None]:
    """Within, what Python code writes to these streams is lost."""
    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123  # pathlib takes 5 ms to import
        redirect_stdout(nowhere if stdout else sys.stdout),
        redirect_stderr(nowhere if stderr else sys.stderr),
    ):
        yield


def _let_go_of_what_cannot_be_written() -> None:
    """Python tries once more at its very end, and then complains and changes the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
                stream.flush()
