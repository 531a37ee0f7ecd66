"""What configman 1.3.0 sees where it imports certain modules: private views, with what is gone, without what is slow.

Nothing is added to the modules themselves: other programs in this process may ask them what they have.
"""

from __future__ import annotations

import builtins
import io
from functools import cache, reduce
from types import FunctionType, ModuleType

TYPE_CHECKING = False  # as in typing, which takes 4 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _collections() -> dict[str, Any]:
    """The abstract classes are gone since Python 3.10; configman asks for them while it is imported and later."""
    import collections.abc

    return vars(collections) | {name: getattr(collections.abc, name) for name in collections.abc.__all__}


def _inspect() -> dict[str, Any]:
    """getargspec is gone since Python 3.11. To import inspect takes 10 ms, for three questions of one line each."""

    def is_a(type_: type) -> Callable[[Any], bool]:
        return lambda thing: isinstance(thing, type_)

    def __getattr__(name: str) -> Any:
        import inspect

        return inspect.getfullargspec if name == "getargspec" else getattr(inspect, name)

    asked = {"isclass": is_a(type), "ismodule": is_a(ModuleType), "isfunction": is_a(FunctionType)}
    return {**asked, "__getattr__": __getattr__}


def _six() -> dict[str, Any]:
    """Python 3's side of it, and `py3`, a slip for PY3 that bytes options run into. To import six takes 2 ms."""

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
def view_of(names: Callable[[], dict[str, Any]]) -> ModuleType:
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
    return view_of(VIEWS[name]) if name in VIEWS else builtins.__import__(name, globals, locals, fromlist or (), level)


# A module whose globals have these as __builtins__ when it is executed imports the views, now and in its functions.
BUILTINS = vars(builtins) | {"__import__": _import}


def look_through(module: ModuleType) -> None:
    """Give a module that is loaded already the views in place of the modules that it has imported."""
    for name, names in VIEWS.items():
        if isinstance(getattr(module, name, None), ModuleType):
            setattr(module, name, view_of(names))
