import logging
import sqlite3
import sys
import unittest
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg2
from configman import ConfigurationManager, Namespace, RequiredConfig

from crontabber.base import BaseCronApp
from crontabber.connection_factory import ConnectionFactory
from crontabber.datetimeutil import UTC
from crontabber.mixins import (
    as_backfill_cron_app,
    as_single_postgres_transaction,
    using_postgres,
    with_postgres_connection_as_argument,
    with_postgres_transactions,
    with_resource_connection_as_argument,
    with_single_postgres_transaction,
    with_single_transaction,
    with_subprocess,
    with_transactional_resource,
)
from crontabber.transaction_executor import TransactionExecutor, TransactionExecutorWithLimitedBackoff
from tests.support import DatabaseTestCase, connection_options

LOGGER = logging.getLogger("tests.integration.mixins")
INSERT = "INSERT INTO notes VALUES (%s)"


class Warehouse(RequiredConfig):
    """A resource that is not PostgreSQL: sqlite in a file."""

    required_config = Namespace()
    required_config.add_option("path", default="", doc="the file")

    def __init__(self, config):
        self.config = config

    @contextmanager
    def __call__(self, name=None):
        connection = sqlite3.connect(self.config.path)
        try:
            yield connection
        finally:
            connection.close()

    def close_connection(self, connection, force=False):
        connection.close()

    def is_operational_exception(self, error):
        return isinstance(error, sqlite3.OperationalError)


with_warehouse = with_transactional_resource(f"{__name__}.Warehouse", "warehouse", "resource.warehouse")


def configured(job_class, **options):
    """The configuration of a job as crontabber makes it; the options as dotted names."""
    definition = Namespace()
    definition.add_option("logger", default=LOGGER)
    # The state's own connection is what takes its options from resource.postgresql in any case.
    crontabber = definition.namespace("crontabber")
    crontabber.update(ConnectionFactory.get_required_config())
    crontabber.namespace("job").update(job_class.get_required_config())
    crontabber.job.add_option("frequency", default="1h")
    crontabber.job.add_option("time", default="")
    sources = [{f"resource.postgresql.{name}": value for name, value in connection_options().items()}, options]
    with ConfigurationManager([definition], values_source_list=sources, app_name="test").context() as config:
        return config.crontabber.job


def job_of(job_class, job_information=None, **options):
    return job_class(configured(job_class, **options), job_information)


def run(job):
    return list(job.main())


class Noting(BaseCronApp):
    """Keeps what `run` got, and does to the first connection among it as the test says."""

    app_name = "noting"

    def __init__(self, config, job_information):
        super().__init__(config, job_information)
        self.got = []
        self.connections = []

    def run(self, *args):
        self.got.append(args)
        for connection in args:
            if not isinstance(connection, datetime):
                self.connections.append(connection)
                self.use(connection)

    def use(self, connection):
        """The test's own."""


@using_postgres()
@with_postgres_connection_as_argument()
class WithConnection(Noting):
    pass


@using_postgres()
@as_single_postgres_transaction()
class SingleTransaction(Noting):
    pass


class TestRequiredConfig(unittest.TestCase):
    def test_decorating_a_class_changes_no_other(self):
        shared = Namespace()
        shared.add_option("shared", default=1)

        class Base(BaseCronApp):
            required_config = shared

        class Sibling(Base):
            pass

        @using_postgres()
        class Decorated(Base):
            required_config = shared

        names = {c.__name__: sorted(c.get_required_config()) for c in (BaseCronApp, Base, Sibling, Decorated)}

        self.assertEqual(
            names, {"BaseCronApp": [], "Base": ["shared"], "Sibling": ["shared"], "Decorated": ["database", "shared"]}
        )
        self.assertEqual([name for name in dir(Sibling) if "database" in name], [])

    def test_a_subclass_adds_options_of_its_own(self):
        @using_postgres()
        class Base(Noting):
            required_config = Namespace()
            required_config.add_option("first", default=1)

        class Derived(Base):
            required_config = Namespace()
            required_config.add_option("second", default=2)

        config = configured(Derived)

        self.assertEqual((config.first, config.second, config.database.database_class), (1, 2, ConnectionFactory))

    def test_a_subclass_may_replace_a_resource_of_its_base(self):
        @with_transactional_resource(ConnectionFactory, "store")
        class Base(Noting):
            pass

        @with_transactional_resource(Warehouse, "store")
        class Derived(Base):
            pass

        classes = [configured(job_class).store.store_class for job_class in (Base, Derived)]

        self.assertEqual(classes, [ConnectionFactory, Warehouse])

    def test_a_class_with_options_in_the_namespace_of_its_resource_keeps_them(self):
        @using_postgres()
        class Job(Noting):
            required_config = Namespace()
            required_config.add_option("database.table", default="notes")

        config = configured(Job)

        self.assertEqual((config.database.table, config.database.database_class), ("notes", ConnectionFactory))

    def test_a_subclass_that_is_decorated_again_keeps_what_its_base_has_in_that_namespace(self):
        @using_postgres()
        class Base(Noting):
            required_config = Namespace()
            required_config.add_option("database.table", default="notes")

        derived = using_postgres()(type("Derived", (Base,), {}))

        self.assertEqual(configured(derived).database.table, "notes")

    def test_every_option_has_a_doc(self):
        options = WithConnection.get_required_config().database

        self.assertEqual([name for name in options if not options[name].doc], [])


