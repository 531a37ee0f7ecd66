"""--nagios, --list-jobs and --audit-ghosts through the real command: the whole output, for any role."""

import json

from tests.integration.mode_case import NOWHERE, ModeTestCase

LINE = "=== JOB " + "=" * 72 + "\n"


class TestNagios(ModeTestCase):
    def test_it_is_ok_before_the_first_run_and_after_a_success(self):
        self.ini("nightly.Foo|1d\nnightly.Back|1d")

        self.assert_said(self.crontabber("--nagios"), 0, "OK - All systems nominal\n")
        self.assertEqual(self.sql("SELECT to_regclass('crontabber')"), [(None,)])
        self.crontabber()
        self.assert_said(self.crontabber("-n"), 0, "OK - All systems nominal\n")

    def test_an_error_is_critical_but_the_first_of_a_backfill_warns(self):
        sad = "sad (Sad) | <class 'ValueError'> | No more tissues"
        back = "sad-back (SadBack) | <class 'ValueError'> | No more tissues"

        self.ini("nightly.SadBack|1d\nnightly.Foo|1d\nnightly.SadChild|1d\nnightly.Sad|1d")
        self.crontabber()
        self.assert_said(self.crontabber("--nagios"), 2, f"CRITICAL - {sad}; {back}\n")

        self.ini("nightly.SadBack|1d\nnightly.Foo|1d")
        self.assert_said(self.crontabber("--nagios"), 1, f"WARNING - {back}\n")

        self.due("sad-back")
        self.crontabber()
        self.assert_said(self.crontabber("--nagios"), 2, f"CRITICAL - {back}\n")

    def test_an_embedded_server_that_cannot_start_is_critical(self):
        (self.folder / "taken").mkdir()
        (self.folder / "taken" / "file").write_text("not a cluster")
        self.ini("nightly.Foo|1d", connection={
            "database_class": "crontabber.store.embedded.EmbeddedConnectionFactory", "data_dir": str(self.folder / "taken"),
        })  # fmt: skip

        told = self.crontabber("--nagios")

        self.assertEqual((told.returncode, told.stderr, told.stdout.count("\n")), (2, "", 1), told.stdout)
        self.assertRegex(told.stdout, r"\ACRITICAL - .*taken")

    def test_a_failed_job_obeys_no_terminal_and_forges_no_log_line(self):
        self.write_module("forging", """
        from crontabber.base import BaseCronApp


        class Forging(BaseCronApp):
            app_name = "forging"

            def run(self):
                raise ValueError("red \\x1b[31m\\n2026-01-01 00:00:00,000 ERROR - the disk is full")
        """)
        self.ini("forging.Forging|1d")

        tick = self.crontabber()

        self.assertNotIn("\x1b", tick.stderr)
        self.assertIn("red \\x1b[31m\n    2026-01-01 00:00:00,000 ERROR - the disk is full\n", tick.stderr)

    def test_it_is_one_line_for_any_error_text(self):
        loud = "loud (Loud) | <class 'RuntimeError'> | "
        self.ini("nightly.Rude|1d\nnightly.Loud|1d")
        self.crontabber()

        report = self.crontabber("--nagios")

        self.assertEqual(self.row("rude", "last_error")["value"], "a|b\nc\x1b[31m\\x00")
        rude = "rude (Rude) | <class 'RuntimeError'> | a|b c [31m\\x00"
        self.assert_said(report, 2, f"CRITICAL - {rude}; {loud}{'x' * (999 - len(loud))}…\n")

    def test_it_is_one_line_for_a_row_of_the_original_too(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        error = {"type": "<type 'exceptions.OSError'>", "value": "a|b\nc\x1b[31m\x00", "traceback": "..."}
        self.sql("UPDATE crontabber SET error_count = 1, last_error = %s", (json.dumps(error),))

        report = self.crontabber("--nagios")

        self.assert_said(report, 2, "CRITICAL - foo (Foo) | <type 'exceptions.OSError'> | a|b c [31m\n")

    def test_a_role_that_may_only_select_can_use_it(self):
        self.ini("nightly.Sad|1d")
        self.crontabber()
        self.ini("nightly.Sad|1d", connection=self.reader())

        report = self.crontabber("--nagios")

        self.assert_said(report, 2, "CRITICAL - sad (Sad) | <class 'ValueError'> | No more tissues\n")

    def test_it_works_on_a_read_only_server(self):
        self.ini("nightly.Sad|1d")
        self.crontabber()

        report = self.crontabber("--nagios", PGOPTIONS="-c default_transaction_read_only=on")

        self.assert_said(report, 2, "CRITICAL - sad (Sad) | <class 'ValueError'> | No more tissues\n")

    def test_an_unreachable_state_database_is_critical(self):
        self.ini("nightly.Sad|1d", connection=NOWHERE)

        report = self.crontabber("--nagios")

        self.assertEqual((report.returncode, report.stderr), (2, ""))
        self.assertRegex(report.stdout, r"\ACRITICAL - state database: .*Connection refused.*\n\Z")

    def test_a_role_without_select_is_critical(self):
        self.ini("nightly.Sad|1d")
        self.crontabber()
        reader = self.reader()
        self.sql("REVOKE SELECT ON crontabber FROM crontabber_reader")
        self.ini("nightly.Sad|1d", connection=reader)

        report = self.crontabber("--nagios")

        self.assertEqual((report.returncode, report.stderr), (2, ""))
        self.assertRegex(report.stdout, r"\ACRITICAL - state database: permission denied for table crontabber .*\n\Z")

    def test_a_broken_configuration_is_unknown(self):
        cases = [
            (lambda: self.ini("nightly.Foo|1d", error_retry_time="soon"), "error_retry_time"),
            (lambda: (self.folder / "crontabber.ini").unlink(), "crontabber.ini"),
        ]
        for break_it, culprit in cases:
            with self.subTest(culprit):
                break_it()
                report = self.crontabber("--nagios")
                self.assertEqual((report.returncode, report.stderr), (3, ""))
                self.assertRegex(report.stdout, rf"\AUNKNOWN - .*{culprit}.*\n\Z")


class TestListJobs(ModeTestCase):
    def stamp(self, app_name, column):
        """Return a time as the server shows it, in its own zone."""
        return self.sql(f"SELECT to_char({column}, 'YYYY-MM-DD HH24:MI:SS') FROM crontabber WHERE app_name = %s", (app_name,))[0][0]

    def test_it_shows_every_state_of_a_job(self):
        self.ini("nightly.Sad|5m\nnightly.Back|7d|03:00\nnightly.Foo|1d|1:45\nnightly.Bar|12h\nnightly.SadChild|1h")
        rows = [
            ("foo", "-3 hours -20 minutes", "-3 hours -20 minutes", "20 hours 40 minutes", 0, "{}", None),
            ("sad", "-2 hours -10 minutes", None, "-1 day -1 hour -1 minute", 2, "error", "-75 minutes -1 second"),
            ("back", "-2 days -3 hours -30 minutes", "-40 days", None, 1, "error", None),
            ("bar", None, None, None, 0, "{}", "-1 hour -1 minute -1 second"),
        ]
        self.crontabber("--reset-job=foo")
        error = json.dumps({"type": "<class 'E'>", "value": "v\nw", "traceback": '  File "x.py", line 3, in run\n    boo()\n'})
        for name, run, success, following, errors, last_error, ongoing in rows:
            self.sql(
                "INSERT INTO crontabber (app_name, first_run, last_run, last_success, next_run, error_count, last_error, ongoing)"
                " VALUES (%s, now(), now() + %s::interval, now() + %s::interval, now() + %s::interval + interval '30 s', %s, %s,"
                " now() + %s::interval)",
                (name, run, success, following, errors, error if last_error == "error" else "{}", ongoing),
            )

        listed = self.crontabber("--list-jobs")

        self.assert_said(listed, 0, (
            LINE +
            "Class:          nightly.Sad\n"
            "App name:       sad\n"
            "Frequency:      5m\n"
            "Ongoing now!    Started 1 hour, 15 minutes ago\n"
            f"Last run:       {self.stamp('sad', 'last_run')}  (2 hours, 10 minutes ago)\n"
            "Last success:   no previous successful run\n"
            f"Next run:       {self.stamp('sad', 'next_run')}  (was 1 day, 1 hour ago)\n"
            "Error!!         (2 times)\n"
            "Traceback (most recent call last):\n"
            '  File "x.py", line 3, in run\n'
            "    boo()\n"
            "<class 'E'>: v\n"
            "w\n"
            "\n" + LINE +
            "Class:          nightly.Back\n"
            "App name:       back\n"
            "Frequency:      7d @ 03:00\n"
            f"Last run:       {self.stamp('back', 'last_run')}  (2 days, 3 hours ago)\n"
            f"Last success:   {self.stamp('back', 'last_success')}  (1 month, 1 week ago)\n"
            "Next run:       none\n"
            "Error!!         (1 times)\n"
            "Traceback (most recent call last):\n"
            '  File "x.py", line 3, in run\n'
            "    boo()\n"
            "<class 'E'>: v\n"
            "w\n"
            "\n" + LINE +
            "Class:          nightly.Foo\n"
            "App name:       foo\n"
            "Frequency:      1d @ 1:45\n"
            f"Last run:       {self.stamp('foo', 'last_run')}  (3 hours, 20 minutes ago)\n"
            f"Last success:   {self.stamp('foo', 'last_success')}  (3 hours, 20 minutes ago)\n"
            f"Next run:       {self.stamp('foo', 'next_run')}  (in 20 hours, 40 minutes)\n"
            "\n" + LINE +
            "Class:          nightly.Bar\n"
            "App name:       bar\n"
            "Frequency:      12h\n"
            "Ongoing now!    Started 1 hour, 1 minute ago\n"
            "Last run:       none\n"
            "Last success:   no previous successful run\n"
            "Next run:       none\n"
            "\n" + LINE +
            "Class:          nightly.SadChild\n"
            "App name:       sad-child\n"
            "Frequency:      1h\n"
            "*NO PREVIOUS RUN INFO*\n"
        ))  # fmt: skip

    def test_the_letter_and_any_unambiguous_abbreviation_work(self):
        self.ini("nightly.Foo|1d")
        text = LINE + "Class:          nightly.Foo\nApp name:       foo\nFrequency:      1d\n*NO PREVIOUS RUN INFO*\n"

        for argument in ("--list-jobs", "--list-job", "--list", "--lis", "-l"):
            with self.subTest(argument):
                self.assert_said(self.crontabber(argument), 0, text)
        self.assertEqual(self.sql("SELECT to_regclass('crontabber')"), [(None,)])

    def test_a_job_with_only_a_time_is_listed_as_daily(self):
        self.ini("nightly.Foo|03:00")

        listed = self.crontabber("--list")

        self.assertIn("\nFrequency:      1d @ 03:00\n", listed.stdout)

    def test_a_role_that_may_only_select_can_use_it(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        wanted = self.crontabber("--list").stdout
        self.ini("nightly.Foo|1d", connection=self.reader())

        listed = self.crontabber("--list")

        self.assertEqual((listed.returncode, listed.stderr), (0, ""))
        self.assertEqual(listed.stdout.splitlines()[:4], wanted.splitlines()[:4])
        self.assertEqual(len(listed.stdout.splitlines()), len(wanted.splitlines()))

    def test_an_unreachable_state_database_is_an_error(self):
        self.ini("nightly.Foo|1d", connection=NOWHERE)

        listed = self.crontabber("--list")

        self.assertEqual((listed.returncode, listed.stdout), (1, ""))
        self.assertRegex(listed.stderr, r"\Acrontabber: state database: .*Connection refused.*\n\Z")


class TestAuditGhosts(ModeTestCase):
    def test_it_names_jobs_that_only_the_state_has(self):
        self.ini("nightly.Foo|1d\nnightly.Bar|1d\nnightly.Sad|1d")

        self.assert_said(self.crontabber("--audit-ghosts"), 0, "")
        self.crontabber()
        self.assert_said(self.crontabber("--audit-ghosts"), 0, "")
        self.ini("nightly.Foo|1d")
        self.assert_said(
            self.crontabber("--audit-ghosts"), 0, "Found the following in the state database but not configured here:\n\tbar\n\tsad\n"
        )
        self.crontabber("--reset-job=sad")
        self.assert_said(
            self.crontabber("--audit-ghosts"), 0, "Found the following in the state database but not configured here:\n\tbar\n"
        )

    def test_a_role_that_may_only_select_can_use_it(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.ini("nightly.Bar|1d", connection=self.reader())

        ghosts = self.crontabber("--audit-ghosts")

        self.assert_said(ghosts, 0, "Found the following in the state database but not configured here:\n\tfoo\n")
