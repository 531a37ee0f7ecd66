"""A job that uses up the memory of its control group is killed by the kernel, or gets a MemoryError: the others run."""

import os
import shlex
import signal
import unittest
from contextlib import suppress
from pathlib import Path

from tests.support import DatabaseTestCase, wait_until

JOBS = """
from crontabber.base import BaseCronApp
from tests.jobs import Noting


class Eating(BaseCronApp):
    app_name = "eating"

    def run(self):
        eaten = []
        for _ in range(1000):
            eaten.append(b"x" * 2**20)
        raise AssertionError("there is no limit")


class Next(Noting):
    app_name = "next"
"""
MEGABYTE = 2**20
ROOT = Path("/sys/fs/cgroup")


class TestOutOfMemory(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("memory", JOBS)

    def configure(self, extra=""):
        self.ini("memory.Eating|1h\nmemory.Next|1h", extra)

    def tick_after(self, preparation):
        """Run a tick in a shell that has done some `preparation`."""
        process = self.start_program(["sh", "-c", f"{preparation} && exec {shlex.join(self.command())}"])
        stderr = process.communicate(timeout=60)[1]
        return process.returncode, stderr

    def small_group(self):
        """Return a control group with little memory. SkipTest if this machine does not let us make one."""
        for parent, limit in ((ROOT, "memory.max"), (ROOT / "unified", "memory.max"), (ROOT / "memory", "memory.limit_in_bytes")):
            group = parent / f"crontabber-test-{os.getpid()}"
            with suppress(OSError):
                if not (parent / "cgroup.procs").exists():
                    continue
                group.mkdir()
                self.addCleanup(wait_until, lambda group=group: self.removed(group), "the control group is still in use")
                if not (group / limit).exists():
                    continue
                (group / limit).write_text(str(120 * MEGABYTE))
                with suppress(OSError):  # Without swap, the end comes sooner.
                    (group / "memory.swap.max").write_text("0")
                return group
        raise unittest.SkipTest("the control group of memory cannot be used: that takes root, and often more")

    def removed(self, group):
        with suppress(OSError):
            group.rmdir()
        return not group.exists()

    def test_the_kernel_kills_the_process_of_the_job(self):
        enter = f"echo $$ >{self.small_group()}/cgroup.procs"
        for mode, extra, codes in (("in one process", "", (-signal.SIGKILL, -signal.SIGKILL)), ("under a supervisor", "[[policy]]\ntimeout=1h", (137, 0))):
            with self.subTest(mode):
                self.empty_the_database()
                self.configure(extra)

                ends = [self.tick_after(enter) for _ in range(2)]

                self.assertEqual(tuple(code for code, _ in ends), codes, ends)
                self.assertEqual(self.ran(), ["next"])
                self.crontabber("--job=next")
                self.crontabber()
                self.assertEqual(self.row("eating", "last_error->>'type'", "ongoing"), ("<class 'crontabber.errors.OwnerDiedError'>", None))

    def test_a_limit_of_the_shell_is_an_error_of_the_job(self):
        self.configure()

        code, stderr = self.tick_after("ulimit -v 400000")

        self.assertEqual((code, self.ran()), (0, ["next"]), stderr)
        self.assertEqual(self.row("eating", "last_error->>'type'"), "<class 'MemoryError'>")