class TestResources(DatabaseTestCase):
    def test_the_job_has_a_factory_and_an_executor_as_soon_as_its_own_init_needs_them(self):
        @using_postgres()
        class Job(BaseCronApp):
            def __init__(self, config, job_information):
                super().__init__(config, job_information)
                with self.database_connection_factory() as connection:
                    self.database = connection.info.dbname

        job = job_of(Job)

        self.assertEqual(job.database, self.connection.info.dbname)
        self.assertEqual(type(job.database_transaction_executor), TransactionExecutor)
        self.assertIs(job.database_transaction_executor.connection_source, job.database_connection_factory)

    def test_nothing_is_connected_before_it_is_used(self):
        job = job_of(using_postgres()(Noting), **{"resource.postgresql.host": str(self.folder)})

        self.assertTrue(job.database_connection_factory and job.database_transaction_executor)
        with self.assertRaises(psycopg2.OperationalError):
            job.database_connection_factory.connection()

    def test_the_older_names_are_the_same_decorators(self):
        self.assertEqual(
            (with_postgres_transactions, with_single_postgres_transaction),
            (using_postgres, as_single_postgres_transaction),
        )

    def test_the_executor_is_the_one_that_the_options_name(self):
        name = "crontabber.transaction_executor.TransactionExecutorWithLimitedBackoff"

        job = job_of(WithConnection, **{"resource.postgresql.database_transaction_executor_class": name})

        executor = job.database_transaction_executor
        self.assertEqual(type(executor), TransactionExecutorWithLimitedBackoff)
        self.assertEqual(executor.config.backoff_delays, [10, 30, 60, 120, 300])

    def test_two_jobs_have_factories_of_their_own(self):
        one, other = job_of(WithConnection), job_of(WithConnection)

        self.assertIsNot(one.database_connection_factory, other.database_connection_factory)
        self.assertIs(one.database_connection_factory, one.database_connection_factory)


