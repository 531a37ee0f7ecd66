"""Signals at hundreds of random moments of a start, and a server that is down for a long time."""

from tests.integration import test_lost_server, test_signals


class TestStartUp(test_signals.TestStartUp):
    signals = 300


class TestAbsence(test_lost_server.TestAbsence):
    seconds = 30.0
