"""A configured job. Pure."""

from datetime import tzinfo
from typing import Any, NamedTuple

from crontabber.rules.policy import DEFAULT, Policy
from crontabber.rules.schedule import Schedule


class Job(NamedTuple):
    """A configured job: `config` is the namespace with its options, `depends_on` has app_names.

    `zone` is that of its times and dates, None if it is the server's. Rules that take a job get the server's, too.

    `broken_dependency` is the app_name of a broken entry that it depends on, directly or through other jobs.
    """

    app_name: str
    job_class: type
    config: Any
    schedule: Schedule
    depends_on: tuple[str, ...] = ()
    policy: Policy = DEFAULT
    broken_dependency: str | None = None
    zone: tzinfo | None = None

    @property
    def is_backfill(self) -> bool:
        return bool(getattr(self.job_class, "_is_backfill_app", False))


def path_of(job_class: type) -> str:
    """Return `module.Class`."""
    return f"{job_class.__module__}.{job_class.__name__}"
