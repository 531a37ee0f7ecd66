"""Whatever a job does to its process, to the pipe or to the supervisor, the others run and nobody else is hurt."""

import os
import signal
import subprocess
import time

from tests.integration.test_mapping_state import STATE
from tests.support import DatabaseTestCase, connection_options, is_running, processes_under, wait_until

JOBS = """
import os
import signal
import stat
import subprocess
import threading
import time

from crontabber.base import BaseCronApp
from tests.jobs import Noting, note


class Job(Noting):
    app_name = "job"
    policy = {"timeout": 1, "kill_timeout": 0.3}

    def run(self):
        super().run()
        self.misbehave()

    def misbehave(self):
        time.sleep(600)


class Blocking(Job):
    def misbehave(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(600)


class Exiting(Job):
    def misbehave(self):
        os._exit(0)


class LeavingAChild(Job):
    def misbehave(self):
        nothing = subprocess.DEVNULL
        note(subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=nothing, stderr=nothing).pid, "child")
        os._exit(0)


class LeavingAThread(Job):
    def misbehave(self):
        threading.Thread(target=time.sleep, args=(600,)).start()
        time.sleep(600)


class KillingItsGroup(Job):
    def misbehave(self):
        os.killpg(0, signal.SIGKILL)


class KillingItself(Job):
    def misbehave(self):
        os.kill(os.getpid(), signal.SIGRTMIN + 3)


class KillingTheSupervisor(Job):
    def misbehave(self):
        os.kill(os.getppid(), signal.SIGKILL)


class Closing(Job):
    def misbehave(self):
        os.closerange(3, 256)


class ClosingAndHanging(Closing):
    def misbehave(self):
        super().misbehave()
        time.sleep(600)


class Scribbling(Job):
    def misbehave(self):
        for descriptor in range(3, 256):
            try:
                if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                    os.write(descriptor, b"[1, 2\\n{}\\n3\\n")
            except OSError:
                pass


class UsingUpItsTime(Job):
    policy = {"timeout": "1h"}

    def misbehave(self):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
        while True:
            pass


class Waiting(Job):
    policy = {"timeout": "1h"}

    def misbehave(self):
        note(os.getppid(), "running")
        while not os.path.exists("enough"):
            time.sleep(0.01)


class WaitingBriefly(Job):
    def misbehave(self):
        note(os.getpid(), "running")
        time.sleep(600)


class Slow(Noting):
    app_name = "slow"

    def run(self):
        time.sleep(2)
        super().run()


class Next(Noting):
    app_name = "next"
"""


