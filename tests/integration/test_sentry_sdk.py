"""The new client of Sentry does what the old one does: the same tests, except those of raven itself."""

import sys
import unittest
from importlib.util import find_spec
from unittest import mock

from crontabber import engine
from crontabber.errors import SentryConfigurationError
from tests.integration import test_sentry
from tests.integration.test_sentry import raised

MISSING = "sentry.client=sentry_sdk needs another package: pip install sentry-sdk"


@unittest.skipUnless(find_spec("sentry_sdk"), "sentry_sdk is not installed")
class TestSentrySdk(test_sentry.TestSentry):
    CLIENT = "sentry_sdk"
    PATH = "/api/14/envelope/"

    def test_it_sends_an_endless_recursion_well_within_its_patience(self):
        def endless():
            endless()

        receiver = self.receiver()
        try:
            endless()
        except RecursionError as error:
            self.sentry(receiver.dsn(), patience=4, send_source=True).report(error, "foo-app")

        self.assertGreater(len(receiver.events()[0]["exception"]["values"][0]["stacktrace"]["frames"]), 100)
        self.assertLess(len(receiver.received[0].text), 2_000_000)

    def test_the_process_stays_as_it_was(self):
        hooks = sys.excepthook, sys.stderr

        self.sentry(self.receiver().dsn()).report(raised(ValueError()), "foo-app")

        self.assertEqual((sys.excepthook, sys.stderr), hooks)
        self.assertFalse(sys.modules["sentry_sdk"].is_initialized())

    test_it_uses_only_the_methods_of_raven_that_fakes_have = None
    test_a_mock_may_take_the_place_of_raven = None
    test_a_mock_may_take_the_place_of_raven_in_a_test_event_too = None
    test_a_missing_or_broken_raven_raises_no_error = None
    test_ravens_own_log_lines_appear_at_debug = None


class TestWithoutSentrySdk(unittest.TestCase):
    def test_a_missing_package_is_named_once(self):
        log = test_sentry.Log()
        sentry = test_sentry.Sentry("http://a@127.0.0.1:1/1", "1", test_sentry.load_raven, log.logger, client="sentry_sdk")
        with mock.patch.dict(sys.modules, {"sentry_sdk": None}):
            vars(engine).pop("sentry_sdk_client", None)
            sys.modules.pop("crontabber.engine.sentry_sdk_client", None)
            for _ in range(2):
                sentry.report(raised(ValueError()), "foo-app")

            with self.assertRaises(SentryConfigurationError):
                sentry.send_test()

        (line,) = log.lines("WARNING")
        self.assertTrue(line.startswith(f"WARNING {MISSING}"), line)
        self.assertTrue(line.endswith("; errors are not sent to Sentry"), line)
