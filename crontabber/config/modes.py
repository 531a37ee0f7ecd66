"""The modes of the command line: one for each file in commands/, and the options that change what a mode does."""

from collections.abc import Callable, Mapping
from typing import Any

from configman import Namespace

from crontabber.errors import ConfigurationError

# name -> (short form, does it take a value, doc)
MODES = {
    "job": ("j", True, "run only this job (its app_name or module.Class), if it is due"),
    "force": ("f", False, "with --job: run the job even if it is not due or is held back"),
    "dry-run": ("", False, "say what a tick, --job, or a mode that changes something would do now; nothing is changed"),
    "status": ("", False, "print a table of the jobs: how each one is, when it runs next, and why it does not run"),
    "status-page": ("", True, "write the same into this file, as HTML with a picture of the jobs"),
    "explain": ("", True, "say everything about one job: what holds it back, what happens next, its policy"),
    "history": ("", True, "list the last runs of one job"),
    "last": ("", True, "with --history: how many runs to list (20)"),
    "list-jobs": ("l", False, "list the configured jobs and their state; with --job, only that one"),
    "configtest": ("", False, "check the configuration of the jobs; the exit code is the number of faults"),
    "sentrytest": ("", False, "send a test message to Sentry"),
    "audit-ghosts": ("", False, "list the jobs that are in the state database but not configured here"),
    "reset-job": ("r", True, "forget the state of this job (its app_name or module.Class)"),
    "pause": ("", True, "do not run these jobs (names with commas between them, or all) until --resume"),
    "resume": ("", True, "end the pause of these jobs, or that they gave up"),
    "reason": ("", True, "with --pause: why, for those who ask"),
    "rerun": ("", True, "run this job once more, a backfill job for the dates of --date, or of --from and --to"),
    "mark-success": ("", True, "store a success of these jobs without running them; of a backfill job, its next date"),
    "rewind": ("", True, "have this backfill job run all dates from --to on once more"),
    "date": ("", True, "with --rerun: the date; with --mark-success: the last date"),
    "from": ("", True, "with --rerun: the first date"),
    "to": ("", True, "with --rerun: the last date; with --rewind: the first date"),
    "also-dependents": ("", False, "with --rerun: then run the jobs that depend on this one"),
    "prune-log": ("", False, "delete the rows of crontabber_log that are older than --older-than"),
    "older-than": ("", True, "with --prune-log: a duration such as 180d"),
    "yes": ("", False, "with a mode that changes something: do it without asking"),
    "nagios": ("n", False, "print the health of the jobs on one line, and exit with the code that Nagios expects"),
    "check": ("", False, "print the health of the jobs with performance data, and exit as plugins of Nagios do"),
    "warning": ("", True, "with --check: what is worth a warning, for example overdue=0,tick_age=900"),
    "critical": ("", True, "with --check: what is critical, for example failing=0,tick_age=1800"),
    "prometheus": ("", True, "write metrics to this file, for the textfile collector of Prometheus' node exporter"),
    "format": ("", True, "with a mode that answers: json prints the same facts for programs"),
    "with-errors": ("", False, "with --format=json: include the texts of errors"),
    "version": ("v", False, "print the version"),
}
ANSWERS = ("status", "explain", "history", "list-jobs", "audit-ghosts", "dry-run", "check")
CHANGES = ("pause", "resume", "rerun", "mark-success", "rewind", "prune-log", "reset-job")

# Options that change what a mode does -> the modes that they go with.
MODIFIERS = {
    "force": ("job", "dry-run"),
    "last": ("history",),
    "reason": ("pause",),
    "date": ("rerun", "mark-success"),
    "from": ("rerun",),
    "to": ("rerun", "rewind"),
    "also-dependents": ("rerun",),
    "older-than": ("prune-log",),
    "warning": ("check",),
    "critical": ("check",),
    "yes": CHANGES,
    "format": ANSWERS,
    "with-errors": ANSWERS,
}
OF_THE_ORIGINAL = frozenset(
    ("job", "force", "list-jobs", "configtest", "sentrytest", "audit-ghosts", "reset-job", "nagios", "version")
)
# Modes whose value is not a job.
FILES = ("prometheus", "status-page")
# What a mode cannot do without.
NEEDED = {"rewind": "to", "prune-log": "older-than"}
# Modes that another one may narrow to a job.
NARROWED = ("list-jobs", "dry-run")


def mode_of(config: Mapping[str, Any], options_of_application: Callable[[], Namespace]) -> str | None:
    """Return the requested mode, None for a tick. ConfigurationError if it is ambiguous."""
    given = [name for name in MODES if config.get(name) not in (None, False)]
    if not OF_THE_ORIGINAL.issuperset(given):
        given = [name for name in given if name in OF_THE_ORIGINAL or is_ours(name, options_of_application())]
    asked = [name for name in given if name not in MODIFIERS]
    if any(name in NARROWED for name in asked):
        asked = [name for name in asked if name != "job"]
    if any(name in CHANGES for name in asked):
        asked = [name for name in asked if name != "dry-run"]
    if len(asked) > 1:
        *others, last = (f"--{name}" for name in asked)
        raise ConfigurationError(f"{', '.join(others)} and {last} cannot be combined: choose one")
    for name in given:
        if MODES[name][1] and name not in MODIFIERS and not config[name].strip():
            wanted = "the name of a file" if name in FILES else "the app_name or the module.Class of a job"
            raise ConfigurationError(f"--{name} is empty: give it {wanted}")
    mode = asked[0] if asked else None
    _check_modifiers(config, mode, [name for name in given if name in MODIFIERS])
    return mode


def is_ours(name: str, options: Namespace) -> bool:
    """False if an application that is older than this mode has an option of its own by that name."""
    return bool(options[name].doc == MODES[name][2])


def _check_modifiers(config: Mapping[str, Any], mode: str | None, given: list[str]) -> None:
    """ConfigurationError if an option does not go with the mode, or its value makes no sense."""
    if "force" in given and not (mode in MODIFIERS["force"] and config.get("job")):
        raise ConfigurationError("--force needs --job: together they run one job even if it is not due")
    for name in given:
        if mode not in MODIFIERS[name]:
            *others, last = (f"--{each}" for each in MODIFIERS[name])
            raise ConfigurationError(f"--{name} needs {', '.join(others)}{' or ' if others else ''}{last}")
    needed = NEEDED.get(mode or "")
    if needed and needed not in given:
        raise ConfigurationError(f"--{mode} needs --{needed}")
    if "date" in given and ("from" in given or "to" in given):
        raise ConfigurationError("--date is one date, --from and --to are a range: choose one")
    if mode == "rerun" and ("from" in given) != ("to" in given):
        raise ConfigurationError("--rerun needs both --from and --to, or --date")
    if "format" in given and config["format"] not in ("text", "json"):
        raise ConfigurationError(f"--format is {config['format']!r}: expected text or json")
    if "with-errors" in given and config.get("format") != "json":
        raise ConfigurationError("--with-errors needs --format=json")
    if "last" in given and not (config["last"].isdecimal() and int(config["last"])):
        raise ConfigurationError(f"--last is {config['last']!r}: expected a whole number, 1 or more")
