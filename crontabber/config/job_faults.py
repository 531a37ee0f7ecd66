"""Find faults of the configured job classes, one by one and all together."""

from collections.abc import Iterable, Sequence
from typing import Any

from configman import Namespace, RequiredConfig

from crontabber.errors import CrontabberError, JobDescriptionError
from crontabber.rules.dependencies import names_in, reorder_dag
from crontabber.rules.job import path_of
from crontabber.rules.text import one_line
from crontabber.store.rows import storable

# A character may take four bytes, and an index entry holds 2,704 at most.
LONGEST_NAME = 600

ClassList = Sequence[tuple[str, type]]


def faults_of_classes(class_list: ClassList) -> list[str]:
    """Return one sentence per fault; none if the classes can run together."""
    faults = [fault for _, job_class in class_list for fault in _faults_of_class(job_class)]
    faults += _repeated(class_list)
    if not faults:
        try:
            reorder_dag([job_class for _, job_class in class_list])
        except CrontabberError as error:
            faults.append(f"jobs: {error}")
    return faults


def required_config_of(job_class: Any, of_its_entry: Iterable[str]) -> Namespace:
    """Return the options of a job class. JobDescriptionError if they are invalid or collide with reserved names;
    `of_its_entry` are the names of the options that its entry in the setting defines."""
    path = path_of(job_class)
    try:
        options = job_class.get_required_config()
        names = list(options)
    except Exception as error:
        said = one_line(str(error))
        raise JobDescriptionError(
            f"jobs: {path}: cannot read its required_config, expected a Namespace ({type(error).__name__}: {said})"
        ) from error
    # configman looks up options and methods of a namespace in the same place.
    taken = [name for name in names if name in of_its_entry or hasattr(Namespace, name)]
    if taken:
        raise JobDescriptionError(
            *(f"jobs: {path}: rename its option {name!r}: that name is reserved" for name in taken)
        )
    return options


def source_of_options(job_class: type) -> type:
    """Return the class whose required_config is all that a job class requires: itself, or a base."""
    asked: Any = job_class
    collects = getattr(getattr(asked, "get_required_config", None), "__func__", None)
    if collects is not RequiredConfig.get_required_config.__func__:
        return job_class
    while "required_config" not in vars(asked) and len(asked.__bases__) == 1:
        asked = asked.__bases__[0]
    return asked  # type: ignore[no-any-return]


def _faults_of_class(job_class: Any) -> list[str]:
    path = path_of(job_class)
    app_name, depends_on = getattr(job_class, "app_name", None), getattr(job_class, "depends_on", None)
    faults = []
    if not (isinstance(app_name, str) and app_name.strip()):
        faults.append(f"jobs: {path} has no app_name: set it to a unique name")
    elif fault := _fault_of_name(app_name):
        faults.append(f"jobs: {path}: its app_name {fault}")
    if depends_on is not None and not _is_names(depends_on):
        faults.append(f"jobs: {path}: depends_on is {depends_on!r}: expected an app_name, or a list or tuple of them")
    elif app_name and app_name in names_in(depends_on):
        faults.append(f"jobs: {path}: {app_name!r} depends on itself: remove it from depends_on")
    return faults


def _fault_of_name(app_name: str) -> str | None:
    """Say why PostgreSQL cannot store or index the name; None if it can."""
    if storable(app_name) != app_name:
        return f"{app_name!r} contains a character that PostgreSQL does not accept"
    if len(app_name) > LONGEST_NAME:
        return f"has {len(app_name)} characters: at most {LONGEST_NAME} are allowed"
    return None


def _is_names(depends_on: Any) -> bool:
    if isinstance(depends_on, str):
        return True
    return isinstance(depends_on, (list, tuple)) and all(isinstance(name, str) for name in depends_on)


def _repeated(class_list: ClassList) -> list[str]:
    """Find a class that is listed twice, two classes with one name, two jobs with one app_name."""
    faults: list[str] = []
    classes: dict[str, type] = {}
    app_names: dict[Any, type] = {}
    for name, job_class in class_list:
        path, app_name = path_of(job_class), getattr(job_class, "app_name", None)
        other = classes.get(name)
        if other is job_class:
            faults.append(f"jobs: {path} is listed twice: remove one of the entries")
        elif other is not None:
            pair = f"{path_of(other)} and {path}"
            faults.append(f"jobs: {pair} have the same class name, so their options would collide: rename one of them")
        elif app_name and app_name in app_names:
            pair = f"{path_of(app_names[app_name])} and {path}"
            faults.append(f"jobs: {pair} have the same app_name, {app_name!r}: change one of them")
        classes[name] = job_class
        app_names[app_name] = job_class
    return faults
