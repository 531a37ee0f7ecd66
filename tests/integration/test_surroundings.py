"""The real command as cron, a careless user or a broken machine starts it: closed, full and broken streams, an empty
environment, no folder, no locale."""

import os
import shlex
import subprocess
import sys

from tests.integration.terminal_shell import on_terminal
from tests.support import DatabaseTestCase

JOBS = """
from tests.jobs import Noting

Noting.notes = {notes!r}  # these jobs run in any folder


class Japanese(Noting):
    app_name = "夜間の仕事"

    def run(self):
        super().run()
        self.config.logger.info("お疲れ様でした")


class Loud(Noting):
    app_name = "loud"

    def run(self):
        super().run()
        print("a job's own words")


class Chatty(Noting):
    app_name = "chatty"

    def run(self):
        super().run()
        import os, subprocess
        os.write(1, b"past Python\\n") if os.fstat(1).st_rdev != os.stat("/dev/full").st_rdev else None
        subprocess.run(["sh", "-c", "echo from a child; echo from a child >&2"])


class Clumsy(Noting):
    app_name = "clumsy"

    def run(self):
        super().run()
        self.config.logger.info("%d percent", "many")
        self.config.logger.info("done")


class Sad(Noting):
    app_name = "sad"

    def run(self):
        super().run()
        raise ValueError("もうティッシュがない")
"""
HEADING = "=== JOB " + "=" * 72
PROBLEMS = ("Traceback (most", "Exception ignored", "Logging error", "Error in sys", "lost sys.stderr")


