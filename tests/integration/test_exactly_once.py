"""A backfill in single transactions runs each date exactly once, even if it is killed or its sessions are terminated."""

import time
from datetime import timedelta
from functools import partial

from tests.integration.faults import WAITING, FaultTestCase, seeded
from tests.support import wait_until

# A trigger, because a row written after a savepoint has the id of a subtransaction.
WATCH_TRANSACTIONS = """
CREATE TABLE transactions (id bigint, free_again boolean);
CREATE FUNCTION note_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO transactions VALUES (txid_current(), NEW.ongoing IS NULL); RETURN NEW; END $$;
CREATE TRIGGER note_transaction AFTER INSERT OR UPDATE ON crontabber FOR EACH ROW EXECUTE PROCEDURE note_transaction()
"""

# After its claim, a process runs a few dates before its fault comes.
LONGEST_LIFE_SECONDS = 0.1
STARTING_SECONDS = 0.3


class TestOneTransaction(FaultTestCase):
    """A job's effect and its success, stored in one transaction."""

    def setUp(self):
        super().setUp()
        self.sql("CREATE TABLE effects (date timestamptz, UNIQUE (date) DEFERRABLE INITIALLY DEFERRED)")

    def tick(self, entry, app_name):
        """Run a tick; return (exit code, number of effects, number of errors, whether the job has succeeded)."""
        self.configure(f"{entry}|1h")
        tick = self.crontabber()
        self.assert_at_rest()
        effects = self.sql("SELECT count(*) FROM effects")[0][0]
        return tick.returncode, effects, *self.row(app_name, "error_count", "last_success IS NOT NULL")

    def test_effect_and_success_are_committed_together(self):
        self.give("enough")
        self.configure("InOneTransaction|1h")
        self.crontabber("--reset-job=in-one-transaction")
        self.sql(WATCH_TRANSACTIONS)
        self.addCleanup(self.sql, "DROP FUNCTION note_transaction() CASCADE")

        self.assertEqual(self.tick("InOneTransaction", "in-one-transaction"), (0, 1, 0, True))

        of_state = self.sql("SELECT DISTINCT id FROM transactions WHERE free_again")
        self.assertEqual(of_state, self.sql("SELECT xmin::text::bigint FROM effects"))

    def test_sys_exit_0_commits_both(self):
        self.assertEqual(self.tick("ExitsInTransaction", "exits-in-transaction"), (0, 1, 0, True))

    def test_a_refused_commit_is_a_failure_without_effects(self):
        self.assertEqual(self.tick("RefusedAtCommit", "refused-at-commit"), (0, 0, 1, False))

    def test_a_refused_commit_that_the_job_hides_leaves_nothing_ongoing(self):
        exit_code, effects, _, _ = self.tick("RefusedAtCommitInSilence", "refused-in-silence")

        self.assertEqual((exit_code, effects), (0, 0))

    def test_a_job_ended_after_its_commit_has_succeeded(self):
        self.assertEqual(self.tick("EndedAfterCommit", "ended-after-commit"), (143, 1, 0, True))

    def test_a_job_killed_before_its_commit_has_no_effect_and_reruns(self):
        self.configure("InOneTransaction|1h")
        process = self.start()
        self.wait_for("running")
        self.kill(process)
        self.give("enough")

        self.assertEqual(self.tick("InOneTransaction", "in-one-transaction"), (0, 1, 0, True))


class ExactlyOnceTestCase(FaultTestCase):
    """`faults` faults, then one undisturbed tick; tests/long/ has many more."""

    missed_dates = 120
    faults = 4

    def setUp(self):
        super().setUp()
        self.random = seeded()
        self.configure("Dates|1m")
        self.sql("CREATE TABLE effects (date timestamptz)")
        self.crontabber()
        self.sql("DELETE FROM effects")
        self.sql("UPDATE crontabber SET next_run = now(), last_success = last_success - %s", (timedelta(minutes=self.missed_dates),))
        self.first_date = self.row("dates", "last_success") + timedelta(minutes=1)

    def effects(self):
        return [date for (date,) in self.sql("SELECT date FROM effects")]

    def started(self, start=None):
        """Start a process, and return it at a random moment of its work."""
        process = (start or self.start)()
        wait_until(lambda: self.owner_is(process) or self.sql(WAITING) or process.poll() is not None, "it never claimed the job")
        time.sleep(self.random.uniform(0, LONGEST_LIFE_SECONDS))
        return process

    def owner_is(self, process):
        return f":{process.pid}/" in (self.row("dates", "owner") or "")

    def assert_each_date_once(self):
        """Run one more tick, undisturbed, and assert that each date has run once."""
        left = self.missed_dates - len(self.effects())
        self.assertEqual(self.crontabber(timeout=300).returncode, 0)
        number = (self.row("dates", "last_success") - self.first_date) // timedelta(minutes=1) + 1
        print(f"{self.faults} faults, {number} dates, {left} of them in the end without faults")
        self.assertGreaterEqual(number, self.missed_dates)
        self.assert_each_once(self.effects(), [self.first_date + timedelta(minutes=n) for n in range(number)])
        self.assert_at_rest()


class TestKills(ExactlyOnceTestCase):
    def test_kills_at_random_moments_repeat_and_lose_no_date(self):
        for _ in range(self.faults):
            if self.random.random() < 0.8:
                process = self.started()
            else:
                process = self.start()
                time.sleep(self.random.uniform(0, STARTING_SECONDS))
            self.kill(process)
            self.assertNotIn("is already running", process.stderr.read())

        self.assert_each_date_once()


class TestTerminatedClaims(ExactlyOnceTestCase):
    def test_a_process_that_lost_its_claim_repeats_and_loses_no_date(self):
        # Each on its own host: on the same one, the next would see that the last one is alive.
        processes = [self.started(partial(self.start_elsewhere, "host-0"))]
        while len(processes) <= self.faults:
            self.freeze(processes[-1])
            self.assertEqual(self.terminate_holder_of_the_claim(), 1)
            processes.append(self.started(partial(self.start_elsewhere, f"host-{len(processes)}")))
            self.thaw(processes[-2])
        ends = [self.end_of(process) for process in processes]

        # Or the answer to its claim was lost: then it has not run the job, and reports that the server went away.
        said = ["'dates' was taken over" in end.stderr or "server closed the connection" in end.stderr for end in ends]
        self.assertEqual(said, [True] * self.faults + [False], [end.stderr for end in ends])
        self.assert_each_date_once()


class TestTerminatedJobs(ExactlyOnceTestCase):
    def test_a_job_that_lost_its_session_repeats_and_loses_no_date(self):
        for _ in range(self.faults):
            process = self.started()
            # Between two dates the job has no session.
            while process.poll() is None:
                self.terminate_sessions_of_jobs()
                time.sleep(0.005)
            self.assertEqual(self.end_of(process).returncode, 0)

        self.assertEqual(len(self.errors_logged("dates")), self.faults)
        self.assert_each_date_once()