class EndsTestCase(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.sql("CREATE TABLE notes (note text PRIMARY KEY)")

    def notes(self):
        return [note for (note,) in self.sql("SELECT note FROM notes ORDER BY note")]

    def terminate(self, connection):
        self.sql("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
        connection.cursor().execute("SELECT 1")

    def bad_endings(self):
        return [
            (ValueError, raising(ValueError)),
            (KeyboardInterrupt, raising(KeyboardInterrupt)),
            (TimeoutError, raising(TimeoutError)),
            (SystemExit, lambda connection: sys.exit(3)),
            (psycopg2.errors.QueryCanceled, time_out_in_database),
            (psycopg2.IntegrityError, note_twice),
            (psycopg2.OperationalError, self.terminate),
        ]


class TestConnectionAsArgument(EndsTestCase):
    def test_run_gets_a_connection_whose_transactions_are_its_own(self):
        job = job_of(WithConnection)
        job.use = note_commit_and_note

        run(job)

        self.assertEqual((self.notes(), job.connections[0].closed), (["committed"], 1))

    def test_the_connection_is_closed_whatever_ends_the_run(self):
        for error_class, end in self.bad_endings():
            with self.subTest(error_class.__name__):
                job = job_of(WithConnection)
                job.use = end

                with self.assertRaises(error_class):
                    run(job)

                self.assertNotEqual(job.connections[0].closed, 0)
                self.assertEqual(self.notes(), [])

    def test_what_run_returns_is_passed_on(self):
        @using_postgres()
        @with_postgres_connection_as_argument()
        class Job(BaseCronApp):
            def run(self, connection):
                return "done"

        self.assertEqual(job_of(Job)._run_proxy(), "done")


class TestSingleTransaction(EndsTestCase):
    def test_run_is_committed_when_it_returns_and_the_connection_closed(self):
        job = job_of(SingleTransaction)
        job.use = lambda connection: note(connection, "a")

        run(job)

        self.assertEqual((self.notes(), job.connections[0].closed), (["a"], 1))

    def test_it_is_rolled_back_whatever_ends_the_run(self):
        for error_class, end in self.bad_endings():
            with self.subTest(error_class.__name__):
                job = job_of(SingleTransaction)
                job.use = lambda connection, end=end: (note(connection, "a"), end(connection))

                with self.assertRaises(error_class):
                    run(job)

                self.assertNotEqual(job.connections[0].closed, 0)
                self.assertEqual(self.notes(), [])

    def test_what_is_called_before_the_commit_is_part_of_the_transaction(self):
        job = job_of(SingleTransaction)
        job.use = lambda connection: note(connection, "by run")
        job._before_commit = lambda connection: note(connection, f"before the commit there is {self.notes()}")

        run(job)

        self.assertEqual(self.notes(), ["before the commit there is []", "by run"])

    def test_it_is_rolled_back_if_that_raises(self):
        job = job_of(SingleTransaction)
        job.use = lambda connection: note(connection, "by run")
        job._before_commit = raising(RuntimeError)

        with self.assertRaises(RuntimeError):
            run(job)

        self.assertEqual(self.notes(), [])

    def test_nothing_is_called_before_a_commit_that_does_not_come(self):
        job = job_of(SingleTransaction)
        job.use = raising(ValueError)
        job._before_commit = self.fail

        with self.assertRaises(ValueError):
            run(job)


class TestBackfill(EndsTestCase):
    def missed_three_dates(self):
        """What the state says of a job of `1h` that has missed three dates, and these dates."""
        last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
        information = {"first_run": last, "last_run": last, "last_success": last, "next_run": last + timedelta(hours=1)}
        return information, [last + timedelta(hours=n) for n in (1, 2, 3)]

    def test_run_gets_each_date_in_whatever_order_the_class_is_decorated(self):
        information, dates = self.missed_three_dates()
        decorators = [as_backfill_cron_app, using_postgres(), as_single_postgres_transaction()]
        for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
            with self.subTest(order=order):
                job_class = type("Job", (Noting,), {})
                for n in order:
                    job_class = decorators[n](job_class)
                job = job_of(job_class, information)
                settled = []
                job._before_commit = lambda connection, date, settled=settled: settled.append(date)

                self.assertEqual(run(job), dates)

                self.assertEqual([args[1:] for args in job.got], [(date,) for date in dates])
                self.assertEqual(settled, dates)
                self.assertTrue(job_class._is_backfill_app and all(c.closed for c in job.connections))

    def test_each_date_is_a_transaction_of_its_own(self):
        information, dates = self.missed_three_dates()
        job = job_of(as_backfill_cron_app(type("Job", (SingleTransaction,), {})), information)

        def fail_at_the_second(connection):
            note(connection, str(job.got[-1][1]))
            if len(job.got) == 2:
                raise ValueError

        job.use = fail_at_the_second
        success = job.main()

        self.assertEqual(next(success), dates[0])
        with self.assertRaises(ValueError):
            next(success)
        self.assertEqual(self.notes(), [str(dates[0])])

    def test_decorating_a_class_makes_no_other_a_backfill(self):
        class Base(Noting):
            pass

        backfill = as_backfill_cron_app(type("Job", (Base,), {}))

        self.assertEqual([hasattr(c, "_is_backfill_app") for c in (backfill, Base, BaseCronApp)], [True, False, False])
        self.assertEqual(len(run(job_of(Base))), 1)

    def test_a_subclass_of_a_backfill_is_one_however_it_is_called(self):
        information, dates = self.missed_three_dates()
        derived = type("Derived", (as_backfill_cron_app(type("Job", (Noting,), {})),), {})

        for arguments in ({}, {"once": True}):
            with self.subTest(arguments):
                self.assertEqual(list(job_of(derived, information).main(**arguments)), dates)


class TestOtherResources(EndsTestCase):
    def setUp(self):
        super().setUp()
        self.options = {"resource.warehouse.path": str(self.folder / "warehouse")}
        self.query("CREATE TABLE goods (name)")

    def query(self, statement):
        connection = sqlite3.connect(self.options["resource.warehouse.path"])
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def test_a_job_can_be_one_transaction_on_a_resource_of_the_users_own(self):
        job = job_of(with_warehouse(with_single_transaction("warehouse")(type("Job", (Noting,), {}))), **self.options)

        job.use = lambda connection: connection.execute("INSERT INTO goods VALUES ('apple')")
        run(job)
        job.use = lambda connection: connection.execute("INSERT INTO goods VALUES ('pear')").no_such_thing
        with self.assertRaises(AttributeError):
            run(job)

        self.assertEqual(self.query("SELECT name FROM goods"), [("apple",)])
        for connection in job.connections:
            with self.assertRaisesRegex(sqlite3.ProgrammingError, "closed"):
                connection.execute("SELECT 1")

    def test_connections_of_several_resources_come_from_the_lowest_decorator_up(self):
        @with_warehouse
        @using_postgres()
        @with_resource_connection_as_argument("warehouse")
        @with_single_transaction("database")
        class Job(Noting):
            pass

        job = job_of(Job, **self.options)
        run(job)

        self.assertEqual([type(c) for c in job.connections], [psycopg2.extensions.connection, sqlite3.Connection])

    def test_a_decorator_of_the_base_and_one_of_the_subclass_both_count(self):
        @with_warehouse
        @with_resource_connection_as_argument("warehouse")
        class Derived(WithConnection):
            pass

        job = job_of(Derived, **self.options)
        run(job)

        self.assertEqual([type(c) for c in job.connections], [psycopg2.extensions.connection, sqlite3.Connection])

    def test_it_works_in_a_real_tick_with_options_from_the_ini_file(self):
        self.write_module(
            "stock",
            """
            from crontabber.base import BaseCronApp
            from crontabber.mixins import with_single_transaction, with_transactional_resource

            @with_transactional_resource("tests.integration.test_mixins.Warehouse", "warehouse", "resource.warehouse")
            @with_single_transaction("warehouse")
            class Delivery(BaseCronApp):
                app_name = "delivery"

                def run(self, connection):
                    connection.execute("INSERT INTO goods VALUES ('apple')")

            class Theft(Delivery):
                app_name = "theft"

                def run(self, connection):
                    connection.execute("DELETE FROM goods")
                    raise RuntimeError("caught")
            """,
        )
        ini = self.ini("stock.Delivery|1d\nstock.Theft|1d")
        warehouse = f"[[warehouse]]\npath={self.options['resource.warehouse.path']}\n"
        ini.write_text(ini.read_text().replace("[crontabber]", f"{warehouse}[crontabber]"))

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 0, tick.stderr)
        self.assertEqual(self.query("SELECT name FROM goods"), [("apple",)])
        self.assertEqual(self.row("theft", "last_error")["value"], "caught")


class TestSubprocess(unittest.TestCase):
    def test_the_job_can_run_commands(self):
        @with_subprocess
        class Job(BaseCronApp):
            def run(self):
                self.outcomes = [
                    self.run_process("cat; echo $0 >&2; exit 3", input="given", timeout=60),
                    self.run_process(["echo", "; rm -rf"]),
                ]

        job = job_of(Job)
        run(job)

        self.assertEqual(job.outcomes, [(3, "given", "/bin/sh"), (0, "; rm -rf", "")])
        self.assertFalse(hasattr(BaseCronApp, "run_process"))


def note(connection, text):
    with connection.cursor() as cursor:
        cursor.execute(INSERT, (text,))


def note_commit_and_note(connection):
    note(connection, "committed")
    connection.commit()
    note(connection, "not committed")


def note_twice(connection):
    note(connection, "twice")
    note(connection, "twice")


def time_out_in_database(connection):
    connection.cursor().execute("SET LOCAL statement_timeout = 10; SELECT pg_sleep(60)")


def raising(error_class):
    def raise_it(*args):
        raise error_class

    return raise_it
