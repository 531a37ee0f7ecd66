"""The connection ends at each statement of a tick, in every way."""

from tests.integration import test_cut_points
from tests.integration.faulty_proxy import Fault


class TestCutPoints(test_cut_points.TestCutPoints):
    def numbered(self, points, statements):
        for number in range(1, len(statements) + 1):
            for fault in Fault:
                yield number, fault
