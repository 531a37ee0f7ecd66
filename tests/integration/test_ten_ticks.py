"""Ten ticks with failures, dependencies and backfill: by a user's application, and by a role that may not alter tables."""

import re
import subprocess
import sys
import threading

from tests.integration.test_embedding_application import APPLICATION, FRAMEWORK
from tests.integration.test_original_database import INDEX, LOG, STATE
from tests.support import DatabaseTestCase, connection_options, wait_until

TICKS = 10
# A file holds the number of the tick, which decides what fails, so that both runs have the same failures.
JOBS = '''
from pathlib import Path

from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app, as_single_postgres_transaction, using_postgres


def tick():
    return int(Path("tick").read_text())


class Fetch(BaseCronApp):
    app_name = "fetch"

    def run(self):
        if tick() % 3 == 1:
            raise ValueError("no answer in tick %d" % tick())


class Digest(BaseCronApp):
    app_name = "digest"
    depends_on = ("fetch",)

    def run(self):
        pass


@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
class Daily(BaseCronApp):
    app_name = "daily"

    def run(self, connection, date):
        if tick() in (4, 5):
            raise OSError("no disk in tick %d" % tick())


class Sad(BaseCronApp):
    app_name = "sad"
    depends_on = "digest"

    def run(self):
        raise RuntimeError("always")


class Slow(BaseCronApp):
    app_name = "slow"

    def run(self):
        import time

        Path("running").write_text("")
        time.sleep(0 if Path("enough").exists() else 60)
'''
SETTING = "works.Sad|1d\nworks.Digest|1d\nworks.Fetch|12h\nworks.Daily|1d"
SIGHUP = '''
import signal

from crontabber.generic_app import respond_to_SIGHUP


class Restartable(Tab):
    """With a handler of its own for SIGHUP, as users have them."""

    def main(self):
        before = signal.getsignal(signal.SIGHUP)
        signal.signal(signal.SIGHUP, lambda *args: respond_to_SIGHUP(*args, logger=self.config.logger))
        try:
            return super().main()
        finally:
            signal.signal(signal.SIGHUP, before)


'''
A_DAY_EARLIER = """
UPDATE crontabber SET next_run = next_run - interval '1 day', first_run = first_run - interval '1 day',
    last_run = last_run - interval '1 day', last_success = last_success - interval '1 day'
"""
STATES = """
SELECT app_name, error_count, depends_on, last_error->>'type', last_error->>'value', ongoing IS NULL,
       round(extract(epoch FROM next_run - last_run) / 3600), round(extract(epoch FROM last_run - last_success) / 3600),
       round(extract(epoch FROM last_run - first_run) / 3600)
FROM crontabber ORDER BY app_name
"""
RUNS = "SELECT app_name, success IS NULL, exc_type, exc_value FROM crontabber_log ORDER BY id"


