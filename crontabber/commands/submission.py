"""Have other machines run the jobs that are due: submit ticks to an executor, and log what they print there."""

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

from crontabber import __version__
from crontabber.commands.overview import Overview, overview
from crontabber.config.command_line import option_given
from crontabber.engine.executors import run_tick
from crontabber.engine.monitors import monitors_of
from crontabber.errors import CrontabberError, ExitCode
from crontabber.output.secrets import SecretMask
from crontabber.process.signals import INTERRUPTION
from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.job import Job, path_of
from crontabber.rules.text import one_line

LOOK_SECONDS = 2.0
# A worker that restarts is away for a moment.
TROUBLE_SECONDS = 30.0
LEVEL = re.compile(r".{0,60}? (DEBUG|INFO|WARNING|ERROR|CRITICAL) - ")

Outcome = tuple[str, int, str]


def submitted_ticks(app: Any, configured: ConfiguredJobs, tick: Callable[[Sequence[Job]], int]) -> int:
    """Submit a tick for each job that may run, but no more at a time than there are workers. Return the exit code. If
    no job may run, this process does what a tick does then."""
    if not overview(app).ready():
        return tick(configured.jobs)
    with monitors_of(app).tick(len(configured.faults)):
        outcomes = _Submission(app).run()
    if any(exit_code not in (*ExitCode,) or exit_code == ExitCode.FAILED for _, exit_code, _ in outcomes):
        return ExitCode.FAILED
    # Each of them may have met the others.
    busy = any(step.is_due and "ongoing" in {reason.code for reason in step.reasons} for step in overview(app).steps())
    return ExitCode.ONGOING_ELSEWHERE if busy else ExitCode.DONE


class _Submission:
    """The ticks that run elsewhere."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._started = app.current_time()
        self._workers = app.config.get("workers") or app.config.crontabber.workers
        self._logger = app.config.logger
        self._executor_class = app.config.crontabber.executor_class
        self._config = app.config.crontabber
        self._mask = SecretMask(app.config)
        self._arguments, self._config_path = _command_line(app)
        # The ticks would say the same about the configuration: once is enough.
        self._said: set[str] = set()
        # The jobs for which ticks were submitted last.
        self._offered: list[Job] = []

    def run(self) -> list[Outcome]:
        """Run ticks until no job may run. Return (host, exit code, what it printed) of each; of one that failed, no
        host."""
        executor = None
        try:
            with INTERRUPTION.allowed():
                executor = self._executor_class(self._config)
                return self._outcomes(executor)
        except Exception as error:
            return [self._failed(error)]
        finally:
            with suppress(Exception):
                getattr(executor, "shutdown", lambda: None)()

    def _outcomes(self, executor: Any) -> list[Outcome]:
        """Submit ticks, also for what becomes ready, and wait for all of them, as long as there is hope."""
        pending: set[Future[Outcome]] = set()
        outcomes: list[Outcome] = []
        fine_until = time.monotonic()
        while True:
            if not any(exit_code == ExitCode.FAILED for _, exit_code, _ in outcomes):
                pending |= self._submitted(executor, len(pending))
            if not pending:
                return outcomes
            done, pending = wait(pending, LOOK_SECONDS)
            outcomes += [self._outcome(future) for future in done]
            trouble = getattr(executor, "trouble", lambda: None)()
            if done or not trouble:
                fine_until = time.monotonic()
            elif time.monotonic() - fine_until > TROUBLE_SECONDS:
                for future in pending:
                    future.cancel()
                return [*outcomes, self._failed(CrontabberError(trouble))]

    def _submitted(self, executor: Any, number: int) -> "set[Future[Outcome]]":
        """Submit a tick for each job that may run now, beside this number of others, which may have none yet."""
        if number == self._workers:
            return set()
        seen = overview(self._app)
        # What has run since we began has had its turn.
        ready = [job for job in seen.ready() if not self._has_run(seen, job)]
        if not number and ready == self._offered:
            return set()  # They do not run there: perhaps the configuration is another one.
        self._offered = ready
        wanted = len(ready) - max(0, number - len(seen.tick.ongoing))
        call = (run_tick, self._arguments, self._config_path, __version__)
        return {executor.submit(*call) for _ in range(min(self._workers - number, wanted))}

    def _has_run(self, seen: Overview, job: Job) -> bool:
        row = seen.dead.get(job.app_name) or seen.tick.row(job.app_name)
        return row.last_run is not None and row.last_run >= self._started

    def _outcome(self, future: "Future[Outcome]") -> Outcome:
        try:
            outcome = host, _, output = future.result()
        except BaseException as error:
            return self._failed(error)
        self._log(host, output)
        return outcome

    def _failed(self, error: BaseException) -> Outcome:
        said = one_line(self._mask(str(error))) or type(error).__name__
        if isinstance(error, ModuleNotFoundError):
            said += f" (a machine that runs ticks needs crontabber {__version__})"
        self._logger.error(
            "%s: %s; jobs that are still due run in the next tick", path_of(self._executor_class), said.rstrip(".")
        )
        return "", ExitCode.FAILED, said

    def _log(self, host: str, output: str) -> None:
        """Log what a tick has printed, each line at its own level."""
        level = logging.WARNING
        for line in output.splitlines():
            found = LEVEL.match(line)
            if found:
                level = getattr(logging, found[1])
            said = line[found.end() :] if found else line
            if said.strip() and said not in self._said:
                self._said.add(said)
                self._logger.log(level, "%s: %s", host, line)


def _command_line(app: Any) -> tuple[list[str], str]:
    """Return the arguments of the ticks, and the path of their configuration file, "" if there is none. The rest of our
    own command line may contain secrets."""
    given = option_given(sys.argv[1:], "admin.conf") or f"{app.app_name}.ini"
    path = os.path.abspath(given) if os.path.exists(given) else ""
    arguments = [
        *([f"--admin.conf={path}"] if path else []),
        "--crontabber.executor_class=",
        "--crontabber.workers=1",
        # All of them are one tick.
        "--crontabber.tick_ping_url=",
        "--crontabber.prometheus_file=",
        "--crontabber.status_page=",
        f"--logging.stderr_error_logging_level={app.config.logging.stderr_error_logging_level}",
    ]
    application = path_of(type(app))
    if not application.startswith(("crontabber.app.", "__main__.")):
        arguments.append(f"--application={application}")
    return arguments, path
