"""Changes that a job makes to its process are undone, and settings of others are left alone."""

import logging
import os
import resource
import signal
import time
import unittest
from unittest.mock import Mock

from crontabber.process.isolation import process_state_restored


class TestProcessStateRestored(unittest.TestCase):
    def setUp(self):
        self.addCleanup(signal.alarm, 0)
        self.addCleanup(signal.signal, signal.SIGALRM, signal.getsignal(signal.SIGALRM))

    def test_an_alarm_that_the_block_sets_does_not_go_off(self):
        with process_state_restored():
            signal.signal(signal.SIGALRM, lambda *args: self.fail("it went off"))
            signal.alarm(100)

        self.assertEqual(signal.alarm(0), 0)

    def test_a_timer_that_was_set_before_keeps_running(self):
        signal.setitimer(signal.ITIMER_REAL, 100)

        with process_state_restored():
            signal.alarm(0)
            time.sleep(0.01)

        seconds, _ = signal.getitimer(signal.ITIMER_REAL)
        self.assertTrue(90 < seconds < 99.995, seconds)

    def test_signal_handlers_are_restored(self):
        before = signal.getsignal(signal.SIGTERM)

        with process_state_restored():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

        self.assertIs(signal.getsignal(signal.SIGTERM), before)

    def test_signals_are_no_longer_blocked(self):
        arrived = []
        self.addCleanup(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, lambda *args: arrived.append("SIGTERM")))

        with process_state_restored():
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            os.kill(os.getpid(), signal.SIGTERM)
            # Its default would end the process.
            os.kill(os.getpid(), signal.SIGUSR1)

        self.assertEqual((arrived, signal.pthread_sigmask(signal.SIG_BLOCK, ())), (["SIGTERM"], set()))

    def test_umask_and_limits_are_restored(self):
        before = os.umask(0o022), resource.getrlimit(resource.RLIMIT_FSIZE), resource.getrlimit(resource.RLIMIT_AS)

        with process_state_restored():
            os.umask(0o777)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1][1]))
            resource.setrlimit(resource.RLIMIT_AS, (10**9, before[2][1]))

        after = os.umask(before[0]), resource.getrlimit(resource.RLIMIT_FSIZE), resource.getrlimit(resource.RLIMIT_AS)
        self.assertEqual(after, (0o022, *before[1:]))

    def test_a_logger_is_restored_and_a_mock_is_left_alone(self):
        logger = logging.getLogger("surroundings")
        logger.setLevel(logging.INFO)

        with process_state_restored(Mock(logger=logger)):
            logger.disabled = True
            logging.disable()

        self.assertTrue(logger.isEnabledFor(logging.INFO))
        for stand_in in (Mock(), object(), Mock(logger=object()), None):
            with self.subTest(stand_in), process_state_restored(stand_in):
                pass
