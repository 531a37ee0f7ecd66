"""A signal ends a crontabber within a second, whatever it is doing, and leaves nothing ongoing."""

import signal

from tests.integration.faults import JOBS, FaultTestCase, seeded

# How signals end a process that does not handle them yet, or no longer does.
UNANSWERED = {signal.SIGTERM: -signal.SIGTERM, signal.SIGINT: -signal.SIGINT}
EXIT_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


class SignalTestCase(FaultTestCase):
    def assert_recorded(self, app_name, signum):
        error_type, value = self.row(app_name, "last_error->>'type'", "last_error->>'value'")
        self.assertEqual((error_type, value), ("<class 'crontabber.errors.Interrupted'>", f"stopped by {signal.Signals(signum).name}"))
        self.assertEqual(self.errors_logged(app_name)[-1], error_type)
        self.assert_at_rest()


class TestWhileAJobRuns(SignalTestCase):
    def assert_ends(self, entry, app_name):
        for signum, exit_code in EXIT_CODES.items():
            with self.subTest(signum=signum):
                self.configure(f"{entry}|1h", "Other|1h")
                process = self.start(f"--job={app_name}")
                self.wait_for("running")
                self.forget("running")
                # It has noted that it runs, but may not wait yet.
                self.pause(0.05)

                end = self.end_by_signal(process, signum)

                self.assertEqual(end.returncode, exit_code, end.stderr)
                self.assert_recorded(app_name, signum)

    def test_a_signal_ends_a_job_in_python_code(self):
        self.assert_ends("Patient", "patient")

    def test_a_signal_ends_a_job_that_waits_for_a_program(self):
        self.assert_ends("RunsAnother", "runs-another")

    def test_a_signal_ends_a_job_that_waits_for_a_lock(self):
        self.sql("CREATE TABLE obstacle ()")
        with self.holding("LOCK TABLE obstacle"):
            self.assert_ends("WaitsForALock", "waits-for-a-lock")

    def test_no_other_job_starts_after_a_signal(self):
        self.configure("Patient|1h", "Other|1h", "Zealous|1h")
        process = self.start()
        self.wait_for("running")

        self.end_by_signal(process)

        self.assertEqual(self.ran(), ["other"])

    def interrupt(self, *arguments):
        self.forget("running")
        process = self.start(*arguments)
        self.wait_for("running")
        return self.end_by_signal(process)

    def test_an_interrupted_job_stays_due_with_its_errors(self):
        self.configure("Patient|1h", "ChildOfPatient|1h", error_retry_time=3600)
        self.give("enough")
        self.crontabber()
        self.forget("enough")
        for errors in (0, 2):
            with self.subTest(errors=errors):
                self.due("patient", "child-of-patient")
                self.sql("UPDATE crontabber SET error_count = %s WHERE app_name = 'patient'", (errors,))
                kept = ("next_run", "error_count", "first_run", "last_success")
                before = self.row("patient", *kept)
                self.ran()

                self.interrupt()

                self.assertEqual(self.row("patient", *kept), before)
                self.assert_recorded("patient", signal.SIGTERM)
                self.assertEqual(self.row("patient", "last_run > last_success"), True)
        self.give("enough")
        self.assertEqual(self.crontabber().returncode, 0)
        self.assertEqual(self.ran(), ["patient", "child-of-patient"])
        self.assertEqual(self.row("patient", "error_count", "last_error"), (0, {}))

    def test_an_interrupted_first_run_stays_due(self):
        self.configure("Patient|1h", "ChildOfPatient|1h", error_retry_time=3600)
        self.interrupt("--job=patient")
        self.assertEqual(self.row("patient", "next_run", "error_count", "first_run = last_run"), (None, 0, True))
        self.assertEqual((self.crontabber("--job=child-of-patient").returncode, self.ran()), (0, []))
        self.give("enough")

        self.crontabber()

        self.assertEqual(self.ran(), ["patient", "child-of-patient"])

    def test_an_interrupted_backfill_keeps_its_dates_and_goes_on(self):
        self.configure("PatientDates|1d", error_retry_time=3600)
        self.crontabber()
        self.sql("UPDATE crontabber SET next_run = '2026-03-01', last_success = now() - interval '3 days'")
        self.ran()
        self.forget("one-done")

        self.interrupt()

        done = self.ran()
        self.assertEqual(self.row("patient-dates", "next_run = '2026-03-01'", "error_count", "last_success::date::text"),
                         (True, 0, *done))
        self.give("enough")
        self.crontabber()
        self.assertEqual([len(done), len(self.ran())], [1, 2])

    def test_an_interruption_that_a_job_turns_into_an_error_is_one(self):
        self.configure("Translator|1h", error_retry_time=3600)

        self.interrupt()

        self.assertEqual(self.row("translator", "next_run", "error_count", "last_error->>'type'"),
                         (None, 0, "<class 'OSError'>"))

    def test_a_later_signal_ends_it_and_the_next_tick_finds_it_dead(self):
        self.configure("Stubborn|1h")
        process = self.start()
        self.wait_for("running")
        process.send_signal(signal.SIGTERM)
        self.wait_for("refused")
        self.pause(2.1)

        end = self.end_by_signal(process)

        self.assertEqual(end.returncode, 143)
        self.write_module("stubborn_no_more", f"from {JOBS} import Stubborn\nStubborn.run = lambda self: None\n")
        self.ini("stubborn_no_more.Stubborn|1h")
        tick = self.crontabber()
        self.assertEqual(tick.returncode, 0)
        self.assertIn(f"process {process.pid} on", tick.stderr)

    def test_a_second_signal_within_two_seconds_is_the_same_request(self):
        self.configure("Tidy|1h")
        process = self.start()
        self.wait_for("running")
        process.terminate()
        self.wait_for("tidying")

        end = self.end_by_signal(process)

        self.assertEqual((end.returncode, self.ran()), (143, ["tidied"]), end.stderr)
        self.assert_recorded("tidy", signal.SIGTERM)

    def test_a_result_that_waits_too_long_for_a_lock_is_logged(self):
        self.configure("HastyPatient|1h")
        process = self.start()
        self.wait_for("running")
        with self.holding("LOCK TABLE crontabber IN EXCLUSIVE MODE"):
            self.give("enough")
            self.wait_for_a_blocked_process()
            process.terminate()

            end = self.end_of(process)

        self.assertEqual(end.returncode, 143)
        self.assertIn("ERROR - patient: could not store its result, which was: success", end.stderr)
        self.assertIn(f"process {process.pid} on", self.crontabber().stderr)


