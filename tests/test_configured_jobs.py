"""Good and broken entries of the `jobs` setting: which jobs may run, and what is known of the others."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from crontabber.config.job_faults import faults_of_classes
from crontabber.rules.configured_jobs import BrokenEntry, ConfiguredJobs, Fault, configured
from crontabber.rules.dependencies import circles, toposort_flatten
from crontabber.rules.job import Job
from tests.jobs import BasicJob

NAMES = [f"job{number}" for number in range(8)]
GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3).map(tuple))


def jobs_in(graph):
    return [Job(name, object, None, None, depends_on) for name, depends_on in graph.items()]


def needed_by(name, graph):
    """Return every name that a job depends on, directly or not."""
    found, new = set(), set(graph.get(name, ()))
    while new:
        found |= new
        new = {parent for each in new for parent in graph.get(each, ())} - found
    return found


def without_circles(graph):
    members = {name for circle in circles(graph) for name in circle}
    return {name: depends_on for name, depends_on in graph.items() if name not in members}


class TestCircles(unittest.TestCase):
    @given(GRAPHS)
    def test_the_rest_has_no_circle_and_only_circles_are_left_out(self, graph):
        found = list(circles(graph))

        toposort_flatten(without_circles(graph))
        for circle in found:
            self.assertEqual(circle[0], circle[-1])
            for name, parent in zip(circle, circle[1:], strict=False):
                self.assertIn(parent, graph[name])

    def test_each_circle_is_a_fault_of_its_members(self):
        graph = {"a": "b", "b": "a", "c": "a", "d": "e", "e": "d", "f": None}
        classes = [(name, type(name, (BasicJob,), {"app_name": name, "depends_on": graph[name]})) for name in graph]

        faults = faults_of_classes(classes)

        self.assertEqual([{entry.app_name for entry in fault.entries} for fault in faults], [{"a", "b"}, {"d", "e"}])


class TestHoldingBack(unittest.TestCase):
    @given(GRAPHS, st.sets(st.sampled_from(NAMES)))
    def test_a_job_is_held_back_exactly_if_it_needs_a_broken_entry(self, graph, broken):
        graph = without_circles(graph)
        good = [job for job in jobs_in(graph) if job.app_name not in broken]
        faults = [Fault("broken", (BrokenEntry(f"jobs.{name}", name),)) for name in sorted(broken)]

        entries = configured(good, faults)

        needed = {job.app_name: needed_by(job.app_name, {each.app_name: each.depends_on for each in good}) for job in good}
        held_back = {job.app_name for job in entries.jobs if job.broken_dependency}
        self.assertEqual(held_back, {name for name in needed if needed[name] & broken})
        self.assertEqual({name for fault in faults for name in entries.held_back_by(fault)}, held_back)
        self.assertEqual([job.app_name for job in entries.jobs], [job.app_name for job in good])

    def test_a_good_job_with_the_name_of_a_broken_entry_holds_nothing_back(self):
        fault = Fault("broken", (BrokenEntry("jobs.Old", "job0"),))

        entries = configured(jobs_in({"job0": (), "job1": ("job0",)}), [fault])

        self.assertEqual([job.broken_dependency for job in entries.jobs], [None, None])


class TestNames(unittest.TestCase):
    def test_a_ghost_is_a_stored_name_that_no_entry_is_known_to_have(self):
        faults = [Fault("broken", (BrokenEntry("jobs.B", "b"), BrokenEntry("jobs.C")))]
        entries = ConfiguredJobs(jobs_in({"a": ()}), faults)

        self.assertEqual(entries.ghosts(["d", "c", "b", "a"]), ["c", "d"])
        self.assertEqual(entries.nameless(), ["jobs.C"])
