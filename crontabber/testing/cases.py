"""The base classes of test suites for the original crontabber. New tests can use `run_job` and EmbeddedCrontabber."""

import os
import shutil
import tempfile
import unittest
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

from configman.environment import environment

from crontabber.errors import EmbeddedServerError
from crontabber.store.contents import empty, log_rows
from crontabber.testing.settings import embedded_server, manager_of

INI = "test-crontabber.ini"
PREFIX = "resource.postgresql."


class TestCaseBase(unittest.TestCase):
    """`tempdir` is a folder for the tests of a class."""

    tempdir: str

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.tempdir = tempfile.mkdtemp(prefix="crontabber-test-")

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(cls.tempdir, ignore_errors=True)
        super().tearDownClass()

    @classmethod
    def _setup_config_manager(cls, jobs_string: str, extra_value_source: Any = None) -> Any:
        """Return a manager of crontabber's configuration with these jobs; `config.logger` is a mock.

        `extra_value_source` overrides everything else.
        """
        logger = mock.Mock()
        return manager_of(jobs_string, lambda config: logger, *cls._settings(), extra_value_source or {})

    @classmethod
    def _settings(cls) -> list[Any]:
        return []

    @staticmethod
    def _wind_clock(state: Any, days: float = 0, hours: float = 0, seconds: float = 0) -> Any:
        """Move every time in `state`, a mapping of app_name to dict, back by this long. Return the mapping."""
        back = timedelta(days=days, hours=hours, seconds=seconds)
        for app_name in list(state):
            information = state[app_name]
            moved = {key: value - back for key, value in information.items() if isinstance(value, datetime)}
            information.update(moved)
            state[app_name] = information
        return state


class IntegrationTestCaseBase(TestCaseBase):
    """Tests with the database that test-crontabber.ini in the current directory names, or else environment variables
    such as `resource.postgresql.dbname`, or else that of an embedded server. Each test starts with empty tables.

    `config` is the configuration, `conn` a psycopg2 connection.
    """

    config: Any
    conn: Any

    @classmethod
    def setUpClass(cls) -> None:
        try:
            cls._settings()
        except EmbeddedServerError as error:
            raise unittest.SkipTest(f"there is no {INI}, and the embedded server does not run: {error}") from error
        super().setUpClass()

    def setUp(self) -> None:
        super().setUp()
        self.config = self.get_standard_config()
        self._truncate()
        self.addCleanup(self._truncate)
        options = self.config.crontabber
        self.conn = options.database_class(options).connection()
        self.addCleanup(self.conn.close)

    @classmethod
    def get_standard_config(cls) -> Any:
        """Return a configuration without jobs."""
        with cls._setup_config_manager("").context() as config:
            return config

    @classmethod
    def _settings(cls) -> list[Any]:
        """Return the value sources that lead to the database."""
        if os.path.exists(INI):
            return [os.path.abspath(INI), environment]
        if any(name.startswith(PREFIX) for name in os.environ):
            return [environment]
        options = embedded_server().connection_options()
        return [{PREFIX + name: value for name, value in options.items()}]

    @contextmanager
    def _state(self) -> Iterator[Any]:
        # The whole configuration has to stay: its namespaces refer to each other weakly.
        config = self.get_standard_config()
        database = config.crontabber.job_state_db_class(config.crontabber)
        try:
            yield database
        finally:
            database.close()

    def _truncate(self) -> None:
        """Delete every state and every run."""
        with self._state() as database:
            empty(database.connection)

    def _load_structure(self) -> dict[str, dict[str, Any]]:
        """Return the state of each job, by app_name."""
        with self._state() as database:
            return database.copy()  # type: ignore[no-any-return]

    def _update_structure(self, app_name: str, information: MutableMapping[str, Any], **updates: Any) -> None:
        """Store the state of a job with these updates: `information` is its state, or has the states of all jobs."""
        with self._state() as database:
            database[app_name] = {**information.get(app_name, information), **updates}

    def _load_logs(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of crontabber_log by app_name, the oldest first."""
        logs: dict[str, list[dict[str, Any]]] = {}
        with self._state() as database:
            for row in log_rows(database.connection):
                logs.setdefault(row["app_name"], []).append(row)
        return logs
