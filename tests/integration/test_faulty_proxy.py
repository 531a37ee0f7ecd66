"""The proxy of the tests does what it says."""

import threading

import psycopg2

from tests.integration.faulty_proxy import Fault, FaultyProxy
from tests.support import DatabaseTestCase, connection_options, wait_until

COUNT = "SELECT count(*) FROM effects"


class TestFaultyProxy(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.sql("CREATE TABLE effects (number integer)")
        self.proxy = FaultyProxy(connection_options()).__enter__()
        self.addCleanup(self.proxy.__exit__)

    def client(self):
        connection = psycopg2.connect(**self.proxy.options, connect_timeout=2)
        self.addCleanup(connection.close)
        connection.autocommit = True
        return connection

    def fault_at(self, word, fault):
        self.proxy.on_statement = lambda statement: fault if word in statement else None

    def insert(self):
        self.client().cursor().execute("INSERT INTO effects VALUES (1)")

    def test_it_passes_on_and_records_what_clients_send(self):
        self.insert()

        self.assertEqual(self.sql(COUNT), [(1,)])
        self.assertEqual((self.proxy.connections, self.proxy.statements), (1, ["INSERT INTO effects VALUES (1)"]))

    def test_a_statement_that_is_cut_reaches_nobody(self):
        self.fault_at("INSERT", Fault.CUT)

        self.assertRaises(psycopg2.OperationalError, self.insert)

        self.assertEqual(self.sql(COUNT), [(0,)])

    def test_an_answer_can_be_lost(self):
        self.fault_at("INSERT", Fault.LOSE_ANSWER)

        self.assertRaises(psycopg2.OperationalError, self.insert)

        self.assertEqual(self.sql(COUNT), [(1,)])

    def test_a_statement_held_back_arrives_later(self):
        self.fault_at("INSERT", Fault.HOLD)
        self.assertRaises(psycopg2.OperationalError, self.insert)
        self.assertEqual(self.sql(COUNT), [(0,)])

        self.proxy.deliver()

        wait_until(lambda: self.sql(COUNT) == [(1,)], "the statement did not arrive")

    def test_a_pause_answers_nobody_until_it_ends(self):
        self.proxy.pause()
        self.assertRaisesRegex(psycopg2.OperationalError, "timeout", self.client)

        self.proxy.resume()

        self.insert()
        self.assertEqual(self.sql(COUNT), [(1,)])

    def test_clients_that_are_abandoned_get_no_answers_and_new_ones_do(self):
        errors = []
        abandoned = self.client()
        self.proxy.abandon()
        waiting = threading.Thread(target=lambda: errors.append(error_of(abandoned)))
        waiting.start()

        self.insert()

        self.assertEqual((self.sql(COUNT), errors), ([(1,)], []))
        self.proxy.cut()
        waiting.join(60)
        self.assertEqual([type(error) for error in errors], [psycopg2.OperationalError])

    def test_a_cut_ends_every_connection(self):
        connection = self.client()

        self.proxy.cut()

        self.assertIsInstance(error_of(connection), psycopg2.OperationalError)


def error_of(connection):
    try:
        connection.cursor().execute("SELECT 1")
    except psycopg2.Error as error:
        return error
