"""--history through the real command: the last runs, on any log."""

import re
import socket

from tests.integration.test_answers import timeless
from tests.integration.test_original_database import INDEX, LOG, STATE, ModeTestCase
from tests.support import assert_within

RUN = """
INSERT INTO crontabber_log (app_name, log_time, duration, success, exc_type, exc_value, exc_traceback, slot, host)
VALUES ('foo', now() - %s::interval, %s::interval, %s, %s, %s, %s, %s, %s)
"""
FAILED = ("<class 'ValueError'>", "ValueError('No more\\ntissues')", '  File "x.py", line 3, in run\n    boo()')
MANY = """
INSERT INTO crontabber_log (app_name, log_time, duration, success)
SELECT 'job-' || n % 100, now() - n * interval '1 second', '1 s', now() FROM generate_series(1, 200000) AS n
"""


class TestHistory(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.ini("nightly.Foo|1d\nnightly.Back|1d")
        self.crontabber()
        self.sql("DELETE FROM crontabber_log")

    def run_was(self, ago, took, failed=(None, None, None), slot=None, host="here"):
        self.sql(RUN, (ago, took, None if failed[0] else "now()", *failed, slot, host))

    def test_it_lists_the_runs_newest_first_with_what_they_have_in_common(self):
        self.run_was("3 hours", "2 s", slot="2026-01-01 03:00+00")
        self.run_was("2 hours", "4 s", FAILED, slot="2026-01-02 03:00+00", host="there")
        self.run_was("1 hour", "90 s", host=None)

        told = self.crontabber("--history=foo")

        self.assertEqual((told.returncode, told.stderr), (0, ""))
        self.assertEqual(re.sub(r"20(?!26-01)\d\d-\d\d-\d\d \d\d:\d\d", "T" * 16, told.stdout), (
            "foo, last 3 runs (times in Etc/UTC)\n\n"
            "WHEN              TOOK    DATE              HOST   RESULT\n"
            "TTTTTTTTTTTTTTTT  1m 30s  -                 -      ok\n"
            "TTTTTTTTTTTTTTTT  4.0s    2026-01-02 03:00  there  ValueError('No more\\ntissues')\n"
            "TTTTTTTTTTTTTTTT  2.0s    2026-01-01 03:00  here   ok\n\n"
            "Average: 32s; slowest: 1m 30s\nSuccesses: 67%\n\n"
            "Last error, TTTTTTTTTTTTTTTT:\n"
            '  File "x.py", line 3, in run\n    boo()\nValueError(\'No more\\ntissues\')\n'
        ))  # fmt: skip

    def test_it_lists_as_many_runs_as_asked_for(self):
        for hours in range(25):
            self.run_was(f"{hours} hours", "1 s")

        for arguments, runs in (((), 20), (("--last=3",), 3), (("--last=1000",), 25)):
            with self.subTest(arguments):
                told = self.crontabber("--history=nightly.Foo", *arguments)
                self.assertEqual(told.stdout.count(" ok\n"), runs)
                self.assertIn(f"foo, last {runs} runs", told.stdout)

    def test_a_job_without_runs_and_one_that_is_no_longer_configured(self):
        self.assert_said(self.crontabber("--history=back"), 0, "back has not run yet.\n")
        self.run_was("1 hour", "1 s")
        self.ini("nightly.Back|1d")

        self.assertIn("foo, last run (times in Etc/UTC)\n", self.crontabber("--history=foo").stdout)
        unknown = self.crontabber("--history=fooo")
        self.assertEqual((unknown.returncode, unknown.stdout), (1, ""))
        self.assertIn("unknown job 'fooo'", unknown.stderr)

    def test_a_failed_date_of_a_backfill_is_there(self):
        self.ini("nightly.SadBack|1d|00:00")
        self.crontabber()

        told = timeless(self.crontabber("--history=sad-back").stdout)

        self.assertIn(f"T D T {socket.gethostname()} ValueError('No more tissues')\n", told)

    def test_it_obeys_no_control_character(self):
        self.run_was("1 hour", "1 s", ("<class 'E'>", "E('\x1b[31m')", "\x1b[31m"), host="\x1b[31m")

        self.assertNotIn("\x1b", self.crontabber("--history=foo").stdout)


class TestOriginalLog(ModeTestCase):
    def test_a_role_that_may_only_select_can_use_it_on_the_tables_of_the_original(self):
        for statement in (STATE, INDEX, LOG):
            self.sql(statement.format(schema=""))
        self.sql("INSERT INTO crontabber (app_name, next_run, last_run, last_success, last_error) VALUES ('foo', now() + interval '1 hour', now(), now(), '{}')")
        self.sql("INSERT INTO crontabber_log (app_name, duration, success) VALUES ('foo', '3 s', now())")
        self.ini("nightly.Foo|1d\nnightly.Bar|1d", connection=self.reader())

        told = self.crontabber("--history=foo")
        status = self.crontabber("--status")
        explained = self.crontabber("--explain=bar")

        self.assertEqual((told.returncode, timeless(told.stdout).splitlines()[3]), (0, "T D - - ok"))
        self.assertEqual((status.returncode, timeless(status.stdout).splitlines()[3:]), (0, [
            "ok foo T D T D", "never ran bar - due - - the next tick runs it",
        ]))  # fmt: skip
        self.assertEqual((explained.returncode, explained.stderr), (0, ""))


class TestLargeLog(ModeTestCase):
    def test_status_does_not_search_a_large_log_without_an_index(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.sql(MANY)

        without = timeless(self.crontabber("--status").stdout).splitlines()[3]
        self.sql("CREATE INDEX ON crontabber_log (app_name, log_time)")
        self.sql("ANALYZE crontabber_log")
        status = self.crontabber("--status")

        self.assertEqual((without, timeless(status.stdout).splitlines()[3]), ("ok foo T D T -", "ok foo T D T D"))
        ((plan,),) = self.sql("EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM crontabber_log WHERE app_name = 'foo' ORDER BY log_time DESC LIMIT 20")
        assert_within(0.05, plan[0]["Execution Time"] / 1000)
