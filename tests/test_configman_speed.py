"""configman made faster is still configman: it makes the same of the same definitions and sources."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Speed(unittest.TestCase):
    maxDiff = 5000

    def test_it_changes_no_result(self):
        (slow_module, *expected), (fast_module, *actual) = self.workout("plain"), self.workout()

        self.assertEqual((slow_module, fast_module), ("configman.config_manager", "crontabber.configman_compat.overlay"))
        for each_expected, each_actual in zip(expected, actual, strict=True):
            self.assertEqual(each_expected, each_actual)

    def workout(self, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        command = [sys.executable, str(ROOT / "tests" / "configman_workout.py"), *arguments]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, timeout=120, check=True)
        return json.loads(output.stdout)
