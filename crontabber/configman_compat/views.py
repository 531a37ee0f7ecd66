"""Names that configman 1.3.0 looks up in other modules, and that are no longer there: it gets private views with them.

Nothing is added to the modules themselves: other programs in this process may ask them what they have.
"""

import builtins
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

MISSING_NAMES: dict[str, Callable[[Any], dict[str, Any]]] = {
    # Gone since Python 3.10; configman asks for them while it is imported and later.
    "collections": lambda module: {name: getattr(module.abc, name) for name in module.abc.__all__},
    # Gone since Python 3.11; used where options are defined by an argparse parser.
    "inspect": lambda module: {"getargspec": module.getfullargspec},
    # Never there, a slip for PY3; used to convert the value of an option whose default is of type bytes.
    "six": lambda module: {"py3": True},
}


@cache
def view_of(name: str) -> ModuleType:
    """A module that has all of the named module's names and the missing ones."""
    module = builtins.__import__(name)
    view = ModuleType(name)
    vars(view).update(vars(module) | MISSING_NAMES[name](module))
    return view


def _import(
    name: str,
    globals: dict[str, Any] | None = None,
    locals: dict[str, Any] | None = None,
    fromlist: tuple[str, ...] | None = (),
    level: int = 0,
) -> ModuleType:
    return view_of(name) if name in MISSING_NAMES else builtins.__import__(name, globals, locals, fromlist or (), level)


# A module whose globals have these as __builtins__ when it is executed imports the views, now and in its functions.
BUILTINS = vars(builtins) | {"__import__": _import}


def look_through(module: ModuleType) -> None:
    """Give a module that is loaded already the views in place of the modules that it has imported."""
    for name in MISSING_NAMES:
        if isinstance(getattr(module, name, None), ModuleType):
            setattr(module, name, view_of(name))
