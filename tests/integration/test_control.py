"""Pause, rerun, skip, rewind, prune, reset: what the modes say first, what they then do, and what they leave alone."""

import os
import pty
import re
import signal
import subprocess
import time

from tests.integration.faults import WAITING, FaultTestCase
from tests.integration.mode_case import ModeTestCase
from tests.support import wait_until

JOBS = """
    import os, time
    from pathlib import Path

    from crontabber.base import BaseCronApp
    from crontabber.mixins import as_backfill_cron_app, as_single_postgres_transaction, using_postgres
    from tests.jobs import Noting

    class Plain(Noting):
        app_name = "plain"

        def run(self):
            super().run()
            if Path("failing").exists():
                raise ValueError("as asked")
            while Path("slow").exists():
                time.sleep(0.01)

    class Child(Noting):
        app_name = "child"
        depends_on = "plain"

    @as_backfill_cron_app
    class Dates(Noting):
        app_name = "dates"

        def what_to_note(self, date):
            return date.strftime("%m-%d")

        def run(self, date):
            if Path("failing-" + date.strftime("%m-%d")).exists():
                raise ValueError("this date fails")
            super().run(date)
            while Path("slow").exists():
                time.sleep(0.01)

    @as_backfill_cron_app
    class ChildDates(Dates):
        app_name = "child-dates"
        depends_on = "dates"

        def what_to_note(self, date):
            return "child " + date.strftime("%m-%d")

    @using_postgres()
    @as_single_postgres_transaction()
    @as_backfill_cron_app
    class Inside(BaseCronApp):
        app_name = "inside"

        def run(self, connection, date):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO effects VALUES (%s)", (date.strftime("%m-%d"),))

    class GivesUp(Noting):
        app_name = "gives-up"
        policy = {"max_errors": 1}

        def run(self):
            raise ValueError("never")
"""

LEFT = "was left as it is: another process has just run or changed it\n"
# In this order, each of them has something to do; with what a second person gets who was asked at the same time.
EVERY_MODE = {
    ("--pause=plain",): (0, f"plain {LEFT}"),
    ("--resume=plain",): (0, f"plain {LEFT}"),
    ("--rerun=plain",): (0, "plain ran again"),
    ("--mark-success=dates",): (2, f"dates {LEFT}"),
    ("--rewind=dates", "--to=2026-11-09"): (2, f"dates {LEFT}"),
    ("--prune-log", "--older-than=180d"): (0, " 0 rows of crontabber_log were deleted"),
    ("--reset-job=plain",): (0, "App already reset\n"),
}
SCHEDULE = ("next_run", "first_run", "last_success", "error_count", "last_error", "ongoing", "owner")
TIME = re.compile(r"\d\d:\d\d:\d\d UTC")


