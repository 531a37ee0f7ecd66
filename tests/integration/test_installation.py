"""A real pip install: a wheel of this checkout in an empty environment, in which a reader follows the quickstart."""

import os
import shutil
import unittest
from pathlib import Path

from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded.server import EmbeddedServer
from tests.documents import blocks_of
from tests.integration.reader_machine import new_folder
from tests.integration.wheel import build_wheel, interpreter_for, reader_with

NO_HOME = "/nonexistent"
SOME_USER = "nobody"
# Checked beyond the quickstart.
INSTALLED = (
    "test -f venv/share/man/man1/crontabber.1",
    "test -f venv/share/bash-completion/completions/crontabber",
    "test -f venv/lib/python3.*/site-packages/crontabber/py.typed",
    'test "$(python -m crontabber --version)" = "$(crontabber --version)"',
    "! python -c 'import tests'",
)


class TestInstallation(unittest.TestCase):
    wheel: Path | None
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = new_folder()
        cls.wheel = build_wheel(cls.folder)

    @classmethod
    def tearDownClass(cls) -> None:
        # Not a class cleanup: nose does not support them.
        shutil.rmtree(cls.folder)

    def test_the_quickstart_works_in_an_empty_environment(self) -> None:
        self.quickstart(None, str(self.folder))

    @unittest.skipUnless(os.geteuid() == 0, "only root can act as another user")
    def test_the_quickstart_works_for_an_ordinary_user_without_a_home(self) -> None:
        self.quickstart(SOME_USER, NO_HOME)

    def quickstart(self, user: str | None, home: str, python: str | None = None) -> None:
        python = python or interpreter_for(user)
        if self.wheel is None:
            self.skipTest("no package registry can be reached from here, or there is no pip")
        if python is None:
            self.skipTest(f"{user} can reach no Python 3.10 or later here")
        folder = new_folder()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        reader = reader_with(self.wheel, python, folder / "cron", self.server(folder / "data", user), user, home)
        self.addCleanup(reader.shell.close)
        wrong = [f"{block}{difference}" for block in blocks_of("docs/user/introduction.rst") if (difference := reader.do(block))]
        wrong += [command for command in INSTALLED if reader.shell.run(command)[0]]
        if wrong:
            self.fail("\n".join(wrong))

    def server(self, data_dir: Path, user: str | None) -> dict[str, str]:
        """Start a server that belongs to this user; return its connection options."""
        server = EmbeddedServer(data_dir, user)
        try:
            server.start()
        except EmbeddedServerError as error:
            self.skipTest(str(error))
        self.addCleanup(server.stop)
        return server.connection_options()
