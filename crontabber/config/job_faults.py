"""Find faults of the configured job classes, one by one and all together."""

from collections.abc import Iterable, Sequence
from typing import Any

from configman import Namespace, RequiredConfig

from crontabber.errors import JobDescriptionError
from crontabber.rules.configured_jobs import BrokenEntry, Fault, entries_of
from crontabber.rules.dependencies import circles, circular, names_in
from crontabber.rules.job import path_of
from crontabber.rules.text import one_line
from crontabber.store.rows import storable

# A character may take four bytes, and an index entry holds 2,704 at most.
LONGEST_NAME = 600

ClassList = Sequence[tuple[str, type]]


def faults_of_classes(class_list: ClassList) -> list[Fault]:
    """Return one fault per mistake, with the entries that it stops; none if the classes can run together."""
    faults = [fault_of(job_class, text) for _, job_class in class_list for text in _faults_of_class(job_class)]
    faults += _repeated(class_list)
    broken = entries_of(faults)
    classes: list[Any] = [job_class for _, job_class in class_list]
    jobs = {each.app_name: each for each in classes if not broken or entry_of(each) not in broken}
    for circle in circles({name: names_in(job_class.depends_on) for name, job_class in jobs.items()}):
        faults.append(Fault(f"jobs: {circular(circle)}", tuple(entry_of(jobs[name]) for name in circle[1:])))
    return faults


def fault_of(job_class: type, text: str) -> Fault:
    """Return a fault of one class."""
    return Fault(text, (entry_of(job_class),))


def entry_of(job_class: type) -> BrokenEntry:
    app_name = getattr(job_class, "app_name", None)
    return BrokenEntry(path_of(job_class), app_name if isinstance(app_name, str) and app_name.strip() else None)


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


def _repeated(class_list: ClassList) -> list[Fault]:
    """Find a class that is listed twice, two classes with one name, two jobs with one app_name."""
    faults: list[Fault] = []
    classes: dict[str, type] = {}
    app_names: dict[str | None, type] = {}
    for name, job_class in class_list:
        path, app_name = entry_of(job_class)
        other = classes.get(name)
        if other is job_class:
            faults.append(fault_of(job_class, f"jobs: {path} is listed twice: remove one of the entries"))
        elif other is not None:
            said = "have the same class name, so their options would collide: rename one of them"
            faults.append(_fault_of_pair(other, job_class, said))
        elif app_name and app_name in app_names:
            said = f"have the same app_name, {app_name!r}: change one of them"
            faults.append(_fault_of_pair(app_names[app_name], job_class, said))
        classes[name] = job_class
        app_names[app_name] = job_class
    return faults


def _fault_of_pair(first: type, second: type, said: str) -> Fault:
    return Fault(f"jobs: {path_of(first)} and {path_of(second)} {said}", (entry_of(first), entry_of(second)))
