"""Where does each job stand in the picture? Pure: names and what they depend on come in, places come out.

A layered drawing, from left to right: layers from the dependencies, a free lane through each layer that an edge only
crosses, fewer crossings by barycenters. Groups of jobs that nothing connects are drawn on their own, then packed.
"""

import math
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from crontabber.rules.dependencies import toposort

SWEEPS = 6
# Larger groups cost too much time.
MOST_TO_SWEEP_OFTEN = 400
SWEEPS_OF_LARGE_GROUPS = 3

Point = tuple[float, float]
Graph = Mapping[str, Sequence[str]]


class Sizes(NamedTuple):
    """In pixels: a node, the gaps between nodes, the height of a lane, a column of the grid that groups stand on, and
    the width that the picture may take."""

    width: float
    height: float
    gap_x: float
    gap_y: float
    lane: float
    column: float
    page: float


class Edge(NamedTuple):
    """From a dependency to a job. The points come in pairs: the edge runs level from the second of a pair, which is
    where it leaves a layer, to the first of the next, but for its beginning and its end."""

    dependency: str
    job: str
    points: Sequence[Point]


class Layout(NamedTuple):
    """The upper left corner of each node, the edges, and the size of the whole."""

    nodes: Mapping[str, Point]
    edges: Sequence[Edge]
    width: float
    height: float


class Vertex:
    """A job, or a lane of an edge in a layer between."""

    __slots__ = ("after", "before", "height", "name", "rank", "y")

    def __init__(self, name: str, height: float) -> None:
        self.name = name
        self.height = height
        self.before: list[Vertex] = []
        self.after: list[Vertex] = []
        self.rank = 0.0  # the place within its layer
        self.y = 0.0  # of its middle


Layers = list[list[Vertex]]


def layout(depends_on: Graph, sizes: Sizes) -> Layout:
    """Place all names of `depends_on`; what else it mentions is left out. CircularDAGError if there is a circle."""
    graph = {name: [each for each in above if each in depends_on] for name, above in depends_on.items()}
    levels = _levels(graph)
    drawn = [_drawn(group, levels, sizes) for group in _groups(graph)]
    return _packed(sorted(drawn, key=lambda each: (-each.height, -each.width)), sizes)


def crossings(layers: Layers) -> int:
    """Return how many edges between neighbouring layers cross."""
    number = 0
    for layer in layers:
        seen: list[float] = []
        for vertex in layer:
            ranks = [each.rank for each in vertex.before]
            number += sum(len(seen) - bisect_right(seen, rank) for rank in ranks)
            for rank in ranks:
                insort(seen, rank)
    return number


def ordered(layers: Layers) -> Layers:
    """Return the layers in the order with the fewest crossings that a few sweeps find."""
    _rank(layers)
    best, fewest = [list(layer) for layer in layers], crossings(layers)
    is_large = sum(map(len, layers)) > MOST_TO_SWEEP_OFTEN
    for sweep in range(SWEEPS_OF_LARGE_GROUPS if is_large else SWEEPS):
        if not fewest:
            break
        backwards = sweep % 2 == 1
        for layer in reversed(layers) if backwards else layers:
            layer.sort(key=lambda vertex: _barycenter(vertex, vertex.after if backwards else vertex.before))
            _rank([layer])
        number = crossings(layers)
        if number < fewest:
            best, fewest = [list(layer) for layer in layers], number
    _rank(best)
    return best


def layered(
    graph: Graph, level: Mapping[str, int], sizes: Sizes
) -> tuple[Layers, dict[tuple[str, str], list[Vertex]]]:  # fmt: skip
    """Return the layers, and the vertices of each edge (dependency, job) from the former to the latter."""
    layers: Layers = [[] for _ in range(max(level.values()) + 1)]
    vertices = {name: Vertex(name, sizes.height + sizes.gap_y) for name in graph}
    for name in graph:
        layers[level[name]].append(vertices[name])
    chains = {}
    for name, above in graph.items():
        for dependency in above:
            lanes = [Vertex("", sizes.lane) for _ in range(level[dependency] + 1, level[name])]
            for number, lane in enumerate(lanes, level[dependency] + 1):
                layers[number].append(lane)
            chain = [vertices[dependency], *lanes, vertices[name]]
            for one, other in zip(chain, chain[1:], strict=False):
                one.after.append(other)
                other.before.append(one)
            chains[dependency, name] = chain
    return layers, chains


def _groups(graph: Graph) -> Iterator[Graph]:
    """Yield the parts of the graph that nothing connects."""
    neighbours: dict[str, list[str]] = {name: list(above) for name, above in graph.items()}
    for name, above in graph.items():
        for each in above:
            neighbours[each].append(name)
    seen: set[str] = set()
    for name in graph:
        if name not in seen:
            seen.add(name)
            group = [name]
            for member in group:  # which grows meanwhile
                new = [each for each in neighbours[member] if each not in seen]
                seen.update(new)
                group += dict.fromkeys(new)
            yield {each: graph[each] for each in group}


