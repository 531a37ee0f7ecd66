"""Connections that are cut, go silent or are only acknowledged: no result is lost, and nothing waits for ever."""

import os
import sys

from crontabber.connection_factory import ConnectionFactory
from crontabber.store import schema
from crontabber.store.keepalives import PROBES, USER_TIMEOUT
from crontabber.store.state_connection import StateConnection
from tests.integration.faults import OUR_LOCKS, FaultTestCase, OwnServerTestCase, TcpServerTestCase
from tests.integration.faulty_proxy import Fault, FaultyProxy
from tests.support import PATIENCE_SECONDS, connection_options, wait_until

# A tick that waits less than ten seconds, five and fifteen, so that a test takes less than a minute.
HASTY = """
from crontabber.process import lookout
from crontabber.store import connections, insistence, second_look
lookout.ROUND_SECONDS = connections.CANCEL_SECONDS = insistence.ATTEMPT_SECONDS = 0.3
insistence.PATIENCE_SECONDS = {patience}
second_look.SECOND_LOOK_SECONDS = {second_look}
import socket
socket.gethostname = lambda: {host!r}
from crontabber.app import main
exit(main())
"""


class HastyTestCase:
    def start_in_haste(self, host="here", patience=2, second_look=2):
        source = HASTY.format(host=host, patience=patience, second_look=second_look)
        return self.start_program([sys.executable, "-c", source, f"--admin.conf={self.folder / 'crontabber.ini'}"])


class ProxyTestCase(HastyTestCase, FaultTestCase):
    def setUp(self):
        super().setUp()
        self.proxy = FaultyProxy(connection_options()).__enter__()
        self.addCleanup(self.proxy.__exit__)

    def configure(self, *entries, **options):
        super().configure(*entries, **{"connection": self.proxy.options, **options})

    def fault_at(self, word, fault, times=1):
        """Let the next `times` statements with this word meet the fault."""
        met = []

        def fault_of(statement):
            if word in statement and len(met) < times:
                met.append(statement)
                return fault
            return None

        self.proxy.on_statement = fault_of


class TestSettling(ProxyTestCase):
    def run_until_it_settles(self, **haste):
        self.configure("Patient|1h")
        process = self.start_in_haste(**haste)
        self.wait_for("running")
        return process

    def test_a_result_is_stored_on_a_new_connection_if_the_old_one_is_silent(self):
        process = self.run_until_it_settles()
        self.proxy.abandon()

        self.give("enough")
        end = self.end_of(process)

        self.assertEqual((end.returncode, end.stderr.count("could not store its result, retrying")), (0, 1), end.stderr)
        self.assertEqual(self.row("patient", "error_count", "next_run IS NOT NULL"), (0, True))
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log"), [(1,)])
        self.assert_at_rest()

    def test_behind_a_proxy_that_only_acknowledges_the_result_is_logged(self):
        process = self.run_until_it_settles()
        self.proxy.swallow()

        self.give("enough")
        end = self.end_of(process)

        self.assertEqual(end.returncode, 1)
        self.assertIn("patient: could not store its result, which was: success", end.stderr)

    def test_a_result_waits_for_a_lock_as_long_as_it_is_held(self):
        process = self.run_until_it_settles(patience=2)
        with self.holding("SELECT FROM crontabber FOR UPDATE"):
            self.give("enough")
            self.wait_for_a_blocked_process()
            self.pause(5)

        end = self.end_of(process)

        self.assertEqual(end.returncode, 0, end.stderr)
        self.assertIn("could not store its result, retrying: state database: canceling statement", end.stderr)
        self.assertEqual(self.row("patient", "error_count"), 0)
        self.assert_at_rest()


class TestLateCommits(ProxyTestCase):
    def setUp(self):
        super().setUp()
        self.sql("CREATE TABLE effects (date timestamptz)")
        self.configure("Other|1h")
        self.crontabber()  # creates the tables, with a commit of its own

    def deliver_once_it_waits(self):
        self.wait_for_a_blocked_process()
        self.proxy.deliver()

    def test_a_commit_that_arrives_late_is_a_success(self):
        self.configure("InOneTransaction|1h")
        self.give("enough")
        self.fault_at("COMMIT", Fault.HOLD)
        process = self.start()
        self.deliver_once_it_waits()

        end = self.end_of(process)

        self.assertEqual((end.returncode, end.stderr.count("WARNING")), (0, 0), end.stderr)
        self.assertEqual(self.row("in-one-transaction", "error_count", "next_run > now()"), (0, True))
        self.assertEqual((self.errors_logged("in-one-transaction"), self.sql("SELECT count(*) FROM effects")), ([], [(1,)]))
        self.assert_at_rest()

    def test_a_date_whose_commit_arrives_late_is_a_success(self):
        self.configure("Dates|1d")
        self.assertEqual(self.crontabber().returncode, 0)
        self.sql("UPDATE crontabber SET last_success = last_success - interval '3 days', next_run = now()")
        self.sql("DELETE FROM effects")
        seen = []
        self.proxy.on_statement = lambda text: Fault.HOLD if text == "COMMIT" and not seen.append(1) and len(seen) == 2 else None
        process = self.start()
        self.deliver_once_it_waits()

        end = self.end_of(process)

        self.assertEqual((end.returncode, self.errors_logged("dates")), (0, []), end.stderr)
        self.assertEqual(self.crontabber().returncode, 0)
        dates = self.sql("SELECT count(*), count(DISTINCT date) FROM effects")
        self.assertEqual((dates, self.row("dates", "error_count")), ([(3, 3)], 0))
        self.assert_at_rest()


