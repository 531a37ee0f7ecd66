"""Debian's cron, and a mail system that keeps every mail in a folder."""

import subprocess
from pathlib import Path

SENDMAIL = Path("/usr/sbin/sendmail")
KEEP_MAIL = """#!/bin/sh
# For the end-to-end tests of crontabber.
cat >"{folder}/$$.mail"
"""


class CronDaemon:
    """Runs the crontab of one user. A daemon that is running already is used, and left running."""

    def __init__(self, user: str, folder: Path) -> None:
        self._user = user
        self._mail = folder / "mail"

    def start(self, crontab: str) -> None:
        self._mail.mkdir()
        self._mail.chmod(0o1777)
        SENDMAIL.write_text(KEEP_MAIL.format(folder=self._mail))
        SENDMAIL.chmod(0o755)
        subprocess.run(["crontab", "-u", self._user, "-"], input=crontab, text=True, check=True)
        # It ends at once if there is one already.
        self._daemon = subprocess.Popen(["cron", "-f"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def mails(self) -> list[str]:
        return [path.read_text() for path in self._mail.glob("*.mail")]

    def stop(self) -> None:
        subprocess.run(["crontab", "-u", self._user, "-r"], check=False, capture_output=True)
        if hasattr(self, "_daemon"):
            self._daemon.terminate()
            self._daemon.wait(10)
            SENDMAIL.unlink(missing_ok=True)
