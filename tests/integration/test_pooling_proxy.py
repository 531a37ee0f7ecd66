"""Crontabbers behind a real PgBouncer that pools transactions, with fewer sessions of the server than processes."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import psycopg2

from crontabber.store.embedded.programs import ServerAccount, server_account
from tests.integration.fault_jobs import ALL_NAPS, NAP_ENTRIES
from tests.integration.faults import FaultTestCase
from tests.support import connection_options, wait_until

# Debian installs it in a folder that is only in root's PATH.
PROGRAM = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
PORT = 6432
SESSIONS = 3
CONFIGURATION = f"""
[databases]
* = {{server}}
[pgbouncer]
pool_mode = transaction
default_pool_size = {SESSIONS}
auth_type = any
unix_socket_dir = {{folder}}
listen_port = {PORT}
logfile = {{folder}}/log
"""


@unittest.skipUnless(PROGRAM, "pgbouncer is not installed")
class TestBehindPgBouncer(FaultTestCase):
    rounds = 1

    def setUp(self):
        super().setUp()
        place = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
        self.addCleanup(shutil.rmtree, place)
        self.proxy = {**connection_options(), "host": str(place), "port": str(PORT)}
        self.start_proxy(place, server_account())

    def start_proxy(self, place: Path, account: ServerAccount) -> None:
        """Start it as the server's user, because it refuses to run as root."""
        place.chmod(0o755)
        os.chown(place, account.uid, account.gid)
        names = ("host", "port", "user", "password")
        options = {name: value for name, value in connection_options().items() if name in names}
        server = " ".join("{}='{}'".format(name, value.replace("'", "''")) for name, value in options.items())
        ini = place / "pgbouncer.ini"
        ini.write_text(CONFIGURATION.format(server=server, folder=place))
        switched = {"user": account.uid, "group": account.gid, "extra_groups": []} if account.switched else {}
        process = subprocess.Popen([str(PROGRAM), "--quiet", str(ini)], cwd=place, **switched)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        wait_until(self.is_reached, "pgbouncer does not answer")

    def is_reached(self) -> bool:
        try:
            psycopg2.connect(**self.proxy).close()
        except psycopg2.OperationalError:
            return False
        return True

    def configure_behind_it(self, *entries: str) -> None:
        self.configure(*entries, connection=self.proxy, session_locks=False)

    def test_eight_at_once_run_each_job_once(self):
        self.configure_behind_it(*NAP_ENTRIES)
        for _ in range(self.rounds):
            ends, _ = self.together(8)

            self.assertLessEqual({end.returncode for end in ends}, {0, 2, 3}, [end.stderr for end in ends])
            self.assert_each_once(self.ran(), ALL_NAPS)
            self.assertEqual(
                self.sql("SELECT app_name FROM crontabber WHERE ongoing IS NOT NULL OR error_count > 0"), []
            )
            self.due(*ALL_NAPS)

    def test_only_the_age_shows_that_an_owner_died(self):
        self.configure_behind_it("Patient|1h", "Other|1h")
        owner = self.start()
        self.wait_for("running")
        self.kill(owner)
        self.give("enough")
        self.assertEqual((self.crontabber().returncode, self.ran()), (3, ["other"]))
        self.sql("UPDATE crontabber SET ongoing = now() - interval '12 hours 1 minute' WHERE app_name = 'patient'")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (0, ["patient"]), tick.stderr)
