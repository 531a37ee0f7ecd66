"""Repair the modules of configman as they are imported, or at once if they are already loaded.

configman 1.3.0 asks `collections`, `inspect` and `six` for names that are gone, or were never there. It gets private
views of these modules that have the names; the modules themselves stay as they are, since other code in this process
may use them. The views also avoid slow imports for the sake of a few one-line functions.
"""

from __future__ import annotations

import builtins
import io
import os.path
import sys
from functools import cache, reduce
from types import FunctionType, ModuleType

from crontabber.configman_compat.faults import REPAIRS

TYPE_CHECKING = False  # as in typing, which takes 4 ms to import; importlib.abc takes 20
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from typing import Any

REPAIRED_VERSION = "1.3.0"


class RepairingFinder:
    """Find the modules of configman as the other finders do, and repair each when it is executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _belongs_to_configman(fullname):
            return None
        for finder in sys.meta_path:
            spec = None if _is_ours(finder) else finder.find_spec(fullname, path, target)
            if spec and spec.loader:
                _repair_when_executed(spec.loader)
                return spec
        return None


def apply() -> None:
    """Repair configman now and whenever it is imported later. A second call changes nothing."""
    if not any(_is_ours(finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, RepairingFinder())  # type: ignore[arg-type]  # duck-typed: importlib.abc is too slow
    loaded = [name for name in sys.modules if _belongs_to_configman(name)]
    if "configman" not in loaded:
        for name in loaded:
            del sys.modules[name]  # left over from an import that failed before we could repair it
        return
    for name in sorted(loaded, key=lambda name: name.count("."), reverse=True):
        module = sys.modules[name]
        if not hasattr(module, "__repaired__"):
            _replace_imported_modules(module)
            _repair(module)


def _is_ours(finder: object) -> bool:
    """Compare names: a finder from before crontabber was dropped from sys.modules and imported again is ours too."""
    return type(finder).__name__ == RepairingFinder.__name__


def _belongs_to_configman(name: str) -> bool:
    return name == "configman" or name.startswith("configman.")


def _repair_when_executed(loader: Loader) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        vars(module)["__builtins__"] = BUILTINS
        execute(module)
        _repair(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]


def _repair(module: ModuleType) -> None:
    """Repair a module of version 1.3.0. Other versions get only the views, which do no harm if they are not needed."""
    vars(module)["__repaired__"] = True
    repairs = [repair for name, repair in REPAIRS if name == module.__name__]
    if not repairs or _version_of_configman() != REPAIRED_VERSION:
        return
    for repair in repairs:
        try:
            repair(module)
        except AttributeError as error:
            raise ImportError(
                f"configman at {module.__file__} claims to be version {REPAIRED_VERSION}, but differs from the "
                f"published one: {error}. Reinstall it: pip install --force-reinstall configman=={REPAIRED_VERSION}"
            ) from error


def _version_of_configman() -> str:
    folder = sys.modules["configman"].__path__[0]
    try:
        with open(os.path.join(folder, "version.txt")) as version_file:  # noqa: PTH123  # pathlib takes 5 ms to import
            return version_file.read().strip()
    except OSError:
        return ""


def _collections() -> dict[str, Any]:
    """The abstract classes left this module in Python 3.10; configman asks for them at import and later."""
    import collections.abc

    return vars(collections) | {name: getattr(collections.abc, name) for name in collections.abc.__all__}


def _inspect() -> dict[str, Any]:
    """Python 3.11 removed getargspec. Importing inspect takes 10 ms, for three one-line functions."""

    def is_a(type_: type) -> Callable[[Any], bool]:
        return lambda thing: isinstance(thing, type_)

    def __getattr__(name: str) -> Any:
        import inspect

        return inspect.getfullargspec if name == "getargspec" else getattr(inspect, name)

    needed = {"isclass": is_a(type), "ismodule": is_a(ModuleType), "isfunction": is_a(FunctionType)}
    return {**needed, "__getattr__": __getattr__}


def _six() -> dict[str, Any]:
    """The Python 3 half of six, and `py3`, configman's misspelling of PY3. Importing six takes 2 ms."""

    def __getattr__(name: str) -> Any:
        import six  # type: ignore[import-untyped]

        return getattr(six, name)

    moves = ModuleType("six.moves")
    vars(moves).update(builtins=builtins, reduce=reduce)
    return {
        "PY2": False,
        "PY3": True,
        "py3": True,
        "StringIO": io.StringIO,
        "binary_type": bytes,
        "text_type": str,
        "string_types": (str,),
        "iteritems": lambda mapping: iter(mapping.items()),
        "itervalues": lambda mapping: iter(mapping.values()),
        "moves": moves,
        "__getattr__": __getattr__,
    }


VIEWS = {"collections": _collections, "inspect": _inspect, "six": _six, "six.moves.builtins": _six}


@cache
def _view_of(names: Callable[[], dict[str, Any]]) -> ModuleType:
    view = ModuleType(names.__name__.lstrip("_"))
    vars(view).update(names())
    return view


def _import(
    name: str,
    globals: dict[str, Any] | None = None,
    locals: dict[str, Any] | None = None,
    fromlist: tuple[str, ...] | None = (),
    level: int = 0,
) -> ModuleType:
    return _view_of(VIEWS[name]) if name in VIEWS else builtins.__import__(name, globals, locals, fromlist or (), level)


# A module that is executed with these as its __builtins__ imports the views, now and in its functions.
BUILTINS = vars(builtins) | {"__import__": _import}


def _replace_imported_modules(module: ModuleType) -> None:
    """Give a loaded module the views in place of the modules that it has imported."""
    for name, names in VIEWS.items():
        if isinstance(getattr(module, name, None), ModuleType):
            setattr(module, name, _view_of(names))
