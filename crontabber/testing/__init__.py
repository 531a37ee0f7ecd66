"""Test your jobs: run one class without a server, or whole ticks on an embedded PostgreSQL."""

from crontabber.testing.cases import IntegrationTestCaseBase, TestCaseBase
from crontabber.testing.embedded import EmbeddedCrontabber
from crontabber.testing.jobs import JobResult, run_job

__all__ = ["EmbeddedCrontabber", "IntegrationTestCaseBase", "JobResult", "TestCaseBase", "run_job"]
