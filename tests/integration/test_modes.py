"""The modes that act, through the real command: the output, the exit code, and what they leave in the state."""

import time

import crontabber
from crontabber.engine.sentry import TEST_MESSAGE
from tests.integration.mode_case import NOWHERE, ModeTestCase
from tests.integration.sentry_receiver import KEY, SentryReceiver
from tests.support import assert_within


class TestJobAndForce(ModeTestCase):
    def test_a_job_that_is_not_due_does_not_run_unless_forced(self):
        self.ini("nightly.Foo|1d\nnightly.Sad|1d")

        for description in ("foo", "nightly.Foo"):
            with self.subTest(description):
                self.crontabber("--reset-job=foo")
                self.assertEqual(self.crontabber(f"--job={description}").returncode, 0)
                self.assertEqual(self.ran(), ["foo the first time"])

                idle = self.crontabber(f"--job={description}")
                self.assertEqual((idle.returncode, idle.stdout, self.ran()), (0, "", []))
                self.assertRegex(idle.stderr, r"\A\S+ \S+ \S+ INFO - Nothing is due\. Next: foo at [\d-]+ [\d:]+ \S+ \(in .*\)\n\Z")

                forced = self.crontabber(f"--job={description}", "--force")
                self.assertEqual((forced.returncode, self.ran()), (0, ["foo again"]))
        self.crontabber("-j", "foo", "-f")
        self.assertEqual(self.ran(), ["foo again"])

    def test_a_held_back_job_does_not_run_unless_forced(self):
        self.ini("nightly.Sad|1d\nnightly.SadChild|1d")
        self.crontabber("--job=sad")

        held = self.crontabber("--job=sad-child")
        self.assertEqual((held.returncode, self.ran()), (0, ["sad the first time"]))
        self.assertRegex(held.stderr, r"\A\S+ \S+ \S+ INFO - sad-child is held back: its dependency 'sad' errored last time\n\Z")

        forced = self.crontabber("--job=sad-child", "--force")
        self.assertEqual((forced.returncode, self.ran()), (0, ["sad-child the first time"]))

    def test_job_and_force_do_not_run_a_backfill_job(self):
        self.ini("nightly.Back|1d\nnightly.SadBack|1d")

        for arguments in (["--job=back"], ["--job=nightly.Back"], ["--job=back", "--force"]):
            with self.subTest(arguments):
                ignored = self.crontabber(*arguments)
                self.assertEqual((ignored.returncode, ignored.stdout, self.ran()), (0, "", []))
                self.assertRegex(ignored.stderr, r"\A\S+ \S+ \S+ WARNING - back is a backfill job, so it was not run: .*\n\Z")
        self.assertIsNone(self.sql("SELECT to_regclass('crontabber')")[0][0])

    def test_force_without_a_job_is_an_ordinary_tick(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()

        self.crontabber("--force")

        self.assertEqual(self.ran(), ["foo the first time"])

    def test_a_forced_failure_is_recorded_like_any_other(self):
        self.ini("nightly.Sad|1d")

        forced = [self.crontabber("--job=sad", "--force").returncode for _ in range(2)]

        self.assertEqual((forced, self.row("sad", "error_count")), ([0, 0], 2))


class TestResetJob(ModeTestCase):
    JOBS = "nightly.Foo|1d\nnightly.Bar|1d"

    def setUp(self):
        super().setUp()
        self.ini(self.JOBS)
        self.crontabber()
        self.ran()

    def names(self):
        return [name for (name,) in self.sql("SELECT app_name FROM crontabber ORDER BY 1")]

    def test_it_forgets_the_state_and_keeps_the_log(self):
        for description in ("foo", "nightly.Foo"):
            with self.subTest(description):
                reset = self.crontabber(f"--reset-job={description}")

                self.assertEqual((reset.returncode, reset.stdout), (0, ""))
                self.assertRegex(reset.stderr, r"\A\S+ \S+ \S+ INFO - \S+ was reset by \S+@\S+\n\S+ \S+ \S+ INFO - App reset\n\Z")
                self.assertEqual(self.names(), ["bar"])
                self.crontabber()
                self.assertEqual(self.ran(), ["foo the first time"])
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log WHERE app_name = 'foo'"), [(3,)])

    def test_a_second_reset_changes_nothing(self):
        self.crontabber("-r", "foo")

        again = self.crontabber("-r", "foo")

        self.assertEqual((again.returncode, again.stdout), (0, ""))
        self.assertRegex(again.stderr, r"\A\S+ \S+ \S+ WARNING - App already reset\n\Z")
        self.assertEqual(self.names(), ["bar"])

    def test_a_ghost_is_cleared_out_by_its_app_name(self):
        self.ini("nightly.Bar|1d")

        reset = self.crontabber("--reset-job=foo")

        self.assertEqual((reset.returncode, reset.stdout), (0, ""))
        self.assertRegex(reset.stderr, r"\A\S+ \S+ \S+ INFO - \S+ was reset by \S+@\S+\n\S+ \S+ \S+ INFO - App reset\n\Z")
        self.assertEqual(self.names(), ["bar"])

    def test_an_unknown_job_is_an_error(self):
        reset = self.crontabber("--reset-job=fop")

        self.assert_said(reset, 1, "", "crontabber: unknown job 'fop': did you mean foo?\n")
        self.assertEqual(self.names(), ["bar", "foo"])

    def test_a_ghost_that_is_gone_is_an_error_like_any_unknown_name(self):
        self.ini("nightly.Bar|1d")
        self.crontabber("--reset-job=foo")

        reset = self.crontabber("--reset-job=foo")

        self.assert_said(reset, 1, "", "crontabber: unknown job 'foo': see --list-jobs and --audit-ghosts\n")


class TestConfigtest(ModeTestCase):
    """Without a database: no server listens at this address."""

    def configtest(self, jobs):
        self.ini(jobs, connection=NOWHERE)
        return self.crontabber("--configtest")

    def test_it_prints_nothing_without_faults(self):
        self.assert_said(self.configtest("nightly.Foo|5m\nnightly.Bar|12h\nnightly.Back|7d|03:00"), 0, "")

    def test_an_unconfigured_dependency_is_a_warning_and_not_a_fault(self):
        tested = self.configtest("nightly.Bar|1d")

        self.assertEqual((tested.returncode, tested.stdout), (0, ""))
        self.assertRegex(tested.stderr, r"\A\S+ \S+ \S+ WARNING - bar depends on 'foo', which is not configured here: .*\n\Z")

    def test_each_fault_has_a_line_and_the_exit_code_counts_them(self):
        cases = [
            ("nightly.Foo|1d\nnowhere.Job|1d", ["nowhere.Job"], "no such module"),
            ("nightly.Nobody|1d", ["nightly.*Nobody"], "no such class"),
            ("nightly.Foo|2r", ["nightly.Foo.*2r"], "the manual's own bad frequency"),
            ("nightly.Foo|1d|25:00", ["nightly.Foo.*25:00"], "no time of day"),
            ("nightly.Foo|1h|03:00", ["nightly.Foo.*1h.*03:00"], "less than daily, and a time"),
            ("nightly.Foo|2r\nnightly.Bar|0m\nnightly.Back|1d|noon", ["Foo.*2r", "Bar.*0m", "Back.*noon"], "three jobs"),
            (
                "nightly.Foo|2r\nnowhere.Job|1d\nnightly.Bar|1d|9\nnightly.Sad",
                ["Foo.*2r", "nowhere.Job", "Bar.*9", "nightly.Sad"],
                "those found while the setting is read, and those found after it",
            ),
        ]
        for jobs, culprits, why in cases:
            with self.subTest(why):
                tested = self.configtest(jobs)
                lines = tested.stderr.splitlines()
                self.assertEqual((tested.returncode, tested.stdout, len(lines)), (len(culprits), "", len(culprits)), lines)
                for culprit in culprits:
                    self.assertTrue(any(line.startswith("crontabber: ") for line in lines), lines)
                    self.assertRegex(tested.stderr, culprit)

    def test_the_exit_code_is_at_most_125(self):
        tested = self.configtest("\n".join(f"nowhere.Job{number}|1d" for number in range(300)))

        self.assertEqual((tested.returncode, len(tested.stderr.splitlines())), (125, 300))

    def test_a_fault_elsewhere_in_the_file_counts_as_one(self):
        self.ini("nightly.Foo|1d", error_retry_time="soon", connection=NOWHERE)

        tested = self.crontabber("--configtest")

        self.assertEqual((tested.returncode, tested.stdout), (1, ""))
        self.assertRegex(tested.stderr, "error_retry_time")


class TestSentrytest(ModeTestCase):
    def test_the_test_message_has_arrived_when_the_command_ends(self):
        for section in ("[sentry]\ndsn={}", "[secrets]\n[[sentry]]\ndsn={}"):
            with self.subTest(section), SentryReceiver() as sentry:
                self.ini(extra=section.format(sentry.dsn()), connection=NOWHERE)

                tested = self.crontabber("--sentrytest")

                self.assertEqual((tested.returncode, tested.stdout), (0, ""), tested.stderr)
                (event,) = sentry.events()
                self.assertRegex(
                    tested.stderr, rf"\A\S+ \S+ \S+ INFO - Sentry successful identifier: {event['event_id']}\n\Z"
                )
                self.assertEqual((event["release"], event["message"]), (crontabber.__version__, TEST_MESSAGE))

    def test_no_dsn_is_an_error(self):
        self.ini(connection=NOWHERE)

        tested = self.crontabber("--sentrytest")

        self.assert_said(tested, 1, "", "crontabber: cannot test Sentry: sentry.dsn is not set\n")

    def test_a_server_that_rejects_the_report_is_an_error(self):
        with SentryReceiver(answers=403) as sentry:
            self.ini(extra=f"[sentry]\ndsn={sentry.dsn()}", connection=NOWHERE)

            tested = self.crontabber("--sentrytest")

        self.assertEqual((tested.returncode, tested.stdout), (1, ""))
        self.assertRegex(tested.stderr, r"\Acrontabber: Sentry at 127.0.0.1 did not accept the report: .*\n\Z")
        self.assertNotIn(KEY, tested.stderr)


class TestSentryInATick(ModeTestCase):
    def test_an_error_has_reached_sentry_when_the_tick_ends(self):
        with SentryReceiver() as sentry:
            self.ini("nightly.Sad|1d\nnightly.Foo|1d", f"[sentry]\ndsn={sentry.dsn()}")

            tick = self.crontabber()

        (event,) = sentry.events()
        (error,) = event["exception"]["values"]
        self.assertEqual((error["type"], error["value"]), ("ValueError", "No more tissues"))
        self.assertEqual([frame["function"] for frame in error["stacktrace"]["frames"]][-1], "run")
        self.assertEqual((dict(event["tags"]), event["release"]), ({"app_name": "sad"}, crontabber.__version__))
        self.assertEqual(tick.returncode, 0)
        self.assertRegex(tick.stderr, rf"(?m)^\S+ \S+ \S+ INFO - Error captured in Sentry\. Reference: {event['event_id']}$")

    def test_a_tick_does_not_fail_without_a_server_or_valid_dsn(self):
        with SentryReceiver() as sentry:
            gone = sentry.dsn()
        for dsn, said in ((gone, ""), ("not-a-dsn", "sentry.dsn is not a valid DSN")):
            with self.subTest(dsn):
                self.ini("nightly.Foo|1d\nnightly.Sad|1d", f"[sentry]\ndsn={dsn}")
                self.crontabber("--reset-job=sad")

                tick = self.crontabber()

                self.assertEqual((tick.returncode, self.row("sad", "error_count")), (0, 1))
                self.assertIn(said, tick.stderr)
                self.assertEqual(tick.stderr.count("Traceback"), 1)
                self.assertNotIn(KEY, tick.stderr)

    def test_a_silent_server_delays_a_tick_by_at_most_five_seconds(self):
        with SentryReceiver(answers=None) as sentry:
            self.ini("nightly.Sad|1d\nnightly.Rude|1d\nnightly.Loud|1d\nnightly.Foo|1d", f"[sentry]\ndsn={sentry.dsn()}")
            started = time.monotonic()

            tick = self.crontabber()

            seconds = time.monotonic() - started
        self.assertEqual((tick.returncode, self.ran()), (0, ["foo the first time", "sad the first time"]))
        self.assertEqual(self.sql("SELECT sum(error_count) FROM crontabber"), [(3,)])
        self.assertGreaterEqual(seconds, 5)
        assert_within(9, seconds)


class TestVersion(ModeTestCase):
    def test_it_is_the_bare_version_even_with_a_broken_configuration(self):
        self.ini("nightly.Foo|1d", connection=NOWHERE)
        for argument in ("--version", "-v", "--vers"):
            self.assert_said(self.crontabber(argument), 0, f"{crontabber.__version__}\n")
        self.ini("nowhere.Job|2r", error_retry_time="soon")
        self.assert_said(self.crontabber("--version"), 0, f"{crontabber.__version__}\n")
        (self.folder / "crontabber.ini").unlink()
        self.assert_said(self.crontabber("--version"), 0, f"{crontabber.__version__}\n")


class TestPythonM(ModeTestCase):
    def test_crontabber_app_is_the_command_too(self):
        self.ini("nightly.Foo|1h")
        command = self.command()
        command[command.index("crontabber")] = "crontabber.app"

        tick = self.start_program(command)
        misuse = self.start_program([*command, "--nonsense"])

        self.assertEqual((tick.wait(60), self.ran()), (0, ["foo the first time"]))
        self.assertEqual(misuse.communicate(timeout=60), ("", "crontabber: unknown option --nonsense (see --help)\n"))
        self.assertEqual(misuse.returncode, 1)
