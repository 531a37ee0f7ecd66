"""Say which entries of the `jobs` setting are broken, and which jobs they hold back."""

from collections.abc import Iterator, Sequence

from crontabber.commands import Application
from crontabber.config.option_faults import place_of_value
from crontabber.rules.configured_jobs import ConfiguredJobs, Fault

# If PYTHONPATH is wrong, every entry is broken.
MOST_LINES = 10
MOST_NAMES = 10


def log_broken_entries(app: Application, configured: ConfiguredJobs) -> None:
    """Log each fault as an error: where it is, what is wrong, what does not run because of it."""
    place = app.config_manager and place_of_value(app.config_manager, "crontabber.jobs")
    for line in lines_about(configured):
        app.config.logger.error("%s", f"{place}: {line}" if place and line.startswith("jobs: ") else line)


def lines_about(configured: ConfiguredJobs) -> Iterator[str]:
    """Yield a line for each fault; the last one stands for all that would be too many."""
    faults = configured.faults
    shown = faults if len(faults) <= MOST_LINES else faults[: MOST_LINES - 1]
    for fault in shown:
        yield f"{fault.text}; {_consequence(configured, fault)}"
    if len(shown) < len(faults):
        yield f"jobs: {len(faults) - len(shown)} more faults: --configtest lists them all"


def _consequence(configured: ConfiguredJobs, fault: Fault) -> str:
    several = len(fault.entries) > 1
    consequence = f"until this is fixed, {'they do' if several else 'it does'} not run"
    if held_back := configured.held_back_by(fault):
        return f"{consequence} and {'hold' if several else 'holds'} back {_listed(held_back)}"
    if any(entry.app_name is None for entry in fault.entries) and (waiting := configured.with_unknown_dependency()):
        return f"{consequence} and may hold back {_listed(waiting)}"
    return consequence


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
