"""The session lock of a job: one for each job of each schema, and respected across versions."""

import socket

from tests.support import DatabaseTestCase, wait_until

JOBS = '''
import socket
import time
from pathlib import Path

from crontabber.base import BaseCronApp


class Slow(BaseCronApp):
    app_name = "report-135178"

    def run(self):
        Path("running").touch()
        while not Path("enough").exists():
            time.sleep(0.05)


class Quick(BaseCronApp):
    app_name = "report-217711"

    def run(self):
        pass


class SameName(Quick):
    app_name = "report-135178"
'''


class TestLocks(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("reports", JOBS)
        self.ini("reports.Slow|1d", name="slow.ini")

    def start_slow(self, **env):
        process = self.start(ini="slow.ini", **env)
        wait_until((self.folder / "running").exists, "the job never started")
        return process

    def end(self, process):
        (self.folder / "enough").touch()
        self.assertEqual(process.wait(30), 0)

    def test_two_names_with_one_hashtext_are_two_jobs(self):
        self.assertEqual(self.sql("SELECT hashtext('report-135178') = hashtext('report-217711')"), [(True,)])
        slow = self.start_slow()
        self.ini("reports.Quick|1d")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.row("report-217711", "error_count")), (0, 0), tick.stderr)
        self.end(slow)

    def test_one_name_in_two_schemas_is_two_jobs(self):
        for schema in ("one", "two"):
            self.sql(f"CREATE SCHEMA {schema}")
            self.addCleanup(self.sql, f"DROP SCHEMA {schema} CASCADE")
        slow = self.start_slow(PGOPTIONS="-c search_path=one")
        self.ini("reports.SameName|1d")

        tick = self.crontabber(PGOPTIONS="-c search_path=two")

        self.assertEqual((tick.returncode, self.sql("SELECT error_count FROM two.crontabber")), (0, [(0,)]), tick.stderr)
        self.end(slow)

    def test_an_owner_of_1_0_is_alive_while_it_holds_its_lock(self):
        self.ini("reports.Quick|1d")
        self.crontabber()
        name = f"{socket.gethostname()}:{1 << 22}"  # More than Linux has.
        self.sql("UPDATE crontabber SET ongoing = now(), owner = %s, next_run = now()", (name,))
        owner = self.connect()
        self.addCleanup(owner.close)
        owner.cursor().execute(f"SELECT pg_advisory_lock({0x63726F6E}, hashtext('report-217711'))")

        during = self.crontabber()
        owner.close()
        after = self.crontabber()

        self.assertEqual((during.returncode, after.returncode), (3, 0), during.stderr + after.stderr)
        self.assertIn(f"'report-217711' is already running ({name} since ", during.stderr)
        self.assertIn(f"process {1 << 22} on {socket.gethostname()}, which had been running it since ", after.stderr)
