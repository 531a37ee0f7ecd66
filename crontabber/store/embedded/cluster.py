"""Make a folder into a PostgreSQL cluster of our own kind, so that a kill at any instant leaves nothing half-made."""

import os
import stat
import tempfile
from pathlib import Path

from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded.programs import ServerAccount, check_reach, major_version, run

SUPERUSER = "crontabber"
DATABASE = "crontabber"
GATE_FILE = "crontabber.lock"
USERS_FILE = "crontabber.users"
LOG_FILE = "crontabber.log"
UNFINISHED = "crontabber.new"
FINISHED = "crontabber.made"
OUR_NAMES = {GATE_FILE, USERS_FILE, LOG_FILE, UNFINISHED, FINISHED}

# The socket's path is given from within the data folder: the server never has a path that is too long for a socket.
# ALTER SYSTEM stores them with the cluster, so that starting it by hand opens no TCP port either.
SETTINGS = """\
ALTER SYSTEM SET listen_addresses = ''
ALTER SYSTEM SET unix_socket_directories = '.'
ALTER SYSTEM SET unix_socket_permissions = '0700'
ALTER SYSTEM SET shared_buffers = '32MB'
ALTER SYSTEM SET log_checkpoints = off
"""


def absolute_folder(data_dir: str) -> str:
    """The one name by which all processes know the folder; `~` is the home, a relative path starts where we are."""
    if not data_dir or not data_dir.strip():
        raise EmbeddedServerError(
            "the embedded PostgreSQL needs to know where its data is: set data_dir to a folder that is new or empty"
        )
    if "\n" in data_dir or "\r" in data_dir:
        raise EmbeddedServerError(
            f"data_dir={data_dir!r}: PostgreSQL cannot work in a folder with a line end in its name"
        )
    try:
        return os.path.realpath(os.path.expanduser(data_dir))
    except FileNotFoundError as error:
        raise EmbeddedServerError(
            f"data_dir={data_dir} is relative, but the current directory is gone: give the whole path"
        ) from error


def prepare_folder(folder: str, account: ServerAccount) -> None:
    """The folder is there, private, and holds a cluster or nothing. Only a folder that is new is given away."""
    parent = os.path.dirname(folder)
    if not os.path.isdir(parent):
        raise EmbeddedServerError(f"data_dir={folder}: there is no folder {parent}, make it first")
    way_out = "let that user in (chmod o+x), or choose another data_dir, or another user in run_as"
    check_reach(folder, account, way_out)
    if not os.path.lexists(folder):
        _make_private_folder(folder, account)
    _check_folder(folder, account)


def has_cluster(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "PG_VERSION")) and not os.path.isdir(os.path.join(folder, FINISHED))


def make_cluster(folder: str, programs: str, account: ServerAccount, gate: int) -> None:
    """A new cluster with our database, or the rest of one whose maker was killed.

    `initdb` inherits the gate: if we are killed, the next process waits for it to end. Programs of `account` do all
    the writing, because root must not follow whatever that user has put there.
    """
    if not os.path.isdir(os.path.join(folder, FINISHED)):
        run(["rm", "-rf", UNFINISHED], account, folder)
        _initialize(folder, programs, account, gate)
        run(["mv", UNFINISHED, FINISHED], account, folder)
    # PG_VERSION comes last: it is what makes the folder a cluster.
    names = sorted(os.listdir(os.path.join(folder, FINISHED)), key=lambda name: name == "PG_VERSION")
    if names:
        run(["mv", *(os.path.join(FINISHED, name) for name in names), "."], account, folder)
    run(["rmdir", FINISHED], account, folder)


def check_version(folder: str, programs: str, account: ServerAccount) -> None:
    made_by = Path(folder, "PG_VERSION").read_text(encoding="ascii", errors="replace").strip()
    ours = major_version(programs, account)
    if made_by != ours:
        raise EmbeddedServerError(
            f"data_dir={folder} was made by PostgreSQL {made_by},"
            f" but the programs in {programs} are PostgreSQL {ours}:\n"
            "move its content over with pg_dump or pg_upgrade, or name a new data_dir to start anew"
        )


def _initialize(folder: str, programs: str, account: ServerAccount, gate: int) -> None:
    initdb = [os.path.join(programs, "initdb"), "-D", UNFINISHED, "-U", SUPERUSER]
    run([*initdb, "--auth=trust", "--encoding=UTF8", "--locale=C"], account, folder, inherit=[gate])
    single = [os.path.join(programs, "postgres"), "--single", "-D", UNFINISHED, "-c", "exit_on_error=true"]
    commands = f"{SETTINGS}CREATE DATABASE {DATABASE}\n"
    run([*single, "template1"], account, folder, text=commands, inherit=[gate])


def _make_private_folder(folder: str, account: ServerAccount) -> None:
    """Under another name first: who comes at the same time must not see it before it has its owner."""
    parent = os.path.dirname(folder)
    try:
        made = tempfile.mkdtemp(prefix=".crontabber-", dir=parent)
    except OSError as error:
        raise EmbeddedServerError(f"data_dir={folder} cannot be made in {parent}: {error.strerror}") from error
    if account.switched:
        os.chown(made, account.uid, account.gid)
    try:
        os.rename(made, folder)
    except OSError:
        # Somebody else was faster, and his is in use already.
        os.rmdir(made)


def _check_folder(folder: str, account: ServerAccount) -> None:
    found = os.stat(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedServerError(f"data_dir={folder} is no folder: name one that is new or empty")
    names = set(os.listdir(folder)) if os.access(folder, os.R_OK) else set()
    if names - OUR_NAMES and not names & {"PG_VERSION", FINISHED}:
        raise EmbeddedServerError(
            f"data_dir={folder} is not empty and holds no PostgreSQL: name a folder that is new or empty"
        )
    if found.st_uid != account.uid:
        raise EmbeddedServerError(
            f"data_dir={folder} does not belong to {account.name}, as whom PostgreSQL runs here:\n"
            "run crontabber as its owner, or name its owner in run_as (root only), or name a data_dir that is new"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise EmbeddedServerError(
            f"data_dir={folder} is open to other users: chmod 700 it, or name a data_dir that is new"
        )