def _levels(graph: Graph) -> dict[str, int]:
    """Return the layer of each name: right of all that it depends on. A first one moves next to what needs it."""
    level = {name: number for number, names in enumerate(toposort(graph)) for name in names}
    nearest: dict[str, int] = {}
    for name, above in graph.items():
        for each in above:
            nearest[each] = min(nearest.get(each, level[name]), level[name])
    return {name: nearest[name] - 1 if name in nearest and not graph[name] else level[name] for name in graph}


def _rank(layers: Layers) -> None:
    for layer in layers:
        for rank, vertex in enumerate(layer):
            vertex.rank = rank


def _barycenter(vertex: Vertex, neighbours: Sequence[Vertex]) -> float:
    return sum(each.rank for each in neighbours) / len(neighbours) if neighbours else vertex.rank


def _drawn(graph: Graph, level: Mapping[str, int], sizes: Sizes) -> Layout:
    """Place one group."""
    if len(graph) == 1:
        return Layout(dict.fromkeys(graph, (0.0, 0.0)), (), sizes.width, sizes.height)
    layers, chains = layered(graph, level, sizes)
    layers = ordered(layers)
    _straighten(layers)
    top = min(vertex.y - vertex.height / 2 for layer in layers for vertex in layer) + sizes.gap_y / 2
    column = {vertex: number * (sizes.width + sizes.gap_x) for number, layer in enumerate(layers) for vertex in layer}
    places = {vertex: (x, vertex.y - top) for vertex, x in column.items()}
    nodes = {v.name: (x, y - sizes.height / 2) for v, (x, y) in places.items() if v.name}
    edges = [Edge(*ends, _points([places[v] for v in chain], sizes.width)) for ends, chain in chains.items()]
    bottom = max(vertex.y + vertex.height / 2 for layer in layers for vertex in layer) - sizes.gap_y / 2
    return Layout(nodes, edges, max(column.values()) + sizes.width, bottom - top)


def _points(places: Sequence[Point], width: float) -> list[Point]:
    """Return where an edge leaves and enters each layer."""
    (first_x, first_y), *lanes, (last_x, last_y) = places
    between = [point for x, y in lanes for point in ((x, y), (x + width, y))]
    return [(first_x + width, first_y), *between, (last_x, last_y)]


def _straighten(layers: Layers) -> None:
    """Move each vertex towards its neighbours, as far as the order within its layer allows."""
    if all(len(layer) == 1 for layer in layers):  # A chain is straight.
        return
    for layer in layers:
        _spread(layer, [0.0] * len(layer))
    for backwards in (False, True, False, True):
        for layer in reversed(layers) if backwards else layers:
            _spread(layer, [_middle(vertex, vertex.after if backwards else vertex.before) for vertex in layer])


def _middle(vertex: Vertex, neighbours: Sequence[Vertex]) -> float:
    return sum(each.y for each in neighbours) / len(neighbours) if neighbours else vertex.y


def _spread(layer: Sequence[Vertex], wanted: Sequence[float]) -> None:
    """Place the vertices near `wanted`, without overlaps: between pushing all down and pushing all up."""
    down, up = list(wanted), list(wanted)
    for i in range(1, len(layer)):
        down[i] = max(down[i], down[i - 1] + _distance(layer[i - 1], layer[i]))
    for i in range(len(layer) - 2, -1, -1):
        up[i] = min(up[i], up[i + 1] - _distance(layer[i], layer[i + 1]))
    for vertex, low, high in zip(layer, down, up, strict=True):
        vertex.y = (low + high) / 2


def _distance(one: Vertex, other: Vertex) -> float:
    return (one.height + other.height) / 2


def _packed(groups: Iterable[Layout], sizes: Sizes) -> Layout:
    """Put each group as high up as it fits, on a grid of columns."""
    groups = list(groups)
    columns = [math.ceil((group.width + (sizes.gap_x if group.edges else 0)) / sizes.column) for group in groups]
    bottoms = [0.0] * max(int((sizes.page - sizes.width) / sizes.column) + 1, *columns, 1)
    nodes: dict[str, Point] = {}
    edges: list[Edge] = []
    for group, number in zip(groups, columns, strict=True):
        first = _highest(bottoms, number)
        x, y = first * sizes.column, max(bottoms[first : first + number])
        bottoms[first : first + number] = [y + group.height + sizes.gap_y] * number
        nodes |= {name: (x + left, y + top) for name, (left, top) in group.nodes.items()}
        edges += [each._replace(points=[(x + i, y + j) for i, j in each.points]) for each in group.edges]
    width = max((x for x, _ in nodes.values()), default=0.0) + sizes.width
    return Layout(nodes, edges, width, max(*bottoms, sizes.gap_y) - sizes.gap_y)


def _highest(bottoms: Sequence[float], number: int) -> int:
    """Return the first of so many columns in which a group comes up highest."""
    if number == 1:  # most of a thousand
        return bottoms.index(min(bottoms))
    return min(range(len(bottoms) - number + 1), key=lambda first: max(bottoms[first : first + number]))
