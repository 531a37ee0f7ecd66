"""Broken entries of the `jobs` setting, through the real command: each stops itself and its dependents, nothing else."""

import signal

from tests.integration.mode_case import NOWHERE, ModeTestCase

ODDITIES = """
from configman import Namespace, class_converter
from crontabber.base import BaseCronApp
from nightly import Noting


class Nameless(BaseCronApp):
    def run(self):
        pass


class OtherFoo(Noting):
    app_name = "foo"


class Hen(Noting):
    app_name = "hen"
    depends_on = "egg"


class Egg(Noting):
    app_name = "egg"
    depends_on = "hen"


class Chick(Noting):
    app_name = "chick"
    depends_on = "egg"


class Grandchild(Noting):
    app_name = "grandchild"
    depends_on = ["bar"]


class OwnTime(Noting):
    app_name = "own-time"
    required_config = Namespace()
    required_config.add_option("time", default="noon")


class Optional(Noting):
    app_name = "optional"
    required_config = Namespace()
    required_config.add_option("colour", default="red")
    required_config.add_option("number", default=3)
    required_config.add_option("helper", default="nightly.Foo", from_string_converter=class_converter)


not_a_class = 17
"""
ERROR = r"\A\S+ \S+ \S+ ERROR - \S+/crontabber\.ini: "


class BrokenEntriesTestCase(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("oddities", ODDITIES)

    def errors(self, process):
        """Return what is logged at ERROR, without the time and the path of the ini file."""
        lines = [line.partition(" ERROR - ") for line in process.stderr.splitlines()]
        return [text.replace(f"{self.folder}/crontabber.ini: ", "") for _, level, text in lines if level]


class TestTick(BrokenEntriesTestCase):
    def test_the_other_jobs_run_at_each_tick_and_the_exit_code_is_1(self):
        self.ini("nowhere.Job|1d\nnightly.Foo|1d\nnightly.Back|1d")

        for ran in (["back the first time", "foo the first time"], []):
            tick = self.crontabber()
            self.assertEqual((tick.returncode, tick.stdout, self.ran()), (1, "", ran))
            self.assertRegex(
                tick.stderr, ERROR + r"jobs: nowhere\.Job: no module named 'nowhere' \(is PYTHONPATH right\?\);"
                r" until this is fixed, it does not run\n"
            )  # fmt: skip

        self.ini("nightly.Foo|1d\nnightly.Back|1d")
        self.assertEqual(self.crontabber().returncode, 0)

    def test_a_fault_of_any_kind_stops_only_its_own_entries(self):
        cases = [
            ("nightly.Nobody|1d", "no class 'Nobody'; until this is fixed, it does not run"),
            ("Sad|1d", "names no module"),
            ("nightly.Sad", "no frequency"),
            ("nightly.Sad|1d|03:00|UTC|x", "too many parts"),
            ("nightly.Sad|1d|03:00|x", "unknown time zone 'x'"),
            ("nightly.Sad|1x", "'1x' is not a valid frequency"),
            ("nightly.Sad|1h|03:00", "a time needs a frequency of whole days"),
            ("oddities.not_a_class|1d", "not a job class"),
            ("oddities.Nameless|1d", "no app_name"),
            ("oddities.OwnTime|1d", "rename its option 'time'"),
            ("nightly.Sad|1d\nnightly.Sad|2d", "listed twice"),
            ("nightly.Foo|1d\noddities.OtherFoo|1d", "the same app_name, 'foo': change one of them; until this is fixed, they do not run"),
            ("oddities.Hen|1d\noddities.Egg|1d", "circular dependency: hen -> egg -> hen; until this is fixed, they do not run"),
        ]  # fmt: skip
        for entries, said in cases:
            with self.subTest(entries):
                self.sql("DROP TABLE IF EXISTS crontabber")
                self.ini(f"{entries}\nnightly.Back|1d")

                tick = self.crontabber()

                self.assertEqual((tick.returncode, self.ran()), (1, ["back the first time"]), tick.stderr)
                (error,) = self.errors(tick)
                self.assertIn(said, error)

    def test_what_depends_on_a_broken_entry_is_held_back(self):
        self.ini("nightly.Foo|1d\nnightly.Bar|1d\noddities.Grandchild|1d\noddities.Optional|1d")
        self.crontabber()
        self.ran()
        self.due("bar", "grandchild", "optional")

        self.ini("nightly.Foo|1x\nnightly.Bar|1d\noddities.Grandchild|1d\noddities.Optional|1d")
        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (1, ["optional again"]))
        self.assertRegex(self.errors(tick)[0], r"\Ajobs: nightly.Foo: '1x' .*; until this is fixed, it does not run and holds back bar, grandchild\Z")
        for name in ("bar", "grandchild"):
            self.assertIn(f"{name} is held back: it depends on 'foo', whose entry in the setting jobs is broken\n", tick.stderr)

    def test_an_entry_without_a_frequency_holds_back_its_dependents_too(self):
        self.ini("nightly.Foo\nnightly.Bar|1d")

        (error,) = self.errors(self.crontabber())

        self.assertRegex(error, r"no frequency: .*; until this is fixed, it does not run and holds back bar\Z")

    def test_a_member_of_a_circle_holds_back_what_depends_on_it(self):
        self.ini("oddities.Chick|1d\noddities.Hen|1d\noddities.Egg|1d\nnightly.Foo|1d")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (1, ["foo the first time"]))
        self.assertEqual(self.errors(tick), [
            "jobs: circular dependency: egg -> hen -> egg; until this is fixed, they do not run and hold back chick"
        ])  # fmt: skip

    def test_dependents_of_a_class_that_cannot_be_imported_follow_its_state(self):
        self.ini("nightly.Foo|1d\nnightly.Bar|1d")
        self.crontabber()
        self.ran()
        self.ini("gone.Foo|1d\nnightly.Bar|1d")
        self.due("bar")

        recent = self.crontabber()
        self.assertEqual((recent.returncode, self.ran()), (1, ["bar again"]))
        self.assertEqual(self.errors(recent), [
            "jobs: gone.Foo: no module named 'gone' (is PYTHONPATH right?); until this is fixed, it does not run and may hold back bar"
        ])  # fmt: skip

        self.due("foo", "bar")
        stale = self.crontabber()
        self.assertEqual((stale.returncode, self.ran()), (1, []))
        self.assertIn("bar is held back: its dependency 'foo' has not run recently\n", stale.stderr)

    def test_many_faults_are_cut_to_ten_lines(self):
        self.ini("\n".join(f"nowhere{n}.Job|1d" for n in range(50)) + "\nnightly.Foo|1d")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran(), len(self.errors(tick))), (1, ["foo the first time"], 10))
        self.assertEqual(self.errors(tick)[-1], "jobs: 41 more faults: --configtest lists them all")

    def test_without_a_good_entry_no_database_is_needed(self):
        self.ini("nowhere.Job|1d", connection=NOWHERE)

        tick = self.crontabber()

        self.assertEqual((tick.returncode, len(self.errors(tick)), len(tick.stderr.splitlines())), (1, 1, 1))

    def test_an_entry_that_breaks_before_a_restart_stops_only_itself(self):
        self.write_module("slow", """
            import time
            from pathlib import Path
            from nightly import Noting


            class Slow(Noting):
                app_name = "slow"

                def run(self):
                    Path("started").touch()
                    while not Path("go").exists():
                        time.sleep(0.01)
                    super().run()
        """)
        self.ini("slow.Slow|1d")
        tick = self.start()
        self.wait_for("started")

        self.ini("slow.Slow|1d\nnowhere.Job|1d\nnightly.Foo|1d")
        tick.send_signal(signal.SIGHUP)
        (self.folder / "go").touch()
        _, stderr = tick.communicate(timeout=60)

        self.assertEqual((tick.returncode, self.ran()), (1, ["slow the first time", "foo the first time"]))
        self.assertIn("ERROR", stderr)

    def test_options_of_a_broken_entry_are_not_unknown(self):
        for entry in ("oddities.Optional|1x", "oddities.Optional", "nowhere.Optional|1d"):
            with self.subTest(entry):
                self.sql("DROP TABLE IF EXISTS crontabber")
                self.ini(f"{entry}\nnightly.Foo|1d", extra="[[class-Optional]]\ncolour=blue")

                tick = self.crontabber("--admin.strict")

                self.assertEqual((tick.returncode, self.ran()), (1, ["foo the first time"]), tick.stderr)


    def test_a_bad_value_of_an_option_stops_only_its_job(self):
        cases = [
            ("number=many", "number is 'many': expected a whole number"),
            ("helper=gone.Helper", "helper is 'gone.Helper': cannot import it as module.Class"),
            ("helper=os.path", "helper is 'os.path': expected a class, written as module.Class"),
            ("frequency=1d, 2d", "frequency is ['1d', '2d']: put quotes around a value with a comma"),
        ]
        for option, said in cases:
            with self.subTest(option):
                self.sql("DROP TABLE IF EXISTS crontabber")
                self.ini("oddities.Optional|1d\nnightly.Foo|1d", extra=f"[[class-Optional]]\n{option}")

                tick = self.crontabber()

                self.assertEqual((tick.returncode, self.ran()), (1, ["foo the first time"]), tick.stderr)
                errors = [error.startswith(f"crontabber.class-Optional.{said}") for error in self.errors(tick)]
                self.assertEqual(errors, [True], tick.stderr)
                self.assertEqual(self.crontabber("--configtest").returncode, 1)

    def test_a_bad_value_that_jobs_share_stops_all(self):
        self.ini("oddities.Optional|1d\nnightly.Foo|1d", extra="[logging]\nsyslog_port=many")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (1, []))

    def test_the_traceback_of_an_import_is_shown_at_debug(self):
        self.write_module("exploding", "def explode():\n    raise KeyError('boom')\nexplode()")
        self.ini("exploding.Job|1d\nnightly.Foo|1d")

        for arguments, shown in (((), False), (["--logging.stderr_error_logging_level=10"], True)):
            with self.subTest(arguments):
                self.assertEqual("in explode" in self.crontabber(*arguments).stderr, shown)


class TestOtherModes(BrokenEntriesTestCase):
    def test_nagios_is_critical_for_a_broken_entry(self):
        broken = "jobs: nowhere.Job: no module named 'nowhere' (is PYTHONPATH right?)"
        self.ini("nightly.Foo|1d\nnowhere.Job|1d\nnightly.Bar|1x")

        self.assert_said(
            self.crontabber("--nagios"), 2, f"CRITICAL - {broken}; jobs: nightly.Bar: '1x' is not a valid frequency:"
            " expected a positive whole number and m, h or d, for example 5m\n",
        )  # fmt: skip

        self.ini("nightly.Sad|1d\nnowhere.Job|1d")
        self.crontabber()
        self.assert_said(
            self.crontabber("--nagios"), 2, f"CRITICAL - {broken}; sad (Sad) | <class 'ValueError'> | No more tissues\n"
        )

    def test_nagios_does_not_quote_the_secrets_of_a_module_that_fails(self):
        self.write_module("talkative", "raise RuntimeError('cannot reach postgres://me:s3same@db/x\\nat all')")
        self.ini("talkative.Job|1d\nnightly.Foo|1d")

        report = self.crontabber("--nagios")

        self.assertEqual((report.returncode, report.stdout.count("\n"), report.stderr), (2, 1, ""))
        self.assertIn("postgres://****@db/x at all", report.stdout)
        self.assertNotIn("s3same", report.stdout + self.crontabber().stderr + self.crontabber("--configtest").stderr)

    def test_list_jobs_lists_the_others_and_says_what_is_wrong(self):
        self.ini("nightly.Sad|1x\nnightly.Foo|1d\nnightly.SadChild|1d")

        listed = self.crontabber("--list-jobs")

        self.assertEqual(listed.returncode, 1)
        self.assertEqual([line for line in listed.stdout.splitlines() if line.startswith("App name")],
                         ["App name:       foo", "App name:       sad-child"])  # fmt: skip
        self.assertRegex(listed.stderr, ERROR + r"jobs: nightly.Sad: '1x' .* it does not run and holds back sad-child\n\Z")

    def test_audit_ghosts_says_that_broken_entries_may_own_names(self):
        self.ini("nightly.Foo|1d\nnightly.Sad|1d\nnightly.Back|1d")
        self.crontabber()
        heading = "Found the following in the state database but not configured here:\n"

        self.ini("gone.Foo|1d\nnightly.Sad|1x\nnightly.Back|1d")
        audit = self.crontabber("--audit-ghosts")
        self.assertEqual((audit.returncode, audit.stdout), (0, f"{heading}\tfoo\n"))
        self.assertRegex(audit.stderr, r"\A\S+ \S+ \S+ WARNING - some of these names may belong to broken entries: gone.Foo\n\Z")

        self.ini("nightly.Foo|1d\nnightly.Sad|1x\nnightly.Back|1d")
        self.assert_said(self.crontabber("--audit-ghosts"), 0, "")
        self.ini("nowhere.Job|1d\nnightly.Foo|1d\nnightly.Sad|1x\nnightly.Back|1d")
        self.assert_said(self.crontabber("--audit-ghosts"), 0, "")

    def test_a_good_job_can_be_run_by_name(self):
        self.ini("nowhere.Job|1d\nnightly.Foo|1d")

        one = self.crontabber("--job=foo")

        self.assertEqual((one.returncode, self.ran(), self.errors(one)), (0, ["foo the first time"], []))

    def test_a_broken_job_cannot_be_run_by_name(self):
        self.ini("gone.Foo|1d\nnightly.Sad|1x\nnightly.SadChild|1d")
        cases = [
            ("gone.Foo", "jobs: gone.Foo: no module named 'gone' (is PYTHONPATH right?)"),
            ("sad", "jobs: nightly.Sad: '1x' is not a valid frequency: expected a positive whole number and m, h or d, for example 5m"),
            ("foo", "unknown job 'foo': it may be a broken entry, such as gone.Foo: see --configtest"),
        ]  # fmt: skip
        for name, said in cases:
            with self.subTest(name):
                self.assert_said(self.crontabber(f"--job={name}", "--force"), 1, "", f"crontabber: {said}\n")

    def test_a_job_that_is_held_back_runs_only_by_force(self):
        self.ini("nightly.Sad|1x\nnightly.SadChild|1d")

        held = self.crontabber("--job=sad-child")
        self.assertEqual((held.returncode, self.ran()), (0, []))
        self.assertRegex(held.stderr, r"\S+ \S+ \S+ INFO - sad-child is held back: it depends on 'sad', whose entry .* is broken\n\Z")

        self.assertEqual(self.crontabber("--job=sad-child", "--force").returncode, 0)
        self.assertEqual(self.ran(), ["sad-child the first time"])

    def test_a_broken_job_can_be_reset_by_its_app_name(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        for entry in ("gone.Foo|1d", "nightly.Foo|1x"):
            with self.subTest(entry):
                self.sql("INSERT INTO crontabber (app_name, next_run, depends_on) VALUES ('foo', now(), '{}') ON CONFLICT DO NOTHING")
                self.ini(entry)

                self.assertEqual(self.crontabber("--reset-job=foo").returncode, 0)

                self.assertIsNone(self.row("foo", "app_name"))

    def test_a_configuration_is_written_only_as_a_whole(self):
        self.ini("nowhere.Job|1d\nnightly.Foo|1d", connection=NOWHERE)
        fault = "crontabber: jobs: nowhere.Job: no module named 'nowhere' (is PYTHONPATH right?)\n"

        self.assert_said(self.crontabber("--admin.print_conf=ini"), 1, "", fault)
        self.assert_said(self.crontabber("--admin.dump_conf=dumped.ini"), 1, "", fault)
        self.assertFalse((self.folder / "dumped.ini").exists())

        helped = self.crontabber("--help")
        self.assertEqual(helped.returncode, 0)
        self.assertIn("jobs: nowhere.Job", helped.stderr)
        self.assertIn("--list-jobs", helped.stdout)
