import sqlite3
import unittest

import psycopg2
from configman import Namespace

from crontabber.base import BaseCronApp
from crontabber.connection_factory import ConnectionFactory
from crontabber.mixins import (
    as_single_postgres_transaction,
    using_postgres,
    with_postgres_transactions,
    with_resource_connection_as_argument,
    with_single_postgres_transaction,
    with_single_transaction,
    with_subprocess,
    with_transactional_resource,
)
from crontabber.transaction_executor import TransactionExecutor, TransactionExecutorWithLimitedBackoff
from tests.integration.decorated_jobs import (
    EndsTestCase,
    Keeping,
    Warehouse,
    WithConnection,
    configured,
    job_of,
    run,
    with_warehouse,
)
from tests.support import DatabaseTestCase


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
        class Base(Keeping):
            required_config = Namespace()
            required_config.add_option("first", default=1)

        class Derived(Base):
            required_config = Namespace()
            required_config.add_option("second", default=2)

        config = configured(Derived)

        self.assertEqual((config.first, config.second, config.database.database_class), (1, 2, ConnectionFactory))

    def test_a_subclass_may_replace_a_resource_of_its_base(self):
        @with_transactional_resource(ConnectionFactory, "store")
        class Base(Keeping):
            pass

        @with_transactional_resource(Warehouse, "store")
        class Derived(Base):
            pass

        classes = [configured(job_class).store.store_class for job_class in (Base, Derived)]

        self.assertEqual(classes, [ConnectionFactory, Warehouse])

    def test_a_class_with_options_in_the_namespace_of_its_resource_keeps_them(self):
        @using_postgres()
        class Job(Keeping):
            required_config = Namespace()
            required_config.add_option("database.table", default="notes")

        config = configured(Job)

        self.assertEqual((config.database.table, config.database.database_class), ("notes", ConnectionFactory))

    def test_a_decorated_subclass_keeps_the_options_of_its_base(self):
        @using_postgres()
        class Base(Keeping):
            required_config = Namespace()
            required_config.add_option("database.table", default="notes")

        derived = using_postgres()(type("Derived", (Base,), {}))

        self.assertEqual(configured(derived).database.table, "notes")

    def test_every_option_has_a_doc(self):
        options = WithConnection.get_required_config().database

        self.assertEqual([name for name in options if not options[name].doc], [])


class TestResources(DatabaseTestCase):
    def test_the_factory_and_the_executor_are_available_in_the_jobs_init(self):
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

    def test_it_connects_only_on_first_use(self):
        job = job_of(using_postgres()(Keeping), **{"resource.postgresql.host": str(self.folder)})

        self.assertTrue(job.database_connection_factory and job.database_transaction_executor)
        with self.assertRaises(psycopg2.OperationalError):
            job.database_connection_factory.connection()

    def test_the_older_names_are_the_same_decorators(self):
        self.assertEqual(
            (with_postgres_transactions, with_single_postgres_transaction),
            (using_postgres, as_single_postgres_transaction),
        )

    def test_the_options_choose_the_executor(self):
        name = "crontabber.transaction_executor.TransactionExecutorWithLimitedBackoff"

        job = job_of(WithConnection, **{"resource.postgresql.database_transaction_executor_class": name})

        executor = job.database_transaction_executor
        self.assertEqual(type(executor), TransactionExecutorWithLimitedBackoff)
        self.assertEqual(executor.config.backoff_delays, [10, 30, 60, 120, 300])

    def test_each_job_has_its_own_factory(self):
        one, other = job_of(WithConnection), job_of(WithConnection)

        self.assertIsNot(one.database_connection_factory, other.database_connection_factory)
        self.assertIs(one.database_connection_factory, one.database_connection_factory)


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

    def test_a_job_can_be_one_transaction_on_a_custom_resource(self):
        job = job_of(with_warehouse(with_single_transaction("warehouse")(type("Job", (Keeping,), {}))), **self.options)

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
        class Job(Keeping):
            pass

        job = job_of(Job, **self.options)
        run(job)

        self.assertEqual([type(c) for c in job.connections], [psycopg2.extensions.connection, sqlite3.Connection])

    def test_decorators_of_base_and_subclass_both_count(self):
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

            @with_transactional_resource("tests.integration.decorated_jobs.Warehouse", "warehouse", "resource.warehouse")
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
                    self.run_process(["wc", "-c"], input=b"\xff\0"),
                ]

        job = job_of(Job)
        run(job)

        self.assertEqual(job.outcomes, [(3, "given", "/bin/sh"), (0, "; rm -rf", ""), (0, "2", "")])
        self.assertFalse(hasattr(BaseCronApp, "run_process"))
