"""Run a crontabber on an embedded PostgreSQL, and look at what its ticks leave behind."""

import itertools
import os
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date
from functools import cached_property
from typing import Any

import psycopg2

from crontabber.app import CronTabber, JobStateDatabase
from crontabber.config.modes import MODES
from crontabber.store.contents import log_rows
from crontabber.testing.settings import Log, clock_at, dotted, embedded_server, manager_of

_numbers = itertools.count(1)


class EmbeddedCrontabber:
    """Use it as a context manager, or call `close()` at the end.

    Each one has a new database; all of them share one server per process, which starts with the first. It reads no
    configuration file and no environment. `log` has a line such as `INFO 3 rows` for each message.
    """

    def __init__(self, jobs: str, options: Mapping[str, Any] | None = None) -> None:
        """`jobs` is the setting; `options` has more of the configuration, in nested mappings or by dotted names.

        ConfigurationError if an option is unknown, EmbeddedServerError if PostgreSQL's programs are not here.
        """
        server = embedded_server()
        dbname = f"test_{os.getpid()}_{next(_numbers)}"
        self.connection_options = server.connection_options() | {"dbname": dbname}
        self._log = Log()
        self._manager = manager_of(
            jobs,
            self._log.wrapped,
            {f"resource.postgresql.{name}": value for name, value in self.connection_options.items()},
            dotted(options or {}),
            strict=True,
        )
        server.create_missing(self.connection_options["user"], dbname)
        self._closing = ExitStack()
        self._closing.callback(server.drop, dbname)

    def __enter__(self) -> "EmbeddedCrontabber":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the database, and close the connections to it."""
        self._closing.close()

    def tick(self, now: date | str | None = None, **modes: Any) -> int:
        """Run crontabber once, as cron does. Return its exit code.

        With `now`, as if it were that time (in UTC unless it says otherwise). `modes` are options of the command line:
        `job="my-job", force=True`; TypeError if there is no such option.
        """
        options = {name.replace("_", "-"): value for name, value in modes.items()}
        if unknown := sorted(options.keys() - MODES - {"workers"}):
            raise TypeError(f"tick() does not take {unknown[0]!r}: the command line has no such option")
        with clock_at(now), self._manager.context() as config:
            for name, value in options.items():
                config[name] = value
            app = CronTabber(config)
            try:
                if now is not None:
                    # Do not warn: the clocks differ on purpose.
                    app.job_state_database.server_now = app.current_time()
                return app.main()
            finally:
                if app._job_state_database is not None:
                    app._job_state_database.close()

    @property
    def log(self) -> list[str]:
        return self._log.lines

    @cached_property
    def states(self) -> JobStateDatabase:
        """The state of each job, by app_name, as it is in the database now. It can be changed."""
        with self._manager.context() as config:
            database = config.crontabber.job_state_db_class(config.crontabber)
        # Namespaces refer to each other weakly.
        self._config_of_states = config
        self._closing.callback(database.close)
        return database  # type: ignore[no-any-return]

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The rows of crontabber_log, the oldest first."""
        return log_rows(self.states.connection)

    def connect(self) -> Any:
        """Return a psycopg2 connection to the database, in autocommit."""
        connection = psycopg2.connect(**self.connection_options)
        connection.autocommit = True
        self._closing.callback(connection.close)
        return connection
