"""configman's containers without their detours: the same results, in a fraction of the time.

A configuration of 1,000 jobs is walked some dozen times before the first job is looked at.
"""

from __future__ import annotations

import weakref
from collections.abc import ItemsView, Mapping, MutableMapping, ValuesView
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

# Values that are neither mappings, nor have requirements, nor can be closed.
PLAIN_TYPES = frozenset((type(None), str, bytes, int, float, bool, list, tuple))


class Items(ItemsView):
    """Of a DotDict: its keys, each with what it holds there."""

    _mapping: Any

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        held = vars(self._mapping)
        return iter([(key, held[key]) for key in self._mapping._key_order.map])


class Values(ValuesView):
    """Of a DotDict: what it holds, in the order of its keys."""

    _mapping: Any

    def __iter__(self) -> Iterator[Any]:
        held = vars(self._mapping)
        return iter([held[key] for key in self._mapping._key_order.map])


def keep_order_in_a_dict(orderedset: ModuleType) -> None:
    """A dict keeps the order of its keys by itself today; no list of links is needed.

    Whoever iterates sees the members of that moment, and may change the set meanwhile as before.
    """

    def __init__(self: Any, iterable: Iterable[Any] | None = None) -> None:
        self.map = {} if iterable is None else dict.fromkeys(iterable)

    def add(self: Any, key: Any) -> None:
        self.map[key] = None

    def discard(self: Any, key: Any) -> None:
        self.map.pop(key, None)

    def __iter__(self: Any) -> Iterator[Any]:
        return iter(list(self.map))

    def __reversed__(self: Any) -> Iterator[Any]:
        return iter(list(reversed(self.map)))

    def pop(self: Any, last: bool = True) -> Any:
        if not self.map:
            raise KeyError("set is empty")
        key = next(reversed(self.map)) if last else next(iter(self.map))
        del self.map[key]
        return key

    for method in (__init__, add, discard, __iter__, __reversed__, pop):
        setattr(orderedset.OrderedSet, method.__name__, method)


def walk_without_lookups(dotdict: ModuleType) -> None:
    """What a mapping holds is taken from where it holds it, not by a lookup of each dotted key from the top."""

    def items(self: Any) -> ItemsView[str, Any]:
        return Items(self) if type(self).__getitem__ in lookups else ItemsView(self)

    def values(self: Any) -> ValuesView[Any]:
        return Values(self) if type(self).__getitem__ in lookups else ValuesView(self)

    def keys_breadth_first(self: Any, include_dicts: bool = False) -> Iterator[str]:
        keys: list[str] = []
        collect(self, "", include_dicts, keys)
        return iter(keys)

    def collect(mapping: Any, prefix: str, include_dicts: bool, keys: list[str]) -> None:
        namespaces = []
        for key, value in items(mapping):
            if isinstance(value, dotdict.DotDict):
                namespaces.append((key, value))
                if not include_dicts:
                    continue
            keys.append(prefix + key)
        for key, value in namespaces:
            collect(value, f"{prefix}{key}.", include_dicts, keys)

    def update(self: Any, other: Any = (), /, **more: Any) -> None:
        if isinstance(other, dotdict.DotDict) and type(other).__getitem__ in lookups:
            for key, value in Items(other):
                self[key] = value
            other = ()
        MutableMapping.update(self, other, **more)

    lookups = {dotdict.DotDict.__getitem__, dotdict.DotDictWithAcquisition.__getitem__}
    for method in (items, values, keys_breadth_first, update):
        setattr(dotdict.DotDict, method.__name__, method)


def fill_each_level_once(dotdict: ModuleType) -> None:
    """A mapping of mappings is copied level by level; configman copies each level again for every level above it.

    Only where a dotted key can mean the same as a nested one does it matter which of them comes last.
    """
    initialize = dotdict.DotDict.__init__
    usual = dotdict.DotDict, dotdict.DotDictWithAcquisition

    def __init__(self: Any, initializer: Any = None) -> None:
        if initializer is None:
            vars(self)["_key_order"] = dotdict.OrderedSet()
        elif type(self) in usual and isinstance(initializer, Mapping) and not any("." in key for key in initializer):
            vars(self)["_key_order"] = dotdict.OrderedSet()
            for key, value in initializer.items():
                self[key] = type(self)(value) if isinstance(value, Mapping) else value
        else:
            initialize(self, initializer)

    dotdict.DotDict.__init__ = __init__


def acquire_only_from_mappings(dotdict: ModuleType) -> None:
    """Most values are plain: they need not be asked whether they are mappings that acquire from this one."""

    def __setattr__(self: Any, key: str, value: Any) -> None:
        if type(value) not in PLAIN_TYPES and isinstance(value, dotdict.DotDict) and key != "_parent":
            vars(value)["_parent"] = weakref.proxy(self)
        held = vars(self)
        held["_key_order"].map[key] = None
        held[key] = value

    dotdict.DotDictWithAcquisition.__setattr__ = __setattr__


def copy_attributes(option: ModuleType) -> None:
    """A copy of an option has all its attributes; only what an option works out when it is made goes the long way."""
    copy_by_making_anew = option.Option.copy

    def copy(self: Any) -> Any:
        if (self.value is None and self.default is not None) or not callable(self.from_string_converter):
            return copy_by_making_anew(self)
        duplicate = object.__new__(option.Option)
        vars(duplicate).update(vars(self))
        return duplicate

    option.Option.copy = copy


def hold_options_at_once(namespace: ModuleType) -> None:
    """An option is put into a namespace in one step, not by three methods that call each other."""
    members = namespace.Option, namespace.Namespace, namespace.Aggregation

    def __setattr__(self: Any, name: str, value: Any) -> None:
        held = vars(self)
        held["_key_order"].map[name] = None
        held[name] = value if isinstance(value, members) else namespace.Option(name=name, default=value, value=value)

    update_one_by_one = namespace.Namespace.update

    def update(self: Any, other: Any = (), /, **more: Any) -> None:
        if type(self) is type(other) is namespace.Namespace:
            held, theirs = vars(self), vars(other)
            keys = theirs["_key_order"].map
            held["_key_order"].map.update(keys)
            held.update({key: theirs[key] for key in keys})
            other = ()
        update_one_by_one(self, other, **more)

    namespace.Namespace.__setattr__, namespace.Namespace.update = __setattr__, update


def collect_each_requirement_once(required_config: ModuleType) -> None:
    """Most classes inherit their required_config: what the class above them has said is not said again."""

    def get_required_config(cls: Any) -> Any:
        result = required_config.Namespace()
        previous = None
        for class_ in reversed(cls.__mro__):
            try:
                requirements = class_.required_config
                if requirements is not previous:
                    result.update(requirements)
                previous = requirements
            except AttributeError:
                pass
        return result

    required_config.RequiredConfig.get_required_config = classmethod(get_required_config)


COVERS: tuple[tuple[str, Callable[[ModuleType], None]], ...] = (
    ("configman.orderedset", keep_order_in_a_dict),
    ("configman.dotdict", walk_without_lookups),
    ("configman.dotdict", fill_each_level_once),
    ("configman.dotdict", acquire_only_from_mappings),
    ("configman.option", copy_attributes),
    ("configman.namespace", hold_options_at_once),
    ("configman.required_config", collect_each_requirement_once),
)
