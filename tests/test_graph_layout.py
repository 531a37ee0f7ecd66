"""The picture of the jobs: where each of them stands, and how the edges run."""

import unittest
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from crontabber.errors import CircularDAGError
from crontabber.output.graph_layout import Sizes, crossings, layered, layout, ordered

SIZES = Sizes(width=100, height=40, gap_x=50, gap_y=10, lane=12, column=150, page=900)
SMALL = Sizes(width=18, height=18, gap_x=51, gap_y=5, lane=5, column=23, page=900)


@st.composite
def graphs(draw):
    """Return a graph without circles: each job may depend on those before it."""
    number = draw(st.integers(0, 14))
    return {f"j{i}": [f"j{each}" for each in draw(st.sets(st.integers(0, i - 1), max_size=3))] if i else [] for i in range(number)}


def curve(start, end, steps=8):
    """Return points of the edge between two layers, as it is drawn."""
    (x0, y0), (x1, y1) = start, end
    middle = (x0 + x1) / 2
    for step in range(steps + 1):
        t, u = step / steps, 1 - step / steps
        x = u**3 * x0 + 3 * u * u * t * middle + 3 * u * t * t * middle + t**3 * x1
        yield x, u**3 * y0 + 3 * u * u * t * y0 + 3 * u * t * t * y1 + t**3 * y1


def path(edge):
    for number in range(1, len(edge.points), 2):
        yield from curve(edge.points[number - 1], edge.points[number])
        yield edge.points[number]


class TestProperties(unittest.TestCase):
    @settings(max_examples=50, deadline=None)
    @given(graphs(), st.sampled_from([SIZES, SMALL]))
    def test_every_job_has_a_place_of_its_own_within_the_picture(self, graph, sizes):
        drawing = layout(graph, sizes)

        self.assertEqual(set(drawing.nodes), set(graph))
        for x, y in drawing.nodes.values():
            self.assertTrue(0 <= x <= drawing.width - sizes.width + 0.01 and -0.01 <= y <= drawing.height - sizes.height + 0.01)
        for (x, y), (other_x, other_y) in combinations(drawing.nodes.values(), 2):
            self.assertTrue(abs(x - other_x) >= sizes.width or abs(y - other_y) >= sizes.height, drawing.nodes)

    @settings(max_examples=50, deadline=None)
    @given(graphs(), st.sampled_from([SIZES, SMALL]))
    def test_every_edge_runs_from_left_to_right_and_through_no_job(self, graph, sizes):
        drawing = layout(graph, sizes)

        self.assertEqual(sorted((e.dependency, e.job) for e in drawing.edges), sorted((d, j) for j, above in graph.items() for d in above))
        for edge in drawing.edges:
            self.assertLess(drawing.nodes[edge.dependency][0] + sizes.width, drawing.nodes[edge.job][0])
            for x, y in path(edge):
                for left, top in drawing.nodes.values():
                    inside = left < x < left + sizes.width and top + 0.01 < y < top + sizes.height - 0.01
                    self.assertFalse(inside, (edge, left, top))

    @settings(max_examples=50, deadline=None)
    @given(graphs())
    def test_the_order_never_has_more_crossings_than_the_first_one(self, graph):
        level = {}
        for name, above in graph.items():
            level[name] = max((level[each] + 1 for each in above), default=0)
        if not graph:
            return
        layers, _ = layered(graph, level, SIZES)
        for layer in layers:
            for rank, vertex in enumerate(layer):
                vertex.rank = rank
        before = crossings(layers)

        self.assertLessEqual(crossings(ordered(layers)), before)


class TestLayout(unittest.TestCase):
    maxDiff = None

    def test_a_chain_is_a_straight_line(self):
        drawing = layout({"a": [], "b": ["a"], "c": ["b"]}, SIZES)

        self.assertEqual(drawing.nodes, {"a": (0, 0), "b": (150, 0), "c": (300, 0)})
        self.assertEqual([edge.points for edge in drawing.edges], [[(100, 20), (150, 20)], [(250, 20), (300, 20)]])
        self.assertEqual((drawing.width, drawing.height), (400, 40))

    def test_two_jobs_in_a_wrong_order_change_places(self):
        drawing = layout({"a": [], "b": [], "c": ["b"], "d": ["a"], "e": ["c", "d"]}, SIZES)

        upper, lower = sorted("ab", key=lambda name: drawing.nodes[name][1])
        child = {"a": "d", "b": "c"}
        self.assertLess(drawing.nodes[child[upper]][1], drawing.nodes[child[lower]][1])

    def test_a_long_edge_has_a_lane_beside_the_job_between(self):
        drawing = layout({"a": [], "b": ["a"], "c": ["a", "b"]}, SIZES)

        [long] = [edge for edge in drawing.edges if (edge.dependency, edge.job) == ("a", "c")]
        (_, enters, leaves, _), (x, y) = long.points, drawing.nodes["b"]
        self.assertEqual((enters[0], leaves[0]), (x, x + SIZES.width))
        self.assertEqual(enters[1], leaves[1])
        self.assertFalse(y <= enters[1] <= y + SIZES.height)

    def test_a_first_job_stands_next_to_the_one_that_needs_it(self):
        drawing = layout({"a": [], "b": ["a"], "late": [], "c": ["b", "late"]}, SIZES)

        self.assertEqual(drawing.nodes["late"][0], drawing.nodes["b"][0])

    def test_jobs_that_nothing_connects_fill_the_width_in_rows(self):
        drawing = layout({f"j{i}": [] for i in range(8)}, SIZES)

        self.assertEqual(list(drawing.nodes.values()), [*((150 * i, 0) for i in range(6)), (0, 50), (150, 50)])

    def test_a_group_stands_beside_a_higher_one(self):
        drawing = layout({"a": [], **{f"a{i}": ["a"] for i in range(4)}, "b": [], "c": ["b"]}, SIZES)

        self.assertEqual((drawing.nodes["b"], drawing.nodes["c"]), ((300, 0), (450, 0)))

    def test_dependencies_that_are_not_in_the_picture_are_left_out(self):
        self.assertEqual(layout({"a": ["elsewhere"]}, SIZES).edges, [])

    def test_nothing_takes_no_place(self):
        self.assertEqual(layout({}, SIZES).height, 0)

    def test_a_circle_is_an_error(self):
        with self.assertRaises(CircularDAGError):
            layout({"a": ["b"], "b": ["a"]}, SIZES)
