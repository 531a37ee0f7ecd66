"""The options of the command line and of the namespace `crontabber`, and what a bare command line asks for."""

from collections.abc import Sequence

from configman import Namespace
from configman.converters import class_converter

from crontabber.joblist import classes_in_namespaces_converter_with_compression
from crontabber.store.state_database import JobStateDatabase

# name -> (short form, does it take a value, doc)
MODES = {
    "job": ("j", True, "run this one job now if it is due: its app_name or module.Class"),
    "force": ("f", False, "with --job: run it although it is not due or is held back"),
    "list-jobs": ("l", False, "list the configured jobs, and how each stands"),
    "configtest": ("", False, "check the configuration of the jobs; the exit code is the number of faults"),
    "sentrytest": ("", False, "send a test message to Sentry"),
    "audit-ghosts": ("", False, "list the jobs that are in the state database but not configured here"),
    "reset-job": ("r", True, "forget the state of this one job: its app_name or module.Class"),
    "nagios": ("n", False, "say in one line how the jobs are, with the exit code that Nagios expects"),
    "version": ("v", False, "print the version"),
}


def required_config() -> Namespace:
    """What CronTabberBase asks of configman."""
    options = Namespace()
    for name, (short, takes_value, doc) in MODES.items():
        options.add_option(
            name, default="" if takes_value else False, doc=doc, short_form=short or None,
            exclude_from_print_conf=True, exclude_from_dump_conf=True,
        )  # fmt: skip
    _add_crontabber(options.namespace("crontabber"))
    sentry = options.namespace("sentry")
    sentry.add_option(
        "dsn", default="", secret=True, reference_value_from="secrets.sentry",
        doc="the DSN (address and key) of the Sentry that gets the errors of the jobs; empty: none does",
    )  # fmt: skip
    return options


def asks_for(arguments: Sequence[str], mode: str) -> bool:
    """Does the command line ask for `mode`, by its name, any beginning of it, or its short form?"""
    short = MODES[mode][0] if mode in MODES else ""
    for argument in arguments:
        if argument == "--":
            return False
        if short and argument == f"-{short}":
            return True
        if len(argument) > 2 and f"--{mode}".startswith(argument):
            return True
    return False


def _add_crontabber(namespace: Namespace) -> None:
    namespace.add_option(
        "job_state_db_class", default=JobStateDatabase,
        from_string_converter=class_converter, doc="the class that keeps the state of the jobs",
    )  # fmt: skip
    namespace.add_option(
        "jobs", default="", from_string_converter=classes_in_namespaces_converter_with_compression(),
        doc="the jobs: module.Class|FREQUENCY or module.Class|FREQUENCY|HH:MM, one a line or separated by commas;"
        " FREQUENCY is Nm, Nh or Nd",
    )  # fmt: skip
    namespace.add_option(
        "error_retry_time", default=300, doc="seconds after which a job that failed is tried again"
    )
    namespace.add_option(
        "max_ongoing_age_hours", default=12.0,
        doc="hours after which a job that has been ongoing is run again, where nothing else tells that its owner died",
    )  # fmt: skip
