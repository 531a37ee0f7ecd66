"""What the modes have in common that change something: say what will be done, ask, and log who did it."""

import os
import pwd
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

from crontabber.commands import Application
from crontabber.errors import ClaimFailedError, ConfigurationError, ExitCode, OngoingJobError, OwnerInDoubtError
from crontabber.process.streams import answer, is_terminal
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.text import one_line, printable
from crontabber.store.claims import Claim, RowLevelLockError

# What a line of a plan ends with that changes nothing.
NOTHING = "nothing to do"
LEFT = "%s was left as it is: another process has just run or changed it"
# Of what keeps us from claiming a job.
CODES: dict[type, ExitCode] = {OngoingJobError: ExitCode.ONGOING_ELSEWHERE, RowLevelLockError: ExitCode.CLAIM_LOST}


def is_agreed(app: Application, plan: Sequence[str]) -> bool:
    """Print the plan. True if it is to be carried out: with --yes, or after a yes on a terminal; not with --dry-run,
    nor if there is nothing to do. ConfigurationError if there is nobody to ask."""
    answer("".join(f"{printable(line)}\n" for line in plan or [NOTHING.capitalize()]))
    if app.config.get("dry-run") or all(line.endswith(NOTHING) for line in plan):
        return False
    if app.config.get("yes"):
        return True
    if not has_terminal():
        raise ConfigurationError("nobody can be asked here: add --yes, or --dry-run to change nothing")
    if asked("Go on?"):
        return True
    answer("Nothing was changed.\n")
    return False


def has_terminal() -> bool:
    return is_terminal(sys.stdin) and is_terminal(sys.stdout)


def asked(question: str) -> bool:
    """Ask on the terminal. True for a yes."""
    answer(f"{question} [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def who() -> str:
    """Return user@host; the user is whoever has called sudo, if anybody has."""
    user = os.environ.get("SUDO_USER")
    if not user:
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def with_claim(app: Any, job: Job, act: Callable[[Claim], int], planned: JobState | None = None) -> int:
    """Claim the job, and return the exit code of `act`, which has to settle or release it. If it cannot be claimed, or
    its last success is no longer that of the row that was `planned` with, say so, and return that exit code."""
    claims, seen = app.job_states.claims, app.job_states.state(job.app_name)
    try:
        claim = claims.take(job.app_name, job.depends_on, seen, app.current_time())
    except (OngoingJobError, OwnerInDoubtError, RowLevelLockError, ClaimFailedError) as error:
        app.config.logger.warning("%s was left as it is: %s", job.app_name, one_line(str(error)))
        return CODES.get(type(error), ExitCode.FAILED)
    if planned is not None and claim.state.last_success != planned.last_success:
        claims.release(claim)
        app.config.logger.warning(LEFT, job.app_name)
        return ExitCode.CLAIM_LOST
    return act(claim)


def all_rows(states: Any) -> dict[str, JobState]:
    """Return every row of the state, also what is noted about jobs that have never run."""
    rows = states.states()
    return getattr(states, "unseen", {}) | rows


def jobs_named(app: Application, text: str) -> list[Job]:
    """Return the jobs of a list of names with commas between them, or `all`. JobNotFoundError for an unknown one."""
    configured = app.configured_jobs()
    if text.strip() == "all":
        return list(configured.jobs)
    names = [name.strip() for name in text.split(",") if name.strip()]
    return list({job.app_name: job for job in map(configured.find, names)}.values())
