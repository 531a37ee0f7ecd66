"""The connection ends at a chosen statement of a tick: nothing is lost or done twice, and the words are right."""

import threading
import time
from collections import Counter

from tests.integration.faults import OUR_SESSIONS, FaultTestCase
from tests.integration.faulty_proxy import Fault, FaultyProxy
from tests.support import connection_options, wait_until

JOBS = '''
from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app, as_single_postgres_transaction, using_postgres
from tests.integration.fault_jobs import note


class Plain(BaseCronApp):
    app_name = "job"

    def run(self):
        note("run")


@as_backfill_cron_app
class PlainDates(BaseCronApp):
    app_name = "job"

    def run(self, date):
        note(date.isoformat())


@using_postgres()
@as_single_postgres_transaction()
class Single(BaseCronApp):
    app_name = "job"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now())")


@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
class Dates(BaseCronApp):
    app_name = "job"

    def run(self, connection, date):
        connection.cursor().execute("INSERT INTO effects VALUES (%s)", (date,))
'''
DATES = 3
LONGEST_TICK_SECONDS = 120
LATE_SECONDS = 0.2
RETRIED = {
    "database_transaction_executor_class": "crontabber.transaction_executor.TransactionExecutorWithInfiniteBackoff",
    "backoff_delays": "1",
}
CLAIM = "WITH lock"
SETTLE = "WITH settled"
# A connection that is lost is none of these.
WRONG_WORDS = ("taken over", "reset while", "forgotten", "was changed", "ended without a result")


class TestCutPoints(FaultTestCase):
    # The faults that the first statement with such a beginning meets.
    points_of_plain_jobs = {CLAIM: (Fault.LOSE_ANSWER,), SETTLE: (Fault.CUT, Fault.LOSE_ANSWER)}
    points_of_transactions = {"COMMIT": (Fault.CUT, Fault.HOLD, Fault.LOSE_ANSWER)}
    points_of_retried_transactions = {"COMMIT": (Fault.LOSE_ANSWER,)}

    def setUp(self):
        super().setUp()
        self.write_module("cut", JOBS)
        self.sql("CREATE TABLE effects (date timestamptz)")
        self.proxy = FaultyProxy(connection_options()).__enter__()
        self.addCleanup(self.proxy.__exit__)
        self.figures = Counter()

    def test_plain_jobs(self):
        self.cut_at_points("Plain", self.points_of_plain_jobs)

    def test_plain_backfills(self):
        self.cut_at_points("PlainDates", self.points_of_plain_jobs)

    def test_transactions(self):
        self.cut_at_points("Single", self.points_of_transactions)

    def test_backfills_in_transactions(self):
        self.cut_at_points("Dates", self.points_of_transactions)

    def test_transactions_that_are_retried(self):
        self.cut_at_points("Single", self.points_of_retried_transactions, **RETRIED)

    def test_backfills_in_transactions_that_are_retried(self):
        self.cut_at_points("Dates", self.points_of_retried_transactions, **RETRIED)

    def cut_at_points(self, job, points, **options):
        self.prepare(job, **options)
        statements = self.undisturbed()
        for number, fault in self.numbered(points, statements):
            with self.subTest(job=job, number=number, statement=statements[number - 1], fault=fault):
                self.cut_at(number, fault)
                self.assert_done_once(job, statements[number - 1], fault)
        retries = "with retries" if options else "without retries"
        print(f"{job} {retries}: {dict(self.figures)}")
        self.assertTrue(self.figures["points"])

    def numbered(self, points, statements):
        """Yield the points as the numbers of statements and their faults."""
        for beginning, faults in points.items():
            number = next(n for n, statement in enumerate(statements, 1) if statement.startswith(beginning))
            for fault in faults:
                yield number, fault

    def prepare(self, job, **options):
        """Run a job once."""
        self.ini(f"cut.{job}|1d", connection={**self.proxy.options, **options}, error_retry_time=0)
        self.assertEqual(self.crontabber().returncode, 0)
        earlier = f"last_success - interval '{DATES} days', next_run - interval '{DATES} days'"
        self.last_success, self.next_run = self.sql(f"SELECT {earlier} FROM crontabber")[0]

    def make_due(self):
        self.sql("UPDATE crontabber SET last_success = %s, next_run = %s, last_run = NULL", (self.last_success, self.next_run))
        self.sql("DELETE FROM effects; DELETE FROM crontabber_log")
        self.ran()
        self.proxy.statements.clear()

    def undisturbed(self):
        """Return the statements of a tick without faults."""
        self.make_due()
        self.assertEqual(self.crontabber().returncode, 0)
        return [" ".join(statement.split()) for statement in self.proxy.statements]

    def cut_at(self, number, fault):
        """Run a tick whose statement of this number meets the fault, and then ticks without faults."""
        late = threading.Timer(LATE_SECONDS, self.proxy.deliver)

        def fault_of(statement):
            if len(self.proxy.statements) != number:
                return None
            late.start()
            return fault

        self.make_due()
        self.proxy.on_statement = fault_of
        began = time.monotonic()
        self.ends = [self.crontabber(timeout=LONGEST_TICK_SECONDS)]
        self.figures["longest_ms"] = max(self.figures["longest_ms"], round(1000 * (time.monotonic() - began)))
        self.proxy.on_statement = None
        late.join()
        wait_until(lambda: not self.sql(OUR_SESSIONS), "a session of a crontabber is still open")
        self.error_count = self.row("job", "error_count")
        while not self.row("job", "next_run > now() AND error_count = 0") and len(self.ends) < 4:
            self.ends.append(self.crontabber())

    def assert_done_once(self, job, statement, fault):
        late_claim = statement.startswith(CLAIM) and fault is Fault.HOLD
        said = "".join(end.stderr for end in self.ends)
        done = self.sql("SELECT date FROM effects") if job in ("Single", "Dates") else self.ran()
        wanted = DATES if job.endswith("Dates") else 1
        self.assertEqual((len(done), len(set(done))), (wanted, wanted), said)
        successes, failures = self.sql("SELECT count(success), count(exc_type) FROM crontabber_log")[0]
        self.assertEqual(successes, wanted, said)
        self.assertEqual([words for words in WRONG_WORDS if words in said], list(WRONG_WORDS[-1:]) if late_claim else [], said)
        # A claim that arrives when its process has ended is that of a process that died.
        self.assertEqual(failures, 1 if late_claim else self.error_count, said)
        self.assertEqual(said.count("ERROR - job failed"), self.error_count, said)
        if statement == "COMMIT" and fault is not Fault.CUT:
            self.assertEqual(failures, 0, said)
        exit_codes = [end.returncode for end in self.ends]
        self.assertEqual(exit_codes, [said.count("crontabber: state database: "), *[0] * (len(exit_codes) - 1)], said)
        self.assert_at_rest()
        self.figures.update(points=1, failures=failures, ticks=len(self.ends))
