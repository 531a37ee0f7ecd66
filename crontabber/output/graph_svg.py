"""Draw the jobs and their dependencies as SVG."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

from crontabber.output.graph_layout import Edge, Point, Sizes, layout
from crontabber.output.table import cut, display_width

# Each state has a symbol that all fonts have and that no phone draws as a coloured picture.
SYMBOLS = {
    "broken": "⊗", "failing": "✗", "gave up": "■", "overdue": "!", "held back": "…", "paused": "‖", "ongoing": "►",
    "never ran": "○", "ok": "✓",
}  # fmt: skip

# With more jobs, a node is only a symbol, and its name appears when a mouse points at it.
MOST_NAMED = 150
SMALL = Sizes(width=18, height=18, gap_x=51, gap_y=5, lane=5, column=23, page=1150)
SHORTEST_NAME, LONGEST_NAME = 11, 26
CHARACTER = 7.3  # the width of one, in pixels
MARGIN = 4

TIP = (
    '<marker id="tip" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
    '<path d="M0 0L6 3L0 6z"/></marker>'
)


class Node(NamedTuple):
    """A job: the id of its row in the table, its name, its state, and the ids of those that it depends on."""

    id: str
    name: str
    state: str
    depends_on: Sequence[str]


def graph_svg(nodes: Sequence[Node], label: str) -> str:
    """Return the picture. For screen readers it is one image called `label`: the table has all that it shows."""
    is_small = len(nodes) > MOST_NAMED
    sizes = SMALL if is_small else _sizes(nodes)
    drawing = layout({node.id: node.depends_on for node in nodes}, sizes)
    width, height = drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN
    by_id = {node.id: node for node in nodes}
    head = (
        f'<svg role="img" aria-label="{escape(label)}" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="{-MARGIN} {-MARGIN} {width:.0f} {height:.0f}" class="{"small" if is_small else "named"}">'
    )
    boxes = "".join(_boxes(nodes, sizes, is_small))
    edges = [_edge(edge, by_id) for edge in drawing.edges]
    drawn = [_node(node, drawing.nodes[node.id], is_small) for node in nodes]
    return "\n".join([head, f"<defs>{TIP}{boxes}</defs>", *edges, *drawn, "</svg>"])


def class_of(state: str) -> str:
    return state.replace(" ", "-")


def _sizes(nodes: Sequence[Node]) -> Sizes:
    longest = max((min(display_width(node.name), LONGEST_NAME) for node in nodes), default=0)
    width = round(max(longest, SHORTEST_NAME) * CHARACTER) + 20
    return Sizes(width=width, height=40, gap_x=52, gap_y=14, lane=14, column=width + 52, page=1150)


def _boxes(nodes: Sequence[Node], sizes: Sizes, is_small: bool) -> Iterator[str]:
    """Yield what the nodes of each state have in common: the file would be too large if each of them said it."""
    for state in dict.fromkeys(node.state for node in nodes):
        text = SYMBOLS[state] if is_small else f"{SYMBOLS[state]} {state}"
        x, y, radius = (4, 13, 3) if is_small else (10, 33, 6)
        yield (
            f'<g id="{class_of(state)}" class="{class_of(state)}"><rect width="{sizes.width}" height="{sizes.height}"'
            f' rx="{radius}"/><text x="{x}" y="{y}">{text}</text></g>'
        )


def _node(node: Node, place: Point, is_small: bool) -> str:
    x, y = place
    name = escape(node.name)
    shown = "" if is_small else f'<text x="{x + 10:.0f}" y="{y + 17:.0f}">{escape(cut(node.name, LONGEST_NAME))}</text>'
    return (
        f'<a href="#{node.id}" tabindex="-1"><title>{name}: {node.state}</title>'
        f'<use href="#{class_of(node.state)}" x="{x:.0f}" y="{y:.0f}"/>{shown}</a>'
    )


def _edge(edge: Edge, nodes: Mapping[str, Node]) -> str:
    """Return an edge, which is another one where a job waits for one that is not well."""
    waits = nodes[edge.job].state == "held back" and nodes[edge.dependency].state not in ("ok", "ongoing")
    return f'<path class="{"waits" if waits else "edge"}" d="{_path(edge.points)}"/>'


def _path(points: Sequence[Point]) -> str:
    """Return curves between the layers, and straight lines through them."""
    x, y = points[0]
    path = f"M{x:.0f} {y:.0f}"
    for number in range(1, len(points), 2):
        (from_x, from_y), (x, y) = points[number - 1], points[number]
        middle = (from_x + x) / 2
        path += f"C{middle:.0f} {from_y:.0f} {middle:.0f} {y:.0f} {x:.0f} {y:.0f}"
        if number + 1 < len(points):
            path += f"H{points[number + 1][0]:.0f}"
    return path
