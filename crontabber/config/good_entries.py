"""Go on with those entries of the `jobs` setting that have no fault: a bad entry stops only itself."""

from collections.abc import Iterator
from typing import Any

from configman.option import Option

from crontabber.config.definitions import options_in
from crontabber.config.job_faults import fault_of
from crontabber.config.option_faults import faults_of_values, faults_that_went_unnoticed
from crontabber.errors import ConfigurationError, JobDescriptionError, JobsSettingError


class GoodEntries:
    """The part of our manager that keeps an error from stopping every job. What is wrong is noted in the `faults` of
    the converted setting."""

    option_definitions: Any
    # Set for an application that looks at these faults. For any other, each error stops everything.
    reports_broken_entries = False

    # The error of the setting, if the configuration goes on without some of its entries.
    jobs_error: JobsSettingError | None = None
    _job_list: Any = None
    _refused: frozenset[str] = frozenset()

    def go_on_without(self, key: str, option: Option, error: BaseException) -> None:
        """Go on after a converter has refused a value, if that concerns only some jobs. Otherwise raise the error."""
        if not self.reports_broken_entries:
            raise error
        if isinstance(error, JobsSettingError) and error.job_list is not None:
            self.jobs_error, self._job_list = error, error.job_list
            option.set_value(error.job_list)
        elif not self._stop_job_of(key, faults_of_values(self, {key: option})):
            raise error
        else:
            self._refused |= {key}

    def check_values(self, options: dict[str, Option]) -> None:
        """ConfigurationError for values that configman should have refused, unless that concerns only some jobs."""
        if not faults_that_went_unnoticed(self, options):
            return
        others = {
            key: option
            for key, option in options.items()
            if key not in self._refused and not self._stop_job_of(key, faults_that_went_unnoticed(self, {key: option}))
        }
        if faults := faults_that_went_unnoticed(self, others):
            raise ConfigurationError("\n".join(faults))

    def insist_on_all_entries(self) -> None:
        """Raise the faults of entries: what is about to be written would lack their options."""
        if self._job_list and self._job_list.faults:
            raise JobDescriptionError(*(fault.text for fault in self._job_list.faults))

    def is_of_broken_entry(self, key: str) -> bool:
        """True for an option that a broken entry might ask for."""
        names = self._job_list.broken_namespaces if self._job_list else ()
        return any(f".{name}." in f".{key}" for name in names)

    def _stop_job_of(self, key: str, faults: list[str]) -> bool:
        """Note the faults of an option as those of its job. False if there are none, or no job has the option."""
        for prefix, job_class, job_list in self._jobs() if faults and self.reports_broken_entries else ():
            if key.startswith(prefix):
                job_list.faults += [fault_of(job_class, text) for text in faults]
                self._job_list = job_list
                return True
        return False

    def _jobs(self) -> Iterator[tuple[str, type, Any]]:
        """Yield for each job how its options begin, its class, and the converted setting."""
        for key, option in options_in(self.option_definitions).items():
            if hasattr(option.value, "broken_namespaces"):
                parent = key.rpartition(".")[0]
                names = option.value.subordinate_namespace_names
                for (_, job_class), name in zip(option.value.class_list, names, strict=True):
                    yield f"{parent}.{name}." if parent else f"{name}.", job_class, option.value
