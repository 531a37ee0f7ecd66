"""The sessions that a job gets from its connection factory: whose they are, what a block leaves behind, when they end."""

import os
import threading
import time
from types import SimpleNamespace
from unittest import mock

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_SERIALIZABLE

from crontabber.connection_factory import ConnectionFactory
from tests.integration.mode_case import ModeTestCase
from tests.support import DatabaseTestCase, connection_options, wait_until

JOBS = '''
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

from crontabber.base import BaseCronApp
from crontabber.mixins import using_postgres, with_postgres_connection_as_argument


@using_postgres()
class Careless(BaseCronApp):
    """Leaves a lock, a session setting and a second session behind, and fails."""

    app_name = "careless"

    def run(self):
        connection = self.database_connection_factory.connection()
        connection.autocommit = True
        connection.cursor().execute("SET application_name = 'careless'")
        connection.cursor().execute("CREATE TABLE IF NOT EXISTS locked ()")
        connection.autocommit = False
        connection.cursor().execute("LOCK locked")
        other = self.database_connection_factory.connection("other")
        other.cursor().execute("SET application_name = 'careless'")
        other.commit()
        raise ValueError("careless")


@using_postgres()
class Leaving(BaseCronApp):
    """Leaves a thread with a long query behind."""

    app_name = "leaving"

    def run(self):
        started = threading.Event()

        def wait():
            with self.database_connection_factory() as connection:
                cursor = connection.cursor()
                cursor.execute("SET application_name = 'left'")
                started.set()
                cursor.execute("SELECT pg_sleep(60)")

        threading.Thread(target=wait, daemon=True).start()
        started.wait(10)


@using_postgres()
@with_postgres_connection_as_argument()
class Parallel(BaseCronApp):
    """Shares its work among threads and processes, in the middle of a transaction of its own."""

    app_name = "parallel"

    def run(self, connection):
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE work (item text)")
        connection.commit()
        cursor.execute("INSERT INTO work VALUES ('run')")
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(self.insert, range(6)))
        fork = multiprocessing.get_context("fork")
        children = [fork.Process(target=self.insert, args=(name,)) for name in "ab"]
        for child in children:
            child.start()
        for child in children:
            child.join()
        connection.commit()

    def insert(self, item):
        with self.database_connection_factory() as connection:
            connection.cursor().execute("INSERT INTO work VALUES (%s)", (str(item),))
            connection.commit()
        self.database_transaction_executor(lambda connection: connection.cursor().execute(
            "UPDATE work SET item = item || '!' WHERE item = %s", (str(item),)))


@using_postgres()
@with_postgres_connection_as_argument()
class Next(BaseCronApp):
    app_name = "next"

    def run(self, connection):
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'careless'")
        self.config.logger.info("%d careless sessions", cursor.fetchone()[0])
        cursor.execute("CREATE TABLE IF NOT EXISTS locked ()")
        cursor.execute("LOCK locked NOWAIT")
'''

OWN_CLASSES = '''
import threading
from contextlib import contextmanager

import psycopg2
from configman import Namespace, RequiredConfig
from psycopg2.pool import ThreadedConnectionPool
from crontabber.base import BaseCronApp
from crontabber.connection_factory import ConnectionFactory
from crontabber.mixins import as_single_postgres_transaction, using_postgres


class SharedPool(RequiredConfig):
    """One pool for the whole process, which nobody but its owner closes."""

    required_config = Namespace()
    required_config.add_option("conninfo", default="", doc="", reference_value_from="resource.postgresql")
    pool = None

    def __init__(self, config):
        if SharedPool.pool is None:
            SharedPool.pool = ThreadedConnectionPool(0, 5, config.conninfo)

    @contextmanager
    def __call__(self, name=None):
        connection = self.connection()
        try:
            yield connection
        finally:
            self.close_connection(connection)

    def connection(self):
        return self.pool.getconn()

    def close_connection(self, connection, force=False):
        self.pool.putconn(connection, close=force)

    def close(self):
        self.pool.closeall()

    def is_operational_exception(self, error):
        return isinstance(error, psycopg2.OperationalError)


class SharedByThread(ConnectionFactory):
    """One connection a thread for the whole process."""

    connections = {}

    def connection(self, name=None):
        key = name or threading.current_thread().name
        if key not in self.connections or self.connections[key].closed:
            self.connections[key] = psycopg2.connect(self.dsn)
        return self.connections[key]

    def close_connection(self, connection, force=False):
        if force:
            connection.close()
        else:
            connection.rollback()


@using_postgres()
@as_single_postgres_transaction()
class One(BaseCronApp):
    app_name = "one"

    def run(self, connection):
        assert not connection.autocommit, "the state's own connection"
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE IF NOT EXISTS done (name text)")
        cursor.execute("INSERT INTO done VALUES (%s)", (self.app_name,))


class Two(One):
    app_name = "two"
'''


