"""Ticks that run elsewhere: in an executor of the user's own, and on a real Dask cluster."""

import importlib.util
import json
import os
import signal
import sys
import unittest
from contextlib import suppress

from tests.integration.mode_case import ModeTestCase
from tests.support import ROOT, is_running, wait_until

JOBS = """
    import os, time
    from pathlib import Path
    from crontabber.base import BaseCronApp
    from crontabber.commands import submission
    from crontabber.engine import executors
    from tests.jobs import Noting

    HERE = Path(__file__).parent
    Noting.notes = HERE / "ran.txt"
    # The tests do not wait as long as people do.
    executors.CONNECT_SECONDS = submission.TROUBLE_SECONDS = 4
    submission.LOOK_SECONDS = 0.2

    class A(Noting):
        app_name = "a"

    class B(Noting):
        app_name = "b"

    class Child(Noting):
        app_name = "child"
        depends_on = ["a", "b"]

    class Failing(BaseCronApp):
        app_name = "failing"

        def run(self):
            raise ValueError("this one fails")

    class Together(BaseCronApp):
        depends_on = "a"

        def run(self):
            (HERE / self.app_name).touch()
            for _ in range(3000):
                if (HERE / "first").exists() and (HERE / "second").exists():
                    return
                time.sleep(0.01)
            raise TimeoutError("the other one does not run")

    class First(Together):
        app_name = "first"

    class Second(Together):
        app_name = "second"

    class Long(BaseCronApp):
        app_name = "long"

        def run(self):
            with (HERE / "long.pids").open("a") as pids:
                pids.write(f"{os.getpid()} {os.getppid()}\\n")
            while not (HERE / "go").exists():
                time.sleep(0.01)
"""
# The ten lines that the documentation shows.
EXECUTOR = '''
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path


    class Threads:
        def __init__(self, config):
            self.pool = ThreadPoolExecutor()

        def submit(self, function, *arguments):
            with Path("submitted").open("a") as file:
                file.write(f"{arguments}\\n")
            return self.pool.submit(function, *arguments)


    class Refusing(Threads):
        def submit(self, function, *arguments):
            raise ConnectionError("no room for password=hunter2")


    class Forgetful(Threads):
        def submit(self, function, *arguments):
            return self.pool.submit(lambda: function.no_such_attribute)


    class OfAnotherVersion(Threads):
        def submit(self, function, arguments, path, version):
            return self.pool.submit(function, arguments, path, "0.1")


    class OfAnotherConfiguration(Threads):
        def submit(self, function, arguments, path, version):
            return super().submit(function, [*arguments, "--crontabber.jobs=elsewhere.B|1d"], path, version)


    class WithoutFile(Threads):
        def submit(self, function, arguments, path, version):
            return self.pool.submit(function, arguments, path + "x", version)
'''


