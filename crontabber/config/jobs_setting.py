"""Parse the `jobs` setting: from its text to job classes and the namespaces of their options."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from configman import Namespace, RequiredConfig

from crontabber.config.entries import get_extra_as_options, line_splitter, pipe_splitter, zone_of_entry
from crontabber.config.job_faults import entry_of, fault_of, faults_of_classes, required_config_of, source_of_options
from crontabber.config.job_import import load_job_class
from crontabber.config.policy_options import policy_reader
from crontabber.errors import CrontabberError, JobDescriptionError, JobsSettingError
from crontabber.rules.configured_jobs import BrokenEntry, ConfiguredJobs, Fault, configured, entries_of
from crontabber.rules.dependencies import names_in
from crontabber.rules.job import Job, path_of
from crontabber.rules.schedule import parse_schedule


def classes_in_namespaces_converter_with_compression(
    reference_namespace: Any = None,
    template_for_namespace: str = "class-%(name)s",
    list_splitter_fn: Callable[[str], Sequence[str]] = line_splitter,
    class_extractor: Callable[[str], str | type] = pipe_splitter,
    extra_extractor: Callable[[str], Namespace] = get_extra_as_options,
) -> Callable[[str], type]:
    """Return a configman converter that turns the text of the setting into a class.

    The class's required_config has a namespace with the options of each job; its `class_list` is [(NAME, class), ...]
    in the order of the setting. The converter raises JobNotFoundError or JobDescriptionError with every fault of the
    setting; its `job_list` is the class of the entries without one, which knows the `faults` of the others.
    `class_extractor` may return a class in place of its path. `reference_namespace` is accepted for compatibility:
    configman itself resolves shared options.
    """

    def convert(text: str) -> type:
        return _job_list(list_splitter_fn(text), template_for_namespace, class_extractor, extra_extractor)

    return convert


def configured_jobs(job_list: Any, config: Any) -> ConfiguredJobs:
    """Return the jobs and the faults of a converted setting. `config` is the namespace that contains theirs."""
    found_before = getattr(job_list, "faults", [])
    faults = [*found_before, *faults_of_classes(job_list.class_list)]
    refused, broken = entries_of(found_before), entries_of(faults)
    jobs, policy_of, with_zone = [], policy_reader(config), getattr(job_list, "namespaces_with_zone", ())
    for (_, job_class), namespace in zip(job_list.class_list, job_list.subordinate_namespace_names, strict=True):
        if refused and entry_of(job_class) in refused:
            continue
        job_config = config[namespace]
        try:
            schedule = parse_schedule(job_config.frequency, job_config.time)
            policy = policy_of(job_config, job_class)
            zone = zone_of_entry(job_config) if namespace in with_zone else policy.timezone
        except CrontabberError as error:
            faults.append(_fault_of_schedule(job_class, error))
            continue
        if not broken or entry_of(job_class) not in broken:
            depends_on = names_in(getattr(job_class, "depends_on", None))
            app_name: str = job_class.app_name  # type: ignore[attr-defined]
            jobs.append(Job(app_name, job_class, job_config, schedule, depends_on, policy, zone=zone))
    return configured(jobs, faults) if faults else ConfiguredJobs(jobs)


def jobs_of(job_list: Any, config: Any) -> list[Job]:
    """Return the same jobs. JobDescriptionError with every fault, if there is one."""
    jobs, faults = configured_jobs(job_list, config)
    if faults:
        raise JobDescriptionError(*(fault.text for fault in faults))
    return jobs


class _Entries:
    """The parsed entries: classes, their options, and what is wrong with the others."""

    def __init__(self) -> None:
        self.class_list: list[tuple[str, type]] = []
        self.required_configs: dict[str, Namespace] = {}
        self.options: dict[str, Namespace] = {}
        self.faults: list[Fault] = []
        self.first_error: JobsSettingError | None = None

    def refuse(self, entry: BrokenEntry, error: JobsSettingError) -> None:
        self.faults += [Fault(text, (entry,)) for text in error.faults]
        self.first_error = self.first_error or error


def _job_list(
    entries: Sequence[str], template: str, class_extractor: Callable[[str], str | type],
    extra_extractor: Callable[[str], Namespace],
) -> type:  # fmt: skip
    loaded = _load(entries, class_extractor, extra_extractor)
    job_list = _class_of(loaded, entries, template)
    if loaded.first_error:
        faults = [*loaded.faults, *faults_of_classes(loaded.class_list), *_faults_of_schedules(loaded)]
        error = type(loaded.first_error)(*(fault.text for fault in faults))
        error.job_list = job_list
        raise error from loaded.first_error
    return job_list


def _class_of(loaded: _Entries, entries: Sequence[str], template: str) -> type:
    class JobList(RequiredConfig):
        """The classes of the `jobs` setting."""

        required_config = Namespace()
        class_list = loaded.class_list
        subordinate_namespace_names = [template % {"name": name} for name, _ in loaded.class_list]
        # A job may have an option of its own that is called `timezone`.
        namespaces_with_zone = {
            template % {"name": name} for name, options in loaded.options.items() if "timezone" in options
        }
        original_input = list(entries)
        faults = loaded.faults
        broken_namespaces = [
            template % {"name": entry.path.rpartition(".")[2]} for fault in loaded.faults for entry in fault.entries
        ]

        @classmethod
        def to_str(cls) -> str:
            """Return the setting as text, for --help and configuration files."""
            return ", ".join(cls.original_input)

    for name, _ in loaded.class_list:
        options = _merged_options(loaded.required_configs[name], loaded.options[name])
        JobList.required_config[template % {"name": name}] = options
    return JobList


def _merged_options(required_config: Namespace, of_its_entry: Namespace) -> Namespace:
    if not required_config:
        return of_its_entry
    options = Namespace()
    options.update(required_config)
    options.update(of_its_entry)
    return options


def _load(
    entries: Sequence[str], class_extractor: Callable[[str], str | type], extra_extractor: Callable[[str], Namespace]
) -> _Entries:
    loaded = _Entries()
    known: dict[tuple[Any, ...], Namespace] = {}
    for entry in entries:
        options = job_class = None
        try:
            options = extra_extractor(entry)
            job_class = load_job_class(class_extractor(entry))
            # Most jobs require the same options: none.
            asked = (source_of_options(job_class), *options)
            required_config = known.get(asked)
            if required_config is None:
                required_config = known[asked] = required_config_of(job_class, options)
        except JobsSettingError as error:
            if options is None:  # Import its class all the same: the app_name tells which jobs depend on it.
                with suppress(JobsSettingError):
                    job_class = load_job_class(class_extractor(entry))
            loaded.refuse(entry_of(job_class) if job_class else BrokenEntry(pipe_splitter(entry)), error)
            continue
        name = job_class.__name__
        loaded.class_list.append((name, job_class))
        loaded.required_configs[name], loaded.options[name] = required_config, options
    return loaded


def _faults_of_schedules(loaded: _Entries) -> list[Fault]:
    faults = []
    for name, job_class in loaded.class_list:
        options = loaded.options[name]
        try:
            parse_schedule(options.frequency.default, options.time.default)
        except CrontabberError as error:
            faults.append(_fault_of_schedule(job_class, error))
    return faults


def _fault_of_schedule(job_class: type, error: CrontabberError) -> Fault:
    return fault_of(job_class, f"jobs: {path_of(job_class)}: {error}")
