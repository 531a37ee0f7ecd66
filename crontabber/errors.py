"""Every named error of crontabber, one sentence each, and the names of the exit codes.

A message says what is wrong, about which value, and what would be right: it is shown to a person as it stands.
"""

import os
import signal
from enum import IntEnum

# How the paths of crontabber's own files begin.
OURS = os.path.dirname(__file__) + os.sep


class ExitCode(IntEnum):
    """What the process tells the shell and cron."""

    DONE = 0
    FAILED = 1
    CLAIM_LOST = 2
    ONGOING_ELSEWHERE = 3
    INTERRUPTED = 130
    TERMINATED = 143


class CrontabberError(Exception):
    """Something that a person has to put right; its text is the whole message."""


class ConfigurationError(CrontabberError):
    """A source of the configuration cannot be read, or an option is unknown or has a value that it cannot have."""


class OutputError(CrontabberError):
    """What was asked for cannot be written to where it was asked for."""


class JobsSettingError(CrontabberError):
    """The `jobs` setting is wrong; `faults` has one sentence for each fault found, all of them at once."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class JobNotFoundError(JobsSettingError):
    """An entry of `jobs` cannot be imported, or `--job` or `--reset-job` names what is no job."""


class JobDescriptionError(JobsSettingError):
    """An entry of `jobs` is not of the form module.Class|FREQUENCY|HH:MM, or what it names is no job."""


class FrequencyDefinitionError(CrontabberError):
    """A text is no frequency."""


class TimeDefinitionError(CrontabberError):
    """A text is no time of day, or the frequency beside it allows none."""


class CircularDAGError(CrontabberError):
    """Jobs depend on each other in a circle."""


class BrokenJSONError(CrontabberError):
    """For those who catch it. A stored error that is none of ours is no longer one: it is shown as it is."""


class SentryConfigurationError(CrontabberError):
    """Sentry is asked for, but there is no DSN, or what is given is none."""


class SentryDeliveryError(CrontabberError):
    """Sentry cannot be reached, takes too long, or refuses what it is sent."""


class AppDetailMissingError(CrontabberError):
    """An application class lacks app_name, app_version or app_description."""


class OngoingJobError(CrontabberError):
    """A job is being run by someone else."""


class LostClaimError(CrontabberError):
    """What we were running has been taken over by someone else; our result must not be stored."""


class StateDatabaseError(CrontabberError):
    """The state database cannot be reached or refuses what we need; the text says which and what to do."""


class EmbeddedServerError(CrontabberError):
    """The embedded PostgreSQL cannot be found, made, started or stopped."""


class OwnerDiedError(Exception):
    """Recorded, never raised: the process that ran a job ended without storing its result."""


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived; `signum` says which. Raised in the main thread, inside the job that is running."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"{signal.Signals(signum).name} arrived")
        self.signum = signum