class SurroundingsTestCase(DatabaseTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.write_module("nightly", JOBS.format(notes=str(self.folder / "ran.txt")))

    def sh(self, line, *arguments, before="", **env):
        """Run a line of shell in which CRONTABBER stands for the command with these arguments."""
        script = before + line.replace("CRONTABBER", shlex.join(self.command(*arguments)))
        return subprocess.run(
            ["bash", "-c", script], env=self.environment(PYTHONUNBUFFERED="", **env), cwd=self.folder, timeout=60, check=False,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip

    def assert_no_problems(self, ended):
        self.assertEqual([problem for problem in PROBLEMS if problem in ended.stderr], [], ended.stderr)


class TestStreams(SurroundingsTestCase):
    def test_a_tick_works_with_closed_or_full_streams(self):
        self.ini("nightly.Loud|1d\nnightly.Chatty|1d\nnightly.Sad|1d")
        cases = [
            ("CRONTABBER", 0, "as usual"),
            ("CRONTABBER <&-", 0, "no stdin"),
            ("CRONTABBER >&-", 0, "no stdout"),
            ("CRONTABBER 2>&-", 0, "no stderr"),
            ("CRONTABBER <&- >&- 2>&-", 0, "no stream at all"),
            ("CRONTABBER >/dev/full", 1, "a full stdout, to which a job prints"),
            ("CRONTABBER 2>/dev/full", 0, "a full stderr"),
            ("CRONTABBER >/dev/full 2>&1", 1, "both are full"),
            ("CRONTABBER </dev/full", 0, "a stdin that never ends"),
        ]
        for line, exit_code, why in cases:
            with self.subTest(why):
                ended = self.sh(line)
                self.assertEqual(ended.returncode, exit_code, ended)
                self.assertEqual(self.ran(), ["chatty", "loud", "sad"])
                self.assertEqual(ended.stderr.count("Traceback (most recent call last)"), ended.stderr.count("sad failed"))
                self.assertNotIn("Exception ignored", ended.stderr)
                self.assertEqual(self.row("loud", "error_count", "ongoing"), (0, None))
                self.assertEqual(self.row("chatty", "error_count"), 0)
            self.due("loud", "chatty", "sad")
            self.sql("UPDATE crontabber SET error_count = 0, last_error = '{}'")

    def test_a_tick_reports_a_full_stdout(self):
        self.ini("nightly.Loud|1d")

        ended = self.sh("CRONTABBER >/dev/full")

        self.assertTrue(ended.stderr.endswith("\ncrontabber: cannot write to stdout: No space left on device\n"), ended)
        self.assert_no_problems(ended)

    def test_an_output_that_cannot_be_written_is_a_failure(self):
        self.ini("nightly.Loud|1d")
        self.sh("CRONTABBER")
        full, closed = "cannot write to stdout: No space left on device", "cannot write to stdout: it is closed"
        modes = ["--list-jobs", "--version", "--help", "--admin.print_conf=ini", "--nagios"]
        for mode in modes:
            said = mode != "--nagios"
            for line, words in (("CRONTABBER >/dev/full", full), ("CRONTABBER >&-", closed)):
                with self.subTest(mode, line=line):
                    ended = self.sh(line, mode)
                    self.assertEqual(ended.stderr, f"crontabber: {words}\n" if said else "")
                    self.assertEqual((ended.returncode, ended.stdout), (1 if said else 3, ""))
            for line in ("CRONTABBER >/dev/full 2>&1", "CRONTABBER >/dev/full 2>&-", "CRONTABBER >&- 2>&- <&-"):
                with self.subTest(mode, line=line):
                    ended = self.sh(line, mode)
                    self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (1 if said else 3, "", ""))

    def test_a_reader_may_stop_reading(self):
        self.ini("nightly.Loud|1d")
        self.sh("CRONTABBER")
        for mode in ("--list-jobs", "--version", "--help", "--admin.print_conf=ini", "--nagios"):
            with self.subTest(mode):
                ended = self.sh("CRONTABBER | true; echo ${PIPESTATUS[0]}", mode)
                self.assertEqual((ended.stdout, ended.stderr), ("1\n", ""))
                ended = self.sh("CRONTABBER | head -1", mode)
                self.assertEqual((ended.stdout.count("\n"), ended.stderr), (1, ""))

    def test_misuse_has_its_exit_code_even_without_a_stderr(self):
        self.ini("nightly.Loud|1d")
        for line in ("CRONTABBER 2>&-", "CRONTABBER 2>/dev/full", "CRONTABBER >&- 2>&-", "CRONTABBER >/dev/full 2>&1"):
            for argument in ("--frobnicate", "--job=nobody", "--admin.conf=nope.ini", "--crontabber.host=/nonexistent"):
                with self.subTest(line, argument=argument):
                    ended = self.sh(line, argument)
                    self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (1, "", ""))
        self.assertEqual(self.ran(), [])

    def test_a_file_that_cannot_be_written_is_named(self):
        self.ini("nightly.Loud|1d")
        for path in ("/dev/full", str(self.folder)):
            ended = self.sh("CRONTABBER", f"--admin.dump_conf={path}.ini" if path != "/dev/full" else "--admin.dump_conf=full.ini",
                            before="ln -sf /dev/full full.ini; mkdir -p $PWD.ini; ")  # fmt: skip
            self.assertEqual((ended.returncode, ended.stderr.count("\n")), (1, 1), ended)
            self.assertIn(".ini cannot be written: ", ended.stderr)
        os.rmdir(f"{self.folder}.ini")

    def test_a_log_message_that_cannot_be_formatted_is_shown_in_parts(self):
        self.ini("nightly.Clumsy|1d")

        ended = self.sh("CRONTABBER")

        self.assertRegex(ended.stderr, r"INFO - '%d percent' \('many',\) \(cannot be formatted, at .*nightly.py:\d+: ")
        self.assertIn("INFO - done\n", ended.stderr)
        self.assert_no_problems(ended)


