import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from contextlib import contextmanager
from unittest import mock

from crontabber.process import subprocesses
from crontabber.process.signals import INTERRUPTION
from tests.support import ROOT, assert_within, is_running, wait_until

OUTCOMES = [
    # command, input, outcome, reason
    ("echo hello | tr a-z A-Z", None, (0, "HELLO", ""), "a string goes to the shell"),
    ("echo oops >&2; exit 3", None, (3, "", "oops"), "exit code and stderr"),
    (["echo", "$HOME", "; rm -rf", "*"], None, (0, "$HOME ; rm -rf *", ""), "a list does not go through a shell"),
    (("printf", r"\n  a \n b \n\n"), None, (0, "a \n b", ""), "the ends of the output are stripped"),
    ("cat", None, (0, "", ""), "no input"),
    ("cat", "", (0, "", ""), "empty input"),
    ("cat", "日報\r\nb", (0, "日報\r\nb", ""), "text is unchanged"),
    (["printf", r"\377\200a"], None, (0, "\udcff\udc80a", ""), "bytes that are not text survive"),
    ("od -An -tx1", "\udcff\udc80a", (0, "ff 80 61", ""), "and become the same bytes again as input"),
    ("true", "x" * 1_000_000, (0, "", ""), "input that is never read"),
    ("kill -9 $$", None, (-9, "", ""), "ended by a signal"),
]


class ProcessTestCase(unittest.TestCase):
    def assert_ended(self, pids):
        """Assert that all of them end soon: a killed process is not gone at once."""
        self.assertNotEqual(pids, [])
        try:
            wait_until(lambda: not any(map(is_running, pids)), f"some of {pids} still run", 10)
        except AssertionError:
            for pid in filter(is_running, pids):
                os.kill(pid, signal.SIGKILL)
            raise


class TestRun(ProcessTestCase):
    def test_it_returns_exit_code_stdout_and_stderr(self):
        for command, given, outcome, reason in OUTCOMES:
            with self.subTest(reason):
                self.assertEqual(subprocesses.run(command, given), outcome)

    def test_the_command_has_neither_our_stdin_nor_a_terminal(self):
        code = "from crontabber.process import subprocesses as c; print(c.run('cat; ps -o pid=,sid=,tty= -p $$'))"

        output = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, input="mine", text=True, timeout=60)

        self.assertRegex(output, r"^\(0, '(\d+) +\1 \?', ''\)\n$")

    def test_a_command_that_cannot_start_raises_an_os_error(self):
        with self.assertRaises(FileNotFoundError):
            subprocesses.run(["/no/such/program"])


class TestTimeout(ProcessTestCase):
    def timed_out(self, command, timeout=0.3):
        """Run a command that times out; return the process ids that it printed."""
        started = time.monotonic()
        with self.assertRaisesRegex(subprocess.TimeoutExpired, f"timed out after {timeout} seconds") as raised:
            subprocesses.run(command, timeout=timeout)
        assert_within(10, time.monotonic() - started)
        return [int(pid) for pid in raised.exception.output.split()]

    def test_a_timeout_ends_the_command_and_everything_it_started(self):
        commands = {
            "a child": "echo $$; sleep 60 & echo $!; wait",
            "a child that ignores SIGTERM": "trap '' TERM; echo $$; while :; do sleep 0.1; done",
            "a child of a child that holds the pipe": "sleep 60 & echo $!",
            "without a shell": ["sh", "-c", "echo $$; sleep 60"],
        }
        for reason, command in commands.items():
            with self.subTest(reason):
                self.assert_ended(self.timed_out(command))

    def test_a_child_in_a_session_of_its_own_delays_nothing(self):
        (daemon,) = self.timed_out("setsid sh -c 'echo $$; exec sleep 60' &")

        self.assertTrue(is_running(daemon))
        os.kill(daemon, signal.SIGKILL)

    def test_a_command_within_its_time_limit_is_not_disturbed(self):
        self.assertEqual(subprocesses.run("sleep 0.1; echo done", timeout=60), (0, "done", ""))

    def test_a_child_has_a_moment_to_clean_up(self):
        with tempfile.TemporaryDirectory() as folder:
            command = f"trap 'sleep 0.1; touch {folder}/clean; exit' TERM; while :; do sleep 0.01; done"

            with self.assertRaises(subprocess.TimeoutExpired):
                subprocesses.run(command, timeout=0.2)

            self.assertEqual(os.listdir(folder), ["clean"])


class TestSignals(ProcessTestCase):
    def processes_of_interrupted_run(self, then):
        """Run a command that a signal interrupts; return the ids of the processes that it started."""
        with self.assertRaises(KeyboardInterrupt), starting(then) as processes, interruptible():
            subprocesses.run("sleep 60; true")
        return [process.pid for process in processes]

    def test_a_signal_ends_a_running_command(self):
        for signum in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signum.name):
                interrupt = threading.Timer(0.2, os.kill, (os.getpid(), signum))

                self.assert_ended(self.processes_of_interrupted_run(interrupt.start))

    def test_a_signal_ends_a_command_that_is_just_starting(self):
        self.assert_ended(self.processes_of_interrupted_run(lambda: os.kill(os.getpid(), signal.SIGTERM)))

    def test_threads_that_run_commands_do_not_defer_signals_forever(self):
        second_starts, first_is_done = threading.Event(), threading.Event()
        second = threading.Thread(target=subprocesses.run, args=("true",))

        def then():
            if threading.current_thread() is second:
                second_starts.set()
                first_is_done.wait()
            else:
                second.start()
                second_starts.wait()

        with self.assertRaises(KeyboardInterrupt), starting(then), interruptible():
            first = threading.Thread(target=subprocesses.run, args=("true",))
            first.start()
            first.join()
            first_is_done.set()
            second.join()
            os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def interruptible():
    """Let signals interrupt the block, as they interrupt a job."""
    try:
        with INTERRUPTION.handled(lambda: None), INTERRUPTION.allowed():
            yield
    finally:
        INTERRUPTION.signum = None


@contextmanager
def starting(then):
    """Yield the processes that are started meanwhile; call `then` for each before its Popen call returns."""
    processes = []
    popen = subprocess.Popen

    def start(*args, **kwargs):
        process = popen(*args, **kwargs)
        processes.append(process)
        then()
        return process

    with mock.patch("subprocess.Popen", start):
        yield processes
