"""Job classes that the tests configure or inherit from."""

from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app


def note(text, file="ran.txt"):
    """Add a line to a file in the current folder. It stays whole even if many processes write at once."""
    from pathlib import Path  # test_imports sees what a tick imports, its jobs included

    with Path(file).open("ab", buffering=0) as notes:
        notes.write(f"{text}\n".encode())


class Noting(BaseCronApp):
    """Notes that it has run: `ran()` of a DatabaseTestCase reads that."""

    notes = "ran.txt"

    def run(self, *arguments):
        note(self.what_to_note(*arguments), self.notes)

    def what_to_note(self, *arguments):
        return self.app_name


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
