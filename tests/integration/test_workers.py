"""--workers: several jobs at a time, in processes that one supervisor watches."""

import os
import signal

from tests.integration.fault_jobs import ALL_NAPS, FAMILY, NAP_ENTRIES
from tests.integration.faults import FaultTestCase, OwnServerTestCase
from tests.integration.faulty_proxy import FaultyProxy
from tests.support import connection_options, is_running, wait_until

JOBS = """
    import os
    import subprocess
    import time

    from crontabber.base import BaseCronApp
    from tests.integration.fault_jobs import wait_for
    from tests.jobs import Noting, note

    class Patient(BaseCronApp):
        def run(self):
            note(os.getpid(), f"running-{self.app_name}")
            wait_for(f"end-{self.app_name}")
            note(self.app_name)

    class First(Patient):
        app_name = "a-first"

    class Second(Patient):
        app_name = "b-second"

    class Third(Patient):
        app_name = "c-third"
        depends_on = "a-first"

    class Child(Noting):
        app_name = "d-child"
        depends_on = ["a-first", "b-second"]

    class Failing(BaseCronApp):
        app_name = "failing"

        def run(self):
            raise ValueError("this one fails")

    class ChildOfFailing(Noting):
        app_name = "child-of-failing"
        depends_on = "failing"

    class Late(BaseCronApp):
        app_name = "late"
        policy = {"timeout": 0.3, "kill_timeout": 0.1}

        def run(self):
            wait_for("running-program")
            subprocess.Popen(["sh", "-c", "echo $$ > leftover; exec sleep 600"], start_new_session=True)
            wait_for("leftover")
            while True:
                try:
                    time.sleep(600)
                except BaseException:
                    pass

    class Program(BaseCronApp):
        app_name = "program"

        def run(self):
            script = "echo $$ > running-program; while [ ! -e end-program ]; do sleep 0.05; done; echo program >> ran.txt"
            subprocess.run(["sh", "-c", script], start_new_session=True, check=True)
"""


class WorkersTestCase(FaultTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("work", JOBS)

    def choose(self, *names, **options):
        self.ini(",".join(f"work.{name}|1d" for name in names), **{"workers": 3, "error_retry_time": 0, **options})

    def worker_of(self, app_name):
        """Wait until a worker runs this job, and return its process id."""
        note = self.folder / f"running-{app_name}"
        return int(wait_until(lambda: note.exists() and note.read_text().strip(), f"{app_name} does not run"))

    def end(self, *app_names):
        for app_name in app_names:
            self.give(f"end-{app_name}")


class TestSharing(WorkersTestCase):
    def test_each_job_runs_once_and_several_at_a_time(self):
        self.configure(*NAP_ENTRIES[:8])

        tick = self.crontabber("--workers=4")

        self.assertEqual(tick.returncode, 0, tick.stderr)
        self.assert_each_once(self.ran(), ALL_NAPS[:8])
        runs = self.sql("SELECT log_time - duration, log_time FROM crontabber_log")
        self.assertGreaterEqual(max(sum(start <= moment < end for start, end in runs) for moment, _ in runs), 3)
        for worker in range(1, 5):
            self.assertIn(f"- worker {worker} - nap-", tick.stderr)
        self.assert_at_rest()

    def test_without_session_locks_each_job_runs_once_too(self):
        self.configure(*NAP_ENTRIES[:8], session_locks=False)

        tick = self.crontabber("--workers=4")

        self.assertEqual(tick.returncode, 0, tick.stderr)
        self.assert_each_once(self.ran(), ALL_NAPS[:8])
        self.assert_at_rest()

    def test_every_child_runs_after_its_parents(self):
        self.configure(*(f"Relative{name.upper()}|1h" for name in FAMILY), workers=4)

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 0, tick.stderr)
        events = self.ran()
        self.assert_each_once(events, [f"{what} {name}" for name in FAMILY for what in ("start", "done")])
        for name, parents in FAMILY.items():
            for parent in parents:
                self.assertLess(events.index(f"done {parent}"), events.index(f"start {name}"), (parent, name))

    def test_a_child_starts_as_soon_as_its_last_parent_has_succeeded(self):
        self.choose("First", "Second", "Third", "Child")
        tick = self.start()
        self.worker_of("a-first")
        self.worker_of("b-second")

        self.end("a-first")
        self.worker_of("c-third")
        self.end("b-second")

        wait_until(lambda: "d-child" in (self.folder / "ran.txt").read_text(), "it waits for c-third")
        self.end("c-third")
        self.assertEqual(self.end_of(tick).returncode, 0)
        self.assertEqual(self.ran(), ["a-first", "b-second", "d-child", "c-third"])

    def test_what_stays_held_back_is_said_once(self):
        self.choose("First", "Second", "Failing", "ChildOfFailing")
        self.end("a-first", "b-second")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, sorted(self.ran())), (0, ["a-first", "b-second"]))
        self.assertEqual(tick.stderr.count("child-of-failing is held back: its dependency 'failing' errored"), 1, tick.stderr)

    def test_only_jobs_of_other_crontabbers_make_the_exit_code_3(self):
        self.choose("First", "Second")
        one = self.start("--job=a-first")
        self.worker_of("a-first")
        other = self.start()
        self.worker_of("b-second")
        self.end("b-second")
        self.assertEqual(self.end_of(other).returncode, 3)
        self.end("a-first")
        self.assertEqual(self.end_of(one).returncode, 0)
        self.due("a-first", "b-second")

        self.assertEqual(self.crontabber().returncode, 0)

    def test_an_idle_tick_costs_what_it_costs_without_workers(self):
        self.choose("First", "Second", "Child")
        self.end("a-first", "b-second")
        self.crontabber()
        with FaultyProxy(connection_options()) as proxy:
            self.choose("First", "Second", "Child", connection=proxy.options)
            self.assertEqual(self.crontabber().returncode, 0)

        self.assertEqual((proxy.connections, len(proxy.statements)), (1, 3))

    def test_a_number_that_makes_no_sense_is_refused(self):
        self.choose("First")

        for number in ("0", "many", "1001"):
            tick = self.crontabber(f"--workers={number}")

            self.assertEqual((tick.returncode, tick.stderr.count("expected a whole number, 1 to 1000")), (1, 1), tick.stderr)