class TestSignals(ProxyTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("sleeper", """
            from crontabber.base import BaseCronApp
            from crontabber.mixins import using_postgres, with_postgres_connection_as_argument
            from tests.jobs import note

            @using_postgres()
            @with_postgres_connection_as_argument()
            class Sleeper(BaseCronApp):
                app_name = "sleeper"

                def run(self, connection):
                    cursor = connection.cursor()
                    note("", "running")
                    cursor.execute("SELECT pg_sleep(60)")
        """)  # fmt: skip
        self.ini("sleeper.Sleeper|1h", connection=self.proxy.options)
        self.process = self.start()
        self.wait_for("running")
        wait_until(lambda: "SELECT pg_sleep(60)" in self.proxy.statements, "the job does not sleep")

    def test_a_signal_ends_a_statement_whose_answer_never_comes(self):
        for link in self.proxy.links[1:]:
            link.is_abandoned = True

        self.process.terminate()
        end = self.end_of(self.process)

        self.assertEqual(end.returncode, 143, end.stderr)
        self.assertEqual(self.row("sleeper", "last_error->>'value'", "ongoing"), ("stopped by SIGTERM", None))

    def test_a_second_signal_ends_a_process_that_waits_in_vain(self):
        self.proxy.swallow()
        self.process.terminate()
        self.pause(2.5)

        end = self.end_by_signal(self.process)

        self.assertEqual(end.returncode, 143)
        self.assertIsNotNone(self.row("sleeper", "ongoing"))


class TestRestart(HastyTestCase, OwnServerTestCase):
    seconds_before = 1.0

    def test_a_restart_of_the_server_does_not_hand_a_running_job_to_another_host(self):
        self.configure("Patient|1h", "ChildOfPatient|1h", "Other|1h")
        owner = self.start_in_haste("one-host")
        self.wait_for("running")
        self.due("other")
        self.pause(self.seconds_before)
        self.restart_server()

        tick = self.end_of(self.start_in_haste("another-host"))

        self.assertEqual((tick.returncode, self.ran()), (3, ["other", "other"]), tick.stderr)
        self.assertEqual(len(self.sql(OUR_LOCKS)), 1)
        self.give("enough")
        end = self.end_of(owner)
        self.assertEqual((end.returncode, self.ran()), (0, ["patient", "child-of-patient"]), end.stderr)
        self.assertEqual(self.sql("SELECT DISTINCT exc_type FROM crontabber_log"), [(None,)])
        self.assert_at_rest()

    def test_a_short_job_costs_no_thread_of_its_own(self):
        self.configure("Patient|1h")
        owner = self.start()
        self.wait_for("running")

        self.assertEqual(len(os.listdir(f"/proc/{owner.pid}/task")), 2)
        self.give("enough")
        self.end_of(owner)


class TestWatch(HastyTestCase, FaultTestCase):
    def test_a_forked_child_does_not_keep_a_lock_that_was_taken_again(self):
        self.configure("ForksLater|1h")
        owner = self.start_in_haste()
        self.addCleanup(self.give, "enough")
        self.wait_for("running")
        self.assertEqual(self.terminate_holder_of_the_claim(), 1)
        wait_until(lambda: self.sql(OUR_LOCKS), "the lock was not taken again")
        self.give("fork")
        self.wait_for("forked")

        self.kill(owner)

        wait_until(lambda: not self.sql(OUR_LOCKS), "the child holds the lock")


class TestSecondLook(HastyTestCase, FaultTestCase):
    def abandon(self, entry="Patient|1h"):
        self.configure(entry, "ChildOfPatient|1h", "Other|1h")
        owner = self.start_elsewhere()
        self.wait_for("running")
        self.kill(owner)
        self.sql("UPDATE crontabber SET next_run = now() - interval '1 minute' WHERE app_name = 'other'")
        self.give("enough")
        self.ran()

    def test_a_dead_owner_elsewhere_comes_last_and_is_looked_at_twice(self):
        self.abandon()

        tick = self.end_of(self.start_in_haste(second_look=1))

        self.assertEqual((tick.returncode, self.ran()), (0, ["other", "patient", "child-of-patient"]), tick.stderr)
        self.assertIn("ended without a result", tick.stderr)
        self.assertEqual(self.errors_logged("patient"), ["<class 'crontabber.errors.OwnerDiedError'>"])
        self.assert_at_rest()

    def test_an_owner_who_takes_the_lock_again_keeps_the_job(self):
        self.abandon()
        process = self.start_in_haste(second_look=2)
        self.wait_for_the_first_look()
        owner = self.connect()
        self.addCleanup(owner.close)
        owner.cursor().execute("SELECT pg_advisory_lock(('x' || left(md5('public.patient'), 16))::bit(64)::bigint)")

        tick = self.end_of(process)

        self.assertEqual((tick.returncode, self.ran()), (3, []), tick.stderr)
        self.assertEqual(self.errors_logged("patient"), [])

    def wait_for_the_first_look(self):
        """Jobs whose owner is in doubt come last."""
        notes = self.folder / "ran.txt"
        wait_until(lambda: notes.exists() and notes.read_text() == "other\n", "the first look did not come")
        self.ran()

    def test_a_signal_ends_the_wait_for_the_second_look(self):
        self.abandon()
        process = self.start_in_haste(second_look=PATIENCE_SECONDS)
        self.wait_for_the_first_look()

        end = self.end_by_signal(process)

        self.assertEqual(end.returncode, 143, end.stderr)
        self.assertIsNotNone(self.row("patient", "ongoing"))


class TestKeepalives(TcpServerTestCase):
    NAMES = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
    OURS = [str(PROBES["idle"]), str(PROBES["interval"]), str(PROBES["count"]), str(USER_TIMEOUT)]
    TELLING = """
        from crontabber.base import BaseCronApp
        from crontabber.mixins import using_postgres, with_postgres_connection_as_argument
        from tests.jobs import note

        @using_postgres()
        @with_postgres_connection_as_argument()
        class Telling(BaseCronApp):
            app_name = "telling"

            def run(self, connection):
                note(connection.autocommit)
                note(connection.info.dsn_parameters.get("tcp_user_timeout"))
                cursor = connection.cursor()
                cursor.execute("SELECT unnest(%s)", (["{}"],))
                for (name,) in cursor.fetchall():
                    cursor.execute("SELECT current_setting(%s)", (name,))
                    note(cursor.fetchone()[0])
    """

    def told_by_a_job(self, **env):
        self.write_module("telling", self.TELLING.format('", "'.join(self.NAMES)))
        self.ini("telling.Telling|1h", connection=self.tcp_options())
        tick = self.crontabber("--job=telling", "--force", **env)
        self.assertEqual(tick.returncode, 0, tick.stderr)
        return self.ran()

    def test_both_ends_of_a_jobs_connection_notice_within_two_minutes(self):
        self.assertLess(PROBES["idle"] + PROBES["interval"] * PROBES["count"], 120)
        self.assertEqual(self.told_by_a_job(), ["False", str(USER_TIMEOUT), *self.OURS])

    def test_settings_in_pgoptions_win(self):
        self.assertEqual(self.told_by_a_job(PGOPTIONS="-c tcp_keepalives_idle=240")[2:], ["240", "75", "9", "0"])

    def test_a_service_file_wins(self):
        (self.folder / "service").write_text("[mine]\ntcp_user_timeout=7000\n")

        self.assertEqual(self.told_by_a_job(PGSERVICEFILE=str(self.folder / "service"), PGSERVICE="mine")[1], "7000")

    def test_shorter_settings_of_the_role_stay(self):
        (role,) = self.sql("SELECT quote_ident(current_user)")[0]
        self.sql(f"ALTER ROLE {role} SET tcp_keepalives_idle = 17")
        self.addCleanup(self.sql, f"ALTER ROLE {role} RESET tcp_keepalives_idle")

        self.assertEqual(self.told_by_a_job()[2:], ["17", *self.OURS[1:]])

    def test_the_state_sets_them_with_its_first_statement(self):
        connection = StateConnection(ConnectionFactory(self.tcp_options()))
        self.addCleanup(connection.drop)

        schema.look(connection)

        self.assertEqual([connection.fetch(f"SHOW {name}")[0][0] for name in self.NAMES], self.OURS)