class TestBetweenJobs(SignalTestCase):
    def test_a_signal_ends_a_claim_that_waits_for_a_lock(self):
        self.configure("Other|1h", "Zealous|1h")
        self.crontabber()
        self.due("other", "zealous")
        self.ran()
        with self.holding("SELECT FROM crontabber WHERE app_name = 'zealous' FOR UPDATE"):
            process = self.start()
            self.wait_for_a_blocked_process()

            end = self.end_by_signal(process)

        self.assertEqual((end.returncode, self.ran()), (143, ["other"]))
        self.assertEqual((self.row("other", "next_run > now()"), self.row("zealous", "next_run > now()")), (True, False))
        self.assert_at_rest()

    def test_a_signal_that_the_job_ignored_ends_the_tick(self):
        self.configure("Deaf|1h", "Other|1h")
        process = self.start()
        self.wait_for("running")
        process.send_signal(signal.SIGTERM)
        self.give("enough")

        end = self.end_of(process)

        self.assertEqual((end.returncode, self.ran()), (143, ["deaf"]))
        self.assertEqual(self.row("deaf", "error_count"), 0)
        self.assert_at_rest()


class TestStartUp(SignalTestCase):
    signals = 6

    def test_a_signal_at_a_random_moment_leaves_nothing_ongoing(self):
        numbers = seeded()
        self.configure("Other|1h")
        self.crontabber()
        for number in range(self.signals):
            signum = numbers.choice(list(EXIT_CODES))
            self.due("other")
            process = self.start()
            self.pause(numbers.uniform(0, 0.3))

            end = self.end_by_signal(process, signum)

            # Until crontabber has started, Python itself handles SIGINT, with a traceback and exit code 1.
            if end.returncode != 1 or not end.stderr.endswith("\nKeyboardInterrupt\n"):
                self.assertIn(end.returncode, (0, EXIT_CODES[signum], UNANSWERED[signum]), (number, end.stderr))
            self.assert_at_rest()

    def test_a_signal_ends_a_first_query_that_waits_for_a_lock(self):
        self.configure("Other|1h")
        self.crontabber()
        self.due("other")
        with self.holding("LOCK TABLE crontabber"):
            process = self.start()
            self.wait_for_a_blocked_process()

            end = self.end_by_signal(process)

        self.assertEqual((end.returncode, end.stderr), (143, ""))
        self.assert_at_rest()


class TestHangUp(SignalTestCase):
    def test_it_finishes_the_job_and_starts_over_with_the_new_configuration(self):
        self.configure("Patient|1h", "Zealous|1h")
        process = self.start()
        self.wait_for("running")
        self.configure("Patient|1h", "Other|1h")

        process.send_signal(signal.SIGHUP)
        self.give("enough")
        end = self.end_of(process)

        self.assertEqual((end.returncode, self.ran()), (0, ["patient", "other"]), end.stderr)
        self.assert_at_rest()

    def test_a_forced_job_is_not_forced_a_second_time(self):
        self.configure("Patient|1h")
        process = self.start("--job=patient", "--force")
        self.wait_for("running")

        process.send_signal(signal.SIGHUP)
        self.give("enough")
        end = self.end_of(process)

        self.assertEqual((end.returncode, self.ran()), (0, ["patient"]), end.stderr)
        self.assert_at_rest()
