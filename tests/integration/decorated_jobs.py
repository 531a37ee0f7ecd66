"""Jobs for the tests of the class decorators, and helpers that configure them without a crontabber."""

import logging
import sqlite3
import sys
from contextlib import contextmanager
from datetime import datetime

import psycopg2
from configman import ConfigurationManager, Namespace, RequiredConfig

from crontabber.base import BaseCronApp
from crontabber.connection_factory import ConnectionFactory
from crontabber.mixins import (
    as_single_postgres_transaction,
    using_postgres,
    with_postgres_connection_as_argument,
    with_transactional_resource,
)
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
    """Return a job's configuration as crontabber builds it; the options have dotted names."""
    definition = Namespace()
    definition.add_option("logger", default=LOGGER)
    # The state's own connection always takes its options from resource.postgresql.
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
    """Run a job as a tick does, and close its connections afterwards."""
    try:
        return list(job.main())
    finally:
        job._release()


class Keeping(BaseCronApp):
    """Record what `run` gets, and call the test's `use` with each connection among it."""

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
        """Do nothing; a test replaces this."""


@using_postgres()
@with_postgres_connection_as_argument()
class WithConnection(Keeping):
    pass


@using_postgres()
@as_single_postgres_transaction()
class SingleTransaction(Keeping):
    pass


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
