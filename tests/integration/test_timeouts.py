"""A job that does not end at its timeout is ended: first by an exception, then by a kill that leaves nothing behind."""

import os
import signal
from pathlib import Path

from tests.support import DatabaseTestCase, is_running, processes_under, wait_until

JOBS = """
import os
import signal
import subprocess
import time

from crontabber.base import BaseCronApp
from crontabber.mixins import (
    as_backfill_cron_app, as_single_postgres_transaction, using_postgres, with_postgres_connection_as_argument, with_subprocess,
)
from tests.jobs import Noting, note


class Hanging(BaseCronApp):
    app_name = "hanging"
    policy = {"timeout": 0.5, "kill_timeout": 0.5}

    def run(self):
        note(os.getpid(), "pid")
        self.hang()

    def hang(self):
        time.sleep(600)


class CleaningUp(Hanging):
    def run(self):
        try:
            time.sleep(600)
        finally:
            note("cleaned up")


class Blocking(Hanging):
    '''Blocks every signal that can be blocked.'''

    def hang(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(600)


class Swallowing(Hanging):
    def hang(self):
        while True:
            try:
                time.sleep(600)
            except BaseException:
                pass


class HoldingTheGil(Hanging):
    def hang(self):
        sum(iter(int, 1))  # for ever, and never in Python code


@using_postgres()
@with_postgres_connection_as_argument()
class InLibpq(Hanging):
    def run(self, connection):
        connection.cursor().execute("CREATE TABLE half_done ()")
        connection.cursor().execute("SELECT pg_sleep(600)")


@using_postgres()
@with_postgres_connection_as_argument()
class InLibpqForEver(Hanging):
    '''Cannot be asked to end while the server works for it.'''

    def run(self, connection):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            try:
                connection.cursor().execute("SELECT pg_sleep(600)")
            except BaseException:
                pass


@with_subprocess
class Programs(Hanging):
    def hang(self):
        subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 600; sleep 600"])
        self.run_process("sleep 600")


class Detaching(Hanging):
    def hang(self):
        if not os.fork():
            os.setsid()
            if os.fork():
                os._exit(0)
            note(os.getpid(), "detached")
            time.sleep(600)
        time.sleep(600)


class DetachingAndBlocking(Detaching):
    def hang(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        super().hang()


@using_postgres()
@as_single_postgres_transaction()
class Transaction(Hanging):
    def run(self, connection):
        connection.cursor().execute("CREATE TABLE half_done ()")
        time.sleep(600)


@using_postgres()
@as_backfill_cron_app
class Dates(Hanging):
    app_name = "dates"

    def run(self, date):
        note("date")
        if not os.path.exists("first"):
            open("first", "w").close()
            return
        time.sleep(600)


class Unlimited(Noting):
    app_name = "a-first"


class Next(Noting):
    app_name = "next"


class Child(Noting):
    app_name = "child"
    depends_on = "hanging"


class Daemon(Noting):
    '''Leaves a daemon behind on purpose.'''

    app_name = "daemon"

    def run(self):
        nothing = subprocess.DEVNULL
        note(subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=nothing, stderr=nothing).pid, "daemon")


class Quick(Noting):
    app_name = "quick"
    policy = {"timeout": "1h"}


class Deadly(Noting):
    app_name = "deadly"
    policy = {"timeout": "1h"}

    def run(self):
        super().run()
        os.kill(os.getpid(), signal.SIGKILL)
"""


