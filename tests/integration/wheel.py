"""A wheel of this checkout, and a reader who installs it with a real pip."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.documents import ROOT
from tests.integration.reader_machine import Reader, new_database_name, script

NO_SOURCE = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "_build", "data")
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
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


def reader_with(wheel: Path, python: str, place: Path, server: Mapping[str, str], user: str | None, home: str) -> Reader:
    """Return a reader in the new folder `place`, for whom `pip install ~/crontabber` installs this wheel."""
    place.mkdir()
    if user:
        shutil.chown(place, user)
    install = {"pip install ~/crontabber": f"pip install --quiet --no-cache-dir --disable-pip-version-check {wheel}"}
    reader = Reader(place, server, new_database_name(), install, user, home)
    script(reader.programs / "python3", f'#!/bin/sh\nexec {python} "$@"\n')
    return reader


def _run(*command: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=cwd, text=True, capture_output=True, timeout=300, check=False)
