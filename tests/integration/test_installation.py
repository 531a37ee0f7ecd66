"""pip install crontabber, really: a wheel of this checkout in an empty environment, and the quickstart done with it."""

import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded_server import EmbeddedServer
from tests.documents import ROOT, blocks_of
from tests.integration.reader_machine import Reader, new_database_name, new_folder, script

NO_SOURCE = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "_build", "data")
NO_HOME = "/nonexistent"
SOME_USER = "nobody"
# More than the quickstart asks for.
INSTALLED = (
    "test -f venv/share/man/man1/crontabber.1",
    "test -f venv/share/bash-completion/completions/crontabber",
    "test -f venv/lib/python3.*/site-packages/crontabber/py.typed",
    'test "$(python -m crontabber --version)" = "$(crontabber --version)"',
    "! python -c 'import tests'",
)


def run(*command: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=cwd, text=True, capture_output=True, timeout=300, check=False)


def interpreter_for(user: str | None) -> str | None:
    """Ours, or the system's where this user cannot get at ours."""
    for python in (sys.executable, "/usr/bin/python3"):
        wanted = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))"
        try:
            asked = subprocess.run([python, "-c", wanted], user=user, cwd="/", check=False, capture_output=True)
        except OSError:
            continue
        if asked.returncode == 0:
            return python
    return None


class TestInstallation(unittest.TestCase):
    wheel: Path
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = new_folder()
        pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
        if run(*pip, "download", "--no-deps", "setuptools", cwd=cls.folder).returncode:
            shutil.rmtree(cls.folder)
            raise unittest.SkipTest("no package registry can be reached from here, or there is no pip")
        shutil.copytree(ROOT, cls.folder / "checkout", ignore=NO_SOURCE)
        built = run(*pip, "wheel", "--no-deps", "--wheel-dir=.", "./checkout", cwd=cls.folder)
        if built.returncode:
            raise AssertionError(built.stderr)
        cls.wheel = next(cls.folder.glob("crontabber-*.whl"))

    @classmethod
    def tearDownClass(cls) -> None:
        # Not a class cleanup: nose does not know these.
        shutil.rmtree(cls.folder)

    def test_the_quickstart_in_an_empty_environment(self) -> None:
        self.quickstart(None, str(self.folder))

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_the_quickstart_of_an_ordinary_user_without_a_home_of_his_own(self) -> None:
        self.quickstart(SOME_USER, NO_HOME)

    def quickstart(self, user: str | None, home: str) -> None:
        python = interpreter_for(user)
        if python is None:
            self.skipTest(f"{user} can reach no Python 3.10 or later here")
        reader = self.reader(user, home)
        script(reader.programs / "python3", f'#!/bin/sh\nexec {python} "$@"\n')
        wrong = [f"{block}{difference}" for block in blocks_of("docs/user/introduction.rst") if (difference := reader.do(block))]
        wrong += [command for command in INSTALLED if reader.shell.run(command)[0]]
        if wrong:
            self.fail("\n".join(wrong))

    def reader(self, user: str | None, home: str) -> Reader:
        folder = new_folder()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        place = folder / "cron"
        place.mkdir()
        if user:
            shutil.chown(place, user)
        server = EmbeddedServer(folder / "data", user)
        try:
            server.start()
        except EmbeddedServerError as error:
            self.skipTest(str(error))
        self.addCleanup(server.stop)
        install = {"pip install crontabber": f"pip install --quiet --no-cache-dir --disable-pip-version-check {self.wheel}"}
        reader = Reader(place, server.connection_options(), new_database_name(), install, user, home)
        self.addCleanup(reader.shell.close)
        return reader
