"""The quickstart in an empty environment, and every extra: on each Python from 3.10 on that this machine has."""

import shutil
import subprocess
from pathlib import Path

from tests.integration import test_installation
from tests.integration.reader_machine import new_folder
from tests.integration.wheel import PIP_OPTIONS, extras_of, interpreters


class TestInstallation(test_installation.TestInstallation):
    def test_the_quickstart_works_in_an_empty_environment(self) -> None:
        found = interpreters()
        print(f"found: Python {', '.join(found)}")
        for version, python in found.items():
            with self.subTest(version):
                self.quickstart(None, str(self.folder), python)

    def test_every_extra_can_be_installed(self) -> None:
        for version, python in interpreters().items():
            with self.subTest(version):
                self.install_extras(Path(python))

    def install_extras(self, python: Path) -> None:
        if self.wheel is None:
            self.skipTest("no package registry can be reached from here, or there is no pip")
        folder = new_folder()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        run(str(python), "-m", "venv", str(folder))

        run(str(folder / "bin/pip"), "install", *PIP_OPTIONS, f"{self.wheel}[{','.join(extras_of(self.wheel))}]")

        run(str(folder / "bin/pip"), "check")
        run(str(folder / "bin/crontabber"), "--version")


def run(*command: str) -> None:
    done = subprocess.run(command, text=True, capture_output=True, timeout=600, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
