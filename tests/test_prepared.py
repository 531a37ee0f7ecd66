"""Repeated statements are prepared from their second time on."""

import re
import unittest

from crontabber.store import sql
from crontabber.store.prepared import TYPES, PreparedStatements, prepared

REPEATED = (
    sql.CLAIM, sql.CLAIM_NEW, sql.BURY, sql.WAS_SETTLED, sql.settle(), sql.settle_unlogged(), sql.settle_date(),
)  # fmt: skip


class TestPrepared(unittest.TestCase):
    def test_a_repeated_parameter_has_one_type_and_one_number(self):
        self.assertEqual(
            prepared("one", "SELECT %(app_name)s, %(now)s, %(app_name)s LIKE 'a%%'"),
            ("PREPARE one(text, timestamptz) AS SELECT $1, $2, $1 LIKE 'a%'", "EXECUTE one(%(app_name)s, %(now)s)"),
        )

    def test_the_type_of_every_parameter_is_known(self):
        for statement in REPEATED:
            with self.subTest(statement):
                self.assertEqual(set(re.findall(r"%\((\w+)\)s", statement)) - set(TYPES), set())

    def test_a_statement_is_prepared_the_second_time_it_is_sent(self):
        statements, sent = PreparedStatements(), []

        taken = [statements.to_send("SELECT %(now)s", sent.append) for _ in range(3)]

        self.assertEqual(taken, ["SELECT %(now)s", "EXECUTE crontabber_1(%(now)s)", "EXECUTE crontabber_1(%(now)s)"])
        self.assertEqual(sent, ["PREPARE crontabber_1(timestamptz) AS SELECT $1"])

    def test_a_failed_preparation_is_retried_the_next_time(self):
        statements, sent = PreparedStatements(), []
        statements.to_send("SELECT %(now)s", sent.append)

        with self.assertRaises(ZeroDivisionError):
            statements.to_send("SELECT %(now)s", lambda _: 1 / 0)

        self.assertEqual(statements.to_send("SELECT %(now)s", sent.append), "EXECUTE crontabber_1(%(now)s)")
        self.assertEqual(sent, ["PREPARE crontabber_1(timestamptz) AS SELECT $1"])
