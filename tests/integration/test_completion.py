"""What the Tab key does after `crontabber`, in a real bash on a terminal."""

import os
import pty
import shlex
import subprocess
import sys

from tests.support import ROOT, DatabaseTestCase

COMPLETION = ROOT / "share/bash-completion/completions/crontabber"
# Show every choice at the first Tab, and ask nothing.
SETTINGS = (
    f"PS1= PS2= TERM=dumb; source {shlex.quote(str(COMPLETION))}",
    *(f"bind 'set {name}'" for name in (
        "show-all-if-ambiguous on", "completion-query-items 0", "page-completions off", "enable-bracketed-paste off",
        "completion-display-width 0", "bell-style none",
    )),
)  # fmt: skip
TAB, TO_BEGINNING_OF_LINE = "\t", "\x01"
JOBS = """
from crontabber.base import BaseCronApp
class Foo(BaseCronApp):
    app_name = "foo"
class Bar(BaseCronApp):
    app_name = "bar"
class Bazaar(BaseCronApp):
    app_name = "bazaar at noon"
"""


class TestCompletion(DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write_module("named", JOBS)
        self.ini("named.Foo|5m\nnamed.Bar|1h\nnamed.Bazaar|1d")
        program = self.folder / "bin/crontabber"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m crontabber "$@"\n')
        program.chmod(0o755)

    def test_a_single_match_is_completed(self) -> None:
        table = {
            "crontabber --admin.conf=crontabber.ini --job=f": "crontabber --admin.conf=crontabber.ini --job=foo ",
            "crontabber --admin.conf=crontabber.ini -j f": "crontabber --admin.conf=crontabber.ini -j foo ",
            "crontabber --admin.conf=crontabber.ini --reset-job=ba": "crontabber --admin.conf=crontabber.ini --reset-job=ba",
            "crontabber --na": "crontabber --nagios ",
            "crontabber --res": "crontabber --res",
            "crontabber --reset": "crontabber --reset-job=",
            "crontabber --admin.conf=crontabber.ini --explain=f": "crontabber --admin.conf=crontabber.ini --explain=foo ",
            "crontabber --format=j": "crontabber --format=json ",
            "crontabber --hi": "crontabber --history=",
            "crontabber --status-": "crontabber --status-page=",
            "crontabber --status-page=cront": "crontabber --status-page=crontabber.ini ",
            "crontabber --admin.p": "crontabber --admin.print_conf=",
            "crontabber --admin.str": "crontabber --admin.strict ",
            "crontabber --admin.print_conf=j": "crontabber --admin.print_conf=json ",
            "crontabber --admin.conf=cront": "crontabber --admin.conf=crontabber.ini ",
            "crontabber --admin.conf=crontabber.ini --crontabber.class-F": "crontabber --admin.conf=crontabber.ini --crontabber.class-Foo.",
            "crontabber --no-such": "crontabber --no-such",
        }
        for typed, expected in table.items():
            with self.subTest(typed):
                self.assertEqual(self.after_tab(typed)[-1], expected)

    def test_several_matches_are_shown(self) -> None:
        shown = self.after_tab("crontabber --admin.conf=crontabber.ini --job=")[:-1]

        self.assertEqual([line.strip() for line in shown if line.startswith(("b", "f"))], ["bar", "bazaar at noon", "foo"])

    def test_without_a_database_nothing_is_offered_or_printed(self) -> None:
        self.ini("named.Foo|5m", connection={"host": "127.0.0.1", "port": "1"})

        self.assertEqual(
            self.after_tab("crontabber --admin.conf=crontabber.ini --job=f"), ["crontabber --admin.conf=crontabber.ini --job=f"]
        )

    def after_tab(self, typed: str) -> list[str]:
        """Return the choices that are shown after Tab, and the line as it is then."""
        controller, terminal = pty.openpty()
        environment = self.environment(PATH=f"{self.folder}/bin:/usr/bin:/bin", INPUTRC="/dev/null", TERM="dumb")
        bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"], cwd=self.folder, env=environment, start_new_session=True,
            stdin=terminal, stdout=terminal, stderr=terminal,
        )  # fmt: skip
        os.close(terminal)
        self.addCleanup(bash.wait)
        self.addCleanup(bash.kill)
        settings = "\n".join(SETTINGS)
        # The completed line becomes an argument of printf, which sets it apart from the choices.
        os.write(controller, f"{settings}\necho ready\n{typed}{TAB}'{TO_BEGINNING_OF_LINE}printf 'line:%s:\\n' '\nexit\n".encode())
        printed = self.read_all(controller)
        os.close(controller)
        shown, _, line = printed.rpartition("line:")
        return [*shown.rpartition("ready")[2].splitlines()[1:-1], line.partition(":")[0]]

    def read_all(self, controller: int) -> str:
        text = b""
        while True:
            try:
                text += os.read(controller, 65536)
            except OSError:  # every process has closed the terminal
                return text.decode().replace("\r", "")