class ControlTestCase(FaultTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("work", JOBS)
        self.sql("SET TIME ZONE 'UTC'")

    def choose(self, *entries, **options):
        self.ini("\n".join(f"work.{entry}" for entry in entries), error_retry_time=0, **options)

    def ten_days(self, app_name="dates"):
        """Have the backfill job done every date up to 10 November 2026, at 03:00."""
        self.sql("DELETE FROM crontabber_job WHERE app_name = %s", (app_name,))
        self.sql("UPDATE crontabber SET last_success = '2026-11-10 03:00+00', next_run = now() + interval '1 year' WHERE app_name = %s", (app_name,))

    def does(self, *arguments, code=0):
        end = self.crontabber(*arguments, "--yes", "--logging.stderr_error_logging_level=20")
        self.assertEqual(end.returncode, code, end.stderr)
        return end

    def rows(self):
        return self.sql("SELECT * FROM crontabber ORDER BY app_name")

    def asked(self, *arguments, answer):
        """Run the command on a terminal, and answer its question. Return the exit code and what it showed."""
        return self.answered(self.ask(*arguments), answer)

    def ask(self, *arguments):
        """Start the command on a terminal, up to its question. Return its process, our end of the terminal, and what it showed."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(self.command(*arguments), env=self.environment(), cwd=self.folder, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        while b"[y/N]" not in shown and process.poll() is None:
            shown += os.read(ours, 4096)
        return process, ours, shown

    def answered(self, asked, answer):
        process, ours, shown = asked
        os.write(ours, answer.encode() + b"\n")
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:
            pass
        os.close(ours)
        return process.wait(60), shown.decode().replace("\r\n", "\n")


class TestAgreement(ModeTestCase, ControlTestCase):
    def test_every_mode_says_first_what_it_will_do_and_dry_run_stops_there(self):
        self.choose("Plain|1d", "Dates|1d|03:00")
        self.crontabber()
        self.ten_days()
        before, log = self.rows(), self.sql("SELECT count(*) FROM crontabber_log")
        self.ran()
        for arguments, plan in (
            (("--pause=plain", "--reason=no disk"), "plain: pause: no disk\n"),
            (("--rerun=plain",), "plain: run once more\n"),
            (("--rerun=dates", "--from=2026-11-01", "--to=2026-11-03"),
             "dates: run once more: 3 dates, 2026-11-01T03:00+00:00 to 2026-11-03T03:00+00:00\n"),
            (("--mark-success=plain",), "plain: store a success now, without a run\n"),
            (("--mark-success=dates", "--date=2026-11-12"), "dates: skip 2 dates, 2026-11-11T03:00+00:00 to 2026-11-12T03:00+00:00\n"),
            (("--rewind=dates", "--to=2026-11-09"), "dates: run again: 2 dates, 2026-11-09T03:00+00:00 to 2026-11-10T03:00+00:00\n"),
            (("--prune-log", "--older-than=1s"), None),
            (("--reset-job=plain",), "plain: forget its state\n"),
        ):  # fmt: skip
            with self.subTest(arguments):
                end = self.crontabber(*arguments, "--dry-run")
                self.assertEqual((end.returncode, end.stderr), (0, ""))
                self.assertIn(plan or "crontabber_log: delete ", end.stdout)
                if arguments[0] != "--reset-job=plain":
                    refused = self.crontabber(*arguments)
                    self.assertEqual((refused.returncode, TIME.sub("", refused.stdout)), (1, TIME.sub("", end.stdout)))
                    self.assertEqual(refused.stderr, "crontabber: nobody can be asked here: add --yes, or --dry-run to change nothing\n")
        self.assertEqual((self.rows(), self.sql("SELECT count(*) FROM crontabber_log"), self.ran()), (before, log, []))
        self.assertEqual(self.sql("SELECT paused_at FROM crontabber_job WHERE paused_at IS NOT NULL"), [])

    def test_on_a_terminal_it_asks_and_only_a_yes_changes_something(self):
        self.prepare()
        for arguments in EVERY_MODE:
            with self.subTest(arguments):
                before = self.contents()
                code, shown = self.asked(*arguments, answer="n")
                self.assertEqual((code, shown[-21:], self.contents()), (0, "Nothing was changed.\n", before), shown)

                code, shown = self.asked(*arguments, answer="y")
                self.assertEqual(code, 0, shown)
                self.assertNotEqual(self.contents(), before)

    def test_whoever_answers_last_finds_it_done(self):
        self.prepare()
        for arguments, expected in EVERY_MODE.items():
            with self.subTest(arguments):
                first, second = self.ask(*arguments), self.ask(*arguments)
                self.assertEqual(self.answered(first, "y")[0], 0)
                before = self.contents()

                code, shown = self.answered(second, "y")

                self.assertEqual((code, expected[1] in shown), (expected[0], True), shown)
                self.assertEqual(self.contents() == before, "--rerun=plain" not in arguments)

    def test_a_role_that_may_only_select_can_ask_what_would_be_done(self):
        self.prepare()
        before = self.contents()
        entries, reader = ("Plain|1d", "Dates|1d|03:00"), self.reader()
        for arguments in EVERY_MODE:
            with self.subTest(arguments):
                self.choose(*entries)
                expected = self.crontabber(*arguments, "--dry-run")
                self.choose(*entries, connection=reader)
                end = self.crontabber(*arguments, "--dry-run")
                self.assertEqual((end.returncode, end.stderr, TIME.sub("", end.stdout)), (0, "", TIME.sub("", expected.stdout)))
        self.assertEqual(self.contents(), before)

    def test_a_dry_run_makes_no_tables(self):
        self.choose("Plain|1d", "Dates|1d|03:00")
        for arguments in (("--pause=plain",), ("--resume=all",), ("--rerun=plain",), ("--mark-success=all",)):
            with self.subTest(arguments):
                end = self.crontabber(*arguments, "--dry-run")
                self.assertEqual((end.returncode, end.stderr, self.sql("SELECT to_regclass('crontabber')")), (0, "", [(None,)]))

    def prepare(self):
        """Give every mode something to do."""
        self.choose("Plain|1d", "Dates|1d|03:00")
        self.crontabber()
        self.ten_days()
        self.sql("INSERT INTO crontabber_log (app_name, log_time) SELECT 'plain', now() - n * interval '1 year' FROM generate_series(1, 3) AS n")

    def contents(self):
        return [self.sql(f"SELECT * FROM {table} ORDER BY 1") for table in ("crontabber", "crontabber_job", "crontabber_log")]

    def test_options_that_do_not_fit_are_refused(self):
        self.choose("Plain|1d", "Dates|1d|03:00")
        self.crontabber()
        for arguments, said in (
            (("--reason=x",), "--reason needs --pause"),
            (("--rewind=dates",), "--rewind needs --to"),
            (("--prune-log",), "--prune-log needs --older-than"),
            (("--prune-log", "--older-than=soon"), "--older-than is 'soon': expected a duration such as 180d, more than 0"),
            (("--prune-log", "--older-than=180"), "--older-than is '180': expected a duration such as 180d, more than 0"),
            (("--rerun=dates",), "dates is a backfill job: add --date, or --from and --to"),
            (("--rerun=dates", "--from=2026-11-01"), "--rerun needs both --from and --to, or --date"),
            (("--rerun=dates", "--date=2026-11-01", "--to=2026-11-02"), "--date is one date, --from and --to are a range: choose one"),
            (("--rerun=plain", "--date=2026-11-01"), "plain is no backfill job: it runs for no date"),
            (("--rerun=dates", "--date=2999-11-01"), "2999-11-01T03:00+00:00 is still to come"),
            (("--rewind=plain", "--to=2026-11-01"), "plain is no backfill job, so it has no dates: --rerun runs it once more"),
            (("--rewind=dates", "--to=2999-11-01"), "dates has not done 2999-11-01T03:00+00:00 yet: --rewind goes back, --mark-success skips dates"),
            (("--mark-success=plain", "--date=2026-11-01"), "--date needs one backfill job: other jobs have no dates"),
            (("--pause=plaid",), "unknown job 'plaid': did you mean plain?"),
            (("--pause=plain", "--resume=plain"), "--pause and --resume cannot be combined: choose one"),
        ):  # fmt: skip
            with self.subTest(arguments):
                end = self.crontabber(*arguments, "--yes")
                self.assertEqual((end.returncode, end.stdout, end.stderr), (1, "", f"crontabber: {said}\n"))


class TestPause(ControlTestCase):
    def test_a_paused_job_and_its_dependents_wait_for_resume(self):
        self.choose("Plain|1d", "Child|1d")

        said = self.does("--pause=plain", "--reason=no\n\x1b disk").stderr
        self.assertRegex(said, r"INFO - plain was paused by \S+@\S+: no disk\n\Z")
        self.assertIn("child is held back: its dependency 'plain' is paused", self.crontabber().stderr)
        self.assertEqual(self.ran(), [])

        self.assertRegex(self.does("--resume=plain").stderr, r"INFO - plain was resumed by \S+@\S+\n\Z")
        self.crontabber()
        self.assertEqual(self.ran(), ["plain", "child"])

    def test_a_job_paused_after_a_tick_has_begun_does_not_run_in_it(self):
        self.choose("Child|1d", "Plain|1d")
        self.crontabber()
        self.due("plain", "child")
        self.ran()
        self.give("slow")
        tick = self.start()
        wait_until(lambda: self.sql("SELECT 1 FROM crontabber WHERE ongoing IS NOT NULL"), "nothing runs")

        self.does("--pause=child")

        self.forget("slow")
        self.assertEqual((self.end_of(tick).returncode, self.ran()), (0, ["plain"]))
        self.assert_at_rest()

    def test_force_runs_a_paused_job_and_reset_keeps_the_pause(self):
        self.choose("Plain|1d")
        self.crontabber()
        self.does("--pause=all")
        self.ran()

        forced = self.crontabber("--job=plain", "--force")
        self.assertIn("WARNING - plain is paused, and runs because of --force\n", forced.stderr)
        self.assertEqual(self.ran(), ["plain"])

        self.crontabber("--reset-job=plain")
        self.crontabber()
        self.assertEqual(self.ran(), [])
        self.assertRegex(self.crontabber("--status").stdout, r"paused +plain ")

    def test_everything_shows_it(self):
        self.choose("Plain|1d")
        self.crontabber()
        self.does("--pause=plain")

        self.assertRegex(self.crontabber("--list-jobs").stdout, r"\nPaused! +\d{4}-.* by \S+@\S+\n")
        self.assertIn('"paused"', self.crontabber("--status", "--format=json").stdout)

    def test_nobody_is_asked_about_nothing(self):
        self.choose("Plain|1d")
        self.crontabber()

        for name, said in (("plain", "plain: is not paused; nothing to do\n"), ("all", "Nothing to do\n")):
            told = self.crontabber(f"--resume={name}")
            self.assertEqual((told.returncode, told.stdout, told.stderr), (0, said, ""))

    def test_resume_ends_that_a_job_gave_up(self):
        self.choose("GivesUp|1d")
        self.crontabber()
        self.assertIn("gave up", self.crontabber("--status").stdout)

        self.assertIn("gives-up, which gave up, was resumed by", self.does("--resume=gives-up").stderr)

        self.assertEqual(self.row("gives-up", "error_count"), 0)
        self.crontabber()
        self.assertEqual(len(self.errors_logged("gives-up")), 2)

    def test_a_paused_job_that_is_no_longer_configured_can_be_resumed(self):
        self.choose("Plain|1d", "Child|1d")
        self.crontabber()
        self.does("--pause=child")
        self.choose("Plain|1d")

        self.does("--resume=child")

        self.assertEqual(self.sql("SELECT count(paused_at) FROM crontabber_job"), [(0,)])


class TestRerun(ControlTestCase):
    def setUp(self):
        super().setUp()
        self.sql("CREATE TABLE effects (day text)")
        self.choose("Plain|1d", "Child|1d", "Dates|1d|03:00", "ChildDates|1d|03:00", "Inside|1d|03:00")
        self.crontabber()
        for name in ("dates", "child-dates", "inside"):
            self.ten_days(name)
        self.sql("TRUNCATE crontabber_log")
        self.sql("DELETE FROM effects")
        self.ran()
        self.before = self.rows()

    def test_dates_run_again_and_only_the_log_tells(self):
        self.does("--rerun=dates", "--from=2026-11-03", "--to=2026-11-05")

        self.assertEqual((self.ran(), self.rows()), (["11-03", "11-04", "11-05"], self.before))
        self.assertEqual(
            self.sql("SELECT app_name, to_char(slot, 'MM-DD'), exc_type FROM crontabber_log ORDER BY id"),
            [("dates", f"11-0{day}", None) for day in (3, 4, 5)],
        )

    def test_a_date_that_is_still_outstanding_can_run_too(self):
        self.does("--rerun=dates", "--date=2026-11-12")

        self.assertEqual((self.ran(), self.rows()), (["11-12"], self.before))

    def test_inside_its_own_transaction_the_log_row_is_part_of_it(self):
        self.does("--rerun=inside", "--from=2026-11-03", "--to=2026-11-04")

        self.assertEqual((self.sql("SELECT day FROM effects"), self.rows()), ([("11-03",), ("11-04",)], self.before))
        self.assertEqual(self.sql("SELECT count(*), count(slot) FROM crontabber_log"), [(2, 2)])

    def test_a_commit_that_fails_takes_the_log_row_with_it(self):
        self.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$")
        self.addCleanup(self.sql, "DROP FUNCTION refuse() CASCADE")
        self.sql("CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE PROCEDURE refuse()")

        self.does("--rerun=inside", "--date=2026-11-03", code=1)

        self.assertEqual((self.sql("SELECT day FROM effects"), self.rows()), ([], self.before))
        self.assertEqual(self.sql("SELECT exc_type LIKE '%RaiseException%' FROM crontabber_log"), [(True,)])

    def test_a_plain_job_keeps_its_schedule(self):
        success = self.row("plain", "last_success", "next_run")

        self.does("--rerun=plain")

        self.assertEqual((self.ran(), self.row("plain", "last_success", "next_run")), (["plain"], success))
        self.assertEqual(self.sql("SELECT count(success) FROM crontabber_log"), [(1,)])

    def test_a_failure_stops_it_and_it_says_how_to_go_on(self):
        self.give("failing-11-04")

        said = self.does("--rerun=dates", "--from=2026-11-03", "--to=2026-11-06", code=1).stderr

        self.assertIn("ERROR - dates: the rerun failed after", said)
        how = "--rerun=dates --from=2026-11-04T03:00+00:00 --to=2026-11-06T03:00+00:00"
        self.assertIn(f"WARNING - To go on where it stopped: {how}\n", said)
        self.assertEqual((self.ran(), self.rows()), (["11-03"], self.before))
        self.assertEqual(self.sql("SELECT to_char(slot, 'MM-DD'), exc_type IS NULL FROM crontabber_log ORDER BY id"), [("11-03", True), ("11-04", False)])

        self.forget("failing-11-04")
        self.does(*how.split())
        self.assertEqual(self.ran(), ["11-04", "11-05", "11-06"])

    def test_it_says_how_to_go_on_with_the_dependents(self):
        self.give("failing-11-04")

        said = self.does("--rerun=dates", "--from=2026-11-03", "--to=2026-11-04", "--also-dependents", code=1).stderr

        commands = re.search("To go on where it stopped: (.*)", said)[1].split(", then ")
        self.forget("failing-11-04")
        self.assertEqual(self.ran(), ["11-03"])
        for command in commands:
            self.does(*command.split())
        self.assertEqual(self.ran(), ["11-04", "child 11-03", "child 11-04"])

    def test_dependents_follow_in_order_for_the_same_days(self):
        self.does("--rerun=dates", "--from=2026-11-03", "--to=2026-11-04", "--also-dependents")
        self.assertEqual(self.ran(), ["11-03", "11-04", "child 11-03", "child 11-04"])

        self.does("--pause=child")
        said = self.does("--rerun=plain", "--also-dependents")
        self.assertEqual((self.ran(), said.stdout), (["plain"], "plain: run once more\nchild: skip: it is paused\n"))

    def test_dependents_run_all_their_dates_of_the_same_days(self):
        self.choose("Plain|1d", "Dates|1d|03:00", "ChildDates|0 */8 * * *|Asia/Tokyo")

        self.does("--rerun=dates", "--date=2026-11-03", "--also-dependents")

        self.assertEqual(self.ran(), ["11-03", "child 11-03", "child 11-03", "child 11-03"])

    def test_a_job_that_never_ran_remains_one(self):
        self.does("--reset-job=plain")

        self.does("--rerun=plain")

        self.assertEqual((self.ran(), self.row("plain", "first_run")), (["plain"], None))

    def test_a_death_in_it_is_logged_and_does_not_count(self):
        self.give("slow")
        rerun = self.start("--rerun=dates", "--date=2026-11-03", "--yes")
        wait_until(lambda: (self.folder / "ran.txt").exists(), "it does not run")

        self.kill(rerun)
        self.forget("slow")
        tick = self.crontabber()
        self.assertEqual(tick.returncode, 0)
        self.assertRegex(tick.stderr, r"WARNING - dates: \S+, which ran it once more, ended without a result\n\Z")

        self.assertEqual(self.errors_logged("dates"), ["<class 'crontabber.errors.OwnerDiedError'>"])
        self.assertEqual(self.rows(), self.before)

    def test_after_a_kill_the_next_command_goes_on(self):
        before = self.row("plain", *SCHEDULE) + self.row("dates", *SCHEDULE)
        for arguments, ran in ((("--rerun=plain",), ["plain"]), (("--rerun=dates", "--from=2026-11-03", "--to=2026-11-04"), ["11-03", "11-04"])):
            with self.subTest(arguments):
                self.give("slow")
                rerun = self.start(*arguments, "--yes")
                wait_until(lambda: (self.folder / "ran.txt").exists(), "it does not run")
                self.kill(rerun)
                self.forget("slow")
                self.ran()

                said = self.does(*arguments).stderr

                self.assertEqual(self.ran(), ran)
                self.assertEqual(self.row("plain", *SCHEDULE) + self.row("dates", *SCHEDULE), before, said)

    def test_one_that_is_killed_at_its_timeout_is_logged_and_does_not_count(self):
        self.choose("Plain|1d", extra="[[policy]]\ntimeout=0.3\nkill_timeout=0.1")
        self.write_module("work", JOBS.replace("time.sleep(0.01)", "os.kill(os.getpid(), 19)"))
        self.give("slow")

        said = self.does("--rerun=plain", code=1).stderr

        self.assertIn("ERROR - plain: the rerun failed after", said)
        self.assertEqual(said.count("A rerun of plain by"), 1)
        self.assertEqual((self.rows(), self.errors_logged("plain")), (self.before, ["<class 'crontabber.errors.JobTimeout'>"]))

    def test_sigterm_ends_it_with_a_row_in_the_log(self):
        self.give("slow")
        rerun = self.start("--rerun=dates", "--from=2026-11-03", "--to=2026-11-09", "--yes")
        wait_until(lambda: (self.folder / "ran.txt").exists(), "it does not run")

        rerun.send_signal(signal.SIGTERM)

        end = self.end_of(rerun)
        self.assertEqual(end.returncode, 143, end.stderr)
        self.assertIn("To go on where it stopped: --rerun=dates --from=2026-11-03T03:00+00:00 --to=2026-11-09T03:00+00:00", end.stderr)
        self.assertEqual((self.rows(), len(self.errors_logged("dates"))), (self.before, 1))

    def test_a_lost_terminal_does_not_rerun_it_once_more(self):
        self.give("slow")
        rerun = self.start("--rerun=dates", "--from=2026-11-03", "--to=2026-11-04", "--yes")
        wait_until(lambda: (self.folder / "ran.txt").exists(), "it does not run")

        rerun.send_signal(signal.SIGHUP)
        self.forget("slow")

        self.assertEqual((self.end_of(rerun).returncode, self.ran()), (0, ["11-03", "11-04"]))

    def test_two_people_at_once_do_not_meet(self):
        self.give("slow")
        first = self.start("--rerun=plain", "--yes")
        wait_until(lambda: (self.folder / "ran.txt").exists(), "it does not run")

        self.assertIn("plain was left as it is: 'plain' is already running", self.does("--rerun=plain", code=3).stderr)
        self.assertIn("plain was left as it is", self.does("--mark-success=plain", code=3).stderr)

        self.forget("slow")
        self.assertEqual((self.end_of(first).returncode, self.ran()), (0, ["plain"]))


class TestCursor(ControlTestCase):
    def setUp(self):
        super().setUp()
        self.choose("Plain|1d", "Child|1d", "Dates|1d|03:00")
        self.crontabber()
        self.ten_days()
        self.ran()

    def run_dates_until(self, day):
        """Have a tick run the dates, up to the one that fails."""
        self.give(f"failing-{day}")
        self.due("dates")
        self.crontabber()
        return self.ran()

    def test_marking_skips_the_next_date_or_all_up_to_one(self):
        self.does("--mark-success=dates")
        self.assertRegex(self.crontabber("--history=dates").stdout, r" 2026-11-11 03:00 +\S+@\S+ +marked\n")
        self.assertEqual(self.run_dates_until("11-14"), ["11-12", "11-13"])

        self.does("--mark-success=work.Dates", "--date=2026-11-16")
        self.assertEqual(self.run_dates_until("11-18"), ["11-17"])

    def test_no_date_is_marked_that_is_still_to_come(self):
        said = self.crontabber("--mark-success=dates", "--date=2099-01-01", "--yes")

        self.assertEqual(said.returncode, 1)
        self.assertIn(" is still to come", said.stderr)

    def test_marking_a_plain_job_frees_its_dependents(self):
        self.give("failing")
        self.due("plain", "child")
        self.crontabber()
        self.assertEqual(self.row("plain", "error_count"), 1)
        self.ran()

        said = self.does("--mark-success=plain").stderr
        self.assertRegex(said, r"plain was marked as successful by \S+@\S+\n")
        self.crontabber()

        self.assertEqual((self.row("plain", "error_count"), self.ran()), (0, ["child"]))

    def test_rewinding_runs_the_dates_again(self):
        self.does("--rewind=dates", "--to=2026-11-08")

        self.assertEqual(self.run_dates_until("11-12"), ["11-08", "11-09", "11-10", "11-11"])

    def test_resetting_says_what_is_lost(self):
        said = self.crontabber("--reset-job=dates")

        self.assertRegex(said.stdout, r"\Adates: forget its state, and \d+ outstanding dates, which will not be run\n\Z")
        self.assertIsNone(self.row("dates", "last_success"))


    def test_after_a_kill_the_cursor_is_where_it_was_and_the_next_command_moves_it(self):
        self.sql("CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1, 1); RETURN NEW; END $$")
        self.addCleanup(self.sql, "DROP FUNCTION wait() CASCADE")
        self.sql("CREATE TRIGGER wait BEFORE UPDATE ON crontabber FOR EACH ROW WHEN (OLD.ongoing IS NOT NULL) EXECUTE PROCEDURE wait()")
        for arguments, ran in ((("--rewind=dates", "--to=2026-11-08"), ["11-08", "11-09", "11-10"]), (("--mark-success=dates",), ["11-12"])):
            with self.subTest(arguments):
                self.ten_days()
                cursor = self.row("dates", "last_success")
                with self.holding("SELECT pg_advisory_xact_lock(1, 1)"):
                    process = self.start(*arguments, "--yes")
                    self.wait_for_a_blocked_process()
                    self.kill(process)
                    self.terminate_holder_of_the_claim()
                    # Or its statement would go on when the lock is free.
                    wait_until(lambda: not self.sql(WAITING), "its session has not ended")
                self.assertEqual(self.row("dates", "last_success"), cursor)

                self.does(*arguments)

                self.assertEqual(self.run_dates_until("11-13")[: len(ran)], ran)
                self.assert_at_rest()


class TestPruning(ControlTestCase):
    def fill(self, rows):
        self.choose("Plain|1d", "Child|1d")
        self.crontabber()
        self.sql("TRUNCATE crontabber_log")
        self.sql(
            "INSERT INTO crontabber_log (app_name, log_time, success) SELECT name, now() - n * interval '1 day', now()"
            " FROM generate_series(1, %s) n, unnest(ARRAY['plain', 'child', 'ghost']) AS name", (rows,),
        )  # fmt: skip
        self.sql("DELETE FROM crontabber_log WHERE app_name = 'ghost' AND log_time > now() - interval '300 days'")

    def left(self):
        return self.sql("SELECT app_name, count(*) FROM crontabber_log GROUP BY app_name ORDER BY app_name")

    def test_old_rows_go_but_never_the_last_of_a_job(self):
        self.fill(2000)

        said = self.does("--prune-log", "--older-than=180d")

        self.assertEqual(self.left(), [("child", 179), ("ghost", 1), ("plain", 179)])
        self.assertIn("INFO - 5342 rows of crontabber_log were deleted by ", said.stderr)
        self.assertEqual(self.sql("SELECT count(*) FROM pg_indexes WHERE indexname = 'crontabber_log_app_name_log_time_idx'"), [(1,)])

    def test_a_kill_in_the_middle_loses_nothing_and_it_can_go_on(self):
        self.fill(3000)
        prune = self.start("--prune-log", "--older-than=180d", "--yes")
        wait_until(lambda: self.sql("SELECT count(*) < 8700 FROM crontabber_log")[0][0], "nothing was deleted")
        self.kill(prune)

        self.does("--prune-log", "--older-than=180d")

        self.assertEqual(self.left(), [("child", 179), ("ghost", 1), ("plain", 179)])

    def test_of_two_at_once_one_does_the_work(self):
        self.fill(3000)
        with self.holding("LOCK crontabber_log IN ROW EXCLUSIVE MODE"):
            first = self.start("--prune-log", "--older-than=180d", "--yes")
            self.wait_for_a_blocked_process()

            said = self.does("--prune-log", "--older-than=180d", code=3).stderr

        self.assertRegex(said, r"WARNING - crontabber_log was left as it is: another process is deleting its old rows\n\Z")
        self.assertEqual((self.end_of(first).returncode, self.left()), (0, [("child", 179), ("ghost", 1), ("plain", 179)]))

    def test_retention_deletes_a_batch_after_each_tick(self):
        self.fill(2000)
        self.does("--prune-log", "--older-than=1900d")
        self.choose("Plain|1d", "Child|1d", log_retention="180d")

        before = sum(count for _, count in self.left())
        self.crontabber()
        self.assertEqual(sum(count for _, count in self.left()), before - 1000)
        for _ in range(4):
            self.crontabber()

        self.assertEqual([each for each in self.left() if each[0] != "ghost"], [("child", 179), ("plain", 179)])

    def test_without_the_index_a_tick_does_not_search(self):
        self.fill(300)
        self.choose("Plain|1d", "Child|1d", log_retention="180d")

        self.crontabber()

        self.assertEqual(self.left()[0], ("child", 300))


class TestPruningWhileTicksGoOn(ControlTestCase):
    rows_in_log, jobs_in_log, ticks_before = 30_000, 10, 2

    def test_the_log_shrinks_and_keeps_the_last_row_of_each_job(self):
        self.choose("Plain|1d", "Child|1d")
        self.crontabber()
        self.fill()
        before = [self.seconds_of_a_tick() for _ in range(self.ticks_before)]

        prune, during = self.start("--prune-log", "--older-than=180d", "--yes"), []
        while prune.poll() is None:
            during.append(self.seconds_of_a_tick())
            time.sleep(max(0, 1 - during[-1]))

        end = self.end_of(prune)
        self.assertEqual(end.returncode, 0, end.stderr)
        self.assertEqual(self.sql("SELECT count(*) FROM to_keep LEFT JOIN crontabber_log AS log USING (id) WHERE log.id IS NULL"), [(0,)])
        left = "SELECT count(*) FROM crontabber_log WHERE log_time < now() - interval '181 days' AND id NOT IN (SELECT id FROM to_keep)"
        self.assertEqual(self.sql(left), [(0,)])
        self.assertEqual(self.ran(), ["plain", "child"] * (1 + len(before) + len(during)))
        self.check_seconds(before, during)

    def fill(self):
        """Spread the rows over three years. Some of the jobs are gone: their last row is older than what is deleted."""
        self.sql(
            "INSERT INTO crontabber_log (app_name, log_time, duration, success) SELECT names[1 + n %% %(jobs)s],"
            " now() - interval '3 years' * n / %(rows)s, interval '1 second', now() FROM generate_series(1, %(rows)s) AS n,"
            " (SELECT ARRAY['plain', 'child'] || array_agg('job-' || n) AS names FROM generate_series(3, %(jobs)s) AS n) AS jobs"
            " WHERE n %% %(jobs)s < %(jobs)s - 2 OR n > %(rows)s / 3",
            {"rows": self.rows_in_log, "jobs": self.jobs_in_log},
        )  # fmt: skip
        self.sql(
            "CREATE TABLE to_keep AS SELECT id FROM crontabber_log WHERE log_time > now() - interval '179 days'"
            " UNION SELECT max(id) FILTER (WHERE log_time = newest) FROM ("
            " SELECT *, max(log_time) OVER (PARTITION BY app_name) AS newest FROM crontabber_log) AS log GROUP BY app_name"
        )

    def seconds_of_a_tick(self):
        self.due("plain", "child")
        began = time.monotonic()
        end = self.crontabber()
        self.assertEqual(end.returncode, 0, end.stderr)
        return time.monotonic() - began

    def check_seconds(self, before, during):
        """Nothing here: a busy machine delays ticks, too."""
