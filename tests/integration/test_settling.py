"""The moment when a run is settled: its lock is already free, its result is not yet visible."""

from datetime import datetime, timedelta, timezone

from crontabber.rules.job_state import JobState, claim_time
from crontabber.store import sql
from crontabber.store.rows import settle_parameters
from tests.integration.faults import FaultTestCase

NOW = datetime.now(timezone.utc)
STATE = JobState("other", NOW + timedelta(hours=1), NOW, NOW, NOW)
CLAIM = {"app_name": "other", "lock": "public.other", "owner": f"elsewhere:1@{claim_time(NOW)}", "since": NOW, "session_locks": True, "host": "elsewhere",
         "chained": False, "previous": None}


class TestSettling(FaultTestCase):
    def start_during_settling(self):
        """Start a process while the owner settles its run; return (the owner's connection, the process, which waits)."""
        self.configure("Other|1h")
        self.crontabber()
        self.ran()
        self.due("other")
        owner = self.settle()
        process = self.start_elsewhere("here")
        self.wait_for_a_blocked_process()
        return owner, process

    def settle(self):
        """Settle the run as its owner does, up to the commit."""
        owner = self.connect()
        self.addCleanup(owner.close)
        with owner.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(('x' || left(md5(%(lock)s), 16))::bit(64)::bigint)", CLAIM)
            cursor.execute("UPDATE crontabber SET ongoing = %(since)s, owner = %(owner)s WHERE app_name = %(app_name)s", CLAIM)
            owner.autocommit = False
            cursor.execute(sql.settle(), settle_parameters(CLAIM, STATE, timedelta(seconds=1), NOW, None))
        return owner

    def test_a_second_process_waits_for_the_result_and_accepts_it(self):
        owner, process = self.start_during_settling()

        owner.commit()
        end = self.end_of(process)

        self.assertEqual((end.returncode, self.ran(), self.errors_logged("other")), (2, [], []), end.stderr)
        self.assertEqual(self.row("other", "next_run", "owner", "error_count"), (STATE.next_run, None, 0))
        self.assert_at_rest()

    def test_a_run_that_leaves_a_job_without_a_plan_counts_as_settled(self):
        self.configure("Other|1h")
        self.crontabber()
        state = {"app_name": "other", "last_run": NOW, "next_run": None}
        self.sql("UPDATE crontabber SET last_run = %(last_run)s, next_run = NULL", state)

        self.assertEqual(self.sql(sql.WAS_SETTLED, state), [("other",)])

    def test_a_run_without_a_stored_result_is_left_to_another_process(self):
        owner, process = self.start_during_settling()

        owner.close()
        end = self.end_of(process)

        self.assertEqual((end.returncode, self.ran()), (0, ["other"]), end.stderr)
        self.assertEqual(self.errors_logged("other"), ["<class 'crontabber.errors.OwnerDiedError'>"])
        self.assert_at_rest()