class TestFaults(WorkersTestCase):
    def test_a_killed_worker_harms_no_other(self):
        self.choose("First", "Second", "Third")
        tick = self.start()
        victim = self.worker_of("a-first")
        survivor = self.worker_of("b-second")
        self.forget("running-a-first")

        os.kill(victim, signal.SIGKILL)

        self.assertNotEqual(self.worker_of("a-first"), victim)
        self.assertTrue(is_running(survivor))
        self.end("a-first", "b-second", "c-third")
        end = self.end_of(tick)
        self.assertEqual((end.returncode, sorted(self.ran())), (0, ["a-first", "b-second", "c-third"]), end.stderr)
        self.assertEqual(self.errors_logged("a-first"), ["<class 'crontabber.errors.OwnerDiedError'>"])
        self.assertEqual(self.errors_logged("b-second"), [])
        self.assert_at_rest()

    def test_sigterm_ends_workers_that_run_a_job_and_those_that_wait(self):
        self.choose("First", "Second", "Third")
        tick = self.start()
        self.worker_of("a-first")
        self.worker_of("b-second")
        self.end("b-second")
        wait_until(lambda: self.sql("SELECT 1 FROM crontabber_log"), "b-second was not stored")

        end = self.end_by_signal(tick)

        self.assertEqual(end.returncode, 143, end.stderr)
        self.assertEqual(self.sql("SELECT app_name, exc_type IS NULL FROM crontabber_log ORDER BY 1"), [("a-first", False), ("b-second", True)])
        self.assert_at_rest()

    def test_sighup_has_the_configuration_read_again(self):
        self.choose("First", "Second")
        tick = self.start()
        for name in ("a-first", "b-second"):
            self.worker_of(name)
        self.choose("First", "Second", "Child")

        tick.send_signal(signal.SIGHUP)

        self.end("a-first", "b-second")
        end = self.end_of(tick)
        self.assertEqual((end.returncode, sorted(self.ran())), (0, ["a-first", "b-second", "d-child"]), end.stderr)

    def test_workers_of_a_killed_supervisor_finish_what_they_run(self):
        self.choose("First", "Second", "Child")
        tick = self.start()
        workers = [self.worker_of("a-first"), self.worker_of("b-second")]

        self.kill(tick)

        self.end("a-first", "b-second")
        wait_until(lambda: not any(map(is_running, workers)), "they wait for ever")
        self.assertEqual(sorted(self.ran()), ["a-first", "b-second", "d-child"])
        self.assert_at_rest()

    def test_a_timeout_ends_nothing_that_a_sibling_has_started(self):
        self.choose("Late", "Program")
        tick = self.start()
        self.wait_for("running-program")
        wait_until(lambda: self.errors_logged("late"), "it was not ended")

        left = (self.folder / "leftover").read_text().strip()
        program = (self.folder / "running-program").read_text().strip()
        self.assertEqual((is_running(left), is_running(program)), (False, True))
        self.end("program")
        self.assertEqual((self.end_of(tick).returncode, self.ran()), (0, ["program"]))
        self.assertIn("JobTimeout", self.errors_logged("late")[0])
        self.assert_at_rest()


class TestRestart(OwnServerTestCase):
    def test_a_restart_of_the_server_loses_and_repeats_nothing(self):
        self.configure(*NAP_ENTRIES[:8])
        tick = self.start("--workers=4")
        wait_until(lambda: (self.folder / "ran.txt").exists(), "no job has run")

        self.restart_server()

        end = self.end_of(tick)
        # A worker that started when there was no server has left its jobs to the next tick.
        self.crontabber("--workers=4")
        self.assert_each_once(self.ran(), ALL_NAPS[:8])
        self.assertEqual(self.sql("SELECT count(*), count(exc_type) FROM crontabber_log"), [(8, 0)], end.stderr)
        self.assert_at_rest()
