"""Show the progress of a backfill: a bar on a terminal, elsewhere one line per minute."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from crontabber.datetimeutil import host_time, timesince
from crontabber.process.streams import STATUS_LINE, is_terminal

LINE_EVERY_SECONDS = 60.0
# A backfill that is done sooner needs no bar.
BAR_AFTER_SECONDS = 1.0

Advance = Callable[[datetime], None]


@contextmanager
def backfill_progress(
    logger: Any, app_name: str, total: int, monotonic: Callable[[], float] = time.monotonic,
    has_terminal: bool = True,
) -> Iterator[Advance]:  # fmt: skip
    """Yield a function to call with each date that is done. Without `has_terminal`, other processes write to it too."""
    if total < 2:
        yield lambda date: None
    elif has_terminal and is_terminal(sys.stderr) and _have_tqdm():
        with _bar(app_name, total) as advance:
            yield advance
    else:
        yield _Lines(logger, app_name, total, monotonic).advance


def _have_tqdm() -> bool:
    try:
        import tqdm  # noqa: F401
    except ImportError:
        return False
    return True


@contextmanager
def _bar(app_name: str, total: int) -> Iterator[Advance]:
    """Import tqdm, which takes longer than most ticks, and show a bar."""
    import threading

    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0  # without a thread of its own, because jobs fork

    Bar.set_lock(threading.RLock())
    bar = Bar(
        total=total, desc=app_name, unit=" dates", file=sys.stderr, leave=False, delay=BAR_AFTER_SECONDS,
        **_width(),
    )  # fmt: skip

    def advance(date: datetime) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone
            bar.set_postfix_str(f"{date:%Y-%m-%d %H:%M}", refresh=False)
            bar.update()

    STATUS_LINE.bar = bar
    try:
        yield advance
    finally:
        STATUS_LINE.bar = None
        bar.close()


def _width() -> dict[str, Any]:
    """Return tqdm's options for the width: tqdm shows nothing on a terminal that does not know its width."""
    try:
        known = os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):
        known = False
    return {"dynamic_ncols": True} if known else {"ncols": 80, "nrows": 20}


class _Lines:
    """Log the progress where there is no terminal."""

    def __init__(self, logger: Any, app_name: str, total: int, monotonic: Callable[[], float]) -> None:
        self._logger = logger
        self._app_name = app_name
        self._total = total
        self._monotonic = monotonic
        self._started = self._said = monotonic()
        self._done = 0

    def advance(self, date: datetime) -> None:
        self._done += 1
        now = self._monotonic()
        if now - self._said < LINE_EVERY_SECONDS or self._done >= self._total:
            return
        self._said = now
        seconds_each = (now - self._started) / self._done
        left = timedelta(seconds=seconds_each * (self._total - self._done))
        self._logger.info(
            "%s: %s done, %d of %d dates, %.1f per minute, about %s left",
            self._app_name, host_time(date), self._done, self._total, 60 / seconds_each,
            timesince(date, date + left),
        )  # fmt: skip
