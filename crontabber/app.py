"""crontabber's own application: picks one mode, runs it, returns an exit code."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

from configman import RequiredConfig

from crontabber import __version__
from crontabber.app_answers import Answers
from crontabber.base import convert_frequency, reorder_dag
from crontabber.commands.configtest import described, faults_of, sentry_dsn, warn_about_unknown_dependencies
from crontabber.commands.run import say_what_is_next, warn_about_no_jobs, warn_about_the_clock
from crontabber.config.jobs_setting import (
    classes_in_namespaces_converter_with_compression,
    get_extra_as_options,
    line_splitter,
    pipe_splitter,
)
from crontabber.config.options import asks_for, mode_of, required_config
from crontabber.datetimeutil import timesince, utc_now
from crontabber.engine.job_run import Job, RunSettings
from crontabber.engine.tick import Runner, Tick
from crontabber.errors import (
    BrokenJSONError,
    CrontabberError,
    ExitCode,
    FrequencyDefinitionError,
    JobDescriptionError,
    JobNotFoundError,
    JobsSettingError,
    OngoingJobError,
    OutputError,
    SentryConfigurationError,
    TimeDefinitionError,
)
from crontabber.generic_app import App
from crontabber.generic_app import main as generic_main
from crontabber.output.messages import told
from crontabber.output.secrets import SecretMask
from crontabber.process.signals import INTERRUPTION
from crontabber.process.streams import answer, is_terminal, say
from crontabber.rules.schedule import check_time
from crontabber.store.claims import RowLevelLockError
from crontabber.store.state_database import JobStateDatabase
from crontabber.transaction_executor import database_transaction

if TYPE_CHECKING:
    from crontabber.engine.sentry import Sentry

MOST_FAULTS_TO_COUNT = 125


def __getattr__(name: str) -> ModuleType:
    """`crontabber.app.raven`, imported when it is first asked for: it costs more than a whole idle tick."""
    if name == "raven":
        import raven

        return raven  # type: ignore[no-any-return]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class CronTabberBase(Answers, RequiredConfig):
    """Everything that crontabber does, to be mixed with an App: `class MyTab(CronTabberBase, App)`."""

    app_name = "crontabber"
    app_version = __version__
    app_description = "Runs the configured jobs that are due, retries what failed, holds back what depends on it."

    required_config = required_config()

    def __init__(self, config: Any) -> None:
        self.config = config
        # That of the App: this class is never used without one.
        super().__init__(config)  # type: ignore[call-arg]

    @classmethod
    def is_silent(cls, arguments: Sequence[str]) -> bool:
        """Nagios reads one line, and nothing else."""
        return asks_for(arguments, "nagios") and not asks_for(arguments, "help")

    @classmethod
    def before_configuration(cls, arguments: Sequence[str]) -> int | None:
        """--version needs no configuration, and works with a broken one."""
        if not asks_for(arguments, "version"):
            return None
        answer(f"{cls.app_version}\n")
        return ExitCode.DONE

    @classmethod
    def report_misuse(cls, error: CrontabberError, arguments: Sequence[str]) -> int:
        """Nagios gets its one line on stdout, everyone else a few on stderr; --configtest counts the faults."""
        if asks_for(arguments, "nagios"):
            from crontabber.commands.nagios import unknown

            verdict = unknown(str(error))
            with suppress(OutputError, BrokenPipeError):
                answer(f"{verdict.line}\n")
            return verdict.exit_code
        if asks_for(arguments, "configtest") and isinstance(error, JobsSettingError):
            say(told(cls.app_name, error, most_lines=len(error.faults)))
            return min(len(error.faults), MOST_FAULTS_TO_COUNT)
        say(told(cls.app_name, error))
        return ExitCode.FAILED

    def main(self) -> int:
        """Do what the command line asks for; the exit code."""
        modes: dict[str | None, Callable[[], int | None]] = {
            None: self.run_all,
            "version": self.print_version,
            "list-jobs": self.list_jobs,
            "nagios": self.nagios,
            "configtest": self._print_faults,
            "sentrytest": self.sentrytest,
            "audit-ghosts": self.audit_ghosts,
            "reset-job": lambda: self.reset_job(self._asked("reset-job")),
            "job": lambda: self.run_one(self._asked("job"), bool(self._asked("force"))),
        }
        return modes[mode_of(self.config)]() or ExitCode.DONE

    def print_version(self, stream: TextIO | None = None) -> None:
        answer(f"{self.app_version}\n", stream)

    def run_all(self) -> int:
        """One tick: run every job that is due; the exit code."""
        jobs = reorder_dag(self._jobs())
        if not jobs:
            warn_about_no_jobs(self.config.logger)
            return ExitCode.DONE
        tick = self._run(jobs, jobs)
        if not tick.anything_due and is_terminal(sys.stderr):
            say_what_is_next(self.config.logger, jobs, tick, utc_now(), self.job_state_database.zone)
        return tick.exit_code()

    def run_one(self, description: str, force: bool = False) -> int:
        """Run the job of this app_name or module.Class if it is due, or although it is not; the exit code.

        A backfill job is never run this way (manual, 1.4.4): its dates would lose their order.
        """
        jobs = self._jobs()
        job = described(jobs, description)
        if job.is_backfill:
            self.config.logger.warning(
                "%s is a backfill job: --job and --force do not run it, so that each of its dates runs once",
                job.app_name,
            )
            return ExitCode.DONE
        tick = self._run([job], jobs, force)
        if tick.anything_due:
            # It has been attended to: starting over, as SIGHUP wants, would force it a second time.
            INTERRUPTION.restart = False
        else:
            say_what_is_next(self.config.logger, [job], tick, utc_now(), self.job_state_database.zone)
        return tick.exit_code()

    def reset_job(self, description: str) -> None:
        """Forget the state of a job, also of one that is configured no longer; the log keeps its runs."""
        app_name = self._app_name_of(description)
        if app_name in self.job_state_database:
            self.config.logger.info("App reset")
            self.job_state_database.pop(app_name)
        else:
            self.config.logger.warning("App already reset")

    def sentrytest(self) -> None:
        """Send a test message. SentryConfigurationError if no DSN is configured."""
        self._sentry().send_test()

    def _now(self) -> datetime:
        # Looked up at each call: test suites patch this module's utc_now.
        return utc_now()

    def _asked(self, mode: str) -> Any:
        return self.config.get(mode)

    def _run(self, jobs: Sequence[Job], configured: Sequence[Job], force: bool = False) -> Tick:
        database = self.job_state_database
        warn_about_the_clock(self.config.logger, database, utc_now())
        settings = RunSettings(
            logger=self.config.logger,
            clock=self._now,
            retry_after=self._retry_after(),
            report_error=self._error_reporter(),
            mask=SecretMask(self.config),
            progress=self._progress,
        )
        return Runner(database, settings).run(jobs, [job.app_name for job in configured], force)

    def _print_faults(self) -> int:
        faults = faults_of(self.config.crontabber)
        for fault in faults:
            say(f"{self.app_name}: {fault}")
        if not faults:
            jobs = self._jobs()
            if not jobs:
                warn_about_no_jobs(self.config.logger)
            warn_about_unknown_dependencies(jobs, self.config.logger.warning)
        return min(len(faults), MOST_FAULTS_TO_COUNT)

    # What follows is imported when a job needs it: most ticks have none that does.

    def _progress(self, app_name: str, dates: int) -> AbstractContextManager[Callable[[datetime], None]]:
        from crontabber.output.progress import backfill_progress

        return backfill_progress(self.config.logger, app_name, dates)

    def _error_reporter(self) -> Callable[[BaseException, str], None]:
        """For one run: of one Sentry, which counts its time, made of the options as they are at the first error."""
        sentry = cache(self._sentry)
        return lambda error, app_name: sentry().report(error, app_name)

    def _sentry(self) -> "Sentry":
        from crontabber.engine.sentry import Sentry

        return Sentry(
            sentry_dsn(self.config), self.app_version, lambda: sys.modules[__name__].raven, self.config.logger,
            SecretMask(self.config),
        )  # fmt: skip


class CronTabber(CronTabberBase, App):
    """The application that the command `crontabber` runs."""


def main(initial_app: Any = CronTabber, *args: Any, **kwargs: Any) -> int:
    """Run an application, by default crontabber's own; the exit code. The arguments are those of generic_app.main."""
    return generic_main(initial_app, *args, **kwargs)


def local_main() -> None:
    """The command `crontabber`."""
    sys.exit(main())


__all__ = [
    "BrokenJSONError", "CronTabber", "CronTabberBase", "FrequencyDefinitionError", "JobDescriptionError",
    "JobNotFoundError", "JobStateDatabase", "OngoingJobError", "RowLevelLockError", "SentryConfigurationError",
    "TimeDefinitionError", "check_time", "classes_in_namespaces_converter_with_compression", "convert_frequency",
    "database_transaction", "get_extra_as_options", "line_splitter", "local_main", "main", "pipe_splitter",
    "reorder_dag", "timesince", "utc_now",
]  # fmt: skip
