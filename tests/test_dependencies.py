"""The order in which jobs run."""

import unittest
from collections import namedtuple

from hypothesis import given
from hypothesis import strategies as st

from crontabber.errors import CircularDAGError
from crontabber.rules.dependencies import reorder_dag, toposort, toposort_flatten

Item = namedtuple("Item", "app_name depends_on")


def names(items):
    return [item.app_name for item in items]


class TestOrder(unittest.TestCase):
    def test_it_puts_parents_first_and_sorts_each_level_by_name(self):
        items = [Item("d", ("b", "c")), Item("c", ("a",)), Item("b", "a"), Item("a", None), Item("aa", [])]

        self.assertEqual(names(reorder_dag(items)), ["a", "aa", "b", "c", "d"])

    def test_it_ignores_names_outside_the_sequence(self):
        self.assertEqual(names(reorder_dag([Item("b", "elsewhere"), Item("a", "b")])), ["b", "a"])

    def test_it_uses_the_given_getters(self):
        pairs = [("x", {"needs": "y"}), ("y", {})]

        ordered = reorder_dag(pairs, lambda pair: pair[1].get("needs"), lambda pair: pair[0])

        self.assertEqual([name for name, _ in ordered], ["y", "x"])

    def test_an_empty_sequence_gives_an_empty_list(self):
        self.assertEqual(reorder_dag([]), [])

    def test_the_error_names_a_circle_in_order(self):
        cases = [
            ([Item("a", "a")], "a -> a"),
            ([Item("a", "b"), Item("b", "a")], "a -> b -> a"),
            ([Item("a", "b"), Item("b", "c"), Item("c", "a"), Item("d", None)], "a -> b -> c -> a"),
        ]
        for items, circle in cases:
            with self.subTest(circle), self.assertRaises(CircularDAGError) as caught:
                reorder_dag(items)
            # A circle has no beginning: any rotation of it is right.
            reported = str(caught.exception).rpartition(": ")[2].split(" -> ")
            expected = circle.split(" -> ")[:-1]
            self.assertIn(reported[:-1], [expected[i:] + expected[:i] for i in range(len(expected))])
            self.assertEqual(reported[0], reported[-1])

    def test_a_large_circle_is_named_in_part(self):
        with self.assertRaises(CircularDAGError) as caught:
            reorder_dag([Item(f"n{i}", f"n{(i + 1) % 500}") for i in range(500)])

        names = str(caught.exception).rpartition(": ")[2].split(" -> ")
        self.assertEqual((len(names), names[-2], names[0]), (30, "... (500 jobs)", names[-1]))

    def test_toposort_gives_levels(self):
        graph = {"c": {"a", "b"}, "b": {"a"}, "z": ()}

        self.assertEqual(list(toposort(graph)), [{"a", "z"}, {"b"}, {"c"}])
        self.assertEqual(toposort_flatten(graph), ["a", "z", "b", "c"])

    @given(st.data())
    def test_in_any_graph_each_item_comes_once_and_after_its_dependencies(self, data):
        size = data.draw(st.integers(0, 12))
        labels = [f"job{i}" for i in range(size)]
        items = [Item(label, data.draw(st.lists(st.sampled_from(labels[:i]), max_size=4)) if i else None)
                 for i, label in enumerate(labels)]
        shuffled = data.draw(st.permutations(items))

        order = names(reorder_dag(shuffled))

        self.assertEqual(sorted(order), sorted(labels))
        for item in items:
            for parent in item.depends_on or ():
                self.assertLess(order.index(parent), order.index(item.app_name))
        self.assertEqual(order, names(reorder_dag(items)), "the order must not depend on that of the setting")
