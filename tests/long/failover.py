"""Dozens of failovers and crashes of the server: what the database forgets is named, and runs again."""

from tests.integration import test_failover


class TestFailover(test_failover.TestFailover):
    lagging_failovers = 40
    synchronous_failovers = 20
    crashes = 20
    failovers_during_runs = 20
