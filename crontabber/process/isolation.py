"""Restore what a job changed for the whole process, so that the next job does not notice."""

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from crontabber.process.signals import TIMEOUT_SIGNAL, in_main_thread

# Whatever a job may have reason to handle. Popen returns wrong exit codes while SIGCHLD is ignored.
HANDLED = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE,
    signal.SIGUSR1, signal.SIGUSR2, TIMEOUT_SIGNAL,
)  # fmt: skip
FOR_THE_PROCESS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIMITS = ("AS", "CPU", "DATA", "FSIZE", "NOFILE", "NPROC", "STACK")


@contextmanager
def process_state_restored(*loggers: Any) -> Iterator[None]:
    """Restore the directory, umask, locale, time zone, sys.stdout and sys.stderr, signal handling, recursion limit, the
    limits of the operating system, and our `loggers`.

    If something cannot be restored, such as a stream whose descriptor was closed, the job keeps its outcome.
    """
    # The last one is restored first: restoring the others takes function calls, and handlers need the streams.
    with (
        _each_logging(loggers),
        _stream("stderr"),
        _stream("stdout"),
        _signals(),
        _time_zone(),
        _locale(),
        _directory(),
        _umask(),
        _recursion_limit(),
        _limits(),
    ):
        yield


@contextmanager
def _each_logging(loggers: Iterable[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for logger in loggers:
            stack.enter_context(_logging(getattr(logger, "logger", None)))
        yield


@contextmanager
def _logging(logger: Any) -> Iterator[None]:
    import logging  # ticks with nothing to run do not pay for it

    # A test suite may pass a stand-in.
    if not isinstance(logger, logging.Logger):
        yield
        return
    disabled, level, propagate = logger.disabled, logger.level, logger.propagate
    handlers: list[Any] = list(logger.handlers)
    disabled_for_all = logging.root.manager.disable
    try:
        yield
    finally:
        logging.disable(disabled_for_all)
        logger.disabled, logger.propagate, logger.handlers = disabled, propagate, handlers
        logger.setLevel(level)
        for handler in handlers:
            with suppress(ValueError):  # a detached stream does not even say whether it is closed
                if getattr(getattr(handler, "stream", None), "closed", False):
                    handler.stream = sys.stderr  # setStream() would flush the closed one


@contextmanager
def _stream(name: str) -> Iterator[None]:
    stream = getattr(sys, name)
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        descriptor = None
    try:
        yield
    finally:
        with suppress(OSError, ValueError):  # the job closed the descriptor, or detached the stream
            if descriptor is not None and stream.closed:
                # Closing a standard stream leaves its descriptor open.
                stream = open(descriptor, "w", encoding=stream.encoding, errors=stream.errors, closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


@contextmanager
def _signals() -> Iterator[None]:
    if not in_main_thread():
        yield
        return
    with _blocked(), _handlers(), _wakeup_descriptor(), _alarm():
        yield


@contextmanager
def _blocked() -> Iterator[None]:
    """Of the signals that arrived while the job blocked them, those that ask the process to end are for our handlers.
    The others were for the job."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        yield
    finally:
        for signum in signal.sigpending() - {*FOR_THE_PROCESS, *before}:
            signal.sigtimedwait((signum,), 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _handlers() -> Iterator[None]:
    handlers = {signum: signal.getsignal(signum) for signum in HANDLED}
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            if handler is not None:  # Python cannot restore a handler that was not set from Python.
                signal.signal(signum, handler)


@contextmanager
def _wakeup_descriptor() -> Iterator[None]:
    """Python can only read the wake-up descriptor by setting another."""
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    try:
        yield
    finally:
        try:
            signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
        except (OSError, ValueError):  # The job closed it, and by now it may be another file.
            signal.set_wakeup_fd(-1)


@contextmanager
def _alarm() -> Iterator[None]:
    """An alarm that the job set never goes off; one that was running before goes on as if nothing had happened."""
    (seconds, interval), began = signal.getitimer(signal.ITIMER_REAL), time.monotonic()
    try:
        yield
    finally:
        elapsed = time.monotonic() - began
        signal.setitimer(signal.ITIMER_REAL, max(0, seconds - elapsed) if seconds else 0, interval)


@contextmanager
def _time_zone() -> Iterator[None]:
    variable, names = os.environ.get("TZ"), time.tzname
    try:
        yield
    finally:
        if (os.environ.get("TZ"), time.tzname) != (variable, names):
            os.environ.pop("TZ", None)
            if variable is not None:
                os.environ["TZ"] = variable
            time.tzset()


@contextmanager
def _locale() -> Iterator[None]:
    import locale  # ticks with nothing to run do not pay for it

    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


@contextmanager
def _directory() -> Iterator[None]:
    try:
        directory = os.getcwd()
    except FileNotFoundError:
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):  # it may be gone
            os.chdir(directory)


@contextmanager
def _umask() -> Iterator[None]:
    """Python can only read it by setting another."""
    before = os.umask(0o077)
    os.umask(before)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _limits() -> Iterator[None]:
    """Only root can raise a hard limit again."""
    import resource  # ticks with nothing to run do not pay for it

    numbers = [getattr(resource, f"RLIMIT_{name}") for name in LIMITS if hasattr(resource, f"RLIMIT_{name}")]
    before = {number: resource.getrlimit(number) for number in numbers}
    try:
        yield
    finally:
        for number, limits in before.items():
            if (now := resource.getrlimit(number)) != limits:
                try:
                    resource.setrlimit(number, limits)
                except (OSError, ValueError):
                    resource.setrlimit(number, (now[1], now[1]))


@contextmanager
def _recursion_limit() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
