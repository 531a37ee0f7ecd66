"""Hundreds of random situations: each tick does what the dry run says."""

from tests.integration import test_dry_run


class TestProperty(test_dry_run.TestProperty):
    examples = 400