class TestTimeouts(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("timeouts", JOBS)
        self.addCleanup(self.kill_what_is_left)

    def kill_what_is_left(self):
        for pid in processes_under(self.folder):
            os.kill(pid, signal.SIGKILL)

    def tick(self, *names, code=0, **options):
        self.ini("\n".join(f"timeouts.{name}|1h" for name in names), **options)
        tick = self.crontabber()
        self.assertEqual(tick.returncode, code, tick.stderr)
        return tick

    def assert_ended(self, name, killed):
        """Run a tick in which this job hangs: it is recorded, the others run, and nothing is left."""
        with self.subTest(name):
            self.empty_the_database()
            tick = self.tick("Unlimited", name, "Child", "Next")

            end = ", and had to be killed" if killed else ""
            said = self.row("hanging", "last_error->>'type'", "last_error->>'value'", "error_count", "ongoing", "owner")
            expected = ("<class 'crontabber.errors.JobTimeout'>", f"it ran longer than its timeout of 0.5 s{end}", 1, None, None)
            self.assertEqual(said, expected, tick.stderr)
            if not killed:
                self.assertNotIn("signals.py", self.row("hanging", "last_error->>'traceback'"))
            self.assertEqual(self.ran(), ["a-first", "next"])
            self.assertEqual(self.sql("SELECT exc_type FROM crontabber_log WHERE app_name = 'hanging'"), [(expected[0],)])
            self.assertEqual(processes_under(self.folder), [])
            wait_until(self.nothing_is_locked, "a session or a lock is left", 30)

    def nothing_is_locked(self):
        others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        return self.sql(f"SELECT (SELECT count(*) {others}), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')") == [(0, 0)]

    def test_a_job_that_can_be_asked_ends_by_itself(self):
        for name in ("Hanging", "InLibpq", "Programs", "Detaching", "Transaction"):
            self.assert_ended(name, killed=False)
        self.assertEqual(self.sql("SELECT to_regclass('half_done')"), [(None,)])

    def test_a_job_that_does_not_end_is_killed(self):
        for name in ("Blocking", "Swallowing", "HoldingTheGil", "DetachingAndBlocking", "InLibpqForEver"):
            self.assert_ended(name, killed=True)

    def test_a_job_may_clean_up(self):
        self.tick("CleaningUp")

        self.assertEqual(self.ran(), ["cleaned up"])

    def test_dates_that_have_succeeded_stay(self):
        self.tick("Dates")
        self.ran()
        (self.folder / "first").unlink()
        self.sql("UPDATE crontabber SET last_success = now() - interval '150 minutes', next_run = now(), error_count = 0, last_error = '{}'")

        self.tick("Dates")

        self.assertEqual(self.ran(), ["date"] * 2)
        done = self.row("dates", "round(extract(epoch FROM now() - last_success) / 60)", "error_count")
        self.assertEqual(done, (90, 1))

    def test_what_earlier_jobs_have_left_running_stays(self):
        self.tick("Daemon", "Blocking", "Next")

        self.assertEqual(self.ran(), ["next"])
        self.assertTrue(is_running(int((self.folder / "daemon").read_text())))

    def test_a_job_that_ends_in_time_runs_as_usual(self):
        self.tick("Next")
        self.due("next")
        self.ran()

        tick = self.tick("Quick", "Next")

        self.assertEqual(self.ran(), ["next", "quick"])
        self.assertEqual(len(tick.stderr.splitlines()), 2, tick.stderr)

    def test_the_others_run_after_a_job_that_kills_its_process(self):
        tick = self.tick("Deadly", "Next", code=137)

        self.assertEqual(self.ran(), ["deadly", "next", "deadly"])
        self.assertIn("which ran deadly, was killed by SIGKILL", tick.stderr)


class TestSupervisor(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("timeouts", JOBS)

    def start_hanging(self):
        self.ini("timeouts.Hanging|1h\ntimeouts.Next|1h", "[[class-Hanging]]\n[[[policy]]]\ntimeout=600")
        process = self.start()
        wait_until(lambda: (self.folder / "pid").exists() and (self.folder / "pid").read_text(), "the job did not start")
        return process

    def test_signals_are_passed_on(self):
        for signum, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            with self.subTest(signum):
                self.empty_the_database()
                (self.folder / "pid").unlink(missing_ok=True)
                process = self.start_hanging()

                process.send_signal(signum)

                stderr = process.communicate(timeout=30)[1]
                self.assertEqual(process.returncode, code, stderr)
                self.assertEqual(self.row("hanging", "last_error->>'value'"), f"stopped by {signum.name}")
                self.assertEqual(self.ran(), [])

    def test_sighup_reads_the_configuration_again_after_the_job(self):
        self.write_module("waiting", "from tests.jobs import Noting\nfrom tests.integration.fault_jobs import wait_for\n"
            "class Waiting(Noting):\n    app_name = 'waiting'\n    policy = {'timeout': 60}\n"
            "    def run(self):\n        open('running', 'w').close()\n        wait_for('enough')\n")
        self.ini("waiting.Waiting|1h")
        process = self.start()
        self.wait_for("running")
        process.send_signal(signal.SIGHUP)
        self.ini("waiting.Waiting|1h\ntimeouts.Next|1h")
        (self.folder / "enough").touch()

        stderr = process.communicate(timeout=30)[1]

        self.assertEqual((process.returncode, self.ran()), (0, ["next"]), stderr)

    def test_the_tick_goes_on_without_its_supervisor(self):
        process = self.start_hanging()
        tick = int(Path(self.folder / "pid").read_text())

        process.kill()
        process.wait()

        self.assertTrue(is_running(tick))
        self.assertEqual(self.crontabber().returncode, 3)
        os.kill(tick, signal.SIGTERM)
        wait_until(lambda: not is_running(tick), "the tick did not end")
        self.assertEqual(self.row("hanging", "last_error->>'value'"), "stopped by SIGTERM")

    def test_the_tick_keeps_the_deadline_of_a_supervisor_that_was_killed(self):
        for name, code, error in (("Hanging", 0, "JobTimeout"), ("Swallowing", 0, "OwnerDiedError")):
            with self.subTest(name):
                self.empty_the_database()
                (self.folder / "pid").unlink(missing_ok=True)
                self.ini(f"timeouts.{name}|1h\ntimeouts.Next|1h", "[[policy]]\ntimeout=2\nkill_timeout=1")
                process = self.start()
                self.wait_for("pid")
                process.kill()
                process.wait()

                wait_until(lambda: processes_under(self.folder) == [], "the job was not ended", 30)

                self.assertEqual(self.crontabber().returncode, code)
                self.assertEqual(self.sql("SELECT exc_type FROM crontabber_log WHERE app_name = 'hanging' ORDER BY id LIMIT 1"),
                                 [(f"<class 'crontabber.errors.{error}'>",)])
                self.assertEqual(self.ran().count("next"), 1)

    def test_only_a_timeout_forks(self):
        self.ini("timeouts.Next|1h")
        self.write_module("waiting", "from tests.jobs import Noting\nclass Pid(Noting):\n    app_name = 'pid'\n"
            "    def what_to_note(self):\n        import os\n        return os.getpid()\n")
        for policy, expected in (("", True), ("[[policy]]\ntimeout=1h", False)):
            self.ini("waiting.Pid|1h", policy)
            process = self.start("--job=pid", "--force")
            process.communicate()
            self.assertEqual(self.ran() == [str(process.pid)], expected)
