"""In which order do jobs run? Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeVar

from crontabber.errors import CircularDAGError

# Names of a circle, at most.
MOST_SHOWN = 30

Item = TypeVar("Item")


def names_in(depends_on: Any) -> tuple[str, ...]:
    """Return the names in `depends_on` as job authors write it: None, one name, or a list or tuple of names."""
    if isinstance(depends_on, str):
        return (depends_on,)
    return tuple(depends_on or ())


def toposort(graph: Mapping[str, Iterable[str]]) -> Iterator[set[str]]:
    """Yield the levels of `graph` (name -> the names it depends on): each set depends only on the sets before it.

    CircularDAGError names a circle, in the order of its dependencies.
    """
    sorter = TopologicalSorter(graph)
    if circle := _circle(sorter):
        raise CircularDAGError(circular(circle))
    while sorter.is_active():
        level = sorter.get_ready()
        sorter.done(*level)
        yield set(level)


def circles(graph: Mapping[str, Iterable[str]]) -> Iterator[list[str]]:
    """Yield circles, each in the order of its dependencies, until the graph without their names has none."""
    rest = graph
    while circle := _circle(TopologicalSorter(rest)):
        yield circle
        rest = {name: depends_on for name, depends_on in rest.items() if name not in circle}


def circular(circle: Sequence[str]) -> str:
    """Say it. Each job of the circle is shown with this text, so most names of a large one are left out."""
    if len(circle) > MOST_SHOWN:
        circle = [*circle[: MOST_SHOWN - 2], f"... ({len(circle) - 1} jobs)", circle[-1]]
    return f"circular dependency: {' -> '.join(circle)}"


def toposort_flatten(graph: Mapping[str, Iterable[str]], sort: bool = True) -> list[str]:
    """Return the names of `graph` level by level; with `sort`, each level in alphabetical order."""
    return [name for level in toposort(graph) for name in (sorted(level) if sort else level)]


def reorder_dag(
    sequence: Iterable[Item],
    depends_getter: Callable[[Item], Any] = lambda item: item.depends_on,  # type: ignore[attr-defined]
    name_getter: Callable[[Item], str] = lambda item: item.app_name,  # type: ignore[attr-defined]
) -> list[Item]:
    """Return `sequence` in topological order, each level sorted by name. Dependencies outside it are ignored."""
    items = list(sequence)
    known = {name_getter(item) for item in items}
    graph = {name_getter(item): [n for n in names_in(depends_getter(item)) if n in known] for item in items}
    rank = {name: position for position, name in enumerate(toposort_flatten(graph))}
    return sorted(items, key=lambda item: rank[name_getter(item)])


def _circle(sorter: "TopologicalSorter[str]") -> list[str]:
    """Prepare the sorter. Return a circle that it has found, its first name again at the end, or nothing."""
    try:
        sorter.prepare()
    except CycleError as error:
        # graphlib lists each name before those that depend on it; people read "A depends on B".
        return list(reversed(error.args[1]))
    return []
