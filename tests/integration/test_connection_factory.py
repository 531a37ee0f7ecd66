import os
import threading
import unittest
from unittest import mock

import psycopg2
from configman import ConfigurationManager
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, quote_ident

from crontabber.connection_factory import ConnectionFactory
from tests.support import DatabaseTestCase, connection_options, wait_until

ODD_NAMES = {
    "a space": "two words",
    "a quote": "O'Brien",
    "a double quote": 'so "called"',
    "a backslash": r"back\slash\\",
    "all of them and a tab": "it's\t\\' \"=\" %s",
    "an equals sign": "dbname=postgres",
    "not ASCII": "日報",
}


def factory_for(**options):
    return ConnectionFactory(connection_options() | options)


def answer(connection, statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def environment(**variables):
    """Set the machine's environment, without what would lead libpq elsewhere, plus these variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return mock.patch.dict(os.environ, inherited | variables, clear=True)


class TestOptions(DatabaseTestCase):
    def role(self, name, password):
        """Create a role for this test; return its name, quoted for SQL."""
        quoted = quote_ident(name, self.connection)
        self.sql("CREATE ROLE " + quoted.replace("%", "%%") + " LOGIN PASSWORD %s", (password,))
        self.addCleanup(self.sql, f"DROP ROLE {quoted}")
        return quoted

    def test_it_connects_with_any_name_of_database_and_user(self):
        for reason, name in ODD_NAMES.items():
            with self.subTest(reason):
                quoted = self.role(name, password=name)
                self.sql(f"CREATE DATABASE {quoted} OWNER {quoted}")
                self.addCleanup(self.sql, f"DROP DATABASE {quoted}")

                with factory_for(dbname=name, user=name, password=name)() as connection:
                    names = answer(connection, "SELECT ARRAY[current_database()::text, current_user::text]")
                    self.assertEqual((names, connection.info.password), ([name, name], name))

    def test_an_empty_option_is_left_to_the_variables_of_libpq(self):
        self.role("the_user", "from the file")
        own = self.connection.info
        password_file = self.folder / "pgpass"
        password_file.write_text("*:*:*:the_user:from the file\n")
        password_file.chmod(0o600)
        variables = {"PGHOST": own.host, "PGPORT": str(own.port), "PGDATABASE": own.dbname, "PGUSER": "the_user"}
        empty = dict.fromkeys(("host", "port", "dbname", "user", "password"), "")

        with environment(**variables, PGPASSFILE=str(password_file)), ConnectionFactory(empty)() as connection:
            info = connection.info
            found = (info.dbname, info.user, info.password)

        self.assertEqual(found, (own.dbname, "the_user", "from the file"))

    def test_an_empty_option_is_left_to_a_service(self):
        services = self.folder / "services.conf"
        lines = [f"{name}={value}" for name, value in connection_options().items()]
        services.write_text("\n".join(["[nightly]", *lines, "application_name=from the service", ""]))

        with environment(PGSERVICE="nightly", PGSERVICEFILE=str(services)), ConnectionFactory({})() as connection:
            name = answer(connection, "SHOW application_name")

        self.assertEqual(name, "from the service")

    def test_it_has_an_application_name_and_a_connect_timeout(self):
        cases = [
            # the environment, application_name, connect_timeout
            ({}, "crontabber", "10"),
            ({"PGAPPNAME": "nightly", "PGCONNECT_TIMEOUT": "3"}, "nightly", "3"),
        ]
        for variables, application_name, connect_timeout in cases:
            with self.subTest(variables=variables), environment(**variables), factory_for()() as connection:
                parameters = connection.info.dsn_parameters

                self.assertEqual(answer(connection, "SHOW application_name"), application_name)
                self.assertEqual(parameters["connect_timeout"], connect_timeout)
                self.assertEqual(parameters["keepalives_idle"], "60")

    def test_a_mapping_of_your_own_replaces_the_configuration(self):
        factory = ConnectionFactory({"host": "nowhere.invalid"}, connection_options())

        with factory() as connection:
            self.assertEqual(connection.info.dbname, self.connection.info.dbname)

    def test_the_connection_string_works_but_does_not_show_its_password(self):
        self.role("the_user", "hush hush")
        dsn = factory_for(user="the_user", password="hush hush").dsn

        shown = [str(dsn), repr(dsn), f"{dsn}", f"{dsn:>10}", "%s" % dsn, f"{[dsn]}"]

        self.assertEqual({"hush" in text for text in shown}, {False})
        self.assertIn("password=xxx", str(dsn))
        connection = psycopg2.connect(dsn)
        self.addCleanup(connection.close)
        self.assertEqual(connection.info.password, "hush hush")


class TestOptionsInConfigman(unittest.TestCase):
    def test_a_setting_for_postgresql_reaches_every_factory(self):
        manager = ConfigurationManager(
            [ConnectionFactory.required_config],
            values_source_list=[{"resource.postgresql.host": "db1", "resource.postgresql.password": "*", "user": "me"}],
            app_name="test",
        )

        config = manager.get_config()

        found = {name: config[name] for name in ("host", "port", "dbname", "user", "password")}
        self.assertEqual(found, {"host": "db1", "port": "", "dbname": "", "user": "me", "password": "*"})
        options = ConnectionFactory.required_config
        self.assertEqual([name for name in options if options[name].secret], ["password"])
        self.assertEqual([name for name in options if not options[name].doc], [])


class TestConnections(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.factory = factory_for()
        self.addCleanup(self.factory.close)
        self.sql("CREATE TABLE notes (note text)")

    def test_a_transaction_is_rolled_back_however_its_block_ends(self):
        for error in (None, ValueError(), KeyboardInterrupt(), SystemExit(), GeneratorExit()):
            for name in (None, "mine"):
                with self.subTest(error=error, name=name):
                    opened = self.open_note_and_raise(error, name)

                    self.assertEqual(opened.get_transaction_status(), TRANSACTION_STATUS_IDLE)
                    self.assertEqual(self.sql("SELECT * FROM notes"), [])
                    self.factory.close()
                    self.assertTrue(opened.closed)

    def test_the_blocks_of_a_job_share_a_session(self):
        with self.factory() as connection:
            connection.cursor().execute("CREATE TEMPORARY TABLE scratch AS SELECT 7 AS number")
            connection.commit()
            connection.autocommit = True

        with self.factory() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT number FROM scratch")
            self.assertEqual((cursor.fetchall(), connection.autocommit), ([(7,)], False))

    def test_a_block_within_another_has_a_session_of_its_own(self):
        with self.factory() as outer:
            with self.factory() as inner:
                self.assertIsNot(inner, outer)
            with self.factory("mine") as mine, self.factory("mine") as again:
                self.assertIsNot(mine, again)

    def test_a_commit_through_a_second_call_reaches_the_work_of_the_first(self):
        self.factory.connection().cursor().execute("INSERT INTO notes VALUES ('by the first')")
        self.factory.connection().commit()

        self.assertEqual(self.sql("SELECT * FROM notes"), [("by the first",)])

    def test_each_thread_has_a_connection_of_its_own(self):
        found = []
        thread = threading.Thread(target=lambda: found.append(self.factory.connection()))
        thread.start()
        thread.join()

        self.assertIsNot(found[0], self.factory.connection())

    def test_a_lost_connection_is_replaced(self):
        lost = self.factory.connection()
        self.sql("SELECT pg_terminate_backend(%s, 5000)", (lost.info.backend_pid,))

        self.assertIsNot(self.factory.connection(), lost)
        with self.factory() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def open_note_and_raise(self, error, name):
        opened = None
        try:
            with self.factory(name) as connection:
                opened = connection
                connection.cursor().execute("INSERT INTO notes VALUES ('not committed')")
                if error:
                    raise error
        except BaseException as raised:
            self.assertIs(raised, error)
        return opened

    def test_a_named_connection_is_reused_while_it_is_open(self):
        first = self.factory.connection("mine")
        self.assertIs(self.factory.connection("mine"), first)
        self.assertIsNot(self.factory.connection("yours"), first)

        first.close()

        self.assertFalse(self.factory.connection("mine").closed)

    def test_named_connections_are_closed_with_the_factory_and_reopened_on_demand(self):
        for end in (self.factory.close, self.factory.force_reconnect):
            with self.subTest(end.__name__):
                first = self.factory.connection("mine")

                end()

                self.assertTrue(first.closed)
                self.assertIsNot(self.factory.connection("mine"), first)


class TestOperationalErrors(DatabaseTestCase):
    """Wherever possible, each error is a real one of a real server."""

    def error_of(self, *statements, factory=None):
        try:
            with (factory or factory_for())() as connection:
                for statement in statements:
                    connection.cursor().execute(statement)
        except Exception as error:
            return error

    def end_backend_of(self, connection):
        pid = connection.info.backend_pid
        self.sql("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    def test_a_lost_or_refused_connection_is_operational(self):
        lost, idle = factory_for().connection(), factory_for().connection()
        self.end_backend_of(lost)
        with self.assertRaises(psycopg2.Error) as terminated:
            lost.cursor().execute("SELECT 1")
        with self.assertRaises(psycopg2.Error) as closed:
            lost.cursor()
        idle.cursor().execute("SET idle_in_transaction_session_timeout = 1")
        self.wait_until_gone(idle.info.backend_pid)
        with self.assertRaises(psycopg2.Error) as idled:
            idle.cursor().execute("SELECT 1")
        cases = {
            "the backend was terminated": terminated.exception,
            "the connection is closed": closed.exception,
            "the server ended an idle transaction": idled.exception,
            "the server reports that it ended the transaction": psycopg2.errors.IdleInTransactionSessionTimeout("terminating"),
            "no server": self.error_of(factory=factory_for(host=str(self.folder))),
            "no such database": self.error_of(factory=factory_for(dbname="no such database")),
            "a lock is not available": self.error_of_locked_table(),
            "libpq without a better class": psycopg2.DatabaseError("SSL SYSCALL error: EOF detected\n"),
            "libpq with a wrong class": psycopg2.ProgrammingError("server closed the connection unexpectedly"),
            "a socket timed out": TimeoutError("timed out"),
        }
        for reason, error in cases.items():
            with self.subTest(reason, error=error):
                self.assertTrue(factory_for().is_operational_exception(error))

    def wait_until_gone(self, pid):
        wait_until(lambda: not self.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)), "the backend is still there")

    def error_of_locked_table(self):
        self.sql("CREATE TABLE locked ()")
        with factory_for()() as other:
            other.cursor().execute("LOCK locked")
            return self.error_of("LOCK locked NOWAIT")

    def test_an_error_of_the_job_is_not_retried(self):
        self.sql("CREATE TABLE once (i int PRIMARY KEY)")
        twice = self.error_of("INSERT INTO once VALUES (1), (1)")
        cases = {
            "no such table": self.error_of("SELECT * FROM no_such_table"),
            "not valid SQL": self.error_of("SELEKT"),
            "a duplicate key": twice,
            "no rows to fetch": psycopg2.ProgrammingError("no results to fetch"),
            "the transaction has failed": self.error_in_failed_transaction(),
            "a statement that took too long": self.error_of("SET statement_timeout = 1", "SELECT pg_sleep(1)"),
            "a message of the job's own": self.error_of("DO $$ BEGIN RAISE 'server closed the connection'; END $$"),
            "not an error of the database": ValueError("server closed the connection unexpectedly"),
        }
        self.assertIsInstance(twice, ConnectionFactory.IntegrityError)
        for reason, error in cases.items():
            with self.subTest(reason, error=error):
                self.assertFalse(factory_for().is_operational_exception(error))

    def error_in_failed_transaction(self):
        with factory_for()() as connection:
            for _ in range(2):
                try:
                    connection.cursor().execute("SELECT * FROM no_such_table")
                except psycopg2.Error as error:
                    last = error
            return last
