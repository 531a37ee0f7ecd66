"""A job that takes its process with it stops no other job, and does not run at every tick."""

import json
import signal
from datetime import timedelta

from tests.integration.faults import OUR_SESSIONS, FaultTestCase
from tests.support import DatabaseTestCase, wait_until

JOBS = """
import os
import signal

from crontabber.mixins import as_backfill_cron_app
from tests.jobs import Noting, note


class Deadly(Noting):
    '''Dies as often as the file `deaths` has characters.'''

    app_name = "a-deadly"
    way = staticmethod(lambda: os.kill(os.getpid(), signal.SIGKILL))

    def run(self, *date):
        note(self.app_name)
        with open("deaths", "r+") as file:
            left = file.read()
            file.seek(0)
            file.truncate()
            file.write(left[1:])
        if left:
            self.way()


class Exiting(Deadly):
    way = staticmethod(lambda: os._exit(0))


class Crashing(Deadly):
    way = staticmethod(os.abort)


@as_backfill_cron_app
class DeadlyDates(Deadly):
    '''Dies at each second date.'''

    def run(self, date):
        note(f"{date:%H}")
        if os.path.exists("dead"):
            os.unlink("dead")
        else:
            open("dead", "w").close()
            os._exit(1)


class Child(Noting):
    app_name = "b-child"
    depends_on = "a-deadly"


class Good(Noting):
    app_name = "c-good"


class Grandchild(Noting):
    app_name = "d-grandchild"
    depends_on = "b-child"
"""


class TestDeaths(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("deaths", JOBS)

    def configure(self, *names, deaths=99, **options):
        (self.folder / "deaths").write_text("x" * deaths)
        self.ini("\n".join(f"deaths.{name}|1h" for name in names), **options)

    def ticks(self, count):
        """Run this many ticks. Return the exit code of each and the jobs that ran in it."""
        return [(self.crontabber().returncode, self.ran()) for _ in range(count)]

    def last_error(self):
        return json.loads(self.row("a-deadly", "last_error::text"))

    def test_a_job_that_always_kills_its_process_stops_no_other(self):
        for name, code in (("Deadly", -signal.SIGKILL), ("Exiting", 0), ("Crashing", -signal.SIGABRT)):
            with self.subTest(name):
                self.empty_the_database()
                self.configure(name, "Child", "Good")

                ticks = self.ticks(4)

                # The first death is an accident. After the second one, it waits for its retry time.
                self.assertEqual(ticks, [(code, ["a-deadly"]), (code, ["c-good", "a-deadly"]), (0, []), (0, [])])
                self.assertEqual(self.row("a-deadly", "error_count", "last_error->>'type'", "ongoing", "owner"),
                                 (2, "<class 'crontabber.errors.OwnerDiedError'>", None, None))
                self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log WHERE exc_type LIKE '%OwnerDied%'"), [(2,)])
                next_run, last_run = self.row("a-deadly", "next_run", "last_run")
                self.assertGreater(next_run - last_run, timedelta(minutes=4))

    def test_after_a_single_death_it_runs_again_last_with_its_dependents(self):
        self.configure("Deadly", "Child", "Good", "Grandchild", deaths=1)

        ticks = self.ticks(2)

        self.assertEqual(ticks, [(-signal.SIGKILL, ["a-deadly"]), (0, ["c-good", "a-deadly", "b-child", "d-grandchild"])])
        self.assertEqual(self.row("a-deadly", "error_count", "last_error::text"), (0, "{}"))

    def test_a_death_after_a_success_is_a_first_one_again(self):
        self.configure("Deadly", deaths=1)
        self.ticks(2)
        (self.folder / "deaths").write_text("x")
        self.due("a-deadly")

        ticks = self.ticks(2)

        self.assertEqual([code for code, _ in ticks], [-signal.SIGKILL, 0])
        self.assertEqual(self.row("a-deadly", "error_count"), 0)

    def test_it_is_told_once(self):
        self.configure("Deadly")
        self.ticks(1)
        quiet = "--logging.stderr_error_logging_level=30"

        first, second, third = (self.crontabber(quiet).stderr for _ in range(3))

        self.assertIn("which had been running it since", first)
        self.assertIn("ended without a result; it runs again after the other jobs\n", first)
        self.assertEqual((second, third), ("", ""))

    def test_max_errors_grants_the_run_after_a_first_death(self):
        self.configure("Deadly", "Good", extra="[[policy]]\nmax_errors=1\nerror_retry_time=0")

        ticks = self.ticks(4)

        self.assertEqual([jobs for _, jobs in ticks], [["a-deadly"], ["c-good", "a-deadly"], [], []])
        self.assertIn("Gave up!", self.crontabber("--list-jobs").stdout)

    def test_a_backfill_that_makes_progress_goes_on_at_once(self):
        self.configure("DeadlyDates")
        self.crontabber()
        self.crontabber()
        self.sql("UPDATE crontabber SET last_success = now() - interval '230 minutes', next_run = now()")
        self.ran()

        dates = [jobs for _, jobs in self.ticks(5)]

        self.assertEqual(len(set().union(*dates)), 3, dates)
        self.assertEqual([len(date) for date in dates], [1, 2, 2, 1, 0], dates)
        self.assertEqual(self.row("a-deadly", "error_count", "last_error::text"), (0, "{}"))

    def test_a_forced_run_of_a_dead_job_records_its_death(self):
        self.configure("Deadly", deaths=1)
        self.ticks(1)

        tick = self.crontabber("--job=a-deadly", "--force")

        self.assertEqual((tick.returncode, self.ran()), (0, ["a-deadly"]), tick.stderr)
        deaths = self.sql("SELECT exc_type IS NOT NULL FROM crontabber_log ORDER BY id")
        self.assertEqual(deaths, [(True,), (False,)])


class TestQueries(FaultTestCase):
    def test_the_query_of_a_killed_job_ends(self):
        self.configure("WaitsForALock|1h")
        self.sql("CREATE TABLE obstacle ()")
        with self.holding("LOCK TABLE obstacle"):
            process = self.start()
            self.wait_for_a_blocked_process()
            self.kill(process)

            wait_until(lambda: not self.sql(OUR_SESSIONS), "the server still waits for the lock", 30)
