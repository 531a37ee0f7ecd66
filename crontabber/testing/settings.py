"""Give tests what they need around crontabber: a configuration, a logger that remembers, a clock, a server."""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date as Date
from datetime import datetime, time
from functools import cache
from typing import Any
from unittest import mock

from configman import ConfigurationManager

from crontabber.app import CronTabber
from crontabber.config.manager import ManagerMixin
from crontabber.datetimeutil import UTC
from crontabber.generic_app import LoggerWrapper
from crontabber.store.embedded.server import EmbeddedServer


class Log(logging.Handler):
    """Remembers what is logged. If `shown`, passes it on to the root logger, and so to the test runner."""

    def __init__(self, shown: bool = True) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.logger = logging.Logger("crontabber", logging.DEBUG)
        self.logger.parent = logging.root if shown else None
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def lines(self) -> list[str]:
        """The messages, each with its level: `INFO 3 rows`."""
        return [f"{record.levelname} {record.getMessage()}" for record in self.records]

    def wrapped(self, config: Any) -> LoggerWrapper:
        """Return the logger as jobs know it."""
        return LoggerWrapper(self.logger, config)


class _StrictManager(ManagerMixin, ConfigurationManager):  # type: ignore[misc]
    """Refuses unknown options, and says what is wrong with a value."""


def manager_of(jobs: Any, logger_for: Callable[[Any], Any], *sources: Any, strict: bool = False) -> Any:
    """Return a manager of crontabber's configuration that reads nothing but `sources`, of which later ones win.

    `jobs` is the text of the setting, or what its converter makes of it; `logger_for(config)` gives `config.logger`.
    With `strict`, ConfigurationError if an option is unknown.
    """
    definition = CronTabber.get_required_config()
    definition.add_aggregation("logger", lambda config, local_config, arguments: logger_for(config))
    return (_StrictManager if strict else ConfigurationManager)(
        [definition],
        values_source_list=[{"crontabber.jobs": jobs}, *sources, *([{"admin.strict": True}] if strict else [])],
        argv_source=[],
        app_name=CronTabber.app_name,
        app_version=CronTabber.app_version,
        app_description=CronTabber.app_description,
    )


def dotted(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the options of nested namespaces by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        found |= dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def aware(moment: Date | str | None) -> datetime | None:
    """Return a datetime, a date or an ISO text as a datetime; in UTC unless it says otherwise."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    elif isinstance(moment, Date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


@contextmanager
def clock_at(moment: Date | str | None) -> Iterator[None]:
    """Make crontabber use this as the current time; None leaves the clock alone."""
    now = aware(moment)
    if now is None:
        yield
        return
    with mock.patch("crontabber.app.utc_now", lambda: now), mock.patch("crontabber.base.utc_now", lambda: now):
        yield


@cache
def embedded_server() -> EmbeddedServer:
    """Return this process's embedded PostgreSQL, which ends with the process. EmbeddedServerError if it cannot run."""
    folder = tempfile.mkdtemp(prefix="crontabber-testing-")
    # The server runs as another user if we are root.
    os.chmod(folder, 0o755)
    atexit.register(_remove, folder, os.getpid())
    server = EmbeddedServer(os.path.join(folder, "data"))
    server.start()
    atexit.register(server.stop, force=True)
    return server


def _remove(folder: str, pid: int) -> None:
    if os.getpid() == pid:  # not in a child that a test has forked
        shutil.rmtree(folder, ignore_errors=True)
