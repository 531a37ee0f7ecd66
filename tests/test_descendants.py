"""Every process that a process has started is found, whatever has become of those in between."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

from crontabber.process.descendants import descendants, kill_descendants
from tests.support import wait_until

# The process goes on with its other thread.
WITHOUT_ITS_MAIN_THREAD = """
import ctypes, subprocess, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
print(subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL).pid, flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


class TestDescendants(unittest.TestCase):
    def test_the_child_of_a_process_without_its_main_thread_is_found(self):
        process = subprocess.Popen([sys.executable, "-c", WITHOUT_ITS_MAIN_THREAD], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.addCleanup(kill_descendants, process.pid, but=set())
        child = int(process.stdout.readline())

        wait_until(lambda: state_of(process.pid) == "Z", "its main thread did not end")

        self.assertIn(child, {pid for pid, _ in descendants(os.getpid())})


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
