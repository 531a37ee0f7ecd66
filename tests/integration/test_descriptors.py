"""A job that closes stdin, stdout or stderr does not take them from the jobs after it."""

from tests.support import DatabaseTestCase

JOBS = """
import os
import sys

from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app, using_postgres, with_postgres_connection_as_argument


class Closing(BaseCronApp):
    app_name = "closing"

    def run(self):
        os.closerange(0, 3)


class ClosingAll(Closing):
    def run(self):
        os.closerange(0, 256)


@using_postgres()
@with_postgres_connection_as_argument()
class Talking(BaseCronApp):
    '''What it prints must not be sent to the database.'''

    app_name = "talking"

    def run(self, connection):
        with connection.cursor() as cursor:
            print("printed", flush=True)
            sys.stderr.write("said\\n")
            cursor.execute("SELECT 1")
"""


class TestClosed(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("closing", JOBS)

    def test_they_are_open_again_for_the_next_job(self):
        self.ini("closing.Closing|1h\nclosing.Talking|1h")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, tick.stdout), (0, "printed\n"), tick.stderr)
        self.assertIn("said\n", tick.stderr)
        self.assertIn("talking ran in", tick.stderr)

    def test_if_all_are_closed_output_goes_nowhere(self):
        self.ini("closing.ClosingAll|1h\nclosing.Talking|1h")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, tick.stdout), (0, ""), tick.stderr)
        self.assertEqual(self.row("talking", "error_count", "ongoing"), (0, None))
