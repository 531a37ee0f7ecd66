"""A wheel of this checkout, and a reader who installs it with a real pip."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from email import message_from_bytes
from pathlib import Path

from tests.documents import ROOT
from tests.integration.reader_machine import Reader, new_database_name, script

NO_SOURCE = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "_build", "data")
PIP_OPTIONS = ("--quiet", "--disable-pip-version-check")
PIP = (sys.executable, "-m", "pip", *PIP_OPTIONS)
# Above any that there is.
NO_MINOR_VERSION = 30
IS_USABLE = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))"


def build_wheel(folder: Path) -> Path | None:
    """Build a wheel in `folder` from a copy of the checkout; None if no package registry can be reached."""
    if _run(*PIP, "download", "--no-deps", "setuptools", cwd=folder).returncode:
        return None
    shutil.copytree(ROOT, folder / "checkout", ignore=NO_SOURCE)
    built = _run(*PIP, "wheel", "--no-deps", "--wheel-dir=.", "./checkout", cwd=folder)
    if built.returncode:
        raise AssertionError(built.stderr)
    return next(folder.glob("crontabber-*.whl"))


def interpreter_for(user: str | None) -> str | None:
    """Return our Python, or the system's if this user cannot run ours; None if neither is usable."""
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            asked = subprocess.run([python, "-c", IS_USABLE], user=user, cwd="/", check=False, capture_output=True)
        except OSError:
            continue
        if asked.returncode == 0:
            return python
    return None


def interpreters() -> dict[str, str]:
    """Return a usable interpreter for each version from 3.10 on: that of PATH, or else pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    found = {}
    for version in (f"3.{minor}" for minor in range(10, NO_MINOR_VERSION)):
        candidates = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
        usable = [python for python in candidates if python and _run(python, "-c", IS_USABLE, cwd=Path("/")).returncode == 0]
        if usable:
            found[version] = usable[0]
    return found


def extras_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name)).get_all("Provides-Extra", [])


def reader_with(wheel: Path, python: str, place: Path, server: Mapping[str, str], user: str | None, home: str) -> Reader:
    """Return a reader in the new folder `place`, for whom `pip install ~/crontabber` installs this wheel."""
    place.mkdir()
    if user:
        shutil.chown(place, user)
    install = {"pip install ~/crontabber": f"pip install {' '.join(PIP_OPTIONS)} --no-cache-dir {wheel}"}
    reader = Reader(place, server, new_database_name(), install, user, home)
    script(reader.programs / "python3", f'#!/bin/sh\nexec {python} "$@"\n')
    return reader


def _run(*command: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=cwd, text=True, capture_output=True, timeout=300, check=False)
