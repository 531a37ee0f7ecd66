"""Temporary faults cost one job at most one tick, and no result."""

from tests.integration.faults import FaultTestCase


class TestClaims(FaultTestCase):
    """A claim that fails because of a temporary fault does not affect the other jobs."""

    def setUp(self):
        super().setUp()
        self.configure("Another|1h", "Other|1h")
        self.crontabber()
        self.ran()
        self.due("another", "other")

    def assert_other_ran_and_another_follows(self, tick):
        self.assertEqual((tick.returncode, self.ran()), (0, ["other"]), tick.stderr)
        self.assertIn("WARNING - could not claim 'another', trying again at the next tick: state database: ", tick.stderr)
        self.assertEqual((self.crontabber().returncode, self.ran()), (0, ["another"]))
        self.assert_at_rest()

    def test_a_claim_after_a_lock_timeout_waits_for_the_next_tick(self):
        self.set_for_new_sessions("lock_timeout", "300ms")

        with self.holding("SELECT * FROM crontabber WHERE app_name = 'another' FOR UPDATE"):
            tick = self.crontabber()

        self.assert_other_ran_and_another_follows(tick)

    def test_a_claim_whose_connection_is_lost_waits_for_the_next_tick(self):
        with self.holding("SELECT * FROM crontabber WHERE app_name = 'another' FOR UPDATE"):
            process = self.start()
            self.wait_for_a_blocked_process()
            self.assertEqual(self.terminate_holder_of_the_claim(), 1)
            tick = self.end_of(process)

        self.assert_other_ran_and_another_follows(tick)


class TestResults(FaultTestCase):
    """A result is stored although a lock, a signal or a change of the table is in its way."""

    def start_patient(self):
        self.configure("Patient|1h")
        process = self.start()
        self.wait_for("running")
        return process

    def assert_stored(self, end, exit_code=0):
        self.assertEqual(end.returncode, exit_code, end.stderr)
        self.assertEqual(self.row("patient", "error_count", "last_success IS NOT NULL"), (0, True), end.stderr)
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log"), [(1,)])
        self.assert_at_rest()

    def test_a_signal_while_the_table_is_locked_loses_no_result(self):
        process = self.start_patient()
        with self.holding("LOCK TABLE crontabber IN ACCESS EXCLUSIVE MODE"):
            self.give("enough")
            self.wait_for_a_blocked_process()
            process.terminate()
            self.pause(2)

        self.assert_stored(self.end_of(process), 143)

    def test_a_lock_timeout_while_the_table_is_locked_loses_no_result(self):
        self.set_for_new_sessions("lock_timeout", "300ms")
        process = self.start_patient()
        with self.holding("LOCK TABLE crontabber IN ACCESS EXCLUSIVE MODE"):
            self.give("enough")
            self.pause(2)

        self.assert_stored(self.end_of(process))

    def test_a_column_whose_type_changes_meanwhile_loses_no_result(self):
        self.configure("Other|1h", "Another|1h", "Patient|1h")
        process = self.start()
        self.wait_for("running")  # Two jobs have been settled by prepared statements.
        self.sql("ALTER TABLE crontabber ALTER COLUMN error_count TYPE bigint, ALTER COLUMN app_name TYPE varchar(999)")
        self.give("enough")

        end = self.end_of(process)

        self.assertEqual((end.returncode, self.row("patient", "error_count", "ongoing")), (0, (0, None)), end.stderr)
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log"), [(3,)])
        self.assert_at_rest()
