"""--status, --explain and --dry-run through the real command: a real state for each reason, and the exact answer."""

import os
import re
import shlex
import socket

from crontabber.output.table import display_width
from tests.integration.mode_case import ModeTestCase
from tests.integration.terminal_shell import Shell

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d \w+)?")
DURATION = re.compile(r"\b(\d+[dhm] )?\d+(\.\d)?[dhms]\b")
POLICY = "[[policy]]\nmax_errors=2"


def timeless(text):
    """Return the text with times and durations replaced, and every run of blanks made one."""
    return re.sub(r"(?<=\S) +", " ", DURATION.sub("D", TIME.sub("T", text)))


class AnswersCase(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.sql("SET TIME ZONE 'UTC'")

    def row_of(self, app_name, next_run="-1 minute", error_count=0, ongoing=None, owner=None, last_run="-1 day"):
        """Store a state; times are relative to now."""
        error = '{"type": "<class \'ValueError\'>", "value": "No more tissues", "traceback": ""}' if error_count else "{}"
        self.sql(
            "INSERT INTO crontabber (app_name, next_run, first_run, last_run, last_success, error_count, last_error, ongoing, owner)"
            " VALUES (%s, now() + %s::interval, now() + %s::interval, now() + %s::interval, now() + %s::interval, %s, %s,"
            " now() + %s::interval, %s)",
            (app_name, next_run, last_run, last_run, last_run, error_count, error, ongoing, owner),
        )  # fmt: skip

    def tables(self):
        """Create the tables, without any state."""
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.sql("DELETE FROM crontabber")
        self.sql("DELETE FROM crontabber_log")
        self.ran()

    def status(self):
        """Return the lines of the table about jobs."""
        return timeless(self.crontabber("--status").stdout).splitlines()[3:]

    def explained(self, app_name):
        """Return the unmet conditions, and what happens next."""
        text = timeless(self.crontabber(f"--explain={app_name}").stdout)
        return re.findall(r"^  ✗ (.*)", text, re.MULTILINE), re.findall(r"What happens next\n  (.*)", text)


SLOW = """
import time
from pathlib import Path
from crontabber.base import BaseCronApp


class Slow(BaseCronApp):
    app_name = "slow"

    def run(self):
        Path("running").touch()
        while not Path("go").exists():
            time.sleep(0.01)
"""


class TestReasons(AnswersCase):
    """Each reason code with a real state that has it."""

    def test_a_job_that_is_not_due_says_until_when(self):
        self.tables()
        self.row_of("foo", "2 hours")

        self.assertEqual(self.status(), ["ok foo T D T -"])
        self.assertEqual(self.explained("foo"), (["it is not due until T"], ["It is due at T, in D. The first tick after that runs it."]))

    def test_a_failing_job_waits_for_its_retry(self):
        self.tables()
        self.row_of("foo", "3 minutes", error_count=2)

        self.assertEqual(self.status(), ["failing foo T D T - failed 2 times in a row (ValueError)"])
        self.assertEqual(self.explained("foo")[0], ["it waits for its retry until T"])

    def test_a_due_job_runs_at_the_next_tick(self):
        self.tables()
        self.row_of("foo")

        self.assertEqual(self.status(), ["ok foo T due T - the next tick runs it"])
        self.assertEqual(self.explained("foo"), ([], ["The next tick runs it."]))

    def test_a_job_that_no_tick_attended_is_overdue(self):
        self.tables()
        self.row_of("foo", "-7 hours")

        self.assertEqual(self.status(), ["overdue foo T due T - the next tick runs it"])

    def test_a_job_that_gave_up_says_how_to_go_on(self):
        self.tables()
        self.ini("nightly.Foo|1d", extra=POLICY)
        self.row_of("foo", error_count=2)
        how = "it gave up (it runs again after --resume or --reset-job, or with --job and --force)"

        self.assertEqual(self.status(), [f"gave up foo - - T - failed 2 times in a row (ValueError); {how}"])
        self.assertEqual(self.explained("foo"), ([how], [f"It does not run: {how}."]))

    def test_a_paused_job_and_its_dependents_say_so(self):
        self.tables()
        self.ini("nightly.Foo|1d\nnightly.Bar|1d")
        self.row_of("foo")
        self.row_of("bar")
        self.sql("INSERT INTO crontabber_job (app_name, paused_at, paused_by, pause_reason) VALUES ('foo', now(), 'me@here', 'no disk')")
        paused = "it is paused since T by me@here (no disk)"
        held = "its dependency 'foo' is paused"

        self.assertEqual(self.status(), [f"paused foo - - T - {paused}", f"held back bar T due T - {held}"])
        self.assertEqual(self.explained("foo"), ([paused], [f"The next tick does not run it: {paused}."]))
        self.assertEqual(self.explained("bar")[0], ["its dependency 'foo' is paused (last success T, next run T)"])
        self.assertNotIn("foo", self.crontabber("--dry-run").stdout.partition("Next: ")[2])
        tick = self.crontabber()
        self.assertEqual((tick.returncode, self.ran()), (0, []))

    def test_status_says_if_cron_is_silent(self):
        self.tables()
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.assertNotIn("last tick", self.crontabber("--status").stdout)

        self.sql("UPDATE crontabber_host SET last_tick = now() - interval '16 minutes'")

        self.assertRegex(self.crontabber("--status").stdout, r"\n\nThe last tick was 16m \d*s? ?ago, on \S+: does cron start crontabber\?\n")

    def test_a_failed_dependency_holds_back(self):
        self.tables()
        self.ini("nightly.Foo|1d\nnightly.Bar|1d")
        self.row_of("foo", "3 minutes", error_count=1)
        self.row_of("bar")
        held = "its dependency 'foo' errored last time"

        self.assertEqual(self.status()[1], f"held back bar T due T - {held}")
        self.assertEqual(self.explained("bar"), (
            [f"{held} (last success T, failures in a row: 1, next run T)"], [f"The next tick does not run it: {held}."],
        ))  # fmt: skip

    def test_a_stale_dependency_that_nobody_runs_holds_back(self):
        self.tables()
        self.ini("nightly.Bar|1d")
        self.row_of("foo", "-1 hour")
        self.row_of("bar")

        self.assertEqual(self.status(), ["held back bar T due T - its dependency 'foo' has not run recently"])

    def test_a_stale_dependency_that_the_same_tick_runs_does_not(self):
        self.tables()
        self.ini("nightly.Foo|1d\nnightly.Bar|1d")
        self.row_of("foo", "-1 minute")
        self.row_of("bar")

        self.assertEqual(self.status()[1], "ok bar T due T - the next tick runs it")
        self.assertEqual(self.explained("bar"), (
            ["its dependency 'foo' has not run recently (last success T, next run T)"], ["The next tick runs it, after foo."],
        ))  # fmt: skip

    def test_a_dependency_that_never_ran_holds_back(self):
        self.tables()
        self.ini("nightly.Foo|1d|23:59\nnightly.Bar|1d")
        self.row_of("bar")
        self.sql("INSERT INTO crontabber_job (app_name, first_slot) VALUES ('foo', date_trunc('day', now()) + interval '23:59')")

        self.assertEqual(self.status(), ["never ran foo T D - -", "held back bar T due T - its dependency 'foo' has not run yet"])

    def test_a_dependency_that_is_not_configured_is_called_that(self):
        self.tables()
        self.ini("nightly.Bar|1d")
        self.row_of("bar")
        held = "its dependency 'foo' has not run yet, and is not configured here"

        self.assertEqual(self.status(), [f"held back bar T due T - {held}"])
        self.assertEqual(self.explained("bar"), ([held], [f"The next tick does not run it: {held}."]))

    def test_a_broken_entry_and_what_depends_on_it(self):
        self.tables()
        self.ini("nightly.Foo|1x\nnightly.Bar|1d")
        self.row_of("bar")
        held = "it depends on 'foo', whose entry in the setting jobs is broken"

        status = self.crontabber("--status")

        lines = timeless(status.stdout).splitlines()
        self.assertEqual(lines[0], "2 jobs: 1 broken, 1 held back (times in Etc/UTC)")
        self.assertRegex(lines[3], r"broken foo - - - - jobs: nightly.Foo: '1x' is not a valid frequency")
        self.assertEqual((status.returncode, lines[4]), (1, f"held back bar T due T - {held}; its dependency 'foo' has not run yet"))
        broken = self.crontabber("--explain=foo")
        self.assertEqual((broken.returncode, broken.stdout), (1, ""))
        self.assertIn("'1x' is not a valid frequency", broken.stderr)

    def test_an_ongoing_job_names_its_process_and_whether_it_holds_the_lock(self):
        self.write_module("slowly", SLOW)
        self.ini("slowly.Slow|1d")
        process = self.start()
        self.wait_for("running")
        owner = f"{socket.gethostname()}:{process.pid}"

        self.assertEqual(self.status(), [f"ongoing slow - due - - it is already running since T ({owner})"])
        self.assertEqual(self.explained("slow")[1], ["It is running now. When it has ended, its next run is planned."])
        self.assertEqual(self.crontabber("--dry-run").stdout.replace(owner, "X")[:46], "slow would not run: it is already running sinc")
        (self.folder / "go").touch()
        process.communicate()
        self.assertEqual(self.sql("SELECT error_count, ongoing FROM crontabber"), [(0, None)])

    def test_a_dead_owner_is_found_without_touching_its_lock(self):
        self.tables()
        self.row_of("foo", ongoing="-1 minute", owner=f"{socket.gethostname()}:{2**22 + os.getpid()}")

        self.assertEqual(self.status(), ["failing foo T due T - the process that ran it died; the next tick runs it"])
        died = "foo: the process that ran it died; that would be recorded as a failure"
        self.assertEqual(self.crontabber("--dry-run").stdout, f"{died}\nfoo would run\n")
        self.crontabber()
        self.assertEqual((self.ran(), self.sql("SELECT exc_type LIKE '%OwnerDied%' FROM crontabber_log ORDER BY id")), (["foo again"], [(True,), (None,)]))


MANY = """
from crontabber.base import BaseCronApp

for number in range(1000):
    globals()[f"Job{number}"] = type(f"Job{number}", (BaseCronApp,), {
        "app_name": f"job-{number}", "__module__": __name__, "run": lambda self: None,
        "depends_on": f"job-{number - 1}" if number % 10 else None,
    })
"""
ODD = """
from nightly import Noting


class Japanese(Noting):
    app_name = "夜間バッチ"


class Long(Noting):
    app_name = "begin-" + "x" * 290 + "-end"


class Control(Noting):
    app_name = "bell\\x07"
"""


class TestTable(AnswersCase):
    def on_terminal(self, *arguments, **env):
        shell = Shell(self.folder, self.environment(TERM="xterm", **env))
        self.addCleanup(shell.close)
        code, text = shell.run(shlex.join(self.command(*arguments)))
        self.assertEqual(code, 0, text)
        return text

    def test_on_a_terminal_it_is_coloured_and_cut_to_the_window(self):
        self.write_module("odd", ODD)
        self.ini("odd.Japanese|1d\nodd.Long|1d\nodd.Control|1d\nnightly.Sad|1d")
        self.crontabber()
        # Both tables have columns of the same width.
        self.sql("UPDATE crontabber SET next_run = now() + interval '36 hours 30 minutes'")

        coloured = self.on_terminal("--status")
        plain = self.on_terminal("--status", NO_COLOR="1")

        self.assertIn("\x1b[31mfailing\x1b[0m  sad", coloured)
        self.assertEqual(DURATION.sub("", re.sub(r"\x1b\[\d+m", "", coloured)), DURATION.sub("", plain))
        self.assertNotIn("\x1b", plain)
        self.assertEqual([line for line in plain.splitlines() if display_width(line) > 80], [])
        self.assertRegex(plain, r"\nok +begi…-end ")
        self.assertRegex(plain, r"\nok +bell\\x07 ")

    def test_elsewhere_each_line_is_plain_and_complete(self):
        self.write_module("odd", ODD)
        self.ini("odd.Japanese|1d\nodd.Long|1d")
        self.crontabber()

        lines = self.crontabber("--status").stdout.splitlines()

        self.assertEqual(lines[0], "2 jobs: all ok (times in Etc/UTC)")
        self.assertTrue(lines[3].startswith("ok     begin-" + "x" * 290 + "-end  20"))
        self.assertEqual({display_width(line[: line.index("  20")]) for line in lines[4:]}, {7 + 300})

    def test_a_thousand_jobs_are_a_thousand_lines(self):
        self.write_module("many", MANY)
        self.ini("\n".join(f"many.Job{number}|1d" for number in range(1000)))

        lines = self.crontabber("--status").stdout.splitlines()

        self.assertEqual((lines[0], len(lines)), ("1000 jobs: 1000 never ran (times in Etc/UTC)", 3 + 1000))
        self.assertEqual({timeless(line).split(" ", 3)[3] for line in lines[3:]}, {"- due - - the next tick runs it"})

    def test_without_jobs_it_says_so(self):
        self.ini("")

        self.assert_said(self.crontabber("--status"), 0, "No jobs are configured.\n")


class TestExplain(AnswersCase):
    def test_it_shows_the_whole_of_a_backfill_job(self):
        self.ini("nightly.Back|1d|03:00", extra=POLICY + "\ntimeout=90m")
        self.tables_of_back()

        told = self.crontabber("--explain=nightly.Back")

        self.assertEqual((told.returncode, told.stderr), (0, ""))
        self.assertEqual(timeless(told.stdout), (
            "back (nightly.Back, every D @ 03:00): overdue\n\n"
            "Conditions (times in Etc/UTC)\n"
            " ✓ it is due since T\n ✓ no other process runs it\n ✓ no entry of jobs that it depends on is broken\n"
            " ✓ it is not paused\n ✓ it has not given up (failures in a row: 0)\n\n"
            "What happens next\n The next tick runs it.\n\n"
            "Next dates\n T (due)\n T (due)\n T (due)\n T\n T\n\n"
            "Outstanding dates: 3\n from T to T\n\n"
            "Policy\n"
            " timeout D (crontabber.policy.timeout)\n kill_timeout D (default)\n error_retry_time D (crontabber.error_retry_time)\n"
            " error_retry_factor 1 (default)\n error_retry_max_time D (default)\n max_errors 2 (crontabber.policy.max_errors)\n"
            " catchup all (default)\n timezone Etc/UTC (default)\n ping_url none (default)\n\n"
            "Last run: T; last success: T\n"
        ).replace("\n ", "\n  "))  # fmt: skip

    def tables_of_back(self):
        """Let the last date done be four slots ago."""
        self.crontabber()
        self.sql("DELETE FROM crontabber_job")
        last = "date_trunc('day', now() - interval '3 hours') + interval '3 hours' - interval '3 days'"
        self.sql(f"UPDATE crontabber SET last_success = {last}, last_run = {last}, next_run = {last} + interval '1 day'")

    def test_the_policy_of_the_class_and_of_its_section_are_told_apart(self):
        self.write_module("strict", STRICT)
        self.ini("strict.Strict|1d", extra="[[class-Strict]]\n[[[policy]]]\nkill_timeout=5")

        told = timeless(self.crontabber("--explain=strict").stdout)

        self.assertIn("  kill_timeout D (crontabber.class-Strict.policy.kill_timeout)\n", told)
        self.assertIn("  max_errors 7 (the attribute policy of Strict)\n", told)


STRICT = """
from nightly import Noting


class Strict(Noting):
    app_name = "strict"
    policy = {"max_errors": 7, "kill_timeout": 60}
"""
