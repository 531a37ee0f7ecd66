"""What a job may change for the whole process, put back as it was before: the next job must not notice."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def surroundings_restored() -> Iterator[None]:
    """The current directory, the locale, the time zone, sys.stdout and sys.stderr are afterwards as they were."""
    ways_back = [_directory(), _locale(), _time_zone(), _stream("stdout"), _stream("stderr")]
    try:
        yield
    finally:
        for go_back in ways_back:
            go_back()


def _directory() -> Callable[[], None]:
    try:
        before = os.getcwd()
    except FileNotFoundError:
        return lambda: None

    def go_back() -> None:
        with suppress(OSError):  # It may be gone.
            os.chdir(before)

    return go_back


def _locale() -> Callable[[], None]:
    import locale  # Ticks with nothing to run do without.

    before = locale.setlocale(locale.LC_ALL)

    def go_back() -> None:
        locale.setlocale(locale.LC_ALL, before)

    return go_back


def _time_zone() -> Callable[[], None]:
    before, names = os.environ.get("TZ"), time.tzname

    def go_back() -> None:
        if (os.environ.get("TZ"), time.tzname) != (before, names):
            os.environ.pop("TZ", None)
            if before is not None:
                os.environ["TZ"] = before
            time.tzset()

    return go_back


def _stream(name: str) -> Callable[[], None]:
    before = getattr(sys, name)
    try:
        number = before.fileno()
    except (AttributeError, OSError, ValueError):
        number = None

    def go_back() -> None:
        stream = before
        if number is not None and before.closed:
            # Python leaves the descriptor itself open.
            stream = open(number, "w", encoding=before.encoding, errors=before.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)

    return go_back
