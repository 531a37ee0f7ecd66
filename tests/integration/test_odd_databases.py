"""Databases that their users have changed: the jobs still run, and one odd row stops no other job."""

from tests.integration.fault_jobs import ALL_NAPS, NAP_ENTRIES
from tests.integration.faults import OUR_LOCKS, FaultTestCase

DISCARD_ROWS = """
CREATE FUNCTION discard_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER elsewhere BEFORE INSERT ON crontabber_log FOR EACH ROW EXECUTE PROCEDURE discard_row()
"""
WATCH_LOCKS = f"""
CREATE TABLE locks (app_name text, held int);
CREATE FUNCTION note_locks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO locks SELECT NEW.app_name, count(*) FROM ({OUR_LOCKS}) AS session;
    RETURN NEW;
END $$;
CREATE TRIGGER note_locks BEFORE INSERT ON crontabber_log FOR EACH ROW EXECUTE PROCEDURE note_locks()
"""
TRANSACTIONS = """
from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app, as_single_postgres_transaction, using_postgres


@using_postgres()
@as_single_postgres_transaction()
class Reads(BaseCronApp):
    app_name = "reads"

    def run(self, connection):
        connection.cursor().execute("SET TRANSACTION READ ONLY; SELECT 1")


@using_postgres()
@as_single_postgres_transaction()
class SwitchesRole(BaseCronApp):
    app_name = "switches-role"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now()); SET ROLE pg_monitor")


@using_postgres()
@as_single_postgres_transaction()
class IgnoresAnError(BaseCronApp):
    app_name = "ignores-an-error"

    def run(self, connection):
        try:
            connection.cursor().execute("SELECT 1 / 0")
        except Exception:
            pass


@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
class IgnoresAnErrorOfADate(BaseCronApp):
    app_name = "ignores-an-error-of-a-date"

    def run(self, connection, date):
        connection.cursor().execute("INSERT INTO effects VALUES (now())")
        try:
            connection.cursor().execute("SELECT 1 / 0")
        except Exception:
            pass


@using_postgres()
@as_single_postgres_transaction()
class EndsReadOnly(BaseCronApp):
    app_name = "ends-read-only"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now()); SET TRANSACTION READ ONLY")


@using_postgres()
@as_single_postgres_transaction()
class BeginsByItself(BaseCronApp):
    app_name = "begins-by-itself"

    def run(self, connection):
        connection.rollback()
        connection.autocommit = True
        connection.cursor().execute("BEGIN READ ONLY; SELECT 1")


@using_postgres()
@as_single_postgres_transaction()
class CommitsByItself(BaseCronApp):
    app_name = "commits-by-itself"

    def run(self, connection):
        connection.rollback()
        connection.autocommit = True
        connection.cursor().execute("INSERT INTO effects VALUES (now())")


@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
class ReadsDates(BaseCronApp):
    app_name = "reads-dates"

    def run(self, connection, date):
        connection.cursor().execute("SET TRANSACTION READ ONLY; SELECT 1")
"""


class TestIsolation(FaultTestCase):
    rounds = 2

    def test_each_job_runs_once_under_any_isolation_level(self):
        for level in ("repeatable read", "serializable"):
            with self.subTest(level):
                self.set_for_new_sessions("default_transaction_isolation", level)
                self.configure(*NAP_ENTRIES)
                for number in range(self.rounds):
                    if number % 2 == 0:
                        self.empty_the_database()
                    ends, _ = self.together(6)

                    self.assertLessEqual({end.returncode for end in ends}, {0, 2, 3}, [end.stderr for end in ends])
                    self.assert_each_once(self.ran(), ALL_NAPS)
                    self.sql("UPDATE crontabber SET next_run = now()")


