"""Services that watch jobs are told of each run and each tick, and never get in the way."""

import base64
import signal
import uuid
from types import SimpleNamespace
from unittest.mock import patch

from crontabber.engine.outbox import SECONDS_BETWEEN_ATTEMPTS, Letter, Outbox
from tests.integration.ping_receiver import SECRET, PingReceiver
from tests.support import DatabaseTestCase, wait_until

JOBS = """
    import os
    import signal
    import time

    from crontabber.base import BaseCronApp
    from crontabber.errors import RetryLater
    from crontabber.mixins import as_backfill_cron_app
    from tests.jobs import Noting, note


    class Good(Noting):
        app_name = "good"


    class Bad(BaseCronApp):
        app_name = "bad"

        def run(self):
            raise ValueError("no luck " + "é" * 20000)


    class Later(BaseCronApp):
        app_name = "asking-later"

        def run(self):
            raise RetryLater(60, "the file is not there")


    @as_backfill_cron_app
    class Dates(Noting):
        app_name = "dates"

        def run(self, date):
            super().run()
            if os.path.exists("no more"):
                raise ValueError("no more")
            if os.path.exists("once"):
                open("no more", "w").close()


    class Hanging(BaseCronApp):
        app_name = "hanging"

        def run(self):
            note("", "running")
            time.sleep(600)


    class Timed(Hanging):
        app_name = "timed"
        policy = {"timeout": 0.5}


    class Blocking(Hanging):
        app_name = "blocking"
        policy = {"timeout": 0.5, "kill_timeout": 0.2}

        def run(self):
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            super().run()
"""
NOT_DELIVERED = " was not delivered: "


class PingsTestCase(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("pinging", JOBS)

    def receiver(self, *arguments, **options):
        receiver = PingReceiver(*arguments, **options)
        receiver.__enter__()
        self.addCleanup(receiver.__exit__)
        return receiver

    def configure(self, receiver, *jobs, **options):
        setting = "\n".join(f"pinging.{job}|1d" for job in jobs)
        self.ini(setting, extra=f"[[policy]]\nping_url={receiver.url()}", **options)

    def assert_one_run(self, pings):
        """All pings of a run name it, with the same UUID."""
        (run,) = {ping.parameters["rid"] for ping in pings}
        self.assertEqual(str(uuid.UUID(run)), run)
        return run


class TestHealthchecks(PingsTestCase):
    def test_a_run_starts_and_succeeds_or_fails_with_the_error(self):
        receiver = self.receiver()
        self.configure(receiver, "Good", "Bad")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, receiver.ends("good"), receiver.ends("bad")), (0, ["start", ""], ["start", "fail"]))
        runs = {self.assert_one_run(receiver.of(name)) for name in ("good", "bad")}
        self.assertEqual(len(runs), 2)
        self.assertEqual([ping.body for ping in receiver.of("good")], ["", ""])
        start, fail = receiver.of("bad")
        self.assertEqual(start.body, "")
        self.assertTrue(fail.body.startswith("<class 'ValueError'>: no luck é"), fail.body[:50])
        self.assertIn(len(fail.body.encode()), range(9_990, 10_003))

    def test_a_backfill_has_one_start_and_one_end(self):
        receiver = self.receiver()
        self.configure(receiver, "Dates")
        self.crontabber()
        for flag, end in (("", ""), ("once", "fail")):
            with self.subTest(end=end):
                receiver.received.clear()
                (self.folder / (flag or "nothing")).touch()
                self.sql("UPDATE crontabber SET last_success = last_success - interval '3 days', next_run = now() - interval '3 days'")
                self.ran()

                self.crontabber()

                self.assertEqual((receiver.ends("dates"), len(self.ran())), (["start", end], 2 if flag else 3))
                self.assert_one_run(receiver.received)

    def test_a_run_that_reaches_its_timeout_fails(self):
        receiver = self.receiver()
        self.configure(receiver, "Timed", "Blocking")

        self.crontabber()

        for name in ("timed", "blocking"):
            self.assertEqual(receiver.ends(name), ["start", "fail"])
            self.assert_one_run(receiver.of(name))
            self.assertIn("JobTimeout", receiver.of(name)[1].body)

    def test_the_next_tick_fails_a_run_whose_process_was_killed(self):
        receiver = self.receiver()
        self.configure(receiver, "Hanging")
        tick = self.start()
        self.wait_for("running")
        wait_until(lambda: receiver.received, "the start did not arrive")
        tick.kill()
        tick.communicate()
        self.sql("UPDATE crontabber SET error_count = 1, last_error = '{\"deaths\": 1}'")

        self.crontabber()

        self.assertEqual(receiver.ends("hanging"), ["start", "fail"])
        self.assert_one_run(receiver.received)
        self.assertIn("ended without a result", receiver.received[1].body)

    def test_an_interruption_and_a_delay_are_no_failures(self):
        receiver = self.receiver()
        self.configure(receiver, "Later", "Hanging")
        tick = self.start()
        self.wait_for("running")
        wait_until(lambda: receiver.ends("hanging"), "the start did not arrive")

        tick.send_signal(signal.SIGTERM)
        tick.communicate()

        self.assertEqual((receiver.ends("hanging"), receiver.ends("asking-later")), (["start", "log"], ["start", "log"]))
        self.assertIn("the file is not there", receiver.of("asking-later")[1].body)
        self.assertIn("SIGTERM", receiver.of("hanging")[1].body)


