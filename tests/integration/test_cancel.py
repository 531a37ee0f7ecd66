import socket
import threading

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_INTRANS

from crontabber.connection_factory import ConnectionFactory
from crontabber.store.connections import Canceller
from tests.support import DatabaseTestCase, connect, connection_options, wait_until

# A minute is longer than any of this takes: a test that waits that long would wait forever.
LONG = "SELECT pg_sleep(60)"


def factory_for(**options):
    return ConnectionFactory(connection_options() | options)


class TestCancel(DatabaseTestCase):
    def in_background(self, connection):
        """Start a statement that waits; return a function that waits for its error."""
        errors = []

        def wait():
            try:
                connection.cursor().execute(LONG)
            except psycopg2.Error as error:
                errors.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        self.wait_until_active(connection.info.backend_pid)
        self.addCleanup(thread.join, 60)

        def error(seconds=10):
            thread.join(seconds)
            return errors[0] if errors else None

        return error

    def wait_until_active(self, pid):
        active = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
        wait_until(lambda: self.sql(active, (pid,)), "the statement has not started")

    def connection_to_silent_server(self):
        """Connect to a server that keeps serving this connection, and answers no other."""
        gate = ServerThatTurnsSilent(self.folder, self.connection.info)
        self.addCleanup(gate.close)
        connection = factory_for(host=str(self.folder)).connection()
        self.addCleanup(connection.close)
        return connection

    def test_it_cancels_the_statement_of_every_connection(self):
        ours, theirs = factory_for().connection(), connect()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        errors = [self.in_background(ours), self.in_background(theirs)]

        Canceller()()

        self.assertEqual([type(error()) for error in errors], [psycopg2.errors.QueryCanceled] * 2)
        self.assertEqual((ours.closed, theirs.closed), (0, 0))

    def test_it_leaves_idle_and_closed_connections_alone(self):
        idle, closed = self.connection_to_silent_server(), factory_for().connection()
        closed.close()
        idle.cursor().execute("CREATE TABLE kept ()")

        Canceller()()

        self.assertEqual(idle.info.transaction_status, TRANSACTION_STATUS_INTRANS)
        idle.commit()
        self.assertEqual(self.sql("SELECT count(*) FROM kept"), [(0,)])

    def test_a_connection_is_shut_down_if_no_cancel_is_served(self):
        error = self.in_background(self.connection_to_silent_server())

        cancel = Canceller(patience=0.1)
        cancel()
        self.assertIsNone(error(seconds=0.2))
        cancel()

        self.assertIsInstance(error(), psycopg2.OperationalError)
        self.assertNotIsInstance(error(), psycopg2.errors.QueryCanceled)


class ServerThatTurnsSilent:
    """A relay to the real server for the first connection; every later one waits."""

    def __init__(self, folder, real):
        name = f".s.PGSQL.{real.port}"
        self.server = socket.socket(socket.AF_UNIX if real.host.startswith("/") else socket.AF_INET)
        self.server.connect(f"{real.host}/{name}" if real.host.startswith("/") else (real.host, real.port))
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / name))
        self.listener.listen()
        self.sockets = [self.listener, self.server]
        threading.Thread(target=self.relay_the_first, daemon=True).start()

    def relay_the_first(self):
        client, _ = self.listener.accept()
        self.sockets.append(client)
        for source, target in ((client, self.server), (self.server, client)):
            threading.Thread(target=pump, args=(source, target), daemon=True).start()

    def close(self):
        for one in self.sockets:
            one.close()


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass  # The test is over.
