"""Whatever a job raises is recorded; whatever it does to its process, the next job and the state are unharmed."""

import sys
from contextlib import closing

import psycopg2

from tests.integration import odd_failures
from tests.integration.faults import FaultTestCase, OwnServerTestCase

ODD = odd_failures.__name__

# class -> (repr of the type, value, with {n} characters left out where it is too long)
RAISED = {
    "SaysNothing": (f"<class '{ODD}.Unspeakable'>", "<an exception whose str() raises>"),
    "EndsWhoeverAsks": (f"<class '{ODD}.Rude'>", "<an exception whose str() raises>"),
    "Nul": ("<class 'ValueError'>", "a\\x00b"),
    "Surrogate": ("<class 'ValueError'>", "a\\ud800b"),
    "Long": ("<class 'ValueError'>", f"{'x' * 32768}\n... {odd_failures.MESSAGE - 65536} characters left out ...\n{'x' * 32768}"),
    "Deep": ("<class 'ValueError'>", "the bottom"),
    "Endless": ("<class 'RecursionError'>", None),
    "Group": ("<class 'ExceptionGroup'>", "two at once (2 sub-exceptions)"),
    "Exit3": ("<class 'SystemExit'>", "3"),
    "OutOfMemory": ("<class 'MemoryError'>", ""),
    "Cancelled": ("<class 'asyncio.exceptions.CancelledError'>", ""),
    "ModuleIsGone": ("<class 'gone_by_now.Lost'>", "where from?"),
    "OurOwnError": ("<class 'crontabber.errors.StateDatabaseError'>", "of the job's own making"),
    "YieldsAText": ("<class 'TypeError'>", "main() yielded 'soon': expected the datetime of a success"),
    "ExitsOddly": ("<class 'SystemExit'>", None),
    "ClosesItsTransaction": ("<class 'psycopg2.InterfaceError'>", "connection already closed"),
}
if sys.version_info < (3, 11):
    RAISED["Group"] = ("<class 'ValueError'>", "two at once")

HARMLESS = [
    "Exit0", "ClosesItsConnection", "Commits", "Forks", "ForksInTransaction", "ForksAndFails", "LeavesAThread", "MovesAway",
    "SpeaksOtherwise", "LivesElsewhere", "TakesStdout", "ClosesStdout", "ClosesStderr", "ClosesDescriptors", "AnswersSignals",
    "ConfiguresLogging", "CallsFlatly", "YieldsADate",
]  # fmt: skip


class RecordingTestCase(FaultTestCase):
    def setUp(self):
        super().setUp()
        self.sql("CREATE TABLE effects (date timestamptz)")

    def tick(self, *classes):
        self.ini("\n".join(f"{ODD}.{name}|1d" for name in classes))
        tick = self.crontabber(LC_ALL="C.UTF-8", TZ="Europe/Berlin")
        self.assertEqual(tick.returncode, 0, tick.stderr)
        return tick

    def assert_unharmed(self, tick):
        """Assert that the last job has run as if it were the first."""
        answers = "['Interruption._interrupt', 'Interruption._restart'] 0.0 1000\n"
        self.assertEqual((self.ran(), tick.stdout), (["witness"], f"stdout|C.UTF-8|('CET', 'CEST')\n{answers}"))
        self.assertIn("INFO - witness ran in", tick.stderr)
        self.assert_at_rest()


class TestRaisedErrors(RecordingTestCase):
    def test_everything_is_recorded_in_the_row_and_in_the_log(self):
        self.assert_unharmed(self.tick(*RAISED, "Witness"))
        for name, (error_type, value) in RAISED.items():
            app_name = getattr(odd_failures, name).app_name
            with self.subTest(app_name):
                row = self.row(app_name, "error_count", "last_error->>'type'", "last_error->>'value'", "last_error->>'traceback'")
                [(logged_type, logged_value, logged_traceback)] = self.sql(
                    "SELECT exc_type, exc_value, exc_traceback FROM crontabber_log WHERE app_name = %s", (app_name,)
                )
                self.assertEqual((row[0], row[1], row[3]), (1, logged_type, logged_traceback))
                self.assertEqual(row[1], error_type)
                self.assertNotEqual(logged_value, "")
                if value is not None:
                    self.assertEqual(row[2], value)
                self.assertIn(", in ", row[3])
                self.assertLess(len(row[3]), 66_000)


class TestChangesOfTheProcess(RecordingTestCase):
    def test_each_succeeds_and_harms_neither_the_next_job_nor_the_state(self):
        for name in HARMLESS:
            with self.subTest(name):
                self.empty_the_database()
                self.sql("CREATE TABLE effects (date timestamptz)")

                tick = self.tick(name, "Witness")

                self.assert_unharmed(tick)
                rows = self.sql("SELECT app_name, error_count, last_success IS NOT NULL FROM crontabber ORDER BY app_name")
                self.assertEqual(rows, [(getattr(odd_failures, name).app_name, 0, True), ("witness", 0, True)], tick.stderr)
                self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log"), [(2,)])

    def test_all_of_them_in_one_process_harm_nothing(self):
        self.assert_unharmed(self.tick(*HARMLESS, "Witness"))
        self.assertEqual(self.sql("SELECT app_name, exc_value FROM crontabber_log WHERE exc_type IS NOT NULL"), [])
        self.assertEqual(self.sql("SELECT count(*) FROM effects"), [(3,)])

    def test_an_error_in_a_forked_child_does_not_fail_the_job(self):
        tick = self.tick("ForksAndFails", "Witness")

        self.assertEqual(tick.stderr.count("ValueError: in the child"), 1)
        self.assertIn("INFO - forks-and-fails ran in", tick.stderr)


class TestOtherEncodings(OwnServerTestCase):
    def test_characters_outside_the_database_encoding_are_escaped(self):
        for encoding, value in (("LATIN1", "\\u20ac é"), ("SQL_ASCII", "\\u20ac \\xe9"), ("UTF8", "€ é")):
            with self.subTest(encoding):
                self.sql(f"CREATE DATABASE {encoding} ENCODING {encoding} LOCALE 'C' TEMPLATE template0")
                options = {**self.server.connection_options(), "dbname": encoding.lower()}
                self.ini(f"{ODD}.Foreign|1d\n{ODD}.Witness|1d", connection=options)

                tick = self.crontabber()

                self.assertEqual((tick.returncode, self.ran()), (0, ["witness"]), tick.stderr)
                with closing(psycopg2.connect(**options)) as connection, connection.cursor() as cursor:
                    cursor.execute("SELECT exc_value, last_error FROM crontabber_log JOIN crontabber USING (app_name) WHERE app_name = 'foreign'")
                    [(logged, last_error)] = cursor.fetchall()
                self.assertEqual((logged, last_error["value"]), (f"ValueError('{value}')", "€ é"))
