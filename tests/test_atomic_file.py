"""A file that is replaced at once, never in parts."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from crontabber.output.atomic_file import write_file
from tests.support import wait_until

# The kernel lets the process write no more than LIMIT bytes to a file: it gets an error, as from a full disk, or is killed.
LIMIT = 1000
LIMITED = """
import resource, signal, sys
from crontabber.output.atomic_file import write_file
signal.signal(signal.SIGXFSZ, signal.{reaction})
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
write_file(sys.argv[1], "new" * {limit}, 0o644)
"""
# Writes one text after another, each of a letter of its own.
WRITING = """
import itertools, sys
from crontabber.output.atomic_file import write_file
for letter in itertools.cycle("abcdefghij"):
    write_file(sys.argv[1], letter * int(sys.argv[2]), 0o644)
"""
LENGTH = 8_000_000
KILLS = 12


class TestAtomicFile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "a.prom"

    def write(self, text, mode=0o644):
        write_file(str(self.path), text, mode)

    def run_code(self, code):
        command = [sys.executable, "-c", code, str(self.path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def test_the_mode_is_the_one_asked_for_whatever_the_umask_is(self):
        self.addCleanup(os.umask, os.umask(0o077))

        self.write("é\n", 0o644)

        self.assertEqual(self.path.read_text("utf-8"), "é\n")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o644)

    def test_a_reader_of_the_old_file_keeps_the_old_text(self):
        self.write("old")

        with self.path.open(encoding="utf-8") as reader:
            self.write("new")
            self.assertEqual(reader.read(), "old")

        self.assertEqual(os.listdir(self.folder), ["a.prom"])

    def test_a_link_is_replaced_and_not_followed(self):
        target = self.folder / "precious"
        target.write_text("precious", "utf-8")
        self.path.symlink_to(target)

        self.write("new")

        self.assertEqual(target.read_text("utf-8"), "precious")
        self.assertFalse(self.path.is_symlink())

    def test_a_pipe_that_nobody_reads_is_an_error(self):
        os.mkfifo(self.path)

        write = self.run_code("import sys; from crontabber.output.atomic_file import write_file; write_file(sys.argv[1], 'text', 0o644)")

        self.assertIn("No such device or address", write.stderr)

    def test_a_device_is_written_to_as_it_is(self):
        write_file("/dev/null", "text", 0o644)

        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))

    def test_a_full_disk_leaves_the_old_file_and_nothing_else(self):
        self.write("old")

        result = self.run_code(LIMITED.format(reaction="SIG_IGN", limit=LIMIT))

        self.assertIn("OSError: [Errno 27] File too large", result.stderr)
        self.assertEqual((os.listdir(self.folder), self.path.read_text("utf-8")), (["a.prom"], "old"))

    def test_a_kill_in_the_middle_of_writing_leaves_the_old_file(self):
        self.write("old")

        result = self.run_code(LIMITED.format(reaction="SIG_DFL", limit=LIMIT))

        self.assertEqual((result.returncode, self.path.read_text("utf-8")), (-signal.SIGXFSZ, "old"))
        self.assertEqual([file.stat().st_size for file in self.folder.glob(".*.tmp")], [LIMIT])

    def test_whenever_the_process_is_killed_the_file_is_whole(self):
        for number in range(KILLS):
            self.path.unlink(missing_ok=True)
            process = subprocess.Popen([sys.executable, "-c", WRITING, str(self.path), str(LENGTH)])
            self.addCleanup(process.kill)
            wait_until(self.path.exists, "nothing was written")
            time.sleep(number * 0.0037)
            process.send_signal(signal.SIGKILL)
            process.wait()

            text = self.path.read_text("utf-8")
            self.assertEqual((len(text), len(set(text))), (LENGTH, 1))
            self.assertEqual(list(self.folder.glob("*.prom")), [self.path])
