"""A second thread: the main one may be waiting inside libpq, where it neither hears a signal nor sees the time."""

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Seconds between two rounds: usually, and once a signal has asked for the end. Storing a result takes less than the
# latter, unless somebody holds a lock.
ROUND_SECONDS = 5.0
URGENT_ROUND_SECONDS = 0.4

Patrol = Callable[[bool], None]

# Their method `look()` is called in the thread of the lookout, so it may neither wait nor raise. Adding, discarding and
# listing take a single step each: no lock is needed.
ON_DUTY: set[Any] = set()


@contextmanager
def lookout(
    patrol: Patrol, hears: Callable[[int], None], is_urgent: Callable[[], bool], with_signals: bool
) -> Iterator[None]:
    """Call `patrol` every few seconds from a thread, more often while it is urgent, and tell it whether it is. With
    signals, `hears` is called at once with each one that arrives."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False) if with_signals else -1
    watched = (reader, patrol, hears, is_urgent)
    threading.Thread(target=_watch, args=watched, name="crontabber-lookout", daemon=True).start()
    try:
        yield
    finally:
        if with_signals:
            signal.set_wakeup_fd(before)
        with suppress(OSError):
            os.close(writer)


def _watch(reader: int, patrol: Patrol, hears: Callable[[int], None], is_urgent: Callable[[], bool]) -> None:
    inode, poll = os.fstat(reader).st_ino, select.poll()
    poll.register(reader, select.POLLIN)
    # A job may have closed all descriptors it found, and this number may be another file by now.
    with suppress(OSError):
        while True:
            has_news = poll.poll(1000 * (URGENT_ROUND_SECONDS if is_urgent() else ROUND_SECONDS))
            if os.fstat(reader).st_ino != inode:
                return
            if has_news:
                signals = os.read(reader, 64)
                if not signals:
                    break
                for signum in signals:
                    hears(signum)
            patrol(is_urgent())
        os.close(reader)