class TestCronitor(PingsTestCase):
    def test_a_run_has_a_series_of_states(self):
        receiver = self.receiver()
        self.configure(receiver, "Good", "Bad", "Later", ping_format="cronitor")

        self.crontabber()

        for name, states in (("good", ["run", "complete"]), ("bad", ["run", "fail"]), ("asking-later", ["run"])):
            self.assertEqual([ping.parameters["state"] for ping in receiver.of(name)], states)
            self.assertEqual(len({ping.parameters["series"] for ping in receiver.of(name)}), 1)
            self.assertEqual({ping.end for ping in receiver.of(name)}, {""})
        message = receiver.of("bad")[1].parameters["message"]
        self.assertTrue(message.startswith("<class 'ValueError'>: no luck é"))
        self.assertEqual(len(message), 2000)


class TestTicks(PingsTestCase):
    def setUp(self):
        super().setUp()
        self.service = self.receiver()

    def test_each_tick_starts_and_succeeds_even_if_a_job_fails(self):
        self.ini("pinging.Bad|1d", tick_ping_url=self.service.url("tick"))
        for _ in range(2):
            self.service.received.clear()

            tick = self.crontabber()

            self.assertEqual((tick.returncode, self.service.ends("tick")), (0, ["start", ""]))
            self.assert_one_run(self.service.received)

    def test_a_tick_fails_without_its_database_and_with_a_broken_entry(self):
        away = {"host": "127.0.0.1", "port": "1", "password": "s3cret-of-db"}
        for jobs, connection, reason in (
            ("pinging.Good|1d", away, "StateDatabaseError: "), ("pinging.Good|1d\nno.Such|1d", None, "broken entries in the setting jobs: 1"),
        ):
            with self.subTest(reason):
                self.service.received.clear()
                self.ini(jobs, connection=connection, tick_ping_url=self.service.url("tick"))

                tick = self.crontabber()

                self.assertEqual((tick.returncode, self.service.ends("tick")), (1, ["start", "fail"]))
                self.assertIn(reason, self.service.received[1].body)
                self.assertNotIn("s3cret", self.service.received[1].body)

    def test_several_workers_and_ticks_elsewhere_are_one_tick(self):
        self.write_module("pool", """
            from concurrent.futures import ThreadPoolExecutor

            class Threads:
                def __init__(self, config):
                    self.submit = ThreadPoolExecutor().submit
        """)
        for option in ("--workers=2", "--crontabber.executor_class=pool.Threads"):
            with self.subTest(option):
                self.service.received.clear()
                self.empty_the_database()
                self.ini("pinging.Good|1d\npinging.Later|1d", tick_ping_url=self.service.url("tick"))

                tick = self.crontabber(option)

                self.assertEqual((tick.returncode, self.ran(), self.service.ends("tick")), (0, ["good"], ["start", ""]))

    def test_other_modes_ping_no_tick(self):
        self.ini("pinging.Good|1d", tick_ping_url=self.service.url("tick"))

        for mode in ("--job=good", "--list-jobs", "--nagios", "--configtest"):
            self.crontabber(mode)

        self.assertEqual(self.service.received, [])


