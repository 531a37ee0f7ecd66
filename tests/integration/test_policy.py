"""Policies in real ticks: where they are set, retries that wait longer, jobs that give up or ask to run later."""

from datetime import timedelta

from tests.integration.mode_case import ModeTestCase

JOBS = """
from configman import Namespace
from crontabber.errors import GiveUp, RetryLater
from crontabber.mixins import as_backfill_cron_app
from tests.jobs import Noting, note


class Sad(Noting):
    app_name = "sad"
    policy = {"error_retry_time": "10m", "error_retry_factor": 3, "max_errors": 3}

    def run(self):
        super().run()
        raise ValueError("No more tissues")


class Child(Noting):
    app_name = "child"
    depends_on = "sad"


class Cured(Noting):
    app_name = "sad"
    policy = Sad.policy


class Waiting(Noting):
    app_name = "waiting"

    def run(self):
        super().run()
        raise RetryLater(7200, "the file is not there yet")


class ChildOfWaiting(Noting):
    app_name = "child-of-waiting"
    depends_on = "waiting"


@as_backfill_cron_app
class Hopeless(Noting):
    app_name = "hopeless"

    def run(self, date):
        super().run(date)
        raise GiveUp("the contract has ended")


class OldJob(Noting):
    '''Written before there were policies.'''

    app_name = "old-job"
    policy = "keep everything"
    required_config = Namespace()
    required_config.namespace("policy")
    required_config.policy.add_option("timeout", default=1)
    required_config.add_option("max_errors", default=1)

    def run(self):
        note(f"{self.config.policy.timeout} {self.config.max_errors} {self.policy}")
        raise ValueError("once more")
"""


