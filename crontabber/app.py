"""The application `crontabber`: pick one mode, run it, return an exit code."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Any, TextIO

from configman import RequiredConfig

from crontabber import __version__
from crontabber.base import convert_frequency, reorder_dag
from crontabber.commands.by_hand import ByHand
from crontabber.config.command_line import asks_for
from crontabber.config.entries import get_extra_as_options, line_splitter, pipe_splitter
from crontabber.config.jobs_setting import classes_in_namespaces_converter_with_compression, configured_jobs
from crontabber.config.modes import is_ours, mode_of
from crontabber.config.options import required_config
from crontabber.datetimeutil import timesince, utc_now
from crontabber.errors import (
    BrokenJSONError,
    CrontabberError,
    ExitCode,
    FrequencyDefinitionError,
    JobDescriptionError,
    JobNotFoundError,
    OngoingJobError,
    SentryConfigurationError,
    TimeDefinitionError,
)
from crontabber.generic_app import App
from crontabber.generic_app import main as generic_main
from crontabber.output.secrets import SecretMask
from crontabber.process.signals import INTERRUPTION
from crontabber.process.streams import answer
from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.job_state import JobState
from crontabber.rules.schedule import check_time
from crontabber.store.claims import RowLevelLockError
from crontabber.store.state_database import JobStateDatabase, engine_state, state_reader
from crontabber.transaction_executor import database_transaction


def __getattr__(name: str) -> ModuleType:
    """Import `crontabber.app.raven` on first use: it costs more than a whole idle tick."""
    if name == "raven":
        import raven

        return raven  # type: ignore[no-any-return]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class CronTabberBase(ByHand, RequiredConfig):
    """Everything crontabber does, to be mixed with an App: `class MyTab(CronTabberBase, App)`.

    The work of each mode is in crontabber.commands, imported on demand.
    """

    app_name = "crontabber"
    app_version = __version__
    app_description = "Runs jobs that are due, retries those that fail, and holds back the jobs that depend on them."

    required_config = required_config()

    # Set by the function `main`.
    config_manager: Any = None
    shell: Any = None
    # What a tick reports to, in a child of a supervisor.
    reporter: Any = None
    _job_state_database: Any = None
    _warned_of_mapping = False
    # Whether the last tick has run a job; None if it ran in other processes.
    _has_run: bool | None = None

    def __init__(self, config: Any) -> None:
        self.config = config
        # The App's: this class is never used without one.
        super().__init__(config)  # type: ignore[call-arg]

    @classmethod
    def is_silent(cls, arguments: Sequence[str]) -> bool:
        """True for --nagios and --check, which print their answer and nothing else."""
        asked = asks_for(arguments, "nagios", "n") or cls._asks_for_check(arguments)
        return asked and not asks_for(arguments, "help")

    @classmethod
    def before_configuration(cls, arguments: Sequence[str]) -> int | None:
        """Answer --version, which works without a configuration, and with a broken one; but not if the application has
        a `print_version` of its own."""
        if not asks_for(arguments, "version", "v") or cls.print_version is not CronTabberBase.print_version:
            return None
        answer(f"{cls.app_version}\n")
        return ExitCode.DONE

    @classmethod
    def report_misuse(cls, error: CrontabberError, arguments: Sequence[str]) -> int:
        """Print an error in the way of the mode that was asked for. Return the exit code."""
        from crontabber.commands.misuse import report_misuse

        return report_misuse(cls, error, arguments)

    @classmethod
    def _asks_for_check(cls, arguments: Sequence[str]) -> bool:
        return asks_for(arguments, "check") and is_ours("check", cls.get_required_config())

    def main(self) -> int:
        """Run the requested mode. Return the exit code."""
        mode = mode_of(self.config, self.get_required_config) or "run"
        command = import_module(f"crontabber.commands.{mode.replace('-', '_')}").command
        exit_code = command(self) or ExitCode.DONE
        if mode not in ("run", "job"):
            # It is done: starting again after a SIGHUP would rerun, or skip, dates a second time.
            INTERRUPTION.restart = False
        return exit_code

    # -- the modes

    def run_all(self) -> int:
        """Run one tick: every job that is due. Return the exit code."""
        from crontabber.commands.run import run_all

        return run_all(self)

    def run_one(self, description: str, force: bool = False) -> int:
        """Run the job with this app_name or module.Class if it is due, or with `force` anyway. Return the exit code."""
        from crontabber.commands.job import run_one

        return run_one(self, description, force)

    def list_jobs(self, stream: TextIO | None = None) -> int:
        """Print the jobs and their state. Return the exit code."""
        from crontabber.commands.list_jobs import list_jobs

        return list_jobs(self, stream)

    def nagios(self, stream: TextIO | None = None) -> int:
        """Print one line. Return the exit code that Nagios expects."""
        from crontabber.commands.nagios import nagios

        return nagios(self, stream)

    def configtest(self) -> bool:
        """Log each fault of the configured jobs. Return True if there is none."""
        from crontabber.commands.configtest import configtest

        return configtest(self)

    def sentrytest(self) -> None:
        """Send a test message to Sentry. SentryConfigurationError if no DSN is configured."""
        from crontabber.commands.sentrytest import sentrytest

        sentrytest(self)

    def audit_ghosts(self, stream: TextIO | None = None) -> None:
        from crontabber.commands.audit_ghosts import audit_ghosts

        audit_ghosts(self, stream)

    def reset_job(self, description: str) -> None:
        """Forget the state of a job, configured or not. The log keeps its runs."""
        from crontabber.commands.reset_job import reset_job

        reset_job(self, description)

    def print_version(self, stream: TextIO | None = None) -> None:
        from crontabber.commands.version import print_version

        print_version(self, stream)

    # -- what the modes need

    @property
    def job_state_database(self) -> Any:
        """The state database, opened on first use. Set `_job_state_database` to None to open a new one."""
        if self._job_state_database is None:
            if self.config.get("dry-run"):
                return self._database_to_read
            self._job_state_database = self.config.crontabber.job_state_db_class(self.config.crontabber)
        return self._job_state_database

    @cached_property
    def _database_to_read(self) -> Any:
        state_class = self.config.crontabber.job_state_db_class
        return getattr(state_class, "for_reading", state_class)(self.config.crontabber)

    @property
    def job_states(self) -> Any:
        """The state as the engine uses it: an adapter if the state class is only a mapping."""
        database = self.job_state_database
        states = engine_state(database, self.config.crontabber)
        if states is not database and not self._warned_of_mapping:
            self._warned_of_mapping = True
            self.config.logger.warning(
                "%s is only a mapping: jobs run without claims and without a history, and times of day are in UTC."
                " Never run two crontabbers on it at once",
                type(database).__name__,
            )
        return states

    def configured_jobs(self) -> ConfiguredJobs:
        """Return the jobs in the order of the setting, and what is wrong with its broken entries."""
        configured = configured_jobs(self.config.crontabber.jobs, self.config.crontabber)
        return configured.masked(SecretMask(self.config)) if configured.faults else configured

    def states_to_read(self) -> Mapping[str, JobState]:
        """Return the states by app_name, without creating or changing anything: SELECT is all it needs."""
        return self.state_reader().states()  # type: ignore[no-any-return]

    def state_reader(self) -> Any:
        """Return the state as reports use it: nothing is created or changed."""
        return state_reader(self.config.crontabber, self._job_state_database)

    def current_time(self) -> datetime:
        # Looked up at each call: test suites patch this module's utc_now.
        return utc_now()

    def load_raven(self) -> ModuleType:
        # Looked up at each call: test suites patch this module's raven.
        return sys.modules[__name__].raven  # type: ignore[no-any-return]


class CronTabber(CronTabberBase, App):
    """The application of the command `crontabber`."""


def main(initial_app: Any = CronTabber, *args: Any, **kwargs: Any) -> int:
    """Run an application, by default crontabber's own. Return the exit code. For the arguments see generic_app.main."""
    return generic_main(initial_app, *args, **kwargs)


def local_main() -> None:
    """Run the command `crontabber`."""
    sys.exit(main())


__all__ = [
    "BrokenJSONError", "CronTabber", "CronTabberBase", "FrequencyDefinitionError", "JobDescriptionError",
    "JobNotFoundError", "JobStateDatabase", "OngoingJobError", "RowLevelLockError", "SentryConfigurationError",
    "TimeDefinitionError", "check_time", "classes_in_namespaces_converter_with_compression", "convert_frequency",
    "database_transaction", "get_extra_as_options", "line_splitter", "local_main", "main", "pipe_splitter",
    "reorder_dag", "timesince", "utc_now",
]  # fmt: skip

if __name__ == "__main__":
    # `python -m crontabber.app`: jobs import the module of this name, so that one has to do the work, not this copy.
    from crontabber import __main__ as command

    command.local_main()
