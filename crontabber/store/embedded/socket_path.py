"""A name for a folder under which PostgreSQL's client library accepts the socket in it."""

import os
import stat
import tempfile

from crontabber.errors import EmbeddedServerError

PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_PATH_BYTES = 107
LINK_NAME = "data"


def socket_directory(folder: str) -> str:
    """The folder itself, or a link to it where its path is too long for a socket or reads as a list of hosts.

    The link has the same name for every process of a user, and lies in a directory that only that user can enter.
    """
    length = len(os.fsencode(os.path.join(folder, SOCKET_NAME)))
    if length <= LONGEST_SOCKET_PATH_BYTES and "," not in folder:
        return folder
    link = os.path.join(_private_directory(folder), LINK_NAME)
    try:
        os.symlink(folder, link)
    except FileExistsError:
        if os.readlink(link) != folder:
            raise EmbeddedServerError(f"{link} leads elsewhere than to data_dir={folder}: remove it") from None
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
            f"{directory} is not a private directory of ours: remove it, or choose a data_dir with a shorter path"
        )