class TickingTestCase(DatabaseTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.write_module("works", JOBS)

    def number(self, tick):
        (self.folder / "tick").write_text(str(tick))


class TestApplication(TickingTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("framework", FRAMEWORK)
        head, end = APPLICATION.split("if __name__")
        self.write_module("tab", f"{head}{SIGHUP}if __name__{end.replace('main(Tab)', 'main(Restartable)')}")
        self.ini(SETTING, error_retry_time="7200")
        for schema in ("tab", "plain"):
            self.sql(f"CREATE SCHEMA {schema}")
            self.addCleanup(self.sql, f"DROP SCHEMA {schema} CASCADE")
            self.addCleanup(self.sql, "SET search_path TO DEFAULT")

    def run_both(self, *arguments):
        programs = {"tab": [sys.executable, "tab.py", *self.command(*arguments)[3:]], "plain": self.command(*arguments)}
        for schema, command in programs.items():
            process = subprocess.run(
                command, env=self.environment(PGOPTIONS=f"-c search_path={schema}"), cwd=self.folder, timeout=60,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
            self.assertEqual(process.returncode, 0, process.stderr)

    def rows(self, schema, statement):
        self.sql(f"SET search_path TO {schema}")
        return self.sql(statement)

    def test_it_leaves_the_same_rows_as_crontabber_itself(self):
        for tick in range(TICKS):
            with self.subTest(tick=tick):
                self.number(tick)
                self.run_both()

                for statement in (STATES, RUNS):
                    self.assertEqual(self.rows("tab", statement), self.rows("plain", statement))
                for schema in ("tab", "plain"):
                    self.rows(schema, A_DAY_EARLIER)
        runs = self.rows("plain", RUNS)
        self.assertGreater(len(runs), 3 * TICKS)
        self.assertEqual({app_name for app_name, *_ in runs}, {"daily", "digest", "fetch", "sad"})

    def test_marking_all_adds_one_success_per_job(self):
        self.number(1)
        self.run_both()
        before = len(self.rows("tab", RUNS))

        command = [sys.executable, "tab.py", *self.command("--mark-success=all")[3:]]
        environment = self.environment(PGOPTIONS="-c search_path=tab")
        subprocess.run(command, env=environment, cwd=self.folder, timeout=60, check=True, capture_output=True)

        self.assertEqual([(app_name, failed) for app_name, failed, *_ in self.rows("tab", RUNS)[before:]],
                         [("daily", False), ("fetch", False), ("digest", False), ("sad", False)])
        self.assertEqual(self.rows("tab", "SELECT count(*) FROM crontabber WHERE error_count > 0"), [(0,)])


class TestRoleThatMayNotAlter(TickingTestCase):
    """SELECT, INSERT, UPDATE and DELETE alone, on tables that the original made for another role."""

    LEVEL = "--logging.stderr_error_logging_level=30"

    def setUp(self):
        super().setUp()
        for statement in (STATE, INDEX, LOG):
            self.sql(statement.format(schema=""))
        self.sql("DROP ROLE IF EXISTS worker")
        self.sql("CREATE ROLE worker LOGIN PASSWORD 'worker'")
        self.addCleanup(self.sql, "DROP OWNED BY worker; DROP ROLE worker")
        self.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON crontabber, crontabber_log TO worker")
        self.sql("GRANT USAGE ON SEQUENCE crontabber_log_id_seq TO worker")
        self.configure(SETTING)

    def configure(self, jobs):
        self.ini(jobs, connection=connection_options() | {"user": "worker", "password": "worker"})

    def columns(self):
        return self.sql("SELECT count(*) FROM information_schema.columns WHERE table_name = 'crontabber'")

    def test_ten_ticks_do_the_same_as_for_the_owner(self):
        for tick in range(TICKS):
            self.number(tick)
            process = self.crontabber(self.LEVEL)

            self.assertEqual((process.returncode, process.stdout), (0, ""), process.stderr)
            lines = [line for line in process.stderr.splitlines() if " ERROR - " in line or " WARNING - " in line]
            self.assertEqual([line for line in lines if not re.search(" failed after | works again: ", line)], [])
            self.sql(A_DAY_EARLIER)
        self.assertEqual(self.columns(), [(9,)])
        theirs = self.sql(RUNS)
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber WHERE ongoing IS NOT NULL"), [(0,)])

        self.sql("DROP TABLE crontabber, crontabber_log")
        self.ini(SETTING)
        for tick in range(TICKS):
            self.number(tick)
            self.crontabber(self.LEVEL)
            self.sql(A_DAY_EARLIER)
        self.assertEqual(self.sql(RUNS), theirs)

    def test_every_mode_works(self):
        self.number(0)
        self.assertEqual(self.crontabber(self.LEVEL).returncode, 0)

        nagios = self.crontabber("--nagios")
        self.assertEqual((nagios.returncode, nagios.stderr), (2, ""))
        self.assertIn("App name:       fetch\n", self.crontabber("--list-jobs").stdout)
        self.assertEqual(self.crontabber("--configtest").returncode, 0)
        forced = self.crontabber("--job=sad", "--force")
        self.assertEqual((forced.returncode, self.row("sad", "error_count")), (0, 2), forced.stderr)
        self.assertIn("App reset", self.crontabber("--reset-job=sad").stderr)
        self.configure("works.Fetch|12h")
        self.assertIn("\tdaily\n", self.crontabber("--audit-ghosts").stdout)

    def test_a_job_is_never_run_by_two_processes(self):
        self.configure("works.Slow|1d")
        first = self.start()
        wait_until((self.folder / "running").exists, "the job never started")

        second = self.crontabber()

        self.assertEqual(second.returncode, 3, second.stderr)
        (self.folder / "enough").touch()
        first.kill()
        first.wait()
        third = self.crontabber()
        self.assertEqual(third.returncode, 3, third.stderr)  # Without the column, only its age shows that the owner died.
        self.sql("UPDATE crontabber SET ongoing = ongoing - interval '12 hours'")
        last = self.crontabber()
        self.assertEqual((last.returncode, self.row("slow", "error_count", "ongoing")), (0, (0, None)), last.stderr)
        self.assertIn("longer than crontabber.max_ongoing_age_hours allows", last.stderr)


class TestLockInTheWay(TickingTestCase):
    def test_a_tick_continues_without_the_column_and_the_next_adds_it(self):
        for statement in (STATE, INDEX, LOG):
            self.sql(statement.format(schema=""))
        self.ini("works.Digest|1d")
        self.number(0)
        reader = self.connect()
        self.addCleanup(reader.close)
        reader.autocommit = False
        reader.cursor().execute("SELECT * FROM crontabber")
        # Even if the tick waits forever, the test must not.
        release = threading.Timer(50, reader.close)
        release.start()
        self.addCleanup(release.cancel)

        during = self.crontabber()

        self.assertEqual((during.returncode, release.is_alive()), (0, True), during.stderr)
        self.assertEqual(self.columns(), 9)
        reader.close()
        self.assertEqual(self.crontabber().returncode, 0)
        self.assertEqual(self.columns(), 10)

    def columns(self):
        return self.sql("SELECT count(*) FROM information_schema.columns WHERE table_name = 'crontabber'")[0][0]
