"""A backfill shows a progress bar on a terminal, and none elsewhere."""

import re
import unittest
from importlib.util import find_spec

from tests.integration.terminal_shell import on_terminal
from tests.support import DatabaseTestCase

JOBS = """
import time
from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app


@as_backfill_cron_app
class Slow(BaseCronApp):
    app_name = "slow"

    def run(self, date):
        time.sleep(0.05)
        self.config.logger.warning("date %s", date)


class Plain(BaseCronApp):
    app_name = "plain"

    def run(self):
        # Not on the first run, which is not on a terminal.
        time.sleep(1.2 if self.job_information else 0)
"""


class TestProgress(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("slowly", JOBS)
        self.ini("slowly.Slow|1h\nslowly.Plain|1d")
        self.crontabber()
        self.due("slow", "plain")
        self.sql("UPDATE crontabber SET last_success = now() - interval '40 hours 1 minute' WHERE app_name = 'slow'")

    @unittest.skipUnless(find_spec("tqdm"), "tqdm, which draws the bar, is not installed")
    def test_on_a_terminal_a_bar_shows_date_number_rate_and_time_left(self):
        exit_code, seen = on_terminal(self.command(), self.environment(TERM="xterm", COLUMNS="100"), self.folder)

        self.assertEqual(exit_code, 0, seen)
        bars = re.findall(r"slow: +\d+%\|.*?\| (\d+)/40 \[[\d:]+<[\d:?]+, +[\d.?]+ ?dates/s, (\S+ \d\d:\d\d)\]", seen)
        self.assertGreater(len(bars), 3, seen)
        self.assertNotIn("plain: ", seen)
        lines = [line.rsplit("\r", 1)[-1] for line in seen.split("\n")]
        self.assertEqual(len([line for line in lines if re.match(r"\S+ \S+ \S+ WARNING - date ", line)]), 40, seen)
        self.assertRegex(lines[-2], r"INFO - plain ran in|INFO - slow ran in")

    def test_elsewhere_there_is_no_bar_and_tqdm_is_not_loaded(self):
        tick = self.crontabber(PYTHONPROFILEIMPORTTIME="1")

        self.assertEqual(tick.returncode, 0)
        self.assertNotIn("dates/s", tick.stderr)
        self.assertNotIn("tqdm", tick.stderr)
