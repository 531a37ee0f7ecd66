"""Our manager is faster than configman's, and gives the same results."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from crontabber.config.definitions import copied

# isort: split
from configman.option import Option

ROOT = Path(__file__).resolve().parent.parent


class Copies(unittest.TestCase):
    def test_they_equal_the_copies_that_configman_makes(self):
        late = Option("late")
        typed = Option("typed", from_string_converter=int)
        late.default = typed.default = 3
        full = Option("full", default="1", doc=" d ", from_string_converter="int", foreign_data={}, secret=True, short_form="f")

        for option in (late, typed, full, Option("empty")):
            with self.subTest(option.name):
                self.assertEqual(vars(copied(option)), vars(option.copy()))


class Speed(unittest.TestCase):
    maxDiff = 5000

    def test_it_changes_no_result(self):
        for expected, actual in zip(self.workout("plain"), self.workout(), strict=True):
            self.assertEqual(expected, actual)

    def workout(self, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        command = [sys.executable, str(ROOT / "tests" / "config_workout.py"), *arguments]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, timeout=120, check=True)
        return json.loads(output.stdout)