class ExecutorTestCase(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("elsewhere", JOBS)
        self.write_module("executors", EXECUTOR)

    def distributed(self, jobs, executor="executors.Threads", **options):
        entries = "\n".join(f"elsewhere.{name}|1d" for name in jobs.split())
        self.ini(entries, executor_class=executor, **{"workers": 3} | options)

    def wait_for_long(self):
        """Wait until the job runs, and return its process id. It does not outlive the test."""
        pids = self.folder / "long.pids"
        pid = int(wait_until(lambda: pids.exists() and pids.read_text().split(), "it does not run")[0])
        self.addCleanup(self.end, pid)
        return pid

    def end(self, pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not is_running(pid), "it is still there")

    def submitted(self):
        path = self.folder / "submitted"
        return path.read_text().splitlines() if path.exists() else []


class TestExecutorOfTheUser(ExecutorTestCase):
    def test_each_job_runs_once_and_a_child_after_its_parents(self):
        self.distributed("A B Child Failing")

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 0, tick.stderr)
        ran = self.ran()
        self.assertEqual((sorted(ran), ran[-1]), (["a", "b", "child"], "child"))
        self.assertGreaterEqual(len(self.submitted()), 3)
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log"), [(4,)])

    def test_jobs_that_become_ready_run_side_by_side(self):
        self.distributed("A First Second")

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 0, tick.stderr)
        self.assertEqual(self.sql("SELECT count(*), count(exc_type) FROM crontabber_log"), [(3, 0)])

    def test_what_ticks_print_is_logged_with_their_host_at_its_level(self):
        self.distributed("A Failing")

        self.assertRegex(self.crontabber().stderr, rf"INFO - {os.uname().nodename}: [^\n]* INFO - a ran in ")
        self.sql("DELETE FROM crontabber")
        tick = self.crontabber("--logging.stderr_error_logging_level=30")

        self.assertRegex(tick.stderr, rf"\A[^\n]* ERROR - {os.uname().nodename}: [^\n]* ERROR - failing failed")
        self.assertNotIn("a ran", tick.stderr)

    def test_there_are_no_more_ticks_than_jobs_that_may_run(self):
        self.distributed("A Failing Child")
        self.sql("SELECT 1")
        self.crontabber()
        (self.folder / "submitted").unlink()

        self.assertEqual(self.crontabber().returncode, 0)
        self.assertEqual(self.submitted(), [])

        self.due("a")
        self.crontabber()
        self.assertEqual(len(self.submitted()), 1)

    def test_no_argument_contains_a_secret(self):
        self.distributed("A")

        self.crontabber("--resource.postgresql.password=hunter2", "--sentry.dsn=https://key@host/1")

        [arguments] = self.submitted()
        self.assertNotRegex(arguments, "hunter2|key")

    def test_an_executor_that_fails_is_reported_and_nothing_is_lost(self):
        for executor, message in (
            ("Refusing", r"executors\.Refusing: no room for password=\*\*\*\*; jobs that are still due run in the next tick"),
            ("Forgetful", r"executors\.Forgetful: 'function' object has no attribute 'no_such_attribute'; jobs"),
            ("OfAnotherVersion", r": this machine has crontabber \S+, and the one that submits ticks has 0\.1"),
            ("WithoutFile", r": this machine has no configuration file \S+/crontabber\.inix"),
        ):
            with self.subTest(executor):
                self.distributed("A", f"executors.{executor}")

                tick = self.crontabber()

                self.assertEqual(tick.returncode, 1)
                self.assertRegex(tick.stderr, rf"\A[^\n]*{message}[^\n]*\n\Z")
                self.assertEqual(self.ran(), [])

        self.distributed("A")
        self.crontabber()
        self.assertEqual(self.ran(), ["a"])

    def test_a_job_that_the_other_side_does_not_know_is_not_submitted_for_ever(self):
        self.distributed("A", "executors.OfAnotherConfiguration")

        self.assertEqual(self.crontabber().returncode, 0)

        self.assertEqual((self.ran(), len(self.submitted())), (["b"], 1))

    def test_a_job_that_another_process_runs_is_an_exit_code_of_3(self):
        self.distributed("A Long")
        self.ini("elsewhere.Long|1d", name="other.ini")
        other = self.start(ini="other.ini")
        self.wait_for_long()

        self.assertEqual(self.crontabber().returncode, 3)

        (self.folder / "go").touch()
        self.assertEqual((other.wait(60), self.ran()), (0, ["a"]))

    def test_job_runs_here(self):
        self.distributed("A B")

        self.assertEqual(self.crontabber("--job=a").returncode, 0)

        self.assertEqual((self.ran(), self.submitted()), (["a"], []))


