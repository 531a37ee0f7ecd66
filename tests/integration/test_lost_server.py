"""The server goes away, comes back or is read-only: the messages are clear, and no result is lost silently."""

from tests.integration.faults import OwnServerTestCase


class TestAbsence(OwnServerTestCase):
    seconds = 1.0

    def test_a_result_waits_for_a_server_that_is_away(self):
        for entry, app_name, error_count in (("Patient|1h", "patient", 0), ("PatientFailure|1h", "patient-failure", 1)):
            with self.subTest(entry):
                self.configure(entry, "Other|1h")
                process = self.start(f"--job={app_name}")
                self.wait_for("running")

                self.stop_server()
                self.give("enough")
                self.pause(self.seconds)
                self.start_server()
                end = self.end_of(process)

                self.connection = self.connect()
                self.assertEqual(end.returncode, 0, end.stderr)
                self.assertEqual(self.row(app_name, "error_count", "next_run IS NOT NULL"), (error_count, True))
                warnings = [line for line in end.stderr.splitlines() if " WARNING - " in line]
                self.assertEqual(len(warnings), 1, end.stderr)
                self.assertIn(f"{app_name}: could not store its result, retrying: state database: ", warnings[0])
                self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log WHERE app_name = %s", (app_name,)), [(1,)])
                self.assert_at_rest()
                (self.folder / "enough").unlink()
                self.forget("running")


class TestLostServer(OwnServerTestCase):
    def test_if_the_server_stays_away_the_result_is_logged(self):
        for entry, app_name, result in (
            ("Patient|1h", "patient", "which was: success"),
            ("PatientFailure|1h", "patient-failure", "\n<class 'ValueError'>: No more patience"),
        ):
            with self.subTest(entry):
                self.configure(f"Hasty{entry}")
                process = self.start()
                self.wait_for("running")
                self.forget("running")

                self.stop_server()
                self.give("enough")
                end = self.end_of(process)

                self.assertEqual(end.returncode, 1)
                self.assertIn(f"ERROR - {app_name}: could not store its result, which was: ", end.stderr)
                self.assertIn(result, end.stderr)
                messages = [line for line in end.stderr.splitlines() if line.startswith("crontabber: ")]
                self.assertEqual(len(messages), 1, end.stderr)
                self.assertRegex(messages[0], r"\Acrontabber: state database: .*check host, port")
                self.start_server()
                self.connection = self.connect()
                self.assertIn(f": process {process.pid} on ", self.crontabber().stderr)
                self.assert_at_rest()
                (self.folder / "enough").unlink()
                self.forget("running")

    def test_a_read_only_server_gives_one_clear_message_and_starts_no_job(self):
        self.configure("Other|1h")
        self.crontabber()
        self.due("other")
        self.ran()
        read_only = "crontabber: state database: the server is a standby or set to read-only: jobs need one that accepts writes\n"
        self.restart_server(standby=True)
        with self.subTest("a standby"):
            tick = self.crontabber()
            self.assertEqual((tick.returncode, tick.stdout, tick.stderr, self.ran()), (1, "", read_only, []))
        self.restart_server()
        self.set_for_new_sessions("default_transaction_read_only", "on")
        with self.subTest("set to be read-only"):
            tick = self.crontabber()
            self.assertEqual((tick.returncode, tick.stdout, tick.stderr, self.ran()), (1, "", read_only, []))

    def test_no_server_at_all_gives_one_clear_message(self):
        self.configure("Other|1h")
        self.stop_server()

        tick = self.crontabber()

        self.assertEqual((tick.returncode, tick.stdout, tick.stderr.count("\n")), (1, "", 1))
        self.assertRegex(tick.stderr, r"\Acrontabber: state database: .*check host, port")

    def test_a_result_is_stored_although_a_signal_arrives_while_it_waits(self):
        self.configure("Patient|1h")
        process = self.start()
        self.wait_for("running")
        self.stop_server()
        self.give("enough")
        self.pause(1)
        process.terminate()
        self.pause(1)
        self.start_server()

        end = self.end_of(process)

        self.connection = self.connect()
        self.assertEqual(end.returncode, 143, end.stderr)
        self.assertEqual(self.row("patient", "error_count", "ongoing"), (0, None))


class TestNoTransactionOfOurs(OwnServerTestCase):
    def test_a_job_outlives_the_servers_timeouts_for_idle_sessions(self):
        for setting in ("idle_in_transaction_session_timeout", "idle_session_timeout"):
            self.set_for_new_sessions(setting, "500ms")
        self.configure("TwoSeconds|1h", "Dates|1d")
        self.sql("CREATE TABLE effects (date timestamptz)")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, tick.stderr.count("WARNING"), self.ran()), (0, 0, ["two-seconds"]), tick.stderr)
        self.assertEqual(self.sql("SELECT app_name, error_count FROM crontabber ORDER BY 1"), [("dates", 0), ("two-seconds", 0)])
