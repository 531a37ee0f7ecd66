"""A configured job, and how to find one by name. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from crontabber.errors import JobNotFoundError
from crontabber.rules.schedule import Schedule


class Job(NamedTuple):
    """A configured job: `config` is the namespace with its options, `depends_on` has app_names."""

    app_name: str
    job_class: type
    config: Any
    schedule: Schedule
    depends_on: tuple[str, ...] = ()

    @property
    def is_backfill(self) -> bool:
        return bool(getattr(self.job_class, "_is_backfill_app", False))


def path_of(job_class: type) -> str:
    """Return `module.Class`."""
    return f"{job_class.__module__}.{job_class.__name__}"


def ghosts_of(stored: Iterable[str], configured: Iterable[Job]) -> list[str]:
    """Return the stored app_names that no configured job has, sorted."""
    return sorted(set(stored) - {job.app_name for job in configured})


def find_job(jobs: Sequence[Job], description: str) -> Job:
    """Find the job with this app_name or module.Class. JobNotFoundError suggests similar names."""
    for job in jobs:
        if description in (job.app_name, path_of(job.job_class)):
            return job
    from difflib import get_close_matches

    known = [name for job in jobs for name in (job.app_name, path_of(job.job_class))]
    near = get_close_matches(description, known)
    hint = f"did you mean {' or '.join(near)}?" if near else "see --list-jobs"
    raise JobNotFoundError(f"unknown job {description!r}: {hint}")
