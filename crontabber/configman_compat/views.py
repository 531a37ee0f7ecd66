"""Names that configman 1.3.0 looks up in other modules, and that are no longer there: it gets private views with them.

Nothing is added to the modules themselves: other programs in this process may ask them what they have.
"""

import builtins
import collections
import collections.abc
import inspect
from types import ModuleType
from typing import Any

import six  # type: ignore[import-untyped]


def _view(module: ModuleType, missing: dict[str, Any]) -> ModuleType:
    """A module of the same name that has all of `module`'s names and the missing ones."""
    view = ModuleType(module.__name__, f"{module.__name__}, as configman 1.3.0 knows it")
    vars(view).update(missing | vars(module))
    return view


VIEWS = {
    # Gone since Python 3.10; configman asks for them while it is imported and later.
    "collections": _view(collections, {name: getattr(collections.abc, name) for name in collections.abc.__all__}),
    # Gone since Python 3.11; used where options are defined by an argparse parser.
    "inspect": _view(inspect, {"getargspec": inspect.getfullargspec}),
    # Never there, a slip for PY3; used to convert the value of an option whose default is of type bytes.
    "six": _view(six, {"py3": True}),
}


def _import(
    name: str,
    globals: dict[str, Any] | None = None,
    locals: dict[str, Any] | None = None,
    fromlist: tuple[str, ...] | None = (),
    level: int = 0,
) -> ModuleType:
    return VIEWS.get(name) or builtins.__import__(name, globals, locals, fromlist or (), level)


# A module whose globals have these as __builtins__ when it is executed imports the views, now and in its functions.
BUILTINS = vars(builtins) | {"__import__": _import}


def look_through(module: ModuleType) -> None:
    """Give a module that is loaded already the views in place of the modules that it has imported."""
    for name, view in VIEWS.items():
        if isinstance(getattr(module, name, None), ModuleType):
            setattr(module, name, view)
