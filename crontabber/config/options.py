"""The options of the command line and of the namespace `crontabber`."""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial

from configman import Namespace
from configman.converters import boolean_converter, class_converter

from crontabber.config.jobs_setting import classes_in_namespaces_converter_with_compression
from crontabber.config.modes import MODES
from crontabber.config.policy_options import checked
from crontabber.rules.policy import parse_age, parse_duration
from crontabber.store.state_database import JobStateDatabase

# Anything longer is a typo, and would lead past the end of the calendar.
LONGEST = timedelta(days=3660)

MOST_WORKERS = 1000


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
    crontabber = options.namespace("crontabber")
    _add_crontabber(crontabber)
    _add_monitoring(crontabber)
    sentry = options.namespace("sentry")
    sentry.add_option(
        "dsn", default="", secret=True, reference_value_from="secrets.sentry",
        doc="the DSN (address and key) of the Sentry that gets the errors of jobs; empty: errors are not sent",
    )  # fmt: skip
    sentry.add_option(
        "client", default="raven", from_string_converter=_one_of("raven", "sentry_sdk"),
        doc="the library that sends the errors: raven, or sentry_sdk, which needs the package sentry-sdk",
    )  # fmt: skip
    sentry.add_option(
        "crons", default=False, from_string_converter=boolean_converter,
        doc="tell Sentry of the start and the end of each run, so that it notices a job that does not run",
    )  # fmt: skip
    sentry.add_option(
        "send_source", default=False, from_string_converter=boolean_converter,
        doc="send the lines of source around each frame of a traceback, too",
    )  # fmt: skip
    return options


def _add_crontabber(namespace: Namespace) -> None:
    namespace.add_option(
        "job_state_db_class", default=JobStateDatabase,
        from_string_converter=class_converter, doc="the class that stores the state of the jobs",
    )  # fmt: skip
    namespace.add_option(
        "jobs", default="", from_string_converter=classes_in_namespaces_converter_with_compression(),
        doc="the jobs: module.Class|FREQUENCY or module.Class|FREQUENCY|HH:MM, one per line or separated by commas;"
        " FREQUENCY is a number and m, h or d, for example 5m, or a cron expression; HH:MM or a cron expression may be"
        " followed by a time zone: |Europe/Berlin",
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
        "log_retention", default="", from_string_converter=_retention,
        doc="how long rows of crontabber_log are kept, for example 180d; empty: for ever",
    )  # fmt: skip
    namespace.add_option(
        "executor_class", default=None, from_string_converter=class_converter,
        doc="the class that has other machines run the jobs, for example crontabber.engine.executors.Dask",
    )  # fmt: skip


def _add_monitoring(namespace: Namespace) -> None:
    namespace.add_option(
        "tick_interval", default="5m", from_string_converter=partial(_duration, example="5m"),
        doc="how often cron starts crontabber: a job is overdue after two of it and a quarter of its own interval",
    )  # fmt: skip
    namespace.add_option(
        "prometheus_file", default="",
        doc="write metrics for Prometheus to this file after each tick; empty: none",
    )  # fmt: skip
    namespace.add_option(
        "status_page", default="",
        doc="the file into which ticks write an HTML page with the state of the jobs; empty: none",
    )  # fmt: skip
    namespace.add_option(
        "status_page_errors", default=False, from_string_converter=boolean_converter,
        doc="show the texts of errors on the status page, too",
    )  # fmt: skip
    namespace.add_option(
        "tick_ping_url", default="", secret=True, from_string_converter=partial(checked, "ping_url"),
        doc="the address that is told of the start and the end of each tick; empty: none",
    )  # fmt: skip
    namespace.add_option(
        "ping_format", default="healthchecks", from_string_converter=_one_of("healthchecks", "cronitor"),
        doc="the service that gets the pings of ticks and jobs: healthchecks or cronitor",
    )  # fmt: skip


def _in_utf_8(text: str) -> str:
    """Return the text as it was typed: in an ASCII locale Python turns other bytes into surrogates."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return text


def _one_of(*values: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text.strip() not in values:
            raise ValueError(f"expected {' or '.join(values)}")
        return text.strip()

    return convert


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


def _retention(text: str) -> str:
    """Return the text of a duration, or nothing. ValueError if it is neither."""
    return _duration(text, "180d", parse_age) if text.strip() else ""


def _duration(text: str, example: str, parse: Callable[[str], timedelta] = parse_duration) -> str:
    with suppress(ValueError):
        if parse(text):
            return text.strip()
    raise ValueError(f"expected a duration such as {example}, more than 0")


def _hours(text: str) -> float:
    most = LONGEST.total_seconds() / 3600
    try:
        hours = float(text)
    except ValueError:
        hours = 0
    if not 0 < hours <= most:  # false for nan, too
        raise ValueError(f"expected a number of hours, more than 0 and at most {most:.0f}")
    return hours