class TestOddDatabases(FaultTestCase):
    def outcomes(self):
        return self.sql("SELECT app_name, error_count, last_success IS NOT NULL, ongoing, owner FROM crontabber ORDER BY 1")

    def test_results_are_stored_even_if_a_trigger_discards_log_rows(self):
        self.sql("CREATE TABLE effects (date timestamptz)")
        self.give("enough")
        self.configure("Other|1h", "Dates|1d", "InOneTransaction|1h")
        self.crontabber()
        self.sql(DISCARD_ROWS)
        self.addCleanup(self.sql, "DROP FUNCTION discard_row() CASCADE")
        self.sql("UPDATE crontabber SET next_run = now(), last_success = last_success - interval '3 days'")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, tick.stderr.count("WARNING")), (0, 0), tick.stderr)
        names = ("dates", "in-one-transaction", "other")
        self.assertEqual(self.outcomes(), [(name, 0, True, None, None) for name in names])
        self.assertEqual(self.sql("SELECT count(*) FROM effects WHERE date > now() - interval '10 days'"), [(6,)])

    def test_times_that_python_cannot_represent_are_handled(self):
        self.configure("Other|1h")
        self.crontabber()
        self.ran()
        self.sql("INSERT INTO crontabber (app_name, next_run, last_success) VALUES ('ghost', '12000-01-01', '0044-03-15 BC')")
        cases = [
            ("next_run = '-infinity'", ["other"]),
            ("next_run = '0044-03-15 BC'", ["other"]),
            ("next_run = '-infinity', ongoing = '-infinity', owner = 'nobody:1'", ["other"]),
            ("next_run = 'infinity'", []),
            ("next_run = now(), last_success = 'infinity', last_run = '12000-01-01', first_run = '-infinity'", ["other"]),
        ]
        for change, ran in cases:
            with self.subTest(change):
                self.sql(f"UPDATE crontabber SET {change} WHERE app_name = 'other'")
                for mode in ("--nagios", "--list-jobs", "--audit-ghosts"):
                    self.assertEqual(self.crontabber(mode).returncode, 0)

                tick = self.crontabber()

                self.assertEqual((tick.returncode, self.ran()), (0, ran), tick.stderr)
        self.sql("UPDATE crontabber SET next_run = 'infinity' WHERE app_name = 'other'")
        forced = self.crontabber("--job=other", "--force")
        self.assertEqual((forced.returncode, self.ran()), (0, ["other"]), forced.stderr)

    def test_a_last_error_in_another_form_is_shown(self):
        self.configure("Other|1h")
        self.crontabber()
        self.ran()
        self.sql("UPDATE crontabber SET next_run = now(), error_count = 1, last_error = '\"boom\"'")

        self.assertEqual(self.crontabber("--nagios").stdout, "CRITICAL - other (Other) | None | boom\n")
        self.assertIn("\nNone: boom\n", self.crontabber("--list-jobs").stdout)
        self.assertEqual((self.crontabber().returncode, self.ran()), (0, ["other"]))

    def test_a_transaction_that_cannot_record_its_success_still_succeeds(self):
        self.sql("CREATE TABLE effects (date timestamptz)")
        self.write_module("transactions", TRANSACTIONS)
        names = ["begins-by-itself", "commits-by-itself", "ends-read-only", "reads", "reads-dates", "switches-role"]
        classes = ("BeginsByItself", "CommitsByItself", "EndsReadOnly", "Reads", "ReadsDates", "SwitchesRole")
        self.ini("\n".join(f"transactions.{name}|1h" for name in classes))

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 0, tick.stderr)
        self.assertEqual(self.outcomes(), [(name, 0, True, None, None) for name in names])
        self.assertEqual(self.sql("SELECT count(*) FROM effects"), [(3,)])
        self.assertEqual(self.sql("SELECT app_name, exc_type FROM crontabber_log ORDER BY 1"), [(name, None) for name in names])
        said = [line.partition(" WARNING - ")[2] for line in tick.stderr.splitlines() if "WARNING" in line]
        self.assertEqual([words.partition(": ")[0] for words in said], ["ends-read-only", "switches-role"])

    def test_a_failed_transaction_is_not_a_success(self):
        self.sql("CREATE TABLE effects (date timestamptz)")
        self.write_module("transactions", TRANSACTIONS)
        self.ini("transactions.IgnoresAnError|1h\ntransactions.IgnoresAnErrorOfADate|1h")

        self.assertEqual(self.crontabber().returncode, 0)

        names = ("ignores-an-error", "ignores-an-error-of-a-date")
        self.assertEqual(self.outcomes(), [(name, 1, False, None, None) for name in names])
        self.assertEqual(self.sql("SELECT count(*) FROM effects"), [(0,)])

    def test_the_lock_is_held_until_the_log_row_is_written(self):
        self.configure("Other|1h", "Another|1h", "Dates|1d")
        self.sql("CREATE TABLE effects (date timestamptz)")
        self.crontabber("--reset-job=other")
        self.sql(WATCH_LOCKS)
        self.addCleanup(self.sql, "DROP FUNCTION note_locks() CASCADE")

        self.assertEqual(self.crontabber().returncode, 0)

        self.assertEqual(self.sql("SELECT * FROM locks ORDER BY 1"), [("another", 1), ("dates", 1), ("other", 1)])

    def test_a_server_read_only_for_a_moment_loses_no_result(self):
        self.configure("Patient|1h")
        process = self.start()
        self.wait_for("running")
        self.set_for_new_sessions("default_transaction_read_only", "on")
        self.assertEqual(self.terminate_holder_of_the_claim(), 1)
        self.give("enough")
        self.pause(1.0)
        (database,) = self.sql("SELECT quote_ident(current_database())")[0]
        self.sql(f"ALTER DATABASE {database} RESET default_transaction_read_only")

        end = self.end_of(process)

        self.assertEqual((end.returncode, self.outcomes()), (0, [("patient", 0, True, None, None)]), end.stderr)

    def test_an_app_name_that_cannot_be_stored_is_a_fault(self):
        self.write_module("named", "\n".join([
            "from tests.jobs import BasicJob",
            "class Nul(BasicJob):\n    app_name = 'a\\0b'",
            "class Half(BasicJob):\n    app_name = 'a\\ud800b'",
            "class Long(BasicJob):\n    app_name = 'a' * 601",
            "class Odd(BasicJob):\n    app_name = '\\U0001f600' * 600",
        ]))  # fmt: skip
        self.ini("named.Odd|1h")
        self.assertEqual(self.crontabber().returncode, 0)
        self.ini("named.Nul|1h\nnamed.Half|1h\nnamed.Long|1h\nnamed.Odd|1h")

        checked = self.crontabber("--configtest")

        self.assertEqual(checked.returncode, 3)
        self.assertEqual([line.partition(": its app_name ")[2] for line in checked.stderr.splitlines()], [
            "'a\\x00b' contains a character that PostgreSQL does not accept",
            "'a\\ud800b' contains a character that PostgreSQL does not accept",
            "has 601 characters: at most 600 are allowed",
        ])  # fmt: skip
