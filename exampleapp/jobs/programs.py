"""A job that runs another program."""

from crontabber.base import BaseCronApp
from crontabber.mixins import with_subprocess


@with_subprocess
class DiskSpace(BaseCronApp):
    """Asks df how full the disk is."""

    app_name = "disk-space"

    def run(self):
        exit_code, stdout, stderr = self.run_process(["df", "-h", "."])
        if exit_code != 0:
            raise RuntimeError(stderr)
        self.config.logger.info("df says:\n%s", stdout)
