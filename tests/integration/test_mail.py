"""What cron mails, as our recipes have it: what a tick writes to stderr at level 30."""

import re
import unittest
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import psycopg2

from crontabber.testing import EmbeddedCrontabber
from tests.support import DatabaseTestCase, skip_without_programs

JOBS = """
import os, signal, time
from pathlib import Path

from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app, using_postgres


def fate():
    return Path("fate").read_text()


class Moody(BaseCronApp):
    app_name = "moody"

    def run(self, *date):
        if fate() == "value":
            raise ValueError("no tissues\\nleft")
        if fate() == "elsewhere":
            raise ValueError("no tissues")
        if fate() == "type":
            raise OSError("no disk")


@as_backfill_cron_app
class MoodyDates(Moody):
    app_name = "moody-dates"


class Interrupted(BaseCronApp):
    app_name = "interrupted"

    def run(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)


@using_postgres()
class Unreachable(BaseCronApp):
    app_name = "unreachable"

    def run(self):
        self.database_transaction_executor(end)


def end(connection):
    connection.cursor().execute("SELECT pg_terminate_backend(pg_backend_pid())")
"""
EXECUTOR = """
[[class-Unreachable]]
[[[database]]]
database_transaction_executor_class=crontabber.transaction_executor.TransactionExecutorWithLimitedBackoff
backoff_delays='0, 0'
"""
START = datetime(2026, 3, 1, 22, tzinfo=timezone.utc)
LINES = r"(?m)^\S+ \S+ \S+ (?=(?:INFO|WARNING|ERROR) - )"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+?(?=[;,)\n])"
TRACEBACK = """Traceback (most recent call last):
  File "{folder}/moods.py", line {line}, in run
    raise {source}
{error}
"""


def without_times(text):
    for pattern, replacement in ((LINES, ""), (TIME, "TIME"), (r"\d+\.\d s\b", "N s"), (r"\d+ seconds?", "N seconds")):
        text = re.sub(pattern, replacement, text)
    return text


class MailTestCase(DatabaseTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.write_module("moods", JOBS)

    def mail(self, fate="well", level=30):
        """Run the jobs, due or not; return what cron would mail, without the times."""
        (self.folder / "fate").write_text(fate)
        with suppress(psycopg2.errors.UndefinedTable):
            self.sql("UPDATE crontabber SET next_run = now() - interval '1 second'")
        tick = self.crontabber(f"--logging.stderr_error_logging_level={level}")
        self.assertEqual((tick.returncode, tick.stdout), (0, ""), tick.stderr)
        return without_times(tick.stderr)

    def traceback(self, line, source, error):
        return TRACEBACK.format(folder=self.folder, line=line, source=source, error=error)


class TestMail(MailTestCase):
    def test_a_failure_is_mailed_when_it_begins_changes_and_ends(self):
        self.ini("moods.Moody|1h")
        first, since = "failures in a row: %d; no success since its first run at TIME", "failures in a row: %d; last success: TIME, N seconds ago"
        value = self.traceback(18, 'ValueError("no tissues\\nleft")', "<class 'ValueError'>: no tissues\n    left")
        cases = [
            ("value", f"ERROR - moody failed after N s ({first % 1}); next attempt at TIME\n{value}", "the first run"),
            ("value", "", "the same again"),
            ("elsewhere", f"ERROR - moody failed after N s ({first % 3}); next attempt at TIME\n"
             + self.traceback(20, 'ValueError("no tissues")', "<class 'ValueError'>: no tissues"), "another line"),
            ("type", f"ERROR - moody failed after N s ({first % 4}); next attempt at TIME\n"
             + self.traceback(22, 'OSError("no disk")', "<class 'OSError'>: no disk"), "another type"),
            ("type", "", "the same again"),
            ("well", f"WARNING - moody works again: it ran in N s (before that, {first % 5}); next run at TIME\n", "a success"),
            ("well", "", "another success"),
            ("value", f"ERROR - moody failed after N s ({since % 1}); next attempt at TIME\n{value}", "a failure after a success"),
        ]
        for fate, mail, why in cases:
            with self.subTest(why):
                self.assertEqual(self.mail(fate), mail)

    def test_the_same_failure_again_is_one_line_at_info(self):
        self.ini("moods.MoodyDates|1d")
        self.mail()
        self.sql("UPDATE crontabber SET last_success = last_success - interval '1 day'")
        self.mail("value")

        self.assertEqual(
            self.mail("value", level=20),
            "INFO - moody-dates failed again after N s (failures in a row: 2; last date done: TIME, 1 day ago);"
            " next attempt at TIME; <class 'ValueError'>: no tissues left\n",
        )

    def test_a_failure_is_mailed_once_on_each_date_of_the_server(self):
        self.ini("moods.Moody|1h")
        self.mail("value")
        self.sql("UPDATE crontabber SET last_run = last_run - interval '1 day'")

        self.assertIn("ERROR - moody failed after N s (failures in a row: 2; ", self.mail("value"))
        self.assertEqual(self.mail("value"), "")

    def test_an_interruption_is_one_warning(self):
        self.ini("moods.Interrupted|1h")

        ends = [self.crontabber("--logging.stderr_error_logging_level=30") for _ in range(2)]

        self.assertEqual([end.returncode for end in ends], [143, 143])
        said = "WARNING - interrupted was interrupted after N s; next attempt at the next tick\nTraceback (most recent call last):\n"
        self.assertEqual(without_times(ends[0].stderr)[: len(said)], said)
        self.assertEqual(ends[1].stderr, "")

    def test_retries_of_a_transaction_are_not_mailed_beside_the_failure(self):
        self.ini("moods.Unreachable|1h", EXECUTOR)

        first, again = self.mail(), self.mail()

        self.assertEqual((first.count("retrying in"), first.count("unreachable failed"), first.count(" - ")), (0, 1, 1), first)
        self.assertEqual(again, "")
        self.assertEqual(self.mail(level=20).count("retrying in 0 s"), 2)


class TestManyDays(unittest.TestCase):
    def test_a_job_that_fails_in_300_ticks_is_mailed_once_a_day(self):
        skip_without_programs()
        with EmbeddedCrontabber("tests.jobs.SadJob|1h") as tab:
            tab.connect().cursor().execute(f"ALTER DATABASE {tab.connection_options['dbname']} SET timezone = 'Asia/Tokyo'")
            for number in range(300):
                tab.tick(START + number * timedelta(minutes=5))

            mailed = [line for line in tab.log if line.startswith(("WARNING", "ERROR"))]

        # At once, and at midnight in Tokyo.
        self.assertEqual([re.findall(r"in a row: (\d+)", line) for line in mailed], [["1"], [str(17 * 12 + 1)]])
        self.assertEqual(len([line for line in tab.log if line.startswith("INFO sad failed again")]), 298)
