"""Job classes that the tests configure."""

from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app


class BasicJob(BaseCronApp):
    app_name = "basic-job"

    def run(self):
        self.config.logger.info("Ran %s", type(self).__name__)


class FooJob(BasicJob):
    app_name = "foo"


class BarJob(BasicJob):
    app_name = "bar"
    depends_on = "foo"


class SadJob(BasicJob):
    app_name = "sad"

    def run(self):
        raise ValueError("No more tissues")


class SadChildJob(BasicJob):
    app_name = "sad-child"
    depends_on = ["sad"]


@as_backfill_cron_app
class FooBackfillJob(BasicJob):
    app_name = "foo-backfill"

    def run(self, date):
        self.config.logger.info("Ran for %s", date)
