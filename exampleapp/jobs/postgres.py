"""Jobs that work with PostgreSQL, with three levels of help. Each creates the table that it needs."""

from crontabber.base import BaseCronApp
from crontabber.mixins import (
    as_backfill_cron_app,
    as_single_postgres_transaction,
    using_postgres,
    with_postgres_connection_as_argument,
)


def make_table(connection):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS visits (day date, job text)")


@using_postgres()
class OwnTransactions(BaseCronApp):
    """Opens connections and transactions as it needs them."""

    app_name = "own-transactions"

    def run(self):
        self.database_transaction_executor(make_table)
        with self.database_connection_factory() as connection:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO visits VALUES (current_date, %s)", (self.app_name,))
            connection.commit()


@using_postgres()
@with_postgres_connection_as_argument()
class GivenConnection(BaseCronApp):
    """Gets a connection, and commits when it likes."""

    app_name = "given-connection"

    def run(self, connection):
        make_table(connection)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO visits VALUES (current_date, %s)", (self.app_name,))
        connection.commit()


@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
class OneTransaction(BaseCronApp):
    """One transaction per date: each date gets exactly one visit, no matter what kills the job."""

    app_name = "one-transaction"

    def run(self, connection, date):
        make_table(connection)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO visits VALUES (%s, %s)", (date.date(), self.app_name))
