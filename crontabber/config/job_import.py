"""Import the class that an entry of the `jobs` setting names, or say why that is impossible."""

import os
from importlib import import_module

from crontabber.base import BaseCronApp
from crontabber.errors import OURS, JobDescriptionError, JobNotFoundError
from crontabber.rules.text import one_line

STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep


def load_job_class(path: str | type) -> type:
    job_class = load_class(path) if isinstance(path, str) else path
    if not (isinstance(job_class, type) and issubclass(job_class, BaseCronApp)):
        raise JobDescriptionError(f"jobs: {path} is not a job class: derive it from crontabber.base.BaseCronApp")
    return job_class


def load_class(path: str) -> type:
    """Import `module.Class`. JobNotFoundError says which part is missing, or what the module raised."""
    module_name, _, class_name = path.rpartition(".")
    if not module_name:
        raise JobNotFoundError(f"jobs: {path!r} names no module: expected module.Class")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise JobNotFoundError(f"jobs: {path}: no module named {error.name!r} (is PYTHONPATH right?)") from error
        raise _broken_module(path, module_name, error) from error
    except (Exception, SystemExit) as error:
        raise _broken_module(path, module_name, error) from error
    try:
        return getattr(module, class_name)  # type: ignore[no-any-return]
    except AttributeError as error:
        raise JobNotFoundError(f"jobs: {path}: module {module_name} has no class {class_name!r}") from error


def _broken_module(path: str, module_name: str, error: BaseException) -> JobNotFoundError:
    said = one_line(f"{type(error).__name__}: {error}")
    return JobNotFoundError(f"jobs: {path}: importing {module_name} raised {said}{_place_of(error)}")


def _place_of(error: BaseException) -> str:
    """Say where in the user's code it was raised; a SyntaxError says so itself."""
    frame, place = error.__traceback__, ""
    while frame is not None and not isinstance(error, SyntaxError):
        file = frame.tb_frame.f_code.co_filename
        if not file.startswith((OURS, "<frozen ")) and (not file.startswith(STANDARD_LIBRARY) or "-packages" in file):
            place = f" ({file}, line {frame.tb_lineno})"
        frame = frame.tb_next
    return place
