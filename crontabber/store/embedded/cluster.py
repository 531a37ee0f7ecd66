"""Create a PostgreSQL cluster in a folder. Nothing half-made is ever used, even after a kill at any instant."""

import os
import stat
import tempfile
from pathlib import Path

from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded.programs import ServerAccount, check_access, major_version, run

SUPERUSER = "crontabber"
DATABASE = "crontabber"
GATE_FILE = "crontabber.lock"
USERS_FILE = "crontabber.users"
LOG_FILE = "crontabber.log"
UNFINISHED = "crontabber.new"
FINISHED = "crontabber.made"
OUR_NAMES = {GATE_FILE, USERS_FILE, LOG_FILE, UNFINISHED, FINISHED}

# The socket's path is relative to the data folder, so that it is never too long for a socket. ALTER SYSTEM stores the
# settings in the cluster, so that starting it by hand opens no TCP port either.
SETTINGS = """\
ALTER SYSTEM SET listen_addresses = ''
ALTER SYSTEM SET unix_socket_directories = '.'
ALTER SYSTEM SET unix_socket_permissions = '0700'
ALTER SYSTEM SET shared_buffers = '32MB'
ALTER SYSTEM SET log_checkpoints = off
"""


def absolute_folder(data_dir: str) -> str:
    """Return the path under which all processes know the folder. `~` is expanded, symbolic links are resolved."""
    if not data_dir or not data_dir.strip():
        raise EmbeddedServerError(
            "data_dir is not set: the embedded PostgreSQL needs a new or empty folder for its data"
        )
    if "\n" in data_dir or "\r" in data_dir:
        raise EmbeddedServerError(
            f"data_dir={data_dir!r}: PostgreSQL cannot use a folder with a line break in its name"
        )
    try:
        return os.path.realpath(os.path.expanduser(data_dir))
    except FileNotFoundError as error:
        raise EmbeddedServerError(
            f"data_dir={data_dir} is relative, but the current directory no longer exists: use an absolute path"
        ) from error


def prepare_folder(folder: str, account: ServerAccount) -> None:
    """Make sure the folder exists, is private, and holds a cluster or nothing. Only a new folder gets a new owner."""
    parent = os.path.dirname(folder)
    if not os.path.isdir(parent):
        raise EmbeddedServerError(f"data_dir={folder}: the folder {parent} does not exist: create it first")
    advice = "open that folder (chmod o+x), choose another data_dir, or set run_as to another user"
    check_access(folder, account, advice)
    if not os.path.lexists(folder):
        _make_private_folder(folder, account)
    _check_folder(folder, account)


def has_cluster(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "PG_VERSION")) and not os.path.isdir(os.path.join(folder, FINISHED))


def make_cluster(folder: str, programs: str, account: ServerAccount, gate: int) -> None:
    """Create a cluster with our database, or finish one whose creator was killed.

    `initdb` inherits the gate: if we are killed, the next process waits for it to end. Only programs that run as
    `account` write here, because root must not follow links that this user may have put there.
    """
    if not os.path.isdir(os.path.join(folder, FINISHED)):
        run(["rm", "-rf", UNFINISHED], account, folder)
        _initialize(folder, programs, account, gate)
        run(["mv", UNFINISHED, FINISHED], account, folder)
    # PG_VERSION comes last: the folder is a cluster as soon as it is there.
    names = sorted(os.listdir(os.path.join(folder, FINISHED)), key=lambda name: name == "PG_VERSION")
    if names:
        run(["mv", *(os.path.join(FINISHED, name) for name in names), "."], account, folder)
    run(["rmdir", FINISHED], account, folder)


def check_version(folder: str, programs: str, account: ServerAccount) -> None:
    created_by = Path(folder, "PG_VERSION").read_text(encoding="ascii", errors="replace").strip()
    ours = major_version(programs, account)
    if created_by != ours:
        raise EmbeddedServerError(
            f"data_dir={folder} was created by PostgreSQL {created_by},"
            f" but the programs in {programs} are PostgreSQL {ours}:\n"
            "move its data with pg_dump or pg_upgrade, or start with a new data_dir"
        )


def _initialize(folder: str, programs: str, account: ServerAccount, gate: int) -> None:
    initdb = [os.path.join(programs, "initdb"), "-D", UNFINISHED, "-U", SUPERUSER]
    run([*initdb, "--auth=trust", "--encoding=UTF8", "--locale=C"], account, folder, inherit=[gate])
    single = [os.path.join(programs, "postgres"), "--single", "-D", UNFINISHED, "-c", "exit_on_error=true"]
    commands = f"{SETTINGS}CREATE DATABASE {DATABASE}\n"
    run([*single, "template1"], account, folder, text=commands, inherit=[gate])


def _make_private_folder(folder: str, account: ServerAccount) -> None:
    """Create it under another name first: other processes must not see it before it belongs to its owner."""
    parent = os.path.dirname(folder)
    try:
        created = tempfile.mkdtemp(prefix=".crontabber-", dir=parent)
    except OSError as error:
        raise EmbeddedServerError(f"data_dir={folder} cannot be created in {parent}: {error.strerror}") from error
    if account.switched:
        os.chown(created, account.uid, account.gid)
    try:
        os.rename(created, folder)
    except OSError:
        # Another process was faster, and may be using the folder already.
        os.rmdir(created)


def _check_folder(folder: str, account: ServerAccount) -> None:
    found = os.stat(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedServerError(f"data_dir={folder} is not a folder: choose one that is new or empty")
    names = set(os.listdir(folder)) if os.access(folder, os.R_OK) else set()
    if names - OUR_NAMES and not names & {"PG_VERSION", FINISHED}:
        raise EmbeddedServerError(
            f"data_dir={folder} is not empty, but holds no PostgreSQL data: choose a folder that is new or empty"
        )
    if found.st_uid != account.uid:
        raise EmbeddedServerError(
            f"data_dir={folder} does not belong to {account.name}, the user that PostgreSQL runs as:\n"
            "run crontabber as the owner, set run_as to the owner (root only), or choose a new data_dir"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise EmbeddedServerError(
            f"data_dir={folder} is open to other users: close it with chmod 700, or choose a new data_dir"
        )
