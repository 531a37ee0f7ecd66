"""Tests: those beside this file need no database, those in integration/ run real processes against a real one."""

import signal

# Before any test module imports configman, which needs it.
import crontabber  # noqa: F401


def setup_package():  # nose refuses annotations here on Python 3.10
    """Called by nose, and not where a crontabber that a test has started imports its jobs from here."""
    # What a shell ignores for a command in the background, or nohup for any, all that the tests start would ignore,
    # too. A handler is not inherited.
    for signum in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, lambda signum, frame: None)
