"""Jobs that need nothing but Python."""

import datetime
import time

from configman import Namespace

from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app


class Greeting(BaseCronApp):
    """The simplest job: a name and a run()."""

    app_name = "greeting"

    def run(self):
        self.config.logger.info("Good %s!", "morning" if datetime.datetime.now().hour < 12 else "day")


class Reply(BaseCronApp):
    """Runs after greeting, and only if greeting succeeded."""

    app_name = "reply"
    depends_on = ("greeting",)

    def run(self):
        self.config.logger.info("Good day to you, too!")


class Broken(BaseCronApp):
    """Fails every time: it is retried, and the jobs that depend on it are held back."""

    app_name = "broken"

    def run(self):
        raise RuntimeError("this job fails on purpose")


class Waiting(BaseCronApp):
    """Waits for broken to succeed, which it never does."""

    app_name = "waiting"
    depends_on = ("broken",)

    def run(self):
        self.config.logger.info("At last!")


@as_backfill_cron_app
class DailyReport(BaseCronApp):
    """Runs once for each date, including those that were missed while the machine was off."""

    app_name = "daily-report"

    def run(self, date):
        self.config.logger.info("The report of %s", date.strftime("%A, %d %B %Y"))


class Configured(BaseCronApp):
    """Has its own setting: see [[class-Configured]] in crontabber.ini."""

    app_name = "configured"
    required_config = Namespace()
    required_config.add_option("date_format", default="%Y-%m-%d", doc="how to write the date")

    def run(self):
        self.config.logger.info("Today is %s", datetime.date.today().strftime(self.config.date_format))


class Office(BaseCronApp):
    """Runs on weekdays at eight in Berlin: see its cron expression in crontabber.ini."""

    app_name = "office"

    def run(self):
        self.config.logger.info("The office is open")


class Hanging(BaseCronApp):
    """Never ends: its policy ends it after two seconds, and gives up after three failures."""

    app_name = "hanging"
    policy = {"timeout": "2s", "error_retry_factor": 2, "max_errors": 3}

    def run(self):
        time.sleep(3600)
