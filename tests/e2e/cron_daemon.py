"""Debian's cron, with its own crontab and mail system: those of the machine stay untouched.

Only this daemon and the processes that it starts see the replacements of the machine's files.
"""

import grp
import os
import subprocess
from pathlib import Path

SENDMAIL = Path("/usr/sbin/sendmail")
KEEP_MAIL = """#!/bin/sh
# For the end-to-end tests of crontabber.
cat >"{folder}/mail/$$.mail"
"""
START = """
mount --bind spool /var/spool/cron/crontabs
mount --bind nothing /etc/cron.d
mount --bind /dev/null /etc/crontab
mount --bind sendmail "$(readlink -f /usr/sbin/sendmail)"
# Here a daemon leaves its PID file, so that only one runs.
mount -t tmpfs none /run
crontab -u "$1" crontab
exec cron -f
"""


class CronDaemon:
    """Runs the crontab of one user."""

    def __init__(self, user: str, folder: Path) -> None:
        self._user = user
        self._folder = folder / "cron-daemon"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._made_sendmail = False

    def start(self, crontab: str) -> None:
        for name, mode in (("", 0o755), ("mail", 0o1777), ("nothing", 0o755), ("spool", 0o1730)):
            place = self._folder / name
            place.mkdir()
            place.chmod(mode)
        os.chown(self._folder / "spool", 0, grp.getgrnam("crontab").gr_gid)
        (self._folder / "sendmail").write_text(KEEP_MAIL.format(folder=self._folder))
        (self._folder / "sendmail").chmod(0o755)
        (self._folder / "crontab").write_text(crontab)
        if not SENDMAIL.exists():
            SENDMAIL.touch()
            self._made_sendmail = True
        command = ["unshare", "--mount", "sh", "-ec", START, "sh", self._user]
        self._daemon = subprocess.Popen(command, cwd=self._folder, stdin=subprocess.DEVNULL)

    def mails(self) -> list[str]:
        return [path.read_text() for path in (self._folder / "mail").glob("*.mail")]

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait(10)
        if self._made_sendmail:
            SENDMAIL.unlink()
