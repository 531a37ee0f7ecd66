"""Told to end at hundreds of random moments, and a server that is away for long."""

from tests.integration import test_lost_server, test_signals


class TestStartUp(test_signals.TestStartUp):
    signals = 300


class TestAbsence(test_lost_server.TestAbsence):
    seconds = 30.0