class TestMisbehaviour(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("misbehaviour", JOBS)

    def configure(self, *names, **options):
        self.ini("\n".join(f"misbehaviour.{name}|1h" for name in names), **options)

    def tick(self, *names, **options):
        self.configure(*names, **options)
        return self.crontabber()

    def test_the_others_run_when_a_job_ends_its_process(self):
        for name, end, code in (
            ("Exiting", "ended with exit code 0", 1), ("KillingItsGroup", "was killed by SIGKILL", 137),
            ("KillingItself", "was killed by signal 37", 165), ("UsingUpItsTime", "was killed by SIGKILL", 137),
        ):  # fmt: skip
            with self.subTest(name):
                self.empty_the_database()

                tick = self.tick(name, "Next")

                self.assertEqual((tick.returncode, self.ran()), (code, ["job", "next", "job"]), tick.stderr)
                self.assertIn(f"which ran job, {end}\n", tick.stderr)

    def test_what_a_dead_job_has_started_is_ended(self):
        self.tick("LeavingAChild", "Next")

        self.assertFalse(any(map(is_running, (self.folder / "child").read_text().split())))

    def test_the_tick_goes_on_when_a_job_kills_the_supervisor(self):
        self.configure("KillingTheSupervisor", "Next")

        process = self.start()
        process.communicate()

        self.assertEqual(process.returncode, -signal.SIGKILL)
        wait_until(lambda: self.row("next", "last_success"), "the tick did not go on")
        self.assertEqual((self.row("job", "error_count"), self.ran()), (0, ["job", "next"]))

    def test_a_job_may_close_the_pipe_or_write_to_it(self):
        for name in ("Closing", "Scribbling"):
            with self.subTest(name):
                self.empty_the_database()

                # Otherwise the deadline of the first job would end the second one.
                tick = self.tick(name, "Slow")

                self.assertEqual((tick.returncode, self.ran()), (0, ["job", "slow"]), tick.stderr)
                self.assertEqual(self.row("job", "error_count"), 0)

    def test_a_job_that_closes_the_pipe_has_a_timeout(self):
        tick = self.tick("ClosingAndHanging", "Next")

        self.assertEqual((tick.returncode, self.ran()), (0, ["job", "next"]), tick.stderr)
        self.assertIn("ran longer than its timeout", self.row("job", "last_error->>'value'"))

    def test_the_thread_of_a_job_that_timed_out_does_not_keep_the_process(self):
        self.configure("LeavingAThread", "Next")

        process = self.start()

        self.assertEqual(process.wait(30), 0)
        self.assertEqual((self.ran(), processes_under(self.folder)), (["job", "next"], []))

    def test_a_killed_job_does_not_run_again_in_the_same_tick(self):
        tick = self.tick("Blocking", "Next", error_retry_time=0)

        self.assertEqual((tick.returncode, self.ran()), (0, ["job", "next"]), tick.stderr)
        self.assertEqual(self.row("job", "error_count"), 1)

    def test_a_forced_job_runs_once(self):
        for name, code in (("Blocking", 0), ("Exiting", 1)):
            with self.subTest(name):
                self.empty_the_database()
                self.configure(name, "Next")

                run = self.crontabber("--job=job", "--force")

                self.assertEqual((run.returncode, self.ran()), (code, ["job"]), run.stderr)

    def test_sighup_does_not_force_a_job_a_second_time(self):
        self.configure("Waiting")
        process = self.start("--job=job", "--force")
        self.wait_for("running")

        process.send_signal(signal.SIGHUP)
        (self.folder / "enough").touch()

        stderr = process.communicate(timeout=30)[1]
        self.assertEqual((process.returncode, self.ran()), (0, ["job"]), stderr)

    def test_a_timeout_without_a_supervisor_kills_no_stranger(self):
        self.configure("WaitingBriefly")
        process = self.start()
        self.wait_for("running")
        job = int((self.folder / "running").read_text())
        stranger = subprocess.Popen(["sleep", "600"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1)  # the timeout of the job

        process.kill()
        process.wait()
        os.kill(job, signal.SIGXCPU)

        wait_until(lambda: not is_running(job), "the job did not end")
        self.assertIsNone(stranger.poll())
        self.assertIn("ran longer", self.row("job", "last_error->>'value'"))

    def test_a_mapping_as_state_class_has_timeouts(self):
        self.write_module("mapping", STATE)

        tick = self.tick("Blocking", "Next", job_state_db_class="mapping.State")

        self.assertEqual((tick.returncode, self.ran()), (0, ["job", "next"]), tick.stderr)
        self.assertIn("job failed after", tick.stderr)
        self.assertEqual(self.crontabber().returncode, 0)

    def test_a_role_that_may_not_end_sessions_has_timeouts(self):
        name = "crontabber_without_signals"
        self.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'none'; GRANT ALL ON SCHEMA public TO {name}")
        self.addCleanup(self.sql, f"DROP OWNED BY {name}; DROP ROLE {name}")
        self.sql("REVOKE EXECUTE ON FUNCTION pg_terminate_backend FROM PUBLIC")
        self.addCleanup(self.sql, "GRANT EXECUTE ON FUNCTION pg_terminate_backend TO PUBLIC")

        tick = self.tick("Blocking", "Next", connection=connection_options() | {"user": name, "password": "none"})

        self.assertEqual((tick.returncode, self.ran()), (0, ["job", "next"]), tick.stderr)
        self.assertEqual(self.row("job", "error_count"), 1)


class TestPrograms(DatabaseTestCase):
    """Programs of a user that run crontabber: the child must not go on with their code."""

    def setUp(self):
        super().setUp()
        self.write_module("misbehaviour", JOBS)
        self.ini("misbehaviour.Blocking|1h\nmisbehaviour.Next|1h")

    def run_program(self, code):
        self.write_module("program", code)
        process = self.start_program([self.command()[0], "program.py", self.command()[-1]])
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, stderr)
        return stdout, stderr

    def test_what_surrounds_main_happens_once(self):
        stdout, stderr = self.run_program("""
            import tempfile
            from crontabber.app import CronTabber, main

            class Mine(CronTabber):
                def main(self):
                    with tempfile.TemporaryDirectory():
                        try:
                            return super().main()
                        finally:
                            print("done")

            with tempfile.TemporaryDirectory():
                code = main(Mine)
                print("ended with", int(code))
        """)

        self.assertEqual((stdout, self.ran()), ("done\nended with 0\n", ["job", "next"]), stderr)

    def test_without_main_there_are_no_timeouts(self):
        self.ini("misbehaviour.Waiting|1h\nmisbehaviour.Next|1h")
        (self.folder / "enough").touch()

        stdout, stderr = self.run_program("""
            import sys
            from crontabber.testing.settings import manager_of
            from crontabber.app import CronTabber
            from configobj import ConfigObj

            options = ConfigObj(sys.argv[1].partition("=")[2])
            import logging
            logging.basicConfig()
            source = {f"resource.postgresql.{k}": v for k, v in options["resource"]["postgresql"].items()}
            manager = manager_of(options["crontabber"]["jobs"], lambda config: logging.getLogger(), source)
            with manager.context() as config:
                app = CronTabber(config)
                code = app.main()
                print("ended with", int(code))
        """)

        self.assertEqual((stdout, self.ran()), ("ended with 0\n", ["job", "next"]), stderr)
        self.assertIn("Timeouts are not in force", stderr)
