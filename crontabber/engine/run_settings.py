"""What every run of a job needs."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, NamedTuple

from crontabber.engine.monitors import NoMonitors
from crontabber.engine.overrides import NO_OVERRIDES, Overrides


class RunSettings(NamedTuple):
    """What every run needs.

    `logger` gets our own lines, `app_logger` is that of the jobs. `report_error` takes an error and the app_name of its
    job; `mask` removes secrets from a text; `progress` takes the app_name of a backfill job and its number of dates,
    and yields a function to call with each date that is done; `reporter` tells the supervisor, if there is one;
    `monitors` the services that monitor jobs.
    """

    logger: Any
    clock: Callable[[], datetime]
    report_error: Callable[[BaseException, str], None]
    app_logger: Any = None
    mask: Callable[[str], str] = str
    reporter: Any = None
    progress: Callable[[str, int], AbstractContextManager[Callable[[datetime], None]]] = lambda app_name, dates: (
        nullcontext(lambda date: None)
    )
    overrides: Overrides = NO_OVERRIDES
    monitors: NoMonitors = NoMonitors()
