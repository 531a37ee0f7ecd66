"""A machine for the end-to-end tests: a user, a PostgreSQL that every user can use, and crontabber as the user installs it."""

import os
import shutil
import subprocess
from pathlib import Path

from crontabber.store.embedded.programs import candidate_folders, find_programs, run, server_account
from tests.documents import ROOT, blocks_of
from tests.integration.reader_machine import HOME, new_folder
from tests.integration.wheel import build_wheel, interpreter_for, reader_with

USER = "crontabber-e2e"
OPEN_TO_ALL = 0o755


class OpenServer:
    """PostgreSQL on a socket that every user of this machine can use without a password."""

    def __init__(self, folder: Path) -> None:
        self._programs = find_programs(candidate_folders())
        self._account = server_account()
        self._data, self.socket = folder / "postgresql", folder / "socket"
        for place in (self._data, self.socket):
            place.mkdir()
            place.chmod(0o700 if place is self._data else OPEN_TO_ALL)
            shutil.chown(place, self._account.uid, self._account.gid)

    @property
    def options(self) -> dict[str, str]:
        return {"host": str(self.socket), "port": "5432", "user": "postgres"}

    def start(self) -> None:
        settings = f"-c listen_addresses= -c unix_socket_directories={self.socket} -c unix_socket_permissions=0777"
        self._run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale")
        self._run("pg_ctl", "--wait", "--log=log", f"--options={settings}", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "--wait", "--mode=immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        run([os.path.join(self._programs, program), *arguments], self._account, str(self._data))


class Machine:
    """USER has followed the introduction in `place`, and copied the wrapper of exampleapp/ there."""

    def __init__(self) -> None:
        self.folder = new_folder()
        self.place = self.folder / "cron"

    def start(self) -> str | None:
        """Set it up. Return why that is impossible here; None if it runs."""
        wheel = build_wheel(self.folder)
        if wheel is None:
            return "no package registry can be reached from here"
        python = interpreter_for(USER if _add_user(self.folder / "home") else None)
        if python is None:
            return "the system has no Python 3.10 or later with venv and ensurepip"
        self._server = OpenServer(self.folder)
        self._server.start()
        self.reader = reader_with(wheel, python, self.place, self._server.options, USER, str(self.folder / "home"))
        wrong = "".join(self.reader.do(block) for block in blocks_of("docs/user/introduction.rst"))
        if wrong:
            raise AssertionError(wrong)
        host = f"[resource]\n[[postgresql]]\nhost={self._server.socket}\nport=5432\n"
        self.reader.settle_ini("crontabber.ini", host)
        shutil.copy(ROOT / "exampleapp/crontabber_wrapper.sh", self.place)
        return None

    def stop(self) -> None:
        if hasattr(self, "reader"):
            self.reader.shell.close()
        if hasattr(self, "_server"):
            self._server.stop()
        subprocess.run(["userdel", USER], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def own(self, name: str, place: Path | None = None) -> str:
        """Return a file of exampleapp/, changed to name this folder."""
        return (ROOT / "exampleapp" / name).read_text("utf-8").replace(HOME, str(place or self.place))


def _add_user(home: Path) -> bool:
    command = ["useradd", "--create-home", f"--home-dir={home}", "--shell=/bin/sh", USER]
    # A run that was killed may have left its user behind.
    subprocess.run(["userdel", "--force", USER], check=False, capture_output=True)
    subprocess.run(command, check=True, capture_output=True)
    return True
