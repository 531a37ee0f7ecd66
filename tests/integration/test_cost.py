"""Crontabber sends the server as few statements as it can, however many jobs there are."""

from tests.integration.faulty_proxy import FaultyProxy
from tests.support import DatabaseTestCase, connection_options

JOBS = """
    from crontabber.base import BaseCronApp

    for number in range({number}):
        globals()[f'Job{{number}}'] = type(f'Job{{number}}', (BaseCronApp,), {{
            'app_name': f'job-{{number}}', '__module__': __name__, 'run': lambda self: None,
        }})
"""
NUMBER = 7
NAMES = [f"job-{number}" for number in range(NUMBER)]
# A name that needs quotes.
SCHEMA = 'Of "ours"'
OPTIONS = {"PGOPTIONS": "-c search_path=\"Of\\ \"\"ours\"\"\""}


class TestCost(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        quoted = SCHEMA.replace('"', '""')
        self.sql(f'DROP SCHEMA IF EXISTS "{quoted}" CASCADE')
        self.sql(f'CREATE SCHEMA "{quoted}"')
        self.addCleanup(self.sql, f'DROP SCHEMA "{quoted}" CASCADE')
        self.sql(f'SET search_path = "{quoted}"')
        self.write_module("cheap_jobs", JOBS.format(number=NUMBER))
        self.jobs = ",".join(f"cheap_jobs.Job{number}|1d" for number in range(NUMBER))
        self.ini(self.jobs)
        self.assertEqual(self.crontabber(**OPTIONS).returncode, 0)
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log"), [(NUMBER,)])

    def traffic(self, *arguments):
        """Run one process; return how many connections and statements it needed."""
        with FaultyProxy(connection_options()) as proxy:
            self.ini(self.jobs, connection=proxy.options)
            self.assertEqual(self.crontabber(*arguments, **OPTIONS).returncode, 0)
        return proxy.connections, len(proxy.statements)

    def test_an_idle_tick_sends_three_statements(self):
        self.assertEqual(self.traffic(), (1, 3))

    def test_each_due_job_takes_two_statements_prepared_from_the_second_job_on(self):
        for jobs, statements in ((1, 4 + 2), (2, 4 + 2 * 2 + 2), (NUMBER, 4 + 2 * NUMBER + 2)):
            with self.subTest(jobs=jobs):
                self.due(*NAMES[:jobs])

                self.assertEqual(self.traffic(), (1, statements))

    def test_the_first_runs_of_timed_jobs_take_one_statement_more_in_all(self):
        self.sql("DELETE FROM crontabber")
        self.jobs = ",".join(f"cheap_jobs.Job{number}|1d|00:00" for number in range(NUMBER))

        self.assertEqual(self.traffic(), (1, 4 + 1 + 2 * NUMBER + 2))
        self.assertEqual(self.traffic(), (1, 3))
        self.assertEqual(self.sql("SELECT * FROM crontabber_job"), [])

    def test_cron_expressions_zones_and_limits_cost_no_statement(self):
        rest = "0 0 * * 1,2|Europe/Berlin"
        self.jobs = ",".join(f"cheap_jobs.Job{number}|{rest}" for number in range(NUMBER))
        with FaultyProxy(connection_options()) as proxy:
            self.ini(self.jobs, "[[policy]]\ncatchup=latest\ntimezone=Asia/Tokyo", connection=proxy.options)
            self.assertEqual(self.crontabber(**OPTIONS).returncode, 0)

        self.assertEqual((proxy.connections, len(proxy.statements)), (1, 3))

    def test_a_report_sends_one_query(self):
        for mode in ("--nagios", "--list-jobs", "--audit-ghosts", "--dry-run", "--explain=job-1", "--history=job-1"):
            with self.subTest(mode):
                self.assertEqual(self.traffic(mode), (1, 1))
        # The others ask how long the last runs took, or for the last tick, and whether the tables are complete.
        self.assertEqual(self.traffic("--status"), (1, 4))
        self.assertEqual(self.traffic("--check"), (1, 3))

    def test_a_version_sends_no_query(self):
        self.assertEqual(self.traffic("--version"), (0, 0))