class TestServicesThatDoNotWork(PingsTestCase):
    def test_a_late_answer_is_waited_for(self):
        receiver = self.receiver(delay=0.5)
        self.configure(receiver, "Good")

        tick = self.crontabber()

        self.assertEqual((receiver.ends("good"), NOT_DELIVERED in tick.stderr), (["start", ""], False))

    def test_a_service_that_never_answers_delays_no_job_and_holds_no_claim(self):
        self.ini("pinging.Good|1d")
        self.crontabber()
        self.due("good")
        self.ran()
        receiver = self.receiver(None)
        self.configure(receiver, "Good", "Bad", tick_ping_url=receiver.url("tick"))

        tick = self.start()
        wait_until(lambda: receiver.received, "no ping arrived")
        wait_until(lambda: self.row("bad", "last_run") and self.row("bad", "ongoing") is None, "the jobs did not end")
        settled = tick.poll()
        _, stderr = tick.communicate(timeout=30)

        self.assertIsNone(settled)
        self.assertEqual((tick.returncode, self.ran()), (0, ["good"]))
        self.assertEqual(stderr.count(NOT_DELIVERED), 1)
        self.assertNotIn(SECRET, stderr)

    def test_each_failure_is_reported_once_without_the_address(self):
        for answers, requests, reason in (
            (500, 4, "the server answered 500"), (404, 2, "the server answered 404"),
            (302, 2, "the server answered 302"), ("garbage", 4, "BadStatusLine"),
        ):
            with self.subTest(answers):
                receiver = self.receiver(answers, {"Location": "http://127.0.0.1:1/elsewhere"})
                self.configure(receiver, "Good")
                self.empty_the_database()

                tick = self.crontabber()

                said = [line.partition(" - ")[2] for line in tick.stderr.splitlines() if NOT_DELIVERED in line]
                self.assertEqual((tick.returncode, said), (0, [f"the ping of good (start) was not delivered: {reason}"]))
                self.assertIn("WARNING", tick.stderr)
                self.assertEqual(len(receiver.received), requests)
                self.assertNotIn(SECRET, tick.stderr)
                self.assertEqual(self.ran(), ["good"])

    def test_what_leaves_no_time_for_a_second_attempt_is_reported_as_it_is(self):
        receiver = self.receiver(503)
        said = []
        outbox = Outbox(SimpleNamespace(warning=lambda message, *arguments: said.append(message % arguments)))

        with patch("crontabber.engine.outbox.LETTER_SECONDS", SECONDS_BETWEEN_ATTEMPTS / 2):
            outbox.send(Letter("it", receiver.url("x")))
            outbox.finish()

        self.assertEqual(len(said), 1)
        self.assertNotIn("ValueError", said[0])

    def test_a_user_and_a_password_go_into_a_header(self):
        receiver = self.receiver()
        self.ini("pinging.Good|1d", tick_ping_url=receiver.url("tick").replace("//", "//us%65r:p%40ss@"))

        tick = self.crontabber()

        self.assertEqual((tick.returncode, NOT_DELIVERED in tick.stderr), (0, False))
        expected = f"Basic {base64.b64encode(b'user:p@ss').decode()}"
        self.assertEqual([each.authorization for each in receiver.of("tick")], [expected, expected])

    def test_an_address_that_is_none_is_refused_without_being_shown(self):
        self.ini("pinging.Good|1d")
        for option, address in (
            ("crontabber.policy.ping_url", f"gopher://{SECRET}"), ("crontabber.tick_ping_url", f"{SECRET}/x"),
            ("crontabber.tick_ping_url", f"http:///{SECRET}"), ("crontabber.tick_ping_url", f"http://h/{SECRET} x"),
            ("crontabber.policy.ping_url", f"http://[{SECRET}"), ("crontabber.policy.ping_url", f"http://h:65536/{SECRET}"),
        ):
            with self.subTest(option, address=address):
                tick = self.crontabber(f"--{option}={address}")

                self.assertEqual(tick.returncode, 1)
                self.assertIn(f"{option} is ****: expected an address that begins with https:// or http://", tick.stderr)
                self.assertNotIn(SECRET, tick.stderr)
