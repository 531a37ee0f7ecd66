"""A second thread: the main one may be waiting inside libpq, where it neither hears a signal nor sees the time."""

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

# Seconds between two rounds: usually, and once a signal has asked for the end. Storing a result takes less than the
# latter, unless somebody holds a lock.
ROUND_SECONDS = 5.0
URGENT_ROUND_SECONDS = 0.4

Patrol = Callable[[bool], None]


@contextmanager
def lookout(patrol: Patrol, hears: Callable[[int], bool], with_signals: bool) -> Iterator[None]:
    """Call `patrol(is_urgent)` every few seconds from a thread. With signals, `hears` is called at once with each one
    that arrives; once it says True, the rounds are urgent."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False) if with_signals else -1
    threading.Thread(target=_watch, args=(reader, patrol, hears), name="crontabber-lookout", daemon=True).start()
    try:
        yield
    finally:
        if with_signals:
            signal.set_wakeup_fd(before)
        with suppress(OSError):
            os.close(writer)


def _watch(reader: int, patrol: Patrol, hears: Callable[[int], bool]) -> None:
    inode, is_urgent, poll = os.fstat(reader).st_ino, False, select.poll()
    poll.register(reader, select.POLLIN)
    # A job may have closed all descriptors it found, and this number may be another file by now.
    with suppress(OSError):
        while True:
            has_news = poll.poll(1000 * (URGENT_ROUND_SECONDS if is_urgent else ROUND_SECONDS))
            if os.fstat(reader).st_ino != inode:
                return
            if has_news:
                signals = os.read(reader, 64)
                if not signals:
                    break
                # Not any(): each of them has to be heard.
                is_urgent = max([hears(signum) for signum in signals]) or is_urgent
            patrol(is_urgent)
        os.close(reader)
