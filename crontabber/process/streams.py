"""stdin, stdout and stderr as we find them: perhaps closed, full, a broken pipe, or unable to encode é."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO

from crontabber.errors import OutputError


class StatusLine:
    """The terminal's progress bar (an object with clear() and refresh()), hidden while other lines are written."""

    bar: Any = None

    @contextmanager
    def hidden(self) -> Iterator[None]:
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
STANDARD = (0, 1, 2)


def prepare() -> None:
    """Open descriptors 0 to 2 if they are closed, and let stdout and stderr escape what they cannot encode.

    Otherwise the next file or connection that we open would get the number of a closed descriptor, and a child process
    would write its output there.
    """
    for descriptor in STANDARD:
        if _file_at(descriptor) is None:
            _open_nowhere()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


@contextmanager
def descriptors_kept() -> Iterator[None]:
    """Open descriptors 0 to 2 again if the block closes them; to nowhere, if it closes our copies, too."""
    copies = {descriptor: os.dup(descriptor) for descriptor in STANDARD if _file_at(descriptor)}
    files = {descriptor: _file_at(descriptor) for descriptor in copies}
    try:
        yield
    finally:
        for descriptor, copy in copies.items():
            is_intact = _file_at(copy) == files[descriptor]
            if _file_at(descriptor) is None:
                os.dup2(copy, descriptor) if is_intact else _open_nowhere()
            if is_intact:
                os.close(copy)


def answer(text: str, stream: TextIO | None = None) -> None:
    """Write the answer to a user's request, by default to stdout. OutputError if not all of it can be written."""
    stream = stream or sys.stdout
    if stream is None:
        raise OutputError("cannot write to stdout: it is closed")
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write to stdout: {getattr(error, 'strerror', None) or error}") from error


def say(text: str) -> None:
    """Write a line to stderr, if possible. Unlike print(), never to stdout in place of a closed stderr."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError), STATUS_LINE.hidden():
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def wants_colour() -> bool:
    """True unless the user has turned colour off (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def finish() -> None:
    """Flush stdout while a failure can still be reported. OutputError or BrokenPipeError if that fails."""
    try:
        if sys.stdout is not None:
            answer("")
    finally:
        _discard_what_cannot_be_written()


@contextmanager
def silenced(*, stdout: bool = False, stderr: bool = False) -> Iterator[None]:
    """Discard what Python code writes to these streams."""
    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123  # pathlib takes 5 ms to import
        redirect_stdout(nowhere if stdout else sys.stdout),
        redirect_stderr(nowhere if stderr else sys.stderr),
    ):
        yield


def _discard_what_cannot_be_written() -> None:
    """Otherwise Python tries again at exit, complains, and changes the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
                stream.flush()


def _open_nowhere() -> None:
    """Take the lowest descriptor that is closed."""
    os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _file_at(descriptor: int) -> tuple[int, int] | None:
    """Return what identifies the open file, None if the descriptor is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino
