"""The options of the command line and of the namespace `crontabber`."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from configman import Namespace
from configman.converters import boolean_converter, class_converter

from crontabber.config.jobs_setting import classes_in_namespaces_converter_with_compression
from crontabber.errors import ConfigurationError
from crontabber.store.state_database import JobStateDatabase

# Anything longer is a typo, and would lead past the end of the calendar.
LONGEST = timedelta(days=3660)

MOST_WORKERS = 1000

# name -> (short form, does it take a value, doc)
MODES = {
    "job": ("j", True, "run only this job (its app_name or module.Class), if it is due"),
    "force": ("f", False, "with --job: run the job even if it is not due or is held back"),
    "dry-run": ("", False, "say what a tick, or --job, would do now, and why; nothing is run or changed"),
    "status": ("", False, "print a table of the jobs: how each one is, when it runs next, and why it does not run"),
    "explain": ("", True, "say everything about one job: what holds it back, what happens next, its policy"),
    "history": ("", True, "list the last runs of one job"),
    "last": ("", True, "with --history: how many runs to list (20)"),
    "list-jobs": ("l", False, "list the configured jobs and their state; with --job, only that one"),
    "configtest": ("", False, "check the configuration of the jobs; the exit code is the number of faults"),
    "sentrytest": ("", False, "send a test message to Sentry"),
    "audit-ghosts": ("", False, "list the jobs that are in the state database but not configured here"),
    "reset-job": ("r", True, "forget the state of this job (its app_name or module.Class)"),
    "nagios": ("n", False, "print the health of the jobs on one line, and exit with the code that Nagios expects"),
    "format": ("", True, "with a mode that answers: json prints the same facts for programs"),
    "with-errors": ("", False, "with --format=json: include the texts of errors"),
    "version": ("v", False, "print the version"),
}
ANSWERS = ("status", "explain", "history", "list-jobs", "audit-ghosts", "dry-run")

# Options that change what a mode does -> the modes that they go with.
MODIFIERS = {
    "force": ("job", "dry-run"),
    "last": ("history",),
    "format": ANSWERS,
    "with-errors": ANSWERS,
}
# Modes that another one may narrow to a job.
NARROWED = ("list-jobs", "dry-run")


def required_config() -> Namespace:
    """Return the options that CronTabberBase requires."""
    options = Namespace()
    for name, (short, takes_value, doc) in MODES.items():
        default, converter = (None, _in_utf_8) if takes_value else (False, boolean_converter)
        options.add_option(
            name, default=default, from_string_converter=converter, doc=doc, short_form=short or None,
            exclude_from_print_conf=True, exclude_from_dump_conf=True,
        )  # fmt: skip
    options.add_option(
        "workers", default=None, from_string_converter=_workers, doc="short for --crontabber.workers",
        exclude_from_print_conf=True, exclude_from_dump_conf=True,
    )  # fmt: skip
    _add_crontabber(options.namespace("crontabber"))
    sentry = options.namespace("sentry")
    sentry.add_option(
        "dsn", default="", secret=True, reference_value_from="secrets.sentry",
        doc="the DSN (address and key) of the Sentry that gets the errors of jobs; empty: errors are not sent",
    )  # fmt: skip
    return options


def mode_of(config: Mapping[str, Any]) -> str | None:
    """Return the requested mode, None for a tick. ConfigurationError if it is ambiguous."""
    given = [name for name in MODES if config.get(name) not in (None, False)]
    asked = [name for name in given if name not in MODIFIERS]
    if any(name in NARROWED for name in asked):
        asked = [name for name in asked if name != "job"]
    if len(asked) > 1:
        *others, last = (f"--{name}" for name in asked)
        raise ConfigurationError(f"{', '.join(others)} and {last} cannot be combined: choose one")
    for name in given:
        if MODES[name][1] and name not in MODIFIERS and not config[name].strip():
            raise ConfigurationError(f"--{name} is empty: give it the app_name or the module.Class of a job")
    mode = asked[0] if asked else None
    _check_modifiers(config, mode, [name for name in given if name in MODIFIERS])
    return mode


def _check_modifiers(config: Mapping[str, Any], mode: str | None, given: list[str]) -> None:
    """ConfigurationError if an option does not go with the mode, or its value makes no sense."""
    if "force" in given and not (mode in MODIFIERS["force"] and config.get("job")):
        raise ConfigurationError("--force needs --job: together they run one job even if it is not due")
    for name in given:
        if mode not in MODIFIERS[name]:
            *others, last = (f"--{each}" for each in MODIFIERS[name])
            raise ConfigurationError(f"--{name} needs {', '.join(others)}{' or ' if others else ''}{last}")
    if "format" in given and config["format"] not in ("text", "json"):
        raise ConfigurationError(f"--format is {config['format']!r}: expected text or json")
    if "with-errors" in given and config.get("format") != "json":
        raise ConfigurationError("--with-errors needs --format=json")
    if "last" in given and not (config["last"].isdecimal() and int(config["last"])):
        raise ConfigurationError(f"--last is {config['last']!r}: expected a whole number, 1 or more")


def _add_crontabber(namespace: Namespace) -> None:
    namespace.add_option(
        "job_state_db_class", default=JobStateDatabase,
        from_string_converter=class_converter, doc="the class that stores the state of the jobs",
    )  # fmt: skip
    namespace.add_option(
        "jobs", default="", from_string_converter=classes_in_namespaces_converter_with_compression(),
        doc="the jobs: module.Class|FREQUENCY or module.Class|FREQUENCY|HH:MM, one per line or separated by commas;"
        " FREQUENCY is a number and m, h or d, for example 5m",
    )  # fmt: skip
    # Declared here as well, so that applications can change their defaults: these win for the state and for the jobs.
    for name in ("database_class", "transaction_executor_class"):
        namespace[name] = JobStateDatabase.required_config[name].copy()
    namespace.add_option(
        "error_retry_time", default=300, from_string_converter=_seconds,
        doc="seconds until a failed job is retried",
    )  # fmt: skip
    namespace.add_option(
        "max_ongoing_age_hours", default=12.0, from_string_converter=_hours,
        doc="hours until a job that is still marked as ongoing runs again, if nothing else shows that its process died",
    )  # fmt: skip
    namespace.add_option(
        "workers", default=1, from_string_converter=_workers,
        doc="how many jobs may run at the same time, each in a process of its own",
    )  # fmt: skip
    namespace.add_option(
        "executor_class", default=None, from_string_converter=class_converter,
        doc="the class that has other machines run the jobs, for example crontabber.engine.executors.Dask",
    )  # fmt: skip


def _in_utf_8(text: str) -> str:
    """Return the text as it was typed: in an ASCII locale Python turns other bytes into surrogates."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return text


def _seconds(text: str) -> int:
    seconds = int(text) if text.strip().isdecimal() else -1
    if not 0 <= seconds <= LONGEST.total_seconds():
        raise ValueError(f"expected a whole number of seconds, 0 to {LONGEST.total_seconds():.0f}")
    return seconds


def _workers(text: str) -> int:
    workers = int(text) if text.strip().isdecimal() else 0
    if not 1 <= workers <= MOST_WORKERS:
        raise ValueError(f"expected a whole number, 1 to {MOST_WORKERS}")
    return workers


def _hours(text: str) -> float:
    most = LONGEST.total_seconds() / 3600
    try:
        hours = float(text)
    except ValueError:
        hours = 0
    if not 0 < hours <= most:  # false for nan, too
        raise ValueError(f"expected a number of hours, more than 0 and at most {most:.0f}")
    return hours
