"""A standby takes over, or the server crashes, while jobs run: what the database forgets runs again."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import cycle, islice, product

from crontabber.datetimeutil import host_time
from tests.integration.faults import seeded
from tests.integration.standby import FailoverTestCase, crash
from tests.support import wait_until

JOBS = '''
import os
import time
from pathlib import Path

from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app, as_single_postgres_transaction, using_postgres
from tests.integration.fault_jobs import note, wait_for


@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
class Dates(BaseCronApp):
    """Inserts a row for each date. The test may hold it before any of them."""

    app_name = "dates"
    started = 0

    def run(self, connection, date):
        Dates.started += 1
        while Path(f"hold-{Dates.started}").exists():
            time.sleep(0.005)
        time.sleep(0.01)
        connection.cursor().execute("INSERT INTO effects VALUES (%s)", (date,))
        time.sleep(0.01)


class Ledger(Dates):
    """Notes the dates whose commit was acknowledged."""

    def main(self, *args, **kwargs):
        for date in super().main(*args, **kwargs):
            note(date.isoformat(), "acknowledged")
            yield date


class Plain(BaseCronApp):
    """Runs until the test lets it end."""

    app_name = "plain"

    def run(self):
        note(os.getpid(), "running")
        wait_for("enough")
        note(self.app_name)


@using_postgres()
@as_single_postgres_transaction()
class Inserting(BaseCronApp):
    """Inserts a row."""

    app_name = "single"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now())")


class Single(Inserting):
    """Waits for the test when its transaction is committed."""

    def _run_proxy(self, *args, **kwargs):
        super()._run_proxy(*args, **kwargs)
        note(os.getpid(), "running")
        wait_for("enough")
'''
DATES = 12
EXECUTORS = ("TransactionExecutor", "TransactionExecutorWithInfiniteBackoff")
FORGOTTEN = "ERROR - 'dates': the state database has forgotten the dates "


class TestFailover(FailoverTestCase):
    # How often each of them happens.
    lagging_failovers = 1
    synchronous_failovers = 1
    crashes = 1
    failovers_during_runs = 1

    def setUp(self):
        super().setUp()
        self.random = seeded()
        self.write_module("ledger", JOBS)
        self.figures = Counter()

    # -- jobs

    def prepare(self, job, executor="TransactionExecutor"):
        """Run a job once, and make it due again."""
        options = {"database_transaction_executor_class": f"crontabber.transaction_executor.{executor}", "backoff_delays": "1"}
        self.ini(f"ledger.{job}", connection={**self.proxy.options, **(options if job == "Ledger" else {})}, error_retry_time=0)
        self.sql("DROP TABLE IF EXISTS effects, crontabber, crontabber_log")
        self.sql("CREATE TABLE effects (date timestamptz)")
        self.give("enough")
        self.assertEqual(self.crontabber().returncode, 0)
        for name in ("acknowledged", "running", "enough", "ran.txt"):
            self.forget(name)
        self.sql("DELETE FROM effects; DELETE FROM crontabber_log")
        self.sql("UPDATE crontabber SET next_run = now()")

    def prepare_dates(self, executor):
        """Make dates outstanding, and return them."""
        self.prepare("Ledger|1d", executor)
        self.sql(f"UPDATE crontabber SET last_success = last_success - interval '{DATES} days'")
        first = self.row("dates", "last_success")
        return [first + timedelta(days=number + 1) for number in range(DATES)]

    def acknowledged(self):
        path = self.folder / "acknowledged"
        return path.read_text().split() if path.exists() else []

    def wait_for_dates(self, count):
        wait_until(lambda: len(self.acknowledged()) >= count, "the job stands still")

    # -- faults

    def stop_and_promote(self):
        """Clients are held at the proxy, the primary is stopped, the standby takes over, clients have to connect again."""
        self.proxy.pause()
        self.primary.stop(force=True)
        self.promote()
        self.proxy.cut()
        self.proxy.resume()

    def crash_and_promote(self):
        crash(self.primary)
        self.promote()

    def crash_and_restart(self):
        crash(self.primary)
        self.primary.start()
        self.connection = self.connect()

    def dates_survive(self, executor, fault, lagging=False):
        """Assert that a fault at a random date loses none, whether or not the standby has heard of the last ones."""
        dates = self.prepare_dates(executor)
        heard, happens = sorted(self.random.sample(range(1, DATES), 2))
        holds = f"hold-{heard + 1}", f"hold-{DATES}"
        for hold in holds:
            self.give(hold)
        process = self.start()
        self.wait_for_dates(heard)
        if lagging:
            self.keep_the_standby_behind()
        self.forget(holds[0])
        self.wait_for_dates(happens)
        fault()
        self.forget(holds[1])
        known = self.row("dates", "last_success")
        ends = [self.end_of(process)]
        lost = [date for date in map(datetime.fromisoformat, self.acknowledged()) if date > known]
        while self.row("dates", "last_success", "error_count") != (dates[-1], 0) and len(ends) < 5:
            ends.append(self.crontabber())

        said = "".join(end.stderr for end in ends)
        self.assertEqual(self.sql("SELECT date FROM effects ORDER BY 1"), [(date,) for date in dates], said)
        self.assertNotIn("taken over by another", said)
        self.assertEqual({end.returncode for end in ends}, {0}, said)
        self.assert_forgotten(known, lost, ends[0].stderr)
        self.assertNotIn("forgotten", "".join(end.stderr for end in ends[1:]))
        self.assert_at_rest()
        self.figures.update(rounds=1, lost_dates=len(lost), rounds_with_loss=int(bool(lost)), ticks=len(ends))

    def assert_forgotten(self, known, lost, said):
        """Assert that exactly the lost dates are named, in one line."""
        lines = [line.partition(FORGOTTEN)[2].partition(": perhaps")[0] for line in said.splitlines() if "forgotten" in line]
        named = [f"after {host_time(known)} up to {host_time(lost[-1])}"] if lost else []
        self.assertEqual(lines, named, said)

    # -- rounds

    def failovers(self, count):
        """Yield `count` faults, each with a class of executors."""
        return islice(cycle(product((self.crash_and_promote, self.stop_and_promote), EXECUTORS)), count)

    def report(self, what):
        print(f"{what}: {dict(self.figures)}")

    def run_during_failover(self, job, fault):
        """Run a job until a standby that has not heard of its claim has taken over. Return how it ended."""
        self.prepare(f"{job}|1h")
        self.wait_for_the_standby()
        self.keep_the_standby_behind()
        process = self.start()
        self.wait_for("running")
        fault()
        self.give("enough")
        end = self.end_of(process)
        self.assertEqual(end.returncode, 0, end.stderr)
        self.assertNotIn("taken over by another", end.stderr)
        return end

    def test_dates_that_a_lagging_standby_has_not_heard_of_run_again(self):
        for fault, executor in self.failovers(self.lagging_failovers):
            self.wait_for_the_standby()
            self.dates_survive(executor, fault, lagging=True)
            self.replace_the_old_primary()

        self.report("a standby that lags")
        self.assertTrue(self.figures["lost_dates"])

    def test_a_synchronous_standby_forgets_nothing(self):
        for fault, executor in self.failovers(self.synchronous_failovers):
            self.make_synchronous()
            self.dates_survive(executor, fault)
            self.replace_the_old_primary()

        self.report("a synchronous standby")
        self.assertEqual(self.figures["lost_dates"], 0)

    def test_a_crash_without_synchronous_commit_loses_no_date(self):
        self.sql("ALTER ROLE crontabber SET synchronous_commit = off")
        self.addCleanup(lambda: self.sql("ALTER ROLE crontabber RESET synchronous_commit"))
        for executor in islice(cycle(EXECUTORS), self.crashes):
            self.dates_survive(executor, self.crash_and_restart)

        self.report("a crash without synchronous_commit")
        self.assertEqual(self.figures["lost_dates"], 0)

    def test_a_result_is_stored_although_its_claim_is_forgotten(self):
        for fault, _ in self.failovers(self.failovers_during_runs):
            self.run_during_failover("Plain", fault)

            self.assertEqual(self.row("plain", "error_count", "next_run > now()"), (0, True))
            self.assertEqual(self.sql("SELECT exc_type FROM crontabber_log"), [(None,)])
            self.assertEqual(self.ran(), ["plain"])
            self.assert_at_rest()
            self.replace_the_old_primary()

    def test_a_run_whose_commit_is_forgotten_has_failed_and_runs_again(self):
        for fault, _ in self.failovers(self.failovers_during_runs):
            end = self.run_during_failover("Single", fault)

            self.assertIn("but the database does not know of it", end.stderr)
            self.assertEqual(self.row("single", "error_count"), 1)
            self.assertEqual(self.sql("SELECT count(*) FROM effects"), [(0,)])
            self.assertEqual(self.crontabber().returncode, 0)
            self.assertEqual(self.sql("SELECT count(*) FROM effects"), [(1,)])
            self.assert_at_rest()
            self.replace_the_old_primary()