class PolicyTestCase(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("policies", JOBS)

    def wait_of(self, app_name):
        """Return how long after its last run the job runs next, in whole minutes."""
        next_run, last_run = self.row(app_name, "next_run", "last_run")
        return (next_run - last_run.replace(second=0, microsecond=0)) / timedelta(minutes=1)


class TestRetries(PolicyTestCase):
    def test_each_failure_waits_longer_until_the_job_gives_up(self):
        self.ini("policies.Sad|1h\npolicies.Child|1h")
        waits, ticks = [], []
        for _ in range(3):
            ticks.append(self.crontabber())
            waits.append(self.wait_of("sad"))
            self.due("sad")

        self.assertEqual(waits, [10, 30, 90])
        said = [tick.stderr.count("; it gave up (it runs again after --resume or --reset-job, or with --job and --force)\nTraceback") for tick in ticks]
        self.assertEqual(said, [0, 0, 1])
        self.assertEqual(self.ran(), ["sad"] * 3)
        last = self.crontabber()
        self.assertEqual(self.ran(), [])
        self.assertIn("INFO - sad is held back: it gave up (it runs again after --resume or --reset-job, or with --job and --force)\n", last.stderr)

    def test_everything_that_shows_the_job_says_that_it_gave_up(self):
        self.ini("policies.Hopeless|1d")
        self.crontabber()

        self.assertIn("\nGave up!        it runs again after --resume or --reset-job, or with --job and --force\n", self.crontabber("--list-jobs").stdout)
        self.assertEqual(self.crontabber("--nagios").returncode, 2)
        self.due("hopeless")
        self.assertEqual(self.ran(), ["hopeless"])
        self.crontabber()
        self.assertEqual(self.ran(), [])

    def test_a_forced_success_or_a_reset_ends_it(self):
        for command in ("--job=sad --force", "--reset-job=sad"):
            with self.subTest(command):
                self.empty_the_database()
                self.ini("policies.Sad|1h", "[[policy]]\nmax_errors=1\n[[class-Sad]]\n[[[policy]]]\nmax_errors=1")
                self.crontabber()
                self.due("sad")
                self.assertEqual(self.ran(), ["sad"])

                self.ini("policies.Cured|1h", "[[policy]]\nmax_errors=1")
                self.crontabber(*command.split())
                self.ran()
                self.due("sad")
                self.crontabber()

                self.assertEqual((self.ran(), self.row("sad", "error_count")), (["sad"], 0))

    def test_a_higher_limit_ends_it_too(self):
        self.ini("policies.Sad|1h", max_ongoing_age_hours=1)
        for _ in range(4):
            self.crontabber()
            self.due("sad")
        self.assertEqual(self.ran(), ["sad"] * 3)

        self.crontabber("--crontabber.class-Sad.policy.max_errors=9")

        self.assertEqual(self.ran(), ["sad"])


class TestRetryLater(PolicyTestCase):
    def test_a_job_that_asks_to_run_later_has_not_failed(self):
        self.ini("policies.Waiting|1h\npolicies.ChildOfWaiting|1h")

        tick = self.crontabber()

        self.assertEqual((self.wait_of("waiting"), self.row("waiting", "error_count", "last_success")), (120, (0, None)))
        self.assertIn("INFO - waiting asked to run later (the file is not there yet); next attempt at ", tick.stderr)
        self.assertNotIn("Traceback", tick.stderr)
        self.assertEqual(self.ran(), ["waiting"], "its dependents wait")
        self.assertEqual(self.crontabber("--nagios").stdout, "OK - All systems nominal\n")
        self.assertEqual(self.sql("SELECT exc_type FROM crontabber_log"), [("<class 'crontabber.errors.RetryLater'>",)])

    def test_it_neither_adds_to_failures_nor_ends_them(self):
        self.ini("policies.Waiting|1h")
        self.crontabber()
        self.sql("UPDATE crontabber SET error_count = 2, next_run = now()")

        self.crontabber()

        self.assertEqual(self.row("waiting", "error_count"), 2)


class TestWhereItIsSet(PolicyTestCase):
    def test_the_namespace_of_the_job_wins_over_its_class_and_the_defaults(self):
        defaults = "[[policy]]\nerror_retry_time=1m\nerror_retry_factor=1\n"
        own = "[[class-Sad]]\n[[[policy]]]\nerror_retry_time=20m\n"
        for extra, arguments, environment, expected in [
            (defaults, [], {}, 10),
            (defaults + own, [], {}, 20),
            (own, [], {"crontabber__class-Sad__policy__error_retry_time": "40m"}, 40),
            (own, ["--crontabber.class-Sad.policy.error_retry_time=50m"], {}, 50),
        ]:
            with self.subTest(arguments, extra=extra):
                self.ini("policies.Sad|1h", extra)
                self.crontabber("--reset-job=sad")
                self.crontabber(*arguments, **environment)
                self.assertEqual(self.wait_of("sad"), expected)

    def test_names_that_a_job_of_its_own_has_are_not_read_as_policy(self):
        self.ini("policies.OldJob|1h", "[[class-OldJob]]\nmax_errors=1\n[[[policy]]]\ntimeout=3")

        self.crontabber()
        self.due("old-job")
        self.crontabber()

        self.assertEqual(self.ran(), ["3 1 keep everything"] * 2)

    def test_a_fault_names_the_option_and_where_it_is(self):
        self.ini("policies.Sad|1h", "[[class-Sad]]\n[[[policy]]]\nmax_errors=many")
        told = self.crontabber()
        self.assertEqual(told.returncode, 1)
        said = "crontabber.ini: crontabber.class-Sad.policy.max_errors is 'many': expected a whole number; 0 for no limit;"
        self.assertIn(said, told.stderr)

        self.ini("policies.Sad|1h", "[[class-Sad]]\n[[[policy]]]\nmax_error=3")
        told = self.crontabber()
        self.assertIn("unknown option crontabber.class-Sad.policy.max_error (did you mean", told.stderr)
        self.assertEqual(self.crontabber("--admin.strict").returncode, 1)

    def test_a_dumped_file_sets_the_same_policy(self):
        self.ini("policies.Sad|1h", "[[policy]]\nkill_timeout=1.5m\n[[class-Sad]]\n[[[policy]]]\nerror_retry_time=20m")

        for ending in ("ini", "conf", "json"):
            with self.subTest(ending):
                self.crontabber(f"--admin.dump_conf=dumped.{ending}")
                self.crontabber("--reset-job=sad")
                told = self.crontabber("--admin.strict", ini=f"dumped.{ending}")
                self.assertEqual(self.wait_of("sad"), 20, told.stderr)
                self.assertIn("1.5m", (self.folder / f"dumped.{ending}").read_text())

    def test_help_lists_the_options_of_a_policy(self):
        self.ini("policies.Sad|1h")

        self.assertIn("\n[crontabber.policy]\n  --crontabber.policy.catchup\n", self.crontabber("--help").stdout)
        self.assertNotIn("policy", self.crontabber("--admin.print_conf=ini").stdout)
