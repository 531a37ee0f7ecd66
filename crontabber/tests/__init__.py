"""The old address of crontabber.testing, for test suites that were written for the original."""
