"""At most one process runs a job, and a crashed owner never blocks it: several crontabbers on one database."""

from tests.integration.fault_jobs import ALL_NAPS, FAMILY, NAP_ENTRIES
from tests.integration.faults import OUR_LOCKS, FaultTestCase


class TestSharing(FaultTestCase):
    rounds = 2

    def share(self):
        """Run eight at once, `rounds` times; return how many seconds each round took."""
        times = []
        for _ in range(self.rounds):
            ends, seconds = self.together(8)
            self.assertLessEqual({end.returncode for end in ends}, {0, 2, 3}, [end.stderr for end in ends])
            self.assert_each_once(self.ran(), ALL_NAPS)
            times.append(seconds)
            self.due(*ALL_NAPS)
        self.assert_at_rest()
        return times

    def most_at_a_time(self):
        """Return how many jobs of the last round ran at the same time."""
        runs = self.sql("SELECT log_time - duration, log_time FROM crontabber_log ORDER BY id DESC LIMIT %s", (len(ALL_NAPS),))
        return max(sum(start <= moment < end for start, end in runs) for moment, _ in runs)

    def test_eight_processes_run_each_of_20_jobs_once_and_in_parallel(self):
        self.configure(*NAP_ENTRIES)

        self.share()

        self.assertGreaterEqual(self.most_at_a_time(), 3)

    def test_without_session_locks_each_job_still_runs_once(self):
        self.configure(*NAP_ENTRIES, session_locks=False)

        self.share()

    def test_every_child_runs_after_its_parents_and_all_jobs_run(self):
        self.configure(*(f"Relative{name.upper()}|1h" for name in FAMILY))
        for _ in range(self.rounds):
            ends, _ = self.together(4)

            self.assertLessEqual({end.returncode for end in ends}, {0, 2, 3}, [end.stderr for end in ends])
            events = self.ran()
            self.assert_each_once(events, [f"{what} {name}" for name in FAMILY for what in ("start", "done")])
            for name, parents in FAMILY.items():
                for parent in parents:
                    self.assertLess(events.index(f"done {parent}"), events.index(f"start {name}"), (parent, name))
            self.due(*FAMILY)

    def test_simultaneous_first_starts_on_an_empty_database_all_work(self):
        self.configure("Other|1h", "Another|1h")
        for _ in range(self.rounds):
            self.empty_the_database()

            ends, _ = self.together(4)

            self.assertLessEqual({end.returncode for end in ends}, {0, 2, 3}, [end.stderr for end in ends])
            self.assertEqual(sorted(self.ran()), ["another", "other"])
            self.assertEqual(self.sql("SELECT app_name FROM crontabber ORDER BY 1"), [("another",), ("other",)])


class TestOngoingElsewhere(FaultTestCase):
    def setUp(self):
        super().setUp()
        self.configure("ChildOfPatient|1h", "Patient|1h", "Other|1h")

    def test_it_holds_back_only_its_dependents_and_the_exit_code_is_3(self):
        first = self.start("--job=patient")
        self.wait_for("running")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (3, ["other"]))
        self.assertRegex(tick.stderr, rf"'patient' is already running \(\S+:{first.pid} since ")
        self.assertIn("child-of-patient is held back: its dependency 'patient' has not run yet", tick.stderr)
        self.give("enough")
        self.assertEqual(self.end_of(first).returncode, 0)
        self.assertEqual((self.crontabber().returncode, self.ran()), (0, ["patient", "child-of-patient"]))

    def test_a_job_forced_elsewhere_is_not_mentioned_unless_due(self):
        self.give("enough")
        self.crontabber()
        (self.folder / "enough").unlink()
        self.forget("running")
        self.start("--job=patient", "--force")
        self.wait_for("running")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, tick.stderr), (0, ""))

    def test_a_frozen_owner_counts_as_alive_beyond_any_timeout(self):
        for setting in ("idle_in_transaction_session_timeout", "idle_session_timeout"):
            self.set_for_new_sessions(setting, "500ms")
        self.configure("Patient|1h", max_ongoing_age_hours=0.0001)
        owner = self.start()
        self.wait_for("running")
        self.freeze(owner)
        self.pause(1.5)

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 3, tick.stderr)
        self.thaw(owner)
        self.give("enough")
        self.assertEqual((self.end_of(owner).returncode, self.ran()), (0, ["patient"]))

    def test_without_an_owner_only_the_age_counts(self):
        self.give("enough")
        self.crontabber()
        for age, wanted in (("11 hours", (3, [])), ("2 days 1 hour", (0, ["patient"]))):
            with self.subTest(age):
                self.ran()
                self.due("patient")
                self.sql("UPDATE crontabber SET ongoing = now() - %s::interval WHERE app_name = 'patient'", (age,))

                tick = self.crontabber()

                self.assertEqual((tick.returncode, self.ran()), wanted, tick.stderr)


