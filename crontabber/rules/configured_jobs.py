"""Which jobs are configured, and which entries of the `jobs` setting are broken? Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from crontabber.errors import JobDescriptionError, JobNotFoundError
from crontabber.rules.dependencies import reorder_dag
from crontabber.rules.job import Job, path_of
from crontabber.rules.policy import DEFAULT, Policy


class BrokenEntry(NamedTuple):
    """An entry of the `jobs` setting that cannot run. `app_name` is None where the class cannot be imported."""

    path: str
    app_name: str | None = None


class Fault(NamedTuple):
    """What is wrong with the `jobs` setting: a sentence, and the entries that do not run because of it."""

    text: str
    entries: tuple[BrokenEntry, ...]


def entries_of(faults: Iterable[Fault]) -> set[BrokenEntry]:
    return {entry for fault in faults for entry in fault.entries}


class ConfiguredJobs(NamedTuple):
    """The jobs that can run, in the order of the setting, and the faults of all other entries."""

    jobs: list[Job]
    faults: Sequence[Fault] = ()

    def broken(self) -> list[BrokenEntry]:
        """Return the broken entries, sorted by path."""
        return sorted(entries_of(self.faults), key=lambda entry: entry.path)

    def nameless(self) -> list[str]:
        """Return the paths of the broken entries whose app_name is not known."""
        return [entry.path for entry in self.broken() if entry.app_name is None]

    def names(self) -> set[str]:
        """Return the app_names of all entries, as far as they are known."""
        broken = {entry.app_name for entry in entries_of(self.faults) if entry.app_name}
        return broken | {job.app_name for job in self.jobs}

    def policies(self) -> dict[str, Policy]:
        """Return the policy of each of these; the default one for those that are broken."""
        return dict.fromkeys(self.names(), DEFAULT) | {job.app_name: job.policy for job in self.jobs}

    def find(self, description: str, see: str = "--list-jobs") -> Job:
        """Find the job with this app_name or module.Class.

        JobDescriptionError with the faults of its entry; JobNotFoundError suggests similar names, or what to `see`.
        """
        for job in self.jobs:
            if description in (job.app_name, path_of(job.job_class)):
                return job
        if faults := [fault.text for fault in self.faults if any(description in entry for entry in fault.entries)]:
            raise JobDescriptionError(*faults)
        raise JobNotFoundError(f"unknown job {description!r}: {self._hint(description, see)}")

    def ghosts(self, stored: Iterable[str]) -> list[str]:
        """Return the stored app_names that no entry is known to have, sorted."""
        return sorted(set(stored) - self.names())

    def masked(self, mask: Callable[[str], str]) -> "ConfiguredJobs":
        """Return the same with secrets masked in the faults: the error of a module may quote one."""
        return self._replace(faults=[fault._replace(text=mask(fault.text)) for fault in self.faults])

    def held_back_by(self, fault: Fault) -> list[str]:
        """Return the app_names of the jobs that depend on the entries of the fault, directly or not."""
        names = {entry.app_name for entry in fault.entries if entry.app_name}
        return [job.app_name for job in self.jobs if job.broken_dependency in names]

    def with_unknown_dependency(self) -> list[str]:
        """Return the app_names of the jobs that depend on a name that no entry is known to have."""
        known = self.names()
        return [job.app_name for job in self.jobs if not known.issuperset(job.depends_on)]

    def _hint(self, description: str, see: str) -> str:
        from difflib import get_close_matches

        known = [name for job in self.jobs for name in (job.app_name, path_of(job.job_class))]
        if near := get_close_matches(description, known):
            return f"did you mean {' or '.join(near)}?"
        if nameless := self.nameless():
            return f"it may be a broken entry, such as {nameless[0]}: see --configtest"
        return f"see {see}"


def configured(jobs: Sequence[Job], faults: Sequence[Fault]) -> ConfiguredJobs:
    """Return the jobs and the faults, and note in each job on which broken entry it depends."""
    entries = ConfiguredJobs(list(jobs), faults)
    broken = {entry.app_name for entry in entries_of(faults) if entry.app_name} - {job.app_name for job in jobs}
    if not broken:
        return entries
    blocked = {name: name for name in broken}
    for job in reorder_dag(jobs):
        for name in job.depends_on:
            if name in blocked:
                blocked.setdefault(job.app_name, blocked[name])
    return entries._replace(jobs=[job._replace(broken_dependency=blocked.get(job.app_name)) for job in jobs])
