"""Sentry is told of each run, so that it notices one that does not come."""

from importlib.util import find_spec

from crontabber import __version__
from tests.integration.sentry_receiver import KEY, SECRET, SentryReceiver
from tests.integration.test_pings import JOBS
from tests.support import DatabaseTestCase, wait_until


class TestCheckIns(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("pinging", JOBS)
        self.sentry = SentryReceiver()
        self.sentry.__enter__()
        self.addCleanup(self.sentry.__exit__)

    def configure(self, jobs, **options):
        lines = [f"{name}={value}" for name, value in {"crons": "yes", "dsn": self.sentry.dsn(), **options}.items()]
        self.ini(jobs, extra="\n".join(["[sentry]", *lines]))

    def check_ins(self, slug):
        return [event for event in self.sentry.events() if event.get("monitor_slug") == slug]

    def test_a_run_checks_in_and_out_with_either_client(self):
        for client in ("raven", "sentry_sdk"):
            if not find_spec(client):
                continue
            with self.subTest(client):
                self.sentry.received.clear()
                self.configure("pinging.Good|5m\npinging.Bad|1d|00:00", client=client)
                self.empty_the_database()

                tick = self.crontabber()

                self.assertEqual(tick.returncode, 0)
                self.assertIn("Error captured in Sentry", tick.stderr)
                for slug, status in (("good", "ok"), ("bad", "error")):
                    start, end = self.check_ins(slug)
                    self.assertEqual((start["status"], end["status"]), ("in_progress", status))
                    self.assertEqual(start["check_in_id"], end["check_in_id"])
                    self.assertEqual(len(bytes.fromhex(start["check_in_id"])), 16)
                    self.assertEqual(start["release"], __version__)
                    self.assertGreaterEqual(end["duration"], 0)
                    self.assertEqual(start["monitor_config"], end["monitor_config"])
                schedules = [self.check_ins(slug)[0]["monitor_config"]["schedule"] for slug in ("good", "bad")]
                self.assertEqual(schedules[0], {"type": "interval", "value": 5, "unit": "minute"})
                self.assertEqual(schedules[1], {"type": "crontab", "value": "0 0 * * *"})
                (received, *_) = [each for each in self.sentry.received if "check_in_id" in each.event]
                self.assertEqual(received.path, "/api/14/envelope/")
                self.assertEqual((received.auth["sentry_key"], received.auth["sentry_secret"]), (KEY, SECRET))

    def test_a_run_whose_process_was_killed_ends_as_an_error_at_the_next_tick(self):
        self.configure("pinging.Hanging|7d")
        tick = self.start()
        self.wait_for("running")
        wait_until(lambda: self.check_ins("hanging"), "the check-in did not arrive")
        tick.kill()
        tick.communicate()
        self.sql("UPDATE crontabber SET error_count = 1, last_error = '{\"deaths\": 1}'")

        self.crontabber()

        start, end = self.check_ins("hanging")
        self.assertEqual((start["status"], end["status"]), ("in_progress", "error"))
        self.assertEqual(start["check_in_id"], end["check_in_id"])
        self.assertEqual(start["monitor_config"]["schedule"], {"type": "interval", "value": 1, "unit": "week"})

    def test_a_sentry_that_refuses_or_has_no_dsn_is_one_warning(self):
        self.sentry.answers = 403
        for dsn, said in ((self.sentry.dsn(), "Sentry's check-in of good (start) was not delivered: the server answered 403"),
                          ("nonsense", "sentry.dsn is not a valid DSN: write https://KEY @ HOST/PROJECT without spaces; Sentry is not told of runs")):
            with self.subTest(dsn):
                self.configure("pinging.Good|1d", dsn=dsn)
                self.empty_the_database()

                tick = self.crontabber("--logging.stderr_error_logging_level=WARNING")

                self.assertEqual((tick.returncode, tick.stderr.partition(" - ")[2]), (0, f"{said}\n"))
                self.assertEqual(self.ran(), ["good"])

    def test_nothing_is_sent_unless_it_is_asked_for(self):
        self.configure("pinging.Good|1d", crons="no")

        self.crontabber()

        self.assertEqual(self.sentry.received, [])
