"""Test modules run side by side: what is printed about them, and that they leave no process behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

from tests.support import PATIENCE_SECONDS, ROOT, is_running, wait_until

GOOD = """
    import unittest

    class TestGood(unittest.TestCase):
        def test_one(self):
            pass

        def test_two(self):
            self.skipTest("not here")
"""
BAD = """
    import unittest

    class TestBad(unittest.TestCase):
        def test_one(self):
            self.fail("no such luck")

        def test_two(self):
            raise ValueError("no luck at all")

        def test_three(self):
            pass
"""
LEAVES = """
    import subprocess, tempfile, time, unittest
    from pathlib import Path

    class TestLeaving(unittest.TestCase):
        def test_one(self):
            left = subprocess.Popen(["sleep", "1000"], cwd=tempfile.mkdtemp(), start_new_session=True)
            Path(__file__).with_name("left").write_text(f"{left.pid}\\n")
            time.sleep(SECONDS)
"""


class TestParallel(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="parallel-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, **modules: str) -> "subprocess.Popen[str]":
        for name, source in modules.items():
            (self.folder / f"test_{name}.py").write_text(textwrap.dedent(source))
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.parallel", *map(str, self.folder.glob("test_*.py"))], cwd=ROOT, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PROCESSES": "2"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.addCleanup(process.communicate)
        self.addCleanup(process.terminate)
        return process

    def end_of(self, process: "subprocess.Popen[str]") -> tuple[int, str]:
        """Return the exit code and the output."""
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        self.assertEqual(errors, "")
        return process.returncode, output

    def run_modules(self, **modules: str) -> tuple[int, str]:
        return self.end_of(self.start(**modules))

    def process_left(self) -> int:
        note = self.folder / "left"
        return int(wait_until(lambda: note.exists() and note.read_text(), "the test does not run"))

    def test_a_module_that_passes_prints_one_line(self) -> None:
        exit_code, output = self.run_modules(good=GOOD, better=GOOD)

        self.assertEqual(exit_code, 0, output)
        self.assertRegex(output, r"\A(\S+/test_\w+\.py: 2 tests in [\d.]+ s, 1 skipped\n){2}\nRan 4 tests in [\d.]+s\n\nOK \(SKIP=2\)\n\Z")

    def test_the_output_of_a_module_that_fails_is_shown_in_full(self) -> None:
        exit_code, output = self.run_modules(good=GOOD, bad=BAD)

        self.assertEqual(exit_code, 1)
        for words in ("AssertionError: no such luck", "ValueError: no luck at all"):
            self.assertIn(words, output)
        self.assertRegex(output, r"\n\nRan 5 tests in [\d.]+s\n\nFAILED \(SKIP=1, errors=1, failures=1\)\n\Z")

    def test_a_module_that_dies_or_has_no_test_counts_as_failed(self) -> None:
        exit_code, output = self.run_modules(good=GOOD, dead="import os\nos._exit(0)", empty="")

        self.assertEqual(exit_code, 1)
        self.assertIn("test_dead.py ended with 0 and without a result\n", output)
        self.assertRegex(output, r"\nFAILED \(SKIP=1, errors=2\)\n\Z")

    def test_processes_that_a_module_leaves_behind_are_ended(self) -> None:
        exit_code, output = self.run_modules(leaves=LEAVES.replace("SECONDS", "0"))

        self.assertEqual(exit_code, 0, output)
        self.assertFalse(is_running(self.process_left()))

    def test_a_signal_ends_the_running_module_as_a_failure(self) -> None:
        for signum in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signum):
                (self.folder / "left").unlink(missing_ok=True)
                process = self.start(leaves=LEAVES.replace("SECONDS", "1000"))
                left = self.process_left()

                process.send_signal(signum)
                exit_code, output = self.end_of(process)

                self.assertEqual(exit_code, 1)
                self.assertRegex(output, r"\nFAILED.*\n\Z")
                self.assertFalse(is_running(left))