class TestEnvironment(SurroundingsTestCase):
    def test_it_runs_in_an_empty_environment(self):
        self.ini("nightly.Loud|1d")
        path = f"PYTHONPATH={self.environment()['PYTHONPATH']}"

        ended = self.sh(f"env -i {path} CRONTABBER")

        self.assertEqual((ended.returncode, ended.stdout, self.ran()), (0, "a job's own words\n", ["loud"]), ended.stderr)
        self.assert_no_problems(ended)

    def test_it_runs_without_a_home_and_without_a_terminal(self):
        self.ini("nightly.Loud|1d")
        for before in ("unset HOME; ", "export HOME=/nonexistent; ", "export TERM=dumb; "):
            with self.subTest(before):
                ended = self.sh("setsid --wait CRONTABBER", before=before)
                self.assertEqual((ended.returncode, self.ran()), (0, ["loud"]), ended.stderr)
            self.due("loud")

    def test_it_runs_in_a_deleted_folder(self):
        self.ini("nightly.Loud|1d")

        for mode, words in ((), "a job's own words\n"), (("--list-jobs",), HEADING), (("--version",), "1."):
            with self.subTest(mode):
                ended = self.sh("CRONTABBER", *mode, before="mkdir gone; cd gone; rmdir ../gone; ")
                self.assertEqual(ended.returncode, 0, ended.stderr)
                self.assertTrue(ended.stdout.startswith(words), ended.stdout)
                self.assert_no_problems(ended)

    def test_a_japanese_job_runs_in_every_locale(self):
        self.ini("nightly.Japanese|1d\nnightly.Sad|1d", "[[class-Japanese]]\n# 夜間")
        locales = [
            {"LANG": "C"},
            {"LC_ALL": "C"},
            {"LC_ALL": "POSIX"},
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            {"PYTHONIOENCODING": "ascii"},
            {"PYTHONIOENCODING": "latin-1:strict", "PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
            {"LC_ALL": "no_SUCH.locale"},
        ]
        for env in locales:
            with self.subTest(env):
                ended = self.sh("CRONTABBER", **env)
                self.assertEqual((ended.returncode, self.ran()), (0, ["sad", "夜間の仕事"]), ended.stderr)
                self.assertEqual(self.row("夜間の仕事", "error_count"), 0)
                self.assertEqual(self.row("sad", "last_error")["value"], "もうティッシュがない")
                for mode, exit_code in (("--list-jobs", 0), ("--nagios", 2), ("--help", 0), ("--job=夜間の仕事", 0)):
                    ended = self.sh("CRONTABBER", mode, **env)
                    self.assertEqual(ended.returncode, exit_code, ended)
                    self.assert_no_problems(ended)
            self.due("夜間の仕事", "sad")


class TestTerminal(SurroundingsTestCase):
    def on_terminal(self, *arguments, **env):
        return on_terminal(self.command(*arguments), self.environment(TERM="xterm", COLUMNS="80", **env), self.folder)

    def test_an_idle_tick_shows_what_is_next_only_on_a_terminal(self):
        self.ini("nightly.Loud|1d")
        self.sh("CRONTABBER")

        exit_code, seen = self.on_terminal()
        ended = self.sh("CRONTABBER")

        self.assertEqual(exit_code, 0)
        self.assertRegex(seen, r"\A\S+ \S+ \S+ INFO - Nothing is due\. Next: loud at \S+ [\d:]+ \S+ \(in .*\)\n\Z")
        self.assertEqual((ended.stdout, ended.stderr), ("", ""))

    def test_the_list_of_jobs_has_colours_only_on_a_terminal(self):
        self.ini("nightly.Sad|1d")
        self.sh("CRONTABBER")
        self.sql("UPDATE crontabber SET last_error = %s", ('{"type": "T", "value": "a\\u001b[31mb\\u0007c"}',))

        plain = self.sh("CRONTABBER", "--list-jobs").stdout
        _, coloured = self.on_terminal("--list-jobs")
        _, without = self.on_terminal("--list-jobs", NO_COLOR="1")

        self.assertTrue(plain.startswith(f"{HEADING}\nClass:          nightly.Sad\n"), plain)
        self.assertIn("T: a\x1b[31mb\x07c\n", plain)
        self.assertIn(f"\x1b[1m{HEADING}\x1b[0m\n", coloured)
        self.assertIn("\x1b[31mError!!         (1 times)\x1b[0m\n", coloured)
        for seen in (coloured, without):
            self.assertIn("T: a\\x1b[31mb\\x07c\n", seen)
        self.assertNotIn("\x1b", without)


class TestNagios(SurroundingsTestCase):
    TALKING = "import sys, os, warnings\nprint('hello')\nprint('oh', file=sys.stderr)\nwarnings.warn('well')\n"

    def test_it_is_one_line_on_stdout_even_if_modules_print(self):
        self.write_module("talking", self.TALKING + "from nightly import Loud")
        self.write_module("raising", self.TALKING + "raise RuntimeError('a\\nb')")
        self.ini("talking.Loud|1d")
        self.sh("CRONTABBER")
        cases = [
            ("talking.Loud|1d", "", 0, "OK - All systems nominal\n"),
            ("talking.Loud|1d", "typo=1", 0, "OK - All systems nominal\n"),
            ("raising.Job|1d", "", 2, "CRITICAL - jobs: raising.Job: importing raising raised RuntimeError: a b"
                                      f" ({self.folder}/raising.py, line 5)\n"),
            ("talking.Loud|1d", "[x", 3, None),
        ]
        for jobs, extra, exit_code, line in cases:
            for level in ("10", "20"):
                with self.subTest(jobs, extra=extra, level=level):
                    self.ini(jobs, extra)
                    ended = self.sh("CRONTABBER", "--nagios", f"--logging.stderr_error_logging_level={level}")
                    self.assertEqual((ended.returncode, ended.stderr, ended.stdout.count("\n")), (exit_code, "", 1), ended)
                    self.assertEqual(ended.stdout, line or ended.stdout)

    def test_an_unreachable_database_is_critical(self):
        self.ini("nightly.Loud|1d", connection={"host": "/nonexistent"})

        ended = self.sh("CRONTABBER", "--nagios")

        self.assertEqual((ended.returncode, ended.stderr), (2, ""))
        self.assertRegex(ended.stdout, r"\ACRITICAL - state database: .*/nonexistent.*\n\Z")


class TestHelp(SurroundingsTestCase):
    def test_every_option_has_a_doc_and_no_line_is_longer_than_80(self):
        self.ini("tests.jobs.FooJob|1d\ntests.jobs.FooBackfillJob|1h")

        shown = self.sh("CRONTABBER", "--help")

        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        lines = shown.stdout.splitlines()
        self.assertEqual([line for line in lines if len(line) > 80], [])
        bare = [line for line, following in zip(lines, lines[1:], strict=False)
                if line.startswith("  -") and not following.startswith("    ")]  # fmt: skip
        self.assertEqual(bare, [])
        self.assertNotIn("None", shown.stdout)
        self.assertIn("usage: crontabber [OPTION]...\n\nOPTIONS\n  --help\n", shown.stdout)
        sections = [line for line in lines if line.startswith("[")]
        self.assertEqual((sections[0], sections[-1]), ("[crontabber]", "[admin]"))

    def test_help_and_version_work_with_a_broken_configuration(self):
        broken = [
            (["--admin.conf=nope.ini"], "nope.ini: no such configuration file"),
            (["--frobnicate"], "unknown option --frobnicate"),
            (["--crontabber.jobs=nowhere.Job|1d,nowhere.Other|1d"], "no module named 'nowhere' (is PYTHONPATH right?) (and 1 more)"),
            (["--crontabber.error_retry_time=soon"], "crontabber.error_retry_time is 'soon'"),
        ]
        self.ini("nightly.Loud|1d")
        for arguments, words in broken:
            with self.subTest(arguments):
                shown = self.sh("CRONTABBER", "--help", *arguments)
                self.assertEqual((shown.returncode, shown.stderr.count("\n")), (0, 1), shown)
                self.assertTrue(shown.stderr.startswith("crontabber: cannot read the configuration, so this is the help without it: "), shown.stderr)
                self.assertIn(words, shown.stderr)
                self.assertIn("\n[crontabber]\n", shown.stdout)
                version = self.sh("CRONTABBER", "--version", *arguments)
                self.assertEqual((version.returncode, version.stderr, version.stdout.count("\n")), (0, "", 1))

    def test_it_works_with_a_broken_file_in_the_current_folder(self):
        (self.folder / "crontabber.ini").write_text("[crontabber\n")

        shown = subprocess.run([sys.executable, "-m", "crontabber", "--help"], cwd=self.folder, env=self.environment(),
                              capture_output=True, text=True, timeout=60, check=False)  # fmt: skip

        self.assertEqual(shown.returncode, 0)
        self.assertIn("./crontabber.ini: line 1 ", shown.stderr)
        self.assertIn("usage: crontabber ", shown.stdout)
