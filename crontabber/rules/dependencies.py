"""In which order do jobs run, and what holds one back? Pure."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeVar

from crontabber.errors import CircularDAGError
from crontabber.rules.job_state import JobState

Item = TypeVar("Item")


def names_in(depends_on: Any) -> tuple[str, ...]:
    """`depends_on` as job authors write it (None, a name, a list or a tuple of names) as a tuple of names."""
    if isinstance(depends_on, str):
        return (depends_on,)
    return tuple(depends_on or ())


def toposort(graph: Mapping[str, Iterable[str]]) -> Iterator[set[str]]:
    """The levels of `graph` (name -> the names it depends on): each set depends only on the sets before it.

    CircularDAGError names a circle in its order.
    """
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        # graphlib lists each name before the one that depends on it; people read "A depends on B".
        circle = " -> ".join(reversed(error.args[1]))
        raise CircularDAGError(f"jobs depend on each other in a circle: {circle}") from None
    while sorter.is_active():
        level = sorter.get_ready()
        sorter.done(*level)
        yield set(level)


def toposort_flatten(graph: Mapping[str, Iterable[str]], sort: bool = True) -> list[str]:
    """The names of `graph` in an order to run them in; with `sort`, alphabetical within a level."""
    return [name for level in toposort(graph) for name in (sorted(level) if sort else level)]


def reorder_dag(
    sequence: Iterable[Item],
    depends_getter: Callable[[Item], Any] = lambda item: item.depends_on,  # type: ignore[attr-defined]
    name_getter: Callable[[Item], str] = lambda item: item.app_name,  # type: ignore[attr-defined]
) -> list[Item]:
    """`sequence` in topological order, each level sorted by name; dependencies outside of it are passed over."""
    items = list(sequence)
    known = {name_getter(item) for item in items}
    graph = {name_getter(item): [n for n in names_in(depends_getter(item)) if n in known] for item in items}
    rank = {name: position for position, name in enumerate(toposort_flatten(graph))}
    return sorted(items, key=lambda item: rank[name_getter(item)])


def why_blocked(
    depends_on: Sequence[str], states: Mapping[str, JobState], succeeded: Container[str], now: datetime
) -> str | None:
    """Why a job with these dependencies may not run now, as a clause; None if nothing holds it back.

    `succeeded` has the app_names that have succeeded within this tick: they count whatever the clock says by now.
    """
    for name in depends_on:
        if name in succeeded:
            continue
        state = states.get(name)
        if state is None or (state.last_run is None and state.last_success is None and not state.error_count):
            return f"{name!r} has not run yet"
        if state.error_count or state.last_error:
            return f"{name!r} errored last time"
        if state.next_run is None or state.next_run <= now:
            return f"{name!r} has not recently run"
    return None
