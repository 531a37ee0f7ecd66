"""Stopped in the ways of `timeout`, of systemd and of containers, a running job is recorded and stays due."""

import os
import shutil
import signal
import subprocess
import unittest
from contextlib import suppress
from pathlib import Path

from crontabber.process.descendants import descendants
from tests.integration.faults import OUR_SESSIONS, FaultTestCase
from tests.support import ROOT, processes_under, wait_until

JOBS = """
import time

from crontabber.base import BaseCronApp
from crontabber.mixins import using_postgres, with_postgres_connection_as_argument, with_subprocess
from tests.jobs import note


class Waiting(BaseCronApp):
    app_name = "waiting"

    def run(self):
        note("", "running")
        time.sleep(600)


@with_subprocess
class RunningAProgram(BaseCronApp):
    app_name = "running-a-program"

    def run(self):
        exit_code = self.run_process("touch running; sleep 600; true")[0]
        assert exit_code == 0, exit_code


@using_postgres()
@with_postgres_connection_as_argument()
class WaitingForTheServer(BaseCronApp):
    app_name = "waiting-for-the-server"

    def run(self, connection):
        note("", "running")
        connection.cursor().execute("SELECT pg_sleep(600)")


class Next(Waiting):
    app_name = "z-next"
"""
WRAPPER = ROOT / "exampleapp" / "crontabber_wrapper.sh"
ENTRIES = {"waiting": "Waiting", "running-a-program": "RunningAProgram", "waiting-for-the-server": "WaitingForTheServer"}
MODES = {"in one process": "", "under a supervisor": "[[policy]]\ntimeout=1h"}
KEPT = ("next_run", "error_count", "first_run", "last_success")


class TestStopping(FaultTestCase):
    # Of each kind of job, in each mode and in each way.
    stops = 1

    def setUp(self):
        super().setUp()
        self.write_module("stopping", JOBS)
        program = self.folder / "crontabber"
        program.write_text(f'#!/bin/sh\nexec "{self.command()[0]}" -m crontabber "$@"\n')
        program.chmod(0o755)
        self.recorded = 0

    def stop_each(self, start, stop, exit_code):
        for mode, extra in MODES.items():
            for app_name, entry in ENTRIES.items():
                with self.subTest(mode, job=app_name):
                    self.empty_the_database()
                    self.ini(f"stopping.{entry}|1h\nstopping.Next|1h", extra)
                    self.have_a_success(app_name)
                    done = self.recorded
                    while self.recorded < done + self.stops:
                        self.stop_one(app_name, start, stop, exit_code)

    def have_a_success(self, app_name):
        """Make the row of a job that has succeeded, and is due."""
        self.forget("running")
        process = self.start()
        self.wait_for("running")
        self.kill(process)
        wait_until(self.nothing_runs_when_all_is_killed, "a process is left")
        self.sql(f"SELECT pg_terminate_backend(pid) FROM ({OUR_SESSIONS}) AS session")
        self.sql("UPDATE crontabber SET last_success = now() - interval '2 hours', next_run = now() - interval '1 hour',"
                 " ongoing = NULL, owner = NULL, last_error = '{}', error_count = 0")

    def nothing_runs_when_all_is_killed(self):
        send(signal.SIGKILL, left := processes_under(self.folder))
        return not left

    def stop_one(self, app_name, start, stop, exit_code):
        number = self.recorded
        self.forget("running")
        before = self.row(app_name, *KEPT)
        process = start()
        running = self.folder / "running"
        wait_until(lambda: running.exists() or process.poll() is not None, "the job did not start")
        if not running.exists():
            return  # A busy machine may need longer than a second for that.

        stop(process)

        end = self.end_of(process)
        self.assertEqual(end.returncode, exit_code, (number, end.stderr))
        self.assertEqual(self.row(app_name, *KEPT), before, (number, end.stderr))
        self.assertEqual(self.row(app_name, "last_error->>'value'"), "stopped by SIGTERM", (number, end.stderr))
        self.assertEqual(self.errors_logged(app_name)[-1], "<class 'crontabber.errors.Interrupted'>")
        self.assert_at_rest()
        wait_until(lambda: not processes_under(self.folder), f"a process is left: {number}")
        self.assertIsNone(self.row("z-next", "last_run"))
        self.recorded += 1

    def test_timeout_of_coreutils(self):
        environment = {"HOMEDIR": str(self.folder), "CRONTABBER": str(self.folder / "crontabber")}

        def start():
            return self.start_program(["timeout", "1", str(WRAPPER)], **environment)

        self.stop_each(start, lambda process: None, exit_code=124)

    def test_systemd_signals_all_processes_at_once(self):
        def stop(process):
            everything = [process.pid, *sorted(pid for pid, _ in descendants(process.pid))]
            # Like systemd: the main process first, the others in the order in which they have come.
            send(signal.SIGTERM, everything)

        self.stop_each(self.start, stop, exit_code=143)

    def test_a_container_signals_its_process_1(self):
        command = ["unshare", "--pid", "--fork", "--mount-proc"]
        if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
            raise unittest.SkipTest("unshare may not make a namespace of processes")

        def stop(process):
            (first,) = (pid for pid, _ in descendants(process.pid) if self.is_process_1(pid))
            os.kill(first, signal.SIGTERM)

        self.stop_each(lambda: self.start_program([*command, *self.command()]), stop, exit_code=143)

    def is_process_1(self, pid):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in lines)


def send(signum, pids):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)
