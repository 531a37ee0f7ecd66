"""Find a path for a folder that PostgreSQL's client library accepts for the socket in it."""

import os
import stat
import tempfile

from crontabber.errors import EmbeddedServerError

PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_PATH_BYTES = 107
LINK_NAME = "data"


def socket_directory(folder: str) -> str:
    """Return the folder, or a link to it if its path is too long for a socket or looks like a list of hosts.

    All processes of a user get the same link, in a directory that only this user can enter.
    """
    length = len(os.fsencode(os.path.join(folder, SOCKET_NAME)))
    if length <= LONGEST_SOCKET_PATH_BYTES and "," not in folder:
        return folder
    link = os.path.join(_private_directory(folder), LINK_NAME)
    try:
        os.symlink(folder, link)
    except FileExistsError:
        if os.readlink(link) != folder:
            raise EmbeddedServerError(f"{link} does not point to data_dir={folder}: remove that link") from None
    return link


def _private_directory(folder: str) -> str:
    import hashlib  # only such paths need it

    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    name = f"crontabber-{os.geteuid()}-{digest}"
    longest_parent = LONGEST_SOCKET_PATH_BYTES - len(os.path.join("", name, LINK_NAME, SOCKET_NAME)) - 1
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > longest_parent or "," in parent:
        parent = "/tmp"
    directory = os.path.join(parent, name)
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        _check_private(directory)
    return directory


def _check_private(directory: str) -> None:
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise EmbeddedServerError(
            f"{directory} is not a private directory of this user: remove it, or choose a data_dir with a shorter path"
        )
