"""What a job may change for the whole process, put back as it was before: the next job must not notice."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from crontabber.process.signals import INTERRUPTION

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


@contextmanager
def surroundings_restored(logger: Any = None) -> Iterator[None]:
    """The current directory, the locale, the time zone, sys.stdout and sys.stderr, what answers signals, and what our
    `logger` does are afterwards as they were. No alarm goes off that was set within."""
    # How deep functions may call each other comes first: all the others do.
    ways_back = [
        _recursion_limit(), _directory(), _locale(), _time_zone(), _signals(), _stream("stdout"), _stream("stderr"),
        _logging(getattr(logger, "logger", None)),
    ]  # fmt: skip
    try:
        yield
    finally:
        for go_back in ways_back:
            # What cannot be put back, such as a descriptor that has been closed, must not cost the outcome.
            with suppress(OSError, ValueError):
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


def _recursion_limit() -> Callable[[], None]:
    before = sys.getrecursionlimit()
    return lambda: sys.setrecursionlimit(before)


def _signals() -> Callable[[], None]:
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    handlers = {signum: signal.getsignal(signum) for signum in HANDLED}
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    (seconds, interval), began = signal.getitimer(signal.ITIMER_REAL), time.monotonic()

    def go_back() -> None:
        # Whoever has started us may have set an alarm of his own.
        signal.setitimer(signal.ITIMER_REAL, max(0, seconds - (time.monotonic() - began)) if seconds else 0, interval)
        try:
            signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
        except (OSError, ValueError):  # It has been closed, and may be somebody else's by now.
            signal.set_wakeup_fd(-1)
        # Once asked to end, we answer no more: a second signal ends the process.
        if INTERRUPTION.signum is None:
            for signum, handler in handlers.items():
                if handler is not None:  # Python cannot set again what it has not set.
                    signal.signal(signum, handler)

    return go_back


def _logging(logger: Any) -> Callable[[], None]:
    import logging

    # A test suite may have a stand-in for it.
    if not isinstance(logger, logging.Logger):
        return lambda: None
    disabled, level, propagate = logger.disabled, logger.level, logger.propagate
    handlers: list[Any] = list(logger.handlers)
    disabled_for_all = logging.root.manager.disable

    def go_back() -> None:
        logging.disable(disabled_for_all)
        logger.disabled, logger.propagate, logger.handlers = disabled, propagate, handlers
        logger.setLevel(level)
        for handler in handlers:
            if getattr(getattr(handler, "stream", None), "closed", False):
                handler.stream = sys.stderr  # setStream() would flush what is closed

    return go_back
