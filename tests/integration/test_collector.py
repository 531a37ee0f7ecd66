"""The garbage collector skips what existed before the jobs; crontabber still finds the connections among it."""

from tests.support import DatabaseTestCase, connection_options

JOBS = """
    import os
    import signal
    import threading

    import psycopg2

    from crontabber.base import BaseCronApp

    CONNECTION = psycopg2.connect(**{options!r})


    class Forks(BaseCronApp):
        app_name = 'forks'

        def run(self):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
                CONNECTION.cursor().execute('SELECT 1')


    class Waits(BaseCronApp):
        app_name = 'waits'

        def run(self):
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
            CONNECTION.cursor().execute('SELECT pg_sleep(30)')
"""


class TestCollector(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("early_jobs", JOBS.format(options=connection_options()))

    def test_a_forked_child_does_not_close_connections_older_than_the_configuration(self):
        self.ini("early_jobs.Forks|1h")

        self.assertEqual(self.crontabber().returncode, 0)
        self.assertEqual(self.row("forks", "last_error"), {})

    def test_a_signal_cancels_a_statement_on_such_a_connection(self):
        self.ini("early_jobs.Waits|1h")

        self.assertEqual(self.crontabber(timeout=20).returncode, 143)
        self.assertEqual(self.row("waits", "last_error->>'value'", "ongoing"), ("stopped by SIGTERM", None))
