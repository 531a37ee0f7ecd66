"""Declare the options of policies, but only those that a source of the configuration names: most jobs have none."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial, reduce
from typing import Any

from configman import Namespace
from configman.option import Option

from crontabber.config.command_line import asks_for
from crontabber.config.definitions import flattened
from crontabber.errors import PolicyError
from crontabber.rules.policy import DEFAULT, PARSERS, Policy, parse, policy_of, policy_set_by

DOCS = {
    "timeout": "how long a job may run: then it is ended, and has failed; 0: as long as it likes",
    "kill_timeout": "how long a job that was ended at its timeout may take to clean up before it is killed",
    "error_retry_time": "how long to wait after a failure before the job is retried",
    "error_retry_factor": "the wait grows by this factor with each failure in a row",
    "error_retry_max_time": "the longest wait that error_retry_factor leads to",
    "catchup": "how many outstanding dates a backfill job runs: all, latest, or a number; older ones are skipped",
    "timezone": "the time zone of the job's time of day and dates; default: that of the PostgreSQL server",
    "max_errors": "after so many failures in a row the job gives up, until it is forced or reset; 0: never",
    "ping_url": "the address that is told of the start and the end of each run; {app_name} stands for the job",
}


def policy_names(manager: Any) -> list[str]:
    """Return the dotted name of each option of a policy that a source sets; for --help also those for all jobs."""
    names: set[str] = set()
    for source in manager.values_source_list:
        words = getattr(source, "argv_source", None)
        if words is None:
            values = source.get_values(manager, True, manager.value_source_object_hook)
            names.update(flattened(values) or ())
        else:
            names.update(word[2:].partition("=")[0] for word in words)
            names.update(f"crontabber.policy.{name}" for name in PARSERS if asks_for(words, "help"))
    return sorted(name for name in names if _is_of_policy(name.split(".")))


def declare(names: Iterable[str], definitions: Namespace) -> None:
    """Declare the named options, if the job that they belong to is known by now."""
    for name in names:
        *section, policy, option = name.split(".")
        job = reduce(_member, section, definitions)
        if job is None:
            continue
        if policy not in job:
            job.namespace(policy)
        options = _member(job, policy)  # None if the job has an option of its own that is called `policy`
        if options is not None and option not in options:
            options[option] = _option(option)


def possible_names(name: str) -> list[str]:
    """Return what a mistyped name of an option of a policy may have meant."""
    section, _, option = name.rpartition(".")
    return [f"{section}.{each}" for each in PARSERS] if section.endswith(".policy") and option not in PARSERS else []


def checked(name: str, text: Any) -> Any:
    """Return the text as it is, so that it can be written to a file again. ValueError if it is not valid."""
    try:
        parse(name, text)
    except PolicyError as error:
        raise ValueError(error.expected) from None
    return text


def policy_reader(config: Any) -> Callable[[Any, type], Policy]:
    """Return a function that takes the namespace of a job and its class, and returns its policy.

    The namespace wins over the class, which wins over `config`, the namespace `crontabber`. PolicyError if a class sets
    something that is not valid.
    """
    # An application of the user's own may not have this option.
    retry = vars(config).get("error_retry_time", DEFAULT.error_retry_time)
    common = {"error_retry_time": retry} | _policy_section(config)
    policy_of_most = policy_of(common)

    def policy(job_config: Any, job_class: type) -> Policy:
        by_class, own = policy_set_by(job_class), _policy_section(job_config)
        return policy_of(common, by_class, own) if by_class or own else policy_of_most

    return policy


def policy_sources(config: Any, job_config: Any, job_class: type, section: str) -> dict[str, str]:
    """Return where each value of a job's policy comes from; `section` is the name of the job's namespace."""
    sources = dict.fromkeys(PARSERS, "default") | {"error_retry_time": "crontabber.error_retry_time"}
    sources |= {name: f"crontabber.policy.{name}" for name in _policy_section(config)}
    sources |= dict.fromkeys(policy_set_by(job_class), f"the attribute policy of {job_class.__name__}")
    return sources | {name: f"crontabber.{section}.policy.{name}" for name in _policy_section(job_config)}


def _policy_section(config: Any) -> dict[str, Any]:
    # Not by get(): a job's namespace would acquire that of all jobs.
    section = vars(config).get("policy")
    if not isinstance(section, Mapping):
        return {}
    return {name: value for name, value in section.items() if name in PARSERS and value is not None}


def _member(namespace: Any, name: str) -> Any:
    """Return the namespace of this name in another; None if there is none."""
    member = vars(namespace).get(name) if namespace is not None else None
    return member if isinstance(member, Namespace) else None


def _is_of_policy(parts: list[str]) -> bool:
    """True for crontabber.policy.NAME and crontabber.class-CLASS.policy.NAME."""
    return len(parts) in (3, 4) and parts[0] == "crontabber" and parts[-2] == "policy" and parts[-1] in PARSERS


def _option(name: str) -> Option:
    converter = partial(checked, name)
    return Option(name, default=None, doc=DOCS[name], from_string_converter=converter, secret=name == "ping_url")
