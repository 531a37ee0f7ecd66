"""A signal that arrives while it is deferred is not lost."""

import os
import unittest
from datetime import timedelta

from crontabber.errors import JobTimeout
from crontabber.process.signals import INTERRUPTION, TIMEOUT_SIGNAL


class TestTimeouts(unittest.TestCase):
    def setUp(self):
        self.addCleanup(INTERRUPTION.set_timeout, None)

    def test_a_timeout_that_arrives_while_a_date_is_stored_ends_the_job_after_that(self):
        stored = False
        INTERRUPTION.set_timeout(timedelta(0))
        with INTERRUPTION.timeouts_handled(), self.assertRaises(JobTimeout), INTERRUPTION.deferred():
            os.kill(os.getpid(), TIMEOUT_SIGNAL)
            stored = True
        self.assertTrue(stored)

    def test_it_is_raised_once_so_that_the_job_can_clean_up(self):
        INTERRUPTION.set_timeout(timedelta(0))
        with INTERRUPTION.timeouts_handled():
            with self.assertRaises(JobTimeout), INTERRUPTION.deferred():
                os.kill(os.getpid(), TIMEOUT_SIGNAL)
            with INTERRUPTION.deferred():
                pass

    def test_one_that_arrives_after_the_job_has_ended_is_ignored(self):
        INTERRUPTION.set_timeout(timedelta(0))
        with INTERRUPTION.timeouts_handled(), INTERRUPTION.deferred():
            os.kill(os.getpid(), TIMEOUT_SIGNAL)
            INTERRUPTION.set_timeout(None)