class FactoryTestCase(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.factory = ConnectionFactory(connection_options())
        self.addCleanup(self.factory.close)
        self.sql("CREATE TABLE notes (note text)")

    def in_thread(self, function, name=None):
        found = []
        thread = threading.Thread(target=lambda: found.append(function()), name=name)
        thread.start()
        thread.join()
        return found[0]

    def pid_in_block(self):
        with self.factory() as connection:
            return connection.info.backend_pid

    def sessions(self):
        return self.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crontabber'")[0][0]


class TestThreads(FactoryTestCase):
    def test_threads_that_share_a_name_do_not_share_a_session(self):
        mine = self.factory.connection()

        theirs = self.in_thread(self.factory.connection, name=threading.current_thread().name)

        self.assertIsNot(theirs, mine)

    def test_a_thread_that_is_renamed_keeps_its_session(self):
        thread = threading.current_thread()
        self.addCleanup(setattr, thread, "name", thread.name)
        before = self.factory.connection()

        thread.name = "processing item 7"

        self.assertIs(self.factory.connection(), before)

    def test_the_sessions_of_ended_threads_do_not_pile_up(self):
        before = self.sessions()

        for _ in range(20):
            self.in_thread(self.pid_in_block)

        wait_until(lambda: self.sessions() - before <= 2, "the sessions of ended threads are still open")

    def test_a_transaction_of_an_ended_thread_is_left_to_whoever_has_it(self):
        theirs = self.in_thread(self.factory.connection)
        theirs.cursor().execute("INSERT INTO notes VALUES ('kept')")

        self.factory.connection()
        theirs.commit()

        self.assertEqual(self.sql("SELECT * FROM notes"), [("kept",)])


class TestBlocks(FactoryTestCase):
    def test_what_a_block_sets_is_as_before_after_it(self):
        kept = self.factory.connection()
        kept.autocommit = True

        with self.factory() as connection:
            self.assertIs(connection, kept)
            connection.autocommit = False
            connection.set_session(isolation_level="SERIALIZABLE", readonly=True)
            connection.cursor().execute("SELECT 1")

        self.assertTrue(kept.autocommit)
        self.assertNotEqual(kept.isolation_level, ISOLATION_LEVEL_SERIALIZABLE)
        self.factory.connection().cursor().execute("INSERT INTO notes VALUES ('at once')")
        self.assertEqual(self.sql("SELECT * FROM notes"), [("at once",)])

    def test_autocommit_and_the_cursor_factory_end_with_the_block(self):
        with self.factory() as connection:
            connection.autocommit = True
            connection.cursor_factory = mock.Mock

        with self.factory() as again:
            self.assertIs(again, connection)
            self.assertEqual((again.autocommit, again.cursor_factory), (False, None))

    def test_a_block_whose_session_is_lost_raises_only_what_it_raised(self):
        with self.assertRaisesRegex(ValueError, "mine"), self.factory() as connection:
            connection.autocommit = True
            self.sql("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
            raise ValueError("mine")

        self.assertGreater(self.pid_in_block(), 0)

    def test_a_session_that_is_lost_within_a_transaction_is_replaced_after_the_error(self):
        lost = self.factory.connection()
        lost.cursor().execute("SELECT 1")
        self.sql("SELECT pg_terminate_backend(%s, 5000)", (lost.info.backend_pid,))

        self.assertIs(self.factory.connection(), lost)
        with self.assertRaises(psycopg2.OperationalError):
            lost.cursor().execute("SELECT 1")

        self.assertIsNot(self.factory.connection(), lost)


class TestForkedChildren(FactoryTestCase):
    def test_a_child_gets_a_session_of_its_own_and_leaves_the_parents_alone(self):
        with self.factory() as connection:
            connection.cursor().execute("INSERT INTO notes VALUES ('parent')")
            self.fork(self.note_child)
            connection.commit()
        self.fork(self.note_child)

        self.assertEqual(self.sql("SELECT * FROM notes ORDER BY note"), [("child",), ("child",), ("parent",)])
        self.assertEqual(self.pid_in_block(), connection.info.backend_pid)

    def test_a_child_that_leaves_the_block_does_not_end_the_parents_session(self):
        block = self.factory()
        connection = block.__enter__()
        connection.cursor().execute("INSERT INTO notes VALUES ('parent')")

        self.fork(self.note_child, block)

        connection.commit()
        block.__exit__(None, None, None)
        self.assertEqual(self.sql("SELECT * FROM notes ORDER BY note"), [("child",), ("parent",)])

    def note_child(self, block=None):
        with self.factory() as connection:
            connection.cursor().execute("INSERT INTO notes VALUES ('child')")
            connection.commit()
        if block is not None:
            block.__exit__(None, None, None)

    def fork(self, function, *args):
        pid = os.fork()
        if not pid:
            try:
                function(*args)
            except BaseException:
                os._exit(1)
            os._exit(0)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)


class TestTestSuites(DatabaseTestCase):
    def test_a_test_suite_may_replace_the_connections_of_psycopg2(self):
        class FakeConnection(SimpleNamespace):
            closed = 0
            rolled_back = 0

            def rollback(self):
                self.rolled_back += 1

            def close(self):
                self.closed = 1

        for fake in (FakeConnection(), mock.MagicMock()):
            with self.subTest(fake), mock.patch("psycopg2.connect", return_value=fake):
                factory = ConnectionFactory(connection_options())
                with factory() as connection:
                    self.assertIs(connection, fake)
                self.assertIs(factory.connection(), fake)
                factory.close()


class TestTicks(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("sessions", JOBS)
        self.write_module("own_classes", OWN_CLASSES)

    def test_nothing_of_a_failed_job_is_left_to_the_next(self):
        self.ini("sessions.Careless|1d\nsessions.Next|1d")

        tick = self.crontabber()

        self.assertEqual(self.row("next", "error_count"), 0, tick.stderr)
        self.assertIn("INFO - 0 careless sessions\n", tick.stderr)

    def test_threads_and_processes_of_a_job_have_sessions_of_their_own(self):
        self.ini("sessions.Parallel|1d")

        tick = self.crontabber()

        self.assertEqual(self.row("parallel", "error_count"), 0, tick.stderr)
        done = sorted(item for (item,) in self.sql("SELECT item FROM work"))
        self.assertEqual(done, ["0!", "1!", "2!", "3!", "4!", "5!", "a!", "b!", "run"])

    def test_a_job_that_ended_is_not_waited_for_because_of_its_thread(self):
        self.ini("sessions.Leaving|1d\nsessions.Next|1d")
        started = time.monotonic()

        tick = self.crontabber()

        self.assertLess(time.monotonic() - started, 20, tick.stderr)
        self.assertEqual(self.row("next", "error_count"), 0, tick.stderr)

    def test_a_pool_of_the_users_own_is_not_closed_with_a_job(self):
        conninfo = " ".join(f"{name}='{value}'" for name, value in connection_options().items())
        self.own_class("SharedPool", f'conninfo="{conninfo}"')
        self.assert_both_done()

    def test_the_connection_of_the_state_is_never_that_of_a_job(self):
        self.own_class("SharedByThread")
        self.assert_both_done()

    def own_class(self, name, extra=""):
        path = self.ini("own_classes.One|1d\nown_classes.Two|1d")
        lines = f"[[postgresql]]\ndatabase_class=own_classes.{name}\n{extra}\n"
        path.write_text(path.read_text().replace("[[postgresql]]\n", lines))

    def assert_both_done(self):
        tick = self.crontabber()

        self.assertEqual(tick.returncode, 0, tick.stderr)
        self.assertEqual(self.sql("SELECT name FROM done ORDER BY name"), [("one",), ("two",)], tick.stderr)
        self.assertEqual(self.crontabber("--reset-job=one").returncode, 0)
