"""Every option of the program is in docs/user/command-line.rst, and crontabber.ini-dist is what the program writes."""

import os
import re
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from crontabber.errors import ExitCode
from crontabber.rules.policy import PARSERS
from tests.documents import ROOT

PAGE = ROOT / "docs/user/command-line.rst"
EMBEDDED = "--resource.postgresql.database_class=crontabber.store.embedded.EmbeddedConnectionFactory"
OF_JOBS = {"--crontabber.class-NAME.frequency", "--crontabber.class-NAME.time"}
# Declared only where they are set, and for --help.
OF_POLICIES = {f"--crontabber.policy.{name}" for name in PARSERS}
LIST_OPTIONS = """
from crontabber.app import CronTabber
from crontabber.config.configure import configuration
from configman.option import Option

definitions = configuration(CronTabber, None, None).option_definitions
for name in definitions.keys_breadth_first():
    if isinstance(definitions[name], Option):  # not an aggregation
        print(f"--{name}")
        if definitions[name].short_form:
            print(f"-{definitions[name].short_form}")
"""


def options_of_the_program(*arguments: str) -> set[str]:
    """Return the names and short forms of all options, as a process with these arguments has them."""
    return set(run("-c", LIST_OPTIONS, *arguments).stdout.split()) | {"--help"}


def run(*arguments: str, cwd: str = "/") -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, text=True, capture_output=True, timeout=60, check=False)


def documented_options() -> set[str]:
    """Return the options that the page defines, each in a line of its own with its description below."""
    terms = re.findall(r"^``-.*$(?=\n   )", PAGE.read_text("utf-8"), re.MULTILINE)
    return set(re.findall(r"``(--?[\w.-]+)", " ".join(terms)))


class TestCommandLinePage(unittest.TestCase):
    def test_the_page_has_every_option_with_its_short_form_and_no_other(self) -> None:
        options = options_of_the_program() | options_of_the_program(EMBEDDED)

        self.assertEqual(documented_options() - OF_JOBS, options | OF_POLICIES)

    def test_the_page_has_every_exit_code(self) -> None:
        terms = re.findall(r"^(\d+(?:, \d+)*)\n   \S", PAGE.read_text("utf-8"), re.MULTILINE)

        self.assertEqual(sorted(int(code) for term in terms for code in term.split(", ")), sorted(ExitCode))


class TestDistributedConfiguration(unittest.TestCase):
    def test_dump_conf_writes_this_file_readable_by_its_owner_alone(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder, "crontabber.ini")

            process = run("-m", "crontabber", f"--admin.dump_conf={written}", cwd=folder)

            self.assertEqual((process.returncode, process.stdout, process.stderr), (0, "", ""))
            self.assertEqual(written.read_text("utf-8"), (ROOT / "crontabber.ini-dist").read_text("utf-8"))
            self.assertEqual(stat.S_IMODE(written.stat().st_mode), 0o600)
