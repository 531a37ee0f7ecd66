"""The base classes of test suites that were written for the original. New tests use crontabber.testing."""

from crontabber.testing.cases import IntegrationTestCaseBase, TestCaseBase

__all__ = ["IntegrationTestCaseBase", "TestCaseBase"]
