"""The database forgets what it has acknowledged, as a standby does that lags behind; or an answer of it is lost.

What a promoted standby would know is written into the tables while the job runs.
"""

from datetime import timedelta

from crontabber.datetimeutil import host_time
from tests.integration.faults import FaultTestCase

JOBS = '''
import os
import time

from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app, as_single_postgres_transaction, using_postgres
from tests.integration.fault_jobs import note, wait_for


class Steps(BaseCronApp):
    """Stops before its third date, and says so."""

    app_name = "steps"
    started = 0

    def step(self, date):
        Steps.started += 1
        note(date.isoformat(), "ran.txt")
        if Steps.started == 3:
            note(os.getpid(), "third")
            wait_for("enough")


@as_backfill_cron_app
class Plain(Steps):
    def run(self, date):
        self.step(date)


class First(Plain):
    """Stops before its first date."""

    def step(self, date):
        note(os.getpid(), "third")
        wait_for("enough")


@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
class Transactional(Steps):
    def run(self, connection, date):
        self.step(date)
        connection.cursor().execute("INSERT INTO effects VALUES (%s)", (date,))


class Unanswered(Transactional):
    """Its second commit raises although it is done, as when the answer to it never comes."""

    def step(self, date):
        pass

    def main(self, function=None, once=False):
        for number, date in enumerate(super().main(function, once), 1):
            if number == 2:
                raise ConnectionError("the answer to COMMIT was lost")
            yield date


@using_postgres()
@as_single_postgres_transaction()
class Inserting(BaseCronApp):
    app_name = "single"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now())")


class Single(Inserting):
    """Waits for the test when its transaction is committed."""

    def _run_proxy(self, *args, **kwargs):
        super()._run_proxy(*args, **kwargs)
        note(os.getpid(), "committed")
        wait_for("enough")
'''
DATES = 5


class ForgettingTestCase(FaultTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("steps", JOBS)
        self.sql("CREATE TABLE effects (date timestamptz)")

    def make(self, job):
        """A state in which `DATES` dates are outstanding. Return them."""
        self.ini(f"steps.{job}|1d", error_retry_time=0)
        self.sql("DROP TABLE IF EXISTS crontabber, crontabber_log")
        self.crontabber("--job=nobody")
        self.give("enough")
        self.assertEqual(self.crontabber().returncode, 0)
        self.sql("DELETE FROM effects; DELETE FROM crontabber_log")
        self.forget("enough")
        self.forget("third")
        self.forget("ran.txt")
        self.sql(f"UPDATE crontabber SET last_success = last_success - interval '{DATES} days',"
                 f" next_run = next_run - interval '{DATES} days'")
        first = self.row("steps", "last_success")
        return [first + timedelta(days=number + 1) for number in range(DATES)]

    def dates_run(self):
        return (self.folder / "ran.txt").read_text().split()


class TestForgottenDates(ForgettingTestCase):
    def test_a_forgotten_date_is_named_and_runs_again(self):
        for job in ("Plain", "Transactional"):
            with self.subTest(job):
                dates = self.make(job)
                process = self.start()
                self.wait_for("third")
                # The second date is done, but the standby has only heard of the first one.
                self.sql("UPDATE crontabber SET last_success = last_success - interval '1 day'")
                self.sql("DELETE FROM effects WHERE date = %s", (dates[1],))
                self.give("enough")

                end = self.end_of(process)
                again = self.crontabber()

                self.assertEqual((end.returncode, again.returncode), (0, 0), end.stderr + again.stderr)
                said = f"'steps': the state database has forgotten the dates after {host_time(dates[0])} up to"
                self.assertIn(f" ERROR - {said} {host_time(dates[1])}: ", end.stderr)
                self.assertNotIn("taken over by another process", end.stderr)
                self.assertEqual(self.row("steps", "last_success"), dates[-1])
                ran = [date[:10] for date in self.dates_run()]
                self.assertEqual(ran, [f"{dates[n]:%Y-%m-%d}" for n in (0, 1, 2, 1, 2, 3, 4)])
                if job == "Transactional":
                    self.assertEqual(self.sql("SELECT date FROM effects ORDER BY 1"), [(date,) for date in dates])
                self.assert_at_rest()

    def test_a_failover_that_forgets_the_claim_too_is_no_takeover(self):
        dates = self.make("Transactional")
        process = self.start()
        self.wait_for("third")
        self.sql("UPDATE crontabber SET last_success = last_success - interval '2 days', ongoing = NULL, owner = NULL")
        self.sql("DELETE FROM effects")
        self.give("enough")

        end = self.end_of(process)

        self.assertIn("the state database has forgotten the dates after", end.stderr)
        self.assertNotIn("taken over by another process", end.stderr)
        self.assertEqual(self.crontabber().returncode, 0)
        self.assertEqual(self.sql("SELECT date FROM effects ORDER BY 1"), [(date,) for date in dates])

    def test_a_person_who_moves_the_dates_forward_is_heard(self):
        dates = self.make("Plain")
        process = self.start()
        self.wait_for("third")
        self.sql("UPDATE crontabber SET last_success = %s", (dates[3],))
        self.give("enough")

        end = self.end_of(process)

        self.assertIn("last_success of 'steps' was changed while it ran: its result is not stored", end.stderr)
        self.assertEqual(self.row("steps", "last_success"), dates[3])
        self.assert_at_rest()

    def test_what_a_person_writes_during_a_first_run_is_kept(self):
        self.ini("steps.First|1d")
        process = self.start()
        self.wait_for("third")
        self.sql("UPDATE crontabber SET last_success = '2026-01-01 00:00+00'")
        self.give("enough")

        end = self.end_of(process)

        self.assertIn("last_success of 'steps' was changed while it ran: its result is not stored", end.stderr)
        self.assertEqual(self.row("steps", "last_success = '2026-01-01 00:00+00'", "owner"), (True, None))


class TestLostAnswers(ForgettingTestCase):
    def test_a_date_whose_commit_was_not_answered_is_done(self):
        dates = self.make("Unanswered")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.row("steps", "error_count", "last_success")), (0, (0, dates[1])), tick.stderr)
        self.assertEqual(self.sql("SELECT success FROM crontabber_log ORDER BY id"), [(dates[0],), (dates[1],)])
        self.assertEqual(self.sql("SELECT date FROM effects ORDER BY 1"), [(dates[0],), (dates[1],)])

    def test_a_run_that_the_database_does_not_know_has_failed(self):
        self.ini("steps.Single|1d", error_retry_time=0)
        process = self.start()
        self.wait_for("committed")
        self.sql("DELETE FROM effects")
        self.sql("UPDATE crontabber SET last_run = NULL, next_run = NULL, last_success = NULL, ongoing = first_run,"
                 " owner = %s", (self.owner_of(process),))  # fmt: skip
        self.give("enough")

        end = self.end_of(process)

        self.assertEqual(end.returncode, 0, end.stderr)
        self.assertEqual(self.row("single", "error_count", "last_error->>'type'", "last_success"),
                         (1, "<class 'crontabber.errors.CommitLostError'>", None))
        self.assertIn("but the database does not know of it", end.stderr)

    def owner_of(self, process):
        """The owner that the claim of a process had, which its own transaction has cleared."""
        from crontabber.rules.job_state import claim_time
        from crontabber.store import owners

        birth = owners._birth(owners._look(str(process.pid)))
        return f"{owners.socket.gethostname()}:{process.pid}/{birth}@{claim_time(self.row('single', 'first_run'))}"
