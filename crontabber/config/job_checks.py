"""Find mistakes in a job class that would show only when it runs, or never. Only --configtest looks for them."""

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from crontabber.base import BaseCronApp
from crontabber.config.definitions import options_in
from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.job import Job, path_of

ATTRIBUTES = ("app_name", "depends_on", "required_config")


def fault_of_run(job_class: Any) -> str | None:
    """Say why the first run is sure to fail: there is no `run`, or it does not take what decorators pass to it."""
    if not (_is_only_ours(job_class, "main") and _is_only_ours(job_class, "_run_proxy")):
        return None  # Its own code decides what is called, and with what.
    run = inspect.getattr_static(job_class, "run")
    arguments = ["self", *job_class._run_arguments, *["date"] * getattr(job_class, "_is_backfill_app", False)]
    wanted = f"def run({', '.join(arguments)})"
    if run is vars(BaseCronApp)["run"]:
        near = get_close_matches("run", vars(job_class), n=1)
        return f"jobs: {path_of(job_class)} has no run(){_did_you_mean(near)}: write {wanted}"
    if not inspect.isfunction(run):
        return None
    # Not what functools.wraps points to: a wrapper may pass on other arguments than it is given.
    signature = inspect.signature(run, follow_wrapped=False)
    try:
        signature.bind(*arguments)
    except TypeError as error:
        return f"jobs: {path_of(job_class)}: its run() cannot be called ({error}): write {wanted}"
    return None


def misspelt_attributes(job_class: type) -> Iterator[str]:
    """Yield a sentence for each attribute that nobody reads, but whose name is nearly one of ours."""
    for each in job_class.__mro__:
        own = vars(each)
        for name in own:
            if hasattr(BaseCronApp, name):
                continue
            near = get_close_matches(name.lower(), ATTRIBUTES, n=1, cutoff=0.8)
            if near and near[0] not in own:
                yield f"{path_of(each)}: crontabber does not read {name!r}{_did_you_mean(near)}"


def unset_options(job: Job, namespace: str) -> Iterator[str]:
    """Yield a sentence for each option of a job, in the namespace of this name, that has no value."""
    for key, option in options_in(job.job_class.get_required_config()).items():  # type: ignore[attr-defined]
        # Those of a resource may be empty.
        if option.default is None and not option.reference_value_from and job.config[key] is None:
            yield f"{path_of(job.job_class)}: {namespace}.{key} has no default and is not set, so it is None"


def unknown_dependencies(configured: ConfiguredJobs) -> Iterator[str]:
    """Yield a sentence for each dependency that is not configured here: another crontabber on the same database may
    run it."""
    known = configured.names()
    for job in configured.jobs:
        for name in job.depends_on:
            if name not in known:
                near = _did_you_mean(get_close_matches(name, known, n=1))
                yield (
                    f"{job.app_name} depends on {name!r}, which is not configured here{near}: {job.app_name} is held"
                    f" back until another crontabber on the same database has run {name!r}"
                )


def _is_only_ours(job_class: type, method: str) -> bool:
    """True if no class or decorator of the user's takes part in the method."""
    for each in job_class.__mro__:
        function = vars(each).get(method)
        while function is not None:
            # Not __module__, which functools.wraps copies.
            if getattr(function, "__globals__", {}).get("__name__") not in ("crontabber.base", "crontabber.mixins"):
                return False
            function = getattr(function, "__wrapped__", None)
    return True


def _did_you_mean(near: list[str]) -> str:
    return f" (did you mean {near[0]}?)" if near else ""
