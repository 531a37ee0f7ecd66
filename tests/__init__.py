"""Tests: those beside this file need no database, those in integration/ run real processes against a real one."""

import signal

# Before any test module imports configman, which needs it.
import crontabber  # noqa: F401


def setup_package():  # nose refuses annotations here on Python 3.10
    """Make signals work in the processes of the tests. nose calls this, but a crontabber with jobs from here does not."""
    # A shell makes a background command ignore these signals, as nohup does. Every process that the tests start would
    # ignore them too. A handler is not inherited.
    for signum in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, lambda signum, frame: None)