class TestDeadOwners(FaultTestCase):
    def setUp(self):
        super().setUp()
        self.configure("Patient|1h")

    def test_the_next_tick_notices_a_dead_owner_on_any_host(self):
        for start, host in ((self.start, r"\S+"), (self.start_elsewhere, "elsewhere")):
            with self.subTest(host):
                self.forget("running")
                owner = start()
                self.wait_for("running")
                self.kill(owner)
                self.give("enough")

                tick = self.end_of(self.start_elsewhere("a-third-host") if host == "elsewhere" else self.start())

                self.assertEqual((tick.returncode, self.ran()), (0, ["patient"]))
                self.assertRegex(tick.stderr, rf"WARNING - patient: process {owner.pid} on {host}, which had been running it .*, ended without a result; it runs again after the other jobs")
                self.assertEqual(self.errors_logged("patient")[-1:], ["<class 'crontabber.errors.OwnerDiedError'>"])
                self.assert_at_rest()
                (self.folder / "enough").unlink()
                self.due("patient")

    def test_a_forked_child_does_not_keep_a_dead_owner_alive(self):
        self.configure("LeavesAChild|1h")
        owner = self.start()
        self.wait_for("running")
        self.addCleanup(self.give, "enough")
        self.kill(owner)

        tick = self.crontabber("--job=leaves-a-child")

        self.assertIn(f"process {owner.pid} on", tick.stderr)
        self.assertEqual(tick.returncode, 0)

    def test_an_owner_whose_job_was_taken_over_stores_nothing_and_continues(self):
        self.configure("Patient|1h", "PatientToo|1h")
        owner = self.start_elsewhere()
        self.wait_for("running")
        self.freeze(owner)
        self.assertEqual(self.terminate_holder_of_the_claim(), 1)
        self.give("enough")
        self.configure("Patient|1h")
        tick = self.end_of(self.start_elsewhere("a-third-host"))
        self.assertEqual((tick.returncode, self.ran()), (0, ["patient"]), tick.stderr)
        stored = self.sql("SELECT * FROM crontabber"), self.sql("SELECT * FROM crontabber_log")

        self.thaw(owner)
        self.wait_for("running-too")

        self.assertEqual(len(self.sql(OUR_LOCKS)), 1)
        self.sql("DELETE FROM crontabber WHERE app_name = 'patient-too'")
        self.assertEqual((self.sql("SELECT * FROM crontabber"), self.sql("SELECT * FROM crontabber_log")), stored)
        self.give("enough-too")
        late = self.end_of(owner)
        self.assertEqual(late.returncode, 2)
        self.assertIn("WARNING - 'patient' was taken over by another process", late.stderr)
        self.assertIn("WARNING - 'patient-too' was reset while it ran here, or", late.stderr)
        self.assert_at_rest()

    def test_an_owner_on_this_host_without_its_session_counts_as_alive(self):
        owner = self.start()
        self.wait_for("running")
        self.assertEqual(self.terminate_holder_of_the_claim(), 1)

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (3, []), tick.stderr)
        self.assertRegex(tick.stderr, rf"'patient' is already running \(\S+:{owner.pid} since ")
        self.give("enough")
        self.assertEqual((self.end_of(owner).returncode, self.ran()), (0, ["patient"]))
        self.assert_at_rest()

    def test_an_owner_that_silently_lost_its_session_stores_its_result(self):
        owner = self.start()
        self.wait_for("running")
        self.assertEqual(self.terminate_holder_of_the_claim(), 1)

        self.give("enough")
        end = self.end_of(owner)

        self.assertEqual(end.returncode, 0)
        self.assertEqual(end.stderr.count("WARNING"), 1, end.stderr)
        self.assertEqual(self.row("patient", "error_count", "last_success IS NOT NULL"), (0, True))
        self.assert_at_rest()


class TestWithoutSessionLocks(FaultTestCase):
    """As behind a proxy that gives every transaction a different session."""

    def setUp(self):
        super().setUp()
        self.configure("Patient|1h", "Other|1h", session_locks=False)
        self.owner = self.start()
        self.wait_for("running")

    def test_no_session_lock_is_taken(self):
        self.assertEqual(self.sql(OUR_LOCKS), [])

    def test_a_job_ongoing_elsewhere_is_skipped(self):
        self.assertEqual(self.crontabber().returncode, 3)
        self.give("enough")

        self.assertEqual((self.end_of(self.owner).returncode, self.ran()), (0, ["other", "patient"]))
        self.assert_at_rest()

    def test_only_the_age_shows_that_an_owner_died(self):
        self.kill(self.owner)
        self.give("enough")
        self.assertEqual((self.crontabber().returncode, self.ran()), (3, ["other"]))
        self.sql("UPDATE crontabber SET ongoing = now() - interval '12 hours 1 minute' WHERE app_name = 'patient'")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (0, ["patient"]))
        self.assertRegex(tick.stderr, r"patient: it has been marked as ongoing since .*, longer than crontabber.max_ongoing_age_hours")
        self.assert_at_rest()