@unittest.skipUnless(importlib.util.find_spec("distributed"), "Dask is not installed: pip install distributed")
class TestDask(ExecutorTestCase):
    """A scheduler and workers, each a process of its own."""

    def setUp(self):
        super().setUp()
        self.scheduler_file = self.folder / "scheduler.json"

    def dask(self, *arguments, **env):
        # Not in the folder of the jobs, which Python would search.
        command = ["env", "-C", "/", sys.executable, "-m", "dask", *arguments, "--scheduler-file", str(self.scheduler_file), "--no-dashboard"]
        process = self.start_program(command, **env)
        # Its pipes must not fill up.
        for stream in (process.stdout, process.stderr):
            stream.close()
        return process

    def cluster(self, workers=1):
        self.scheduler = self.dask("scheduler", "--port", "0", "--host", "127.0.0.1")
        wait_until(lambda: self.address(), "the scheduler did not start")
        return [self.worker() for _ in range(workers)]

    def address(self):
        return self.scheduler_file.exists() and json.loads(self.scheduler_file.read_text() or "{}").get("address")

    def worker(self, **env):
        return self.dask("worker", "--nthreads", "2", "--no-nanny", "--host", "127.0.0.1", **env)

    def on_the_cluster(self, jobs, **options):
        self.distributed(jobs, "crontabber.engine.executors.Dask", address=self.address() or "tcp://127.0.0.1:1", **options)

    def test_each_job_runs_once_and_a_child_after_its_parents(self):
        self.cluster(workers=2)
        self.on_the_cluster("A B Child Failing")

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 0, tick.stderr)
        ran = self.ran()
        self.assertEqual((sorted(ran), ran[-1]), (["a", "b", "child"], "child"))
        self.assertRegex(tick.stderr, rf"ERROR - {os.uname().nodename}: [^\n]* ERROR - failing failed")

    def test_a_worker_killed_in_mid_job_does_no_harm(self):
        """Dask runs its task again on the other one, and the job still runs once."""
        first = self.cluster()[0]
        self.on_the_cluster("Long", workers=1)
        tick = self.start()
        self.wait_for_long()
        self.worker()

        first.kill()
        wait_until(lambda: not is_running(first.pid), "it is still there")
        (self.folder / "go").touch()

        self.assertEqual(tick.wait(60), 0)
        self.assertEqual(self.sql("SELECT count(*), count(exc_type) FROM crontabber_log"), [(1, 0)])

    def test_a_killed_job_runs_again_in_the_next_tick(self):
        worker, = self.cluster()
        self.on_the_cluster("Long", workers=1)
        tick = self.start()
        self.wait_for_long()

        os.kill(self.wait_for_long(), signal.SIGKILL)

        self.assertEqual(tick.wait(60), 1)
        (self.folder / "go").touch()
        self.assertEqual(self.crontabber().returncode, 0)
        self.assertEqual(self.sql("SELECT exc_type IS NULL FROM crontabber_log ORDER BY id"), [(False,), (True,)])
        self.assertTrue(is_running(worker.pid))

    def test_a_cluster_that_does_not_answer_gives_one_clear_message(self):
        self.on_the_cluster("A")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (1, []))
        self.assertRegex(tick.stderr, r"\A[^\n]*ERROR - crontabber\.engine\.executors\.Dask: [^\n]*127\.0\.0\.1:1[^\n]*\n\Z")

    def test_a_cluster_that_loses_its_last_worker_ends_the_tick(self):
        worker, = self.cluster()
        self.on_the_cluster("Long")
        tick = self.start()
        self.wait_for_long()

        worker.kill()
        (self.folder / "go").touch()

        _, said = tick.communicate(timeout=60)
        self.assertEqual(tick.returncode, 1)
        self.assertIn("the cluster has no worker; jobs that are still due run in the next tick", said)

    def test_a_worker_without_the_jobs_says_which(self):
        self.cluster(workers=0)
        self.worker(PYTHONPATH=str(ROOT))
        self.on_the_cluster("A")

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 1)
        self.assertRegex(tick.stderr, r"ERROR - \S+: [^\n]*no module named 'elsewhere'")

    def test_after_a_sigterm_the_ticks_go_on_by_themselves(self):
        self.cluster()
        self.on_the_cluster("Long")
        tick = self.start()
        self.wait_for_long()

        tick.terminate()

        self.assertEqual(tick.wait(60), 143)
        (self.folder / "go").touch()
        wait_until(lambda: self.row("long", "last_success"), "the job did not end")


class TestKubernetes(unittest.TestCase):
    def test_the_example_is_a_cron_job_with_its_configuration_mounted(self):
        try:
            import yaml
        except ImportError:
            raise unittest.SkipTest("PyYAML is not installed") from None
        cron_job = yaml.safe_load((ROOT / "exampleapp/kubernetes/cronjob.yaml").read_text())
        job = cron_job["spec"]["jobTemplate"]["spec"]
        pod = job["template"]["spec"]

        self.assertEqual((cron_job["apiVersion"], cron_job["kind"]), ("batch/v1", "CronJob"))
        self.assertEqual(job["parallelism"], job["completions"])
        self.assertEqual(pod["restartPolicy"], "Never")
        [container] = pod["containers"]
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        self.assertEqual(set(mounted), {volume["name"] for volume in pod["volumes"]})
        self.assertEqual(container["command"], ["crontabber", f"--admin.conf={mounted['configuration']}/crontabber.ini"])
