"""Hundreds of faults in a backfill: no date runs twice, and none is lost."""

from tests.integration import test_exactly_once


class TestKills(test_exactly_once.TestKills):
    missed_dates = 1000
    faults = 300


class TestTerminatedClaims(test_exactly_once.TestTerminatedClaims):
    missed_dates = 1000
    faults = 100


class TestTerminatedJobs(test_exactly_once.TestTerminatedJobs):
    missed_dates = 1000
    faults = 100
