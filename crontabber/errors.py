"""Every named error of crontabber, one sentence each, and the names of the exit codes.

A message says what is wrong, with which value, and what to do about it. Users see exactly this text.
"""

import os
import signal
from datetime import timedelta
from enum import IntEnum
from typing import Any

# The paths of crontabber's own files begin with this.
OURS = os.path.dirname(__file__) + os.sep


class ExitCode(IntEnum):
    """The exit codes of the process."""

    DONE = 0
    FAILED = 1
    CLAIM_LOST = 2
    ONGOING_ELSEWHERE = 3
    INTERRUPTED = 130
    TERMINATED = 143


class CrontabberError(Exception):
    """A fault that a person has to fix; its text is the whole message."""


class ConfigurationError(CrontabberError):
    """A source of the configuration cannot be read, or an option is unknown or has an invalid value."""


class OutputError(CrontabberError):
    """The output cannot be written: stdout is closed, or the disk is full."""


class JobsSettingError(CrontabberError):
    """The `jobs` setting is wrong; `faults` has one sentence for each fault found, all of them at once."""

    # What the converter of the setting made of the entries without a fault. It knows those with a fault as well.
    job_list: Any = None

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class JobNotFoundError(JobsSettingError):
    """An entry of `jobs` cannot be imported, or `--job` or `--reset-job` names an unknown job."""


class JobDescriptionError(JobsSettingError):
    """An entry of `jobs` is not of the form module.Class|FREQUENCY|HH:MM, or does not name a job class."""


class FrequencyDefinitionError(CrontabberError):
    """A text is not a valid frequency."""


class TimeDefinitionError(CrontabberError):
    """A text is not a valid time of day, or its frequency does not allow one."""


class TimeZoneError(CrontabberError):
    """A text is not the name of a time zone; `expected` says what would be right."""

    def __init__(self, name: str, expected: str) -> None:
        super().__init__(f"unknown time zone {name!r}: {expected}")
        self.expected = expected


class PolicyError(CrontabberError):
    """A part of a job's policy is unknown or has an invalid value; `expected` says what would be right."""

    def __init__(self, what: str, expected: str) -> None:
        super().__init__(f"{what}: {expected}")
        self.expected = expected


class NoSuchDateError(CrontabberError):
    """A date on the command line is none of the dates of the job."""


class CircularDAGError(CrontabberError):
    """Jobs depend on each other in a circle."""


class BrokenJSONError(CrontabberError):
    """Never raised; kept for code that catches it. A stored error that crontabber did not write is shown as it is."""


class SentryConfigurationError(CrontabberError):
    """Sentry is needed, but its DSN is missing or invalid."""


class SentryDeliveryError(CrontabberError):
    """Sentry cannot be reached, takes too long, or refuses the event."""


class AppDetailMissingError(CrontabberError):
    """An application class lacks app_name, app_version or app_description."""


class OngoingJobError(CrontabberError):
    """Another process is running the job."""


class OwnerInDoubtError(CrontabberError):
    """The owner of a job may be dead; only a second look, a while later, can tell."""


class ClaimFailedError(CrontabberError):
    """A job could not be claimed, but only for now: the next tick can try again."""


class LostClaimError(CrontabberError):
    """Another process has taken over the job that we were running; our result must not be stored."""


class ForgottenError(LostClaimError):
    """The state database no longer knows a date that this run has stored: it has to run again."""


class ChangedError(LostClaimError):
    """Somebody has changed the row of the job while it ran: its result no longer fits."""


class CommitLostError(CrontabberError):
    """A commit was acknowledged, but the database does not know of it: the job has to run again."""

    def __init__(self) -> None:
        super().__init__(
            "the transaction of the job was committed, but the database does not know of it: perhaps a standby that"
            " lagged behind has taken over"
        )


class StateDatabaseError(CrontabberError):
    """The state database cannot be reached, or refuses a statement; the text says which, and what to do."""


class EmbeddedServerError(CrontabberError):
    """The embedded PostgreSQL cannot be found, created, started or stopped."""


class OwnerDiedError(Exception):
    """Recorded, never raised: the process that ran a job ended before it stored the result."""


class RetryLater(Exception):
    """Raised by a job that cannot do its work yet: it runs again after so many seconds, and this is not a failure.

    `seconds` may also be a timedelta. The jobs that depend on it wait.
    """

    def __init__(self, seconds: float | timedelta, reason: str = "") -> None:
        super().__init__(seconds, reason)
        self.delay = seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason or "it asked to be run again later"


class GiveUp(Exception):
    """Raised by a job that need not be retried: it does not run again until somebody forces or resets it."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)

    def __str__(self) -> str:
        return str(self.args[0]) or "it gave up"


class JobTimeout(BaseException):
    """The job ran longer than its policy allows. No subclass of Exception: few jobs catch it by mistake."""

    def __init__(self, timeout: timedelta, killed: bool = False) -> None:
        end = ", and had to be killed" if killed else ""
        super().__init__(f"it ran longer than its timeout of {timeout.total_seconds():g} s{end}")


class Interrupted(KeyboardInterrupt):
    """The process received SIGINT or SIGTERM (`signum`). Raised in the main thread, inside the running job."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum
