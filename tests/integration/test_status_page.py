"""--status-page, and the page that ticks write."""

import html
import os
import re
import signal
import stat
import sys
import time

from tests.integration.faulty_proxy import FaultyProxy
from tests.integration.mode_case import JOBS, ModeTestCase
from tests.integration.test_mapping_state import STATE
from tests.support import connection_options

HOSTILE = "</title><script>alert(1)</script><!-- \u202e"
MORE_JOBS = f"""

class Hostile(Sad):
    app_name = {HOSTILE!r}

    def run(self):
        raise ValueError({HOSTILE!r})


class Leaky(Sad):
    app_name = "leaky"

    def run(self):
        raise ValueError("cannot log in with password=hunter2")
"""
# The process kills itself between writing the temporary file and renaming it.
KILLED = """
import os, signal
from crontabber.app import main
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
main()
"""
OLD = 10_000


class PageCase(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("nightly", JOBS + MORE_JOBS)
        self.page = self.folder / "status.html"

    def text(self):
        return self.page.read_text("utf-8")

    def cells(self):
        """Return the cells of the table of jobs as text."""
        [table] = re.findall(r'<table class="jobs">(.*?)</table>', self.text(), re.DOTALL)
        rows = re.findall(r"<tr id=.*", table)
        rows = [re.split("<t[dh][^>]*>", re.sub("<small>.*?</small>", "", row))[1:] for row in rows]
        return [[html.unescape(re.sub("<[^>]*>", "", cell)) for cell in row] for row in rows]

    def states(self):
        return {name: state.partition(" ")[2] for state, name, *_ in self.cells()}

    def make_old(self):
        os.utime(self.page, (time.time() - OLD,) * 2)

    def is_old(self):
        return time.time() - self.page.stat().st_mtime > OLD / 2


class TestMode(PageCase):
    def test_it_says_what_status_says(self):
        self.ini("nightly.Foo|1d,nightly.Bar|1d,nightly.Sad|1d,nightly.SadChild|1d,nightly.Back|1d,no.Such|1d")
        self.crontabber()
        self.sql("UPDATE crontabber SET next_run = date_trunc('day', now()) + interval '3 days'")

        written = self.crontabber(f"--status-page={self.page}")
        first, _, _, *lines = self.crontabber("--status").stdout.splitlines()

        self.assert_said(written, 0, "", "")
        self.assertEqual(re.search("<h1>(.*)</h1>", self.text())[1], first)
        told = [[state.partition(" ")[2], name, *times, why] for state, name, *times, _, why in self.cells()]
        said = [re.split(r"  +", line) for line in lines]
        broken, said = said[0], said[1:]
        self.assertEqual(told[0][:2], broken[:2])
        self.assertEqual([[cell for cell in row if cell] for row in told[1:]], said)

    def test_only_its_owner_and_the_group_may_read_it(self):
        self.ini("nightly.Foo|1d")
        self.page.write_text("old")
        self.page.chmod(0o666)

        self.crontabber(f"--status-page={self.page}")

        self.assertEqual(stat.S_IMODE(self.page.stat().st_mode), 0o640)

    def test_a_file_that_cannot_be_written_is_an_error(self):
        self.ini("nightly.Foo|1d")

        process = self.crontabber("--status-page=nowhere/status.html")

        self.assert_said(process, 1, "", "crontabber: cannot write nowhere/status.html: No such file or directory\n")

    def test_an_empty_path_is_an_error(self):
        self.ini("nightly.Foo|1d")

        self.assert_said(self.crontabber("--status-page="), 1, "", "crontabber: --status-page is empty: give it the name of a file\n")

    def test_a_kill_in_the_middle_of_writing_leaves_the_old_file(self):
        self.ini("nightly.Foo|1d")
        self.page.write_text("old")

        command = [sys.executable, "-c", KILLED, f"--admin.conf={self.folder}/crontabber.ini", f"--status-page={self.page}"]
        process = self.start_program(command)
        process.communicate()

        self.assertEqual((process.returncode, self.text()), (-signal.SIGKILL, "old"))
        self.crontabber(f"--status-page={self.page}")
        self.assertIn("<table", self.text())

    def test_it_says_since_when_a_job_has_been_failing(self):
        self.ini("nightly.Sad|1d")
        for moment in ("2026-11-20 03:00", "2026-11-21 03:00", "2026-11-22 03:00"):
            self.due("sad") if self.page.exists() else None
            self.crontabber(f"--status-page={self.page}")
            self.crontabber()
            self.sql("UPDATE crontabber_log SET log_time = %s WHERE log_time > '2026-11-23' OR log_time < '2026-01-01'", (moment,))
            self.due("sad")

        self.crontabber(f"--status-page={self.page}")
        self.assertIn("failing</b> since 2026-11-20 03:00:", self.text())

        self.sql("UPDATE crontabber SET error_count = 99")
        self.crontabber(f"--status-page={self.page}")
        self.assertIn("failing</b> since 2026-11-20 03:00 or longer:", self.text())

        self.sql("UPDATE crontabber_log SET exc_type = NULL WHERE log_time < '2026-11-21'")
        self.crontabber(f"--status-page={self.page}")
        self.assertIn("failing</b> since 2026-11-21 03:00:", self.text())

    def test_error_texts_are_in_it_only_on_request_and_masked(self):
        for jobs, error, other in (("nightly.Sad|1d,no.Such|1d", "No more tissues", "no module named"), ("nightly.Leaky|1d", "password=****", "")):
            with self.subTest(jobs):
                self.ini(jobs)
                self.crontabber()

                self.crontabber(f"--status-page={self.page}")
                self.assertNotIn(error, self.text())
                self.assertNotIn("no module named", self.text())

                self.crontabber(f"--status-page={self.page}", "--crontabber.status_page_errors")
                self.assertEqual(self.text().count(error), 2, "what is failing, and the last runs")
                self.assertIn(other, self.text())
                self.assertNotIn("hunter2", self.text())

    def test_hostile_names_errors_and_reasons_stay_texts(self):
        self.ini("nightly.Hostile|1d,nightly.Foo|1d", status_page_errors="yes")
        self.crontabber()
        self.crontabber("--pause=foo", f"--reason={HOSTILE}", "--yes")

        self.crontabber(f"--status-page={self.page}")

        self.assertEqual(len(re.findall("<script", self.text())), 1)
        self.assertNotIn("<!--", self.text())
        self.assertNotIn("\u202e", self.text())
        self.assertIn("&lt;script&gt;alert(1)", self.text())

    def test_runs_in_the_log_are_shown_newest_first_with_the_index_and_without(self):
        self.ini("nightly.Foo|1d,nightly.Bar|1d")
        self.crontabber()
        self.sql("DELETE FROM crontabber_log")
        self.sql("INSERT INTO crontabber_log (app_name, log_time, duration) SELECT app_name, '2026-11-01'::timestamptz + n * interval '1 hour',"
                 " n * interval '1 second' FROM (VALUES ('foo', 0, 40), ('foo', 60, 100), ('bar', 0.5, 40.5)) AS job (app_name, first, last), generate_series(first, last) n")
        pages = []
        for index in ("SELECT 1", "CREATE INDEX ON crontabber_log (app_name, log_time)"):
            self.sql(index)

            self.crontabber(f"--status-page={self.page}")

            [runs] = re.findall(r'<table class="runs">(.*?)</table>', self.text(), re.DOTALL)
            names, times = re.findall('row">(\\w+)', runs), re.findall(r"2026-11-\d\d \d\d:\d\d", runs)
            self.assertEqual((len(times), times), (50, sorted(times, reverse=True)))
            self.assertEqual(names[:43], ["foo"] * 41 + ["bar", "foo"])
            self.assertIn("<title>20 runs, up to 1m 40s</title>", self.text())
            pages.append(re.sub(r"data-written.*|\b\d+m \d+s", "", self.text()))
        self.assertEqual(*pages)

    def test_it_says_who_marked_a_job_as_successful(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.crontabber("--mark-success=foo", "--yes")
        for index in ("SELECT 1", "CREATE INDEX ON crontabber_log (app_name, log_time)"):
            self.sql(index)

            self.crontabber(f"--status-page={self.page}")

            self.assertRegex(self.text(), r"○ marked by \S+@\S+<th")

    def test_a_log_that_the_original_made_shows_its_runs(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.sql("ALTER TABLE crontabber_log DROP COLUMN slot, DROP COLUMN host")
        self.ini("nightly.Foo|1d", connection=self.reader())

        self.assert_said(self.crontabber(f"--status-page={self.page}"), 0, "", "")

        self.assertIn('✓ ok<th scope="row">foo<td>', self.text())

    def test_a_large_log_without_an_index_is_not_read(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.sql("INSERT INTO crontabber_log (app_name, exc_value) SELECT 'foo', repeat('x', 400) FROM generate_series(1, 12000)")

        self.crontabber(f"--status-page={self.page}")

        self.assertIn("No runs to show: crontabber_log has none, or it is large and lacks the index", self.text())
        self.assertNotIn('class="runs"', self.text())

    def test_it_takes_four_statements_with_the_index(self):
        self.ini("nightly.Foo|1d,nightly.Bar|1d")
        self.crontabber()
        self.sql("CREATE INDEX ON crontabber_log (app_name, log_time)")
        with FaultyProxy(connection_options()) as proxy:
            self.ini("nightly.Foo|1d,nightly.Bar|1d", connection=proxy.options)

            self.crontabber(f"--status-page={self.page}")

        self.assertLessEqual(len(proxy.statements), 4)

    def test_a_role_that_may_only_read_can_write_it(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.ini("nightly.Foo|1d", connection=self.reader())

        self.assert_said(self.crontabber(f"--status-page={self.page}"), 0, "", "")
        self.assertEqual(self.states(), {"foo": "ok"})

    def test_a_state_class_without_a_log_has_a_page_without_runs(self):
        self.write_module("own_state", STATE)
        self.ini("nightly.Foo|1d,nightly.Bar|1d", job_state_db_class="own_state.State")
        self.crontabber()

        self.assertEqual(self.crontabber(f"--status-page={self.page}").returncode, 0)

        self.assertEqual(self.states(), {"foo": "ok", "bar": "ok"})
        self.assertIn("The state class keeps no log of runs.", self.text())

    def test_before_the_first_tick_no_job_has_run(self):
        self.ini("nightly.Foo|1d,nightly.Bar|1d")

        self.assert_said(self.crontabber(f"--status-page={self.page}"), 0, "", "")
        self.assertEqual(self.states(), {"foo": "never ran", "bar": "never ran"})


class TestTicks(PageCase):
    def tick(self, *arguments, jobs="nightly.Foo|1d", **options):
        self.ini(jobs, **{"status_page": self.page} | options)
        return self.crontabber(*arguments)

    def test_a_tick_writes_it_and_shows_what_it_has_run(self):
        self.assertEqual(self.tick(jobs="nightly.Foo|1d,nightly.Sad|1d").returncode, 0)

        self.assertEqual(self.states(), {"foo": "ok", "sad": "failing"})

    def test_an_idle_tick_writes_it_only_if_it_is_old(self):
        self.tick()
        before = self.page.stat().st_ino

        self.tick()
        self.assertEqual(self.page.stat().st_ino, before)

        self.make_old()
        self.tick()
        self.assertFalse(self.is_old())

    def test_how_old_depends_on_the_interval_of_ticks(self):
        self.tick()
        self.make_old()

        self.tick(tick_interval="6h")
        self.assertTrue(self.is_old())

        self.tick(tick_interval="5h")
        self.assertFalse(self.is_old())

    def test_a_tick_that_runs_a_job_writes_it_at_once(self):
        self.tick()
        before = self.page.stat().st_ino
        self.due("foo")

        self.tick()

        self.assertNotEqual(self.page.stat().st_ino, before)

    def test_a_supervised_tick_writes_it_after_all_workers(self):
        self.tick("--workers=2", jobs="nightly.Foo|1d,nightly.Bar|1d,nightly.Sad|1d,nightly.Back|1d")

        self.assertEqual(self.states(), {"foo": "ok", "bar": "ok", "sad": "failing", "back": "ok"})

    def test_other_modes_and_single_jobs_do_not_write_it(self):
        for arguments in ("--status",), ("--job=foo",), ("--list-jobs",):
            self.tick(*arguments)

            self.assertFalse(self.page.exists(), arguments)

    def test_a_failing_write_is_one_warning_and_changes_nothing_else(self):
        self.page.mkdir()

        tick = self.tick("--logging.stderr_error_logging_level=WARNING")

        self.assertEqual(tick.returncode, 0)
        self.assertEqual(self.row("foo", "error_count"), 0)
        [line] = tick.stderr.splitlines()
        self.assertRegex(line, "WARNING - The status page is not up to date: cannot write .*/status.html: Is a directory$")

    def test_the_methods_of_an_application_that_fail_do_not_fail_the_tick(self):
        self.write_module("own", """
            from crontabber.app import CronTabber

            class Own(CronTabber):
                def check_dependencies(self, class_):
                    if self._runner and type(self._runner).__name__ == "Foreseen":
                        raise RuntimeError("not now")
                    return super().check_dependencies(class_)
        """)

        self.ini("nightly.Foo|1d", status_page=self.page)
        code = "import sys; from own import Own; from crontabber.app import main; sys.exit(main(Own))"
        tick = self.start_program([sys.executable, "-c", code, f"--admin.conf={self.folder}/crontabber.ini"])
        _, stderr = tick.communicate()

        self.assertEqual(tick.returncode, 0, stderr)
        self.assertRegex(stderr, "WARNING - The status page is not up to date: .*not now.*\n$")

    def test_without_the_option_nothing_is_written(self):
        self.ini("nightly.Foo|1d")

        self.crontabber()

        self.assertEqual([path.name for path in self.folder.iterdir() if path.suffix in (".html", ".tmp")], [])
