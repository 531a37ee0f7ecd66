"""Each tick stores when it was there, so that a monitor can tell whether cron is alive."""

import socket

from crontabber import __version__
from tests.support import DatabaseTestCase, connection_options

HOST = socket.gethostname()
JOBS = """
    from tests.jobs import Noting, note

    class Waiting(Noting):
        app_name = "waiting"

        def run(self):
            import time
            note("", "running")
            while not __import__("os").path.exists("enough"):
                time.sleep(0.01)
"""


class TestHeartbeat(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("beating", JOBS)
        self.ini("tests.jobs.FooJob|1d")

    def last_tick(self):
        return self.sql("SELECT last_tick FROM crontabber_host WHERE host = %s", (HOST,))[0][0]

    def now(self):
        return self.sql("SELECT clock_timestamp()")[0][0]

    def test_an_idle_tick_stores_its_time_its_host_and_the_version(self):
        self.crontabber()
        before = self.now()

        self.crontabber()

        ((host, last_tick, version),) = self.sql("SELECT host, last_tick, version FROM crontabber_host")
        self.assertEqual((host, version), (HOST, __version__))
        self.assertTrue(before < last_tick < self.now())

    def test_a_tick_stores_it_before_and_after_a_job(self):
        self.ini("beating.Waiting|1d")
        tick = self.start()
        self.wait_for("running")
        during, middle = self.last_tick(), self.now()

        (self.folder / "enough").touch()
        tick.communicate()

        self.assertTrue(during < middle < self.last_tick())

    def test_it_waits_neither_for_the_disk_nor_in_any_other_mode(self):
        self.crontabber()
        self.sql("CREATE TABLE seen AS SELECT 1 WHERE false; ALTER TABLE seen ADD setting text")
        self.sql("CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS"
                 " $$BEGIN INSERT INTO seen (setting) VALUES (current_setting('synchronous_commit')); RETURN NEW; END$$")
        self.sql("CREATE TRIGGER see BEFORE UPDATE ON crontabber_host FOR EACH ROW EXECUTE FUNCTION see()")

        self.crontabber()
        for mode in ("--nagios", "--check", "--list-jobs", "--audit-ghosts", "--job=foo"):
            self.crontabber(mode)

        self.assertEqual(self.sql("SELECT setting FROM seen"), [("off",)])

    def test_a_tick_in_the_future_does_not_hide_that_cron_is_dead(self):
        self.crontabber()
        self.sql("UPDATE crontabber_host SET last_tick = now() - interval '1 hour'")
        self.sql("INSERT INTO crontabber_host VALUES ('ahead', now() + interval '1 year')")

        check = self.crontabber("--check")

        self.assertEqual(check.returncode, 2)
        self.assertIn("CRITICAL: no tick for 1h", check.stdout)

    def test_hosts_that_are_silent_for_thirty_days_or_ahead_are_deleted(self):
        self.crontabber()
        self.sql("INSERT INTO crontabber_host VALUES ('gone', now() - interval '31 days'), ('quiet', now() - interval '29 days')")
        self.sql("INSERT INTO crontabber_host VALUES ('ahead', now() + interval '1 year')")
        self.due("foo")

        self.crontabber()

        self.assertEqual(self.sql("SELECT host FROM crontabber_host WHERE host <> %s", (HOST,)), [("quiet",)])

    def test_a_heartbeat_that_fails_stops_no_job(self):
        self.crontabber()
        self.sql("ALTER TABLE crontabber_host ADD CHECK (version = 'never') NOT VALID")
        self.due("foo")

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 0)
        self.assertIn("foo ran in", tick.stderr)

    def test_a_role_without_the_table_runs_jobs_and_debug_tells_the_statements(self):
        self.crontabber()
        self.sql("CREATE ROLE heartless LOGIN PASSWORD 'worker'")
        self.addCleanup(self.sql, "DROP OWNED BY heartless; DROP ROLE heartless")
        self.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON crontabber, crontabber_log, crontabber_job TO heartless;"
                 " GRANT USAGE ON SEQUENCE crontabber_log_id_seq TO heartless")
        self.ini("tests.jobs.FooJob|1d", connection=connection_options() | {"user": "heartless", "password": "worker"})
        create = "CREATE TABLE public.crontabber_host ( host text PRIMARY KEY, last_tick timestamptz, version text ); "
        for statement in ("", create):
            self.due("foo")

            tick = self.crontabber("--logging.stderr_error_logging_level=DEBUG")

            self.assertEqual(tick.returncode, 0)
            self.assertIn("foo ran in", tick.stderr)
            grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON public.crontabber_host TO heartless;"
            self.assertIn(f" can change that: {statement}{grant}\n", tick.stderr)
            self.sql("DROP TABLE IF EXISTS crontabber_host")
