"""Report an error before any mode has begun, in the way of the mode that was asked for."""

from collections.abc import Sequence
from typing import Any

from crontabber.config.command_line import asks_for, option_given
from crontabber.errors import CrontabberError, ExitCode, JobsSettingError
from crontabber.output.messages import message_for
from crontabber.process.streams import say


def report_misuse(application: Any, error: CrontabberError, arguments: Sequence[str]) -> int:
    """Print the error: one line on stdout for --nagios and --check, a few on stderr otherwise; --configtest counts
    faults. Return the exit code."""
    if asks_for(arguments, "nagios", "n"):
        from crontabber.commands import nagios

        return nagios.report_misuse(error)
    if application._asks_for_check(arguments):
        from crontabber.commands import check

        return check.report_misuse(error, application.app_version, option_given(arguments, "format") == "json")
    if asks_for(arguments, "configtest") and isinstance(error, JobsSettingError):
        from crontabber.commands.configtest import print_faults

        return print_faults(application.app_name, error.faults)
    say(message_for(application.app_name, error))
    return ExitCode.FAILED
