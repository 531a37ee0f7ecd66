"""A simulated crontab: real crontabber processes at any time that a test chooses, by libfaketime."""

import glob
import subprocess
import unittest
from datetime import datetime, timezone
from functools import cache
from typing import Any

from tests.support import DatabaseTestCase

PLACES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1")

JOBS = """
import datetime, os, pathlib
from crontabber import datetimeutil
from crontabber.mixins import as_backfill_cron_app
from tests import jobs

HERE = pathlib.Path(__file__).parent


class Noting(jobs.Noting):
    def what_to_note(self, date=None):
        if (HERE / "failing").exists() and self.app_name in (HERE / "failing").read_text().split():
            raise RuntimeError("as asked")
        return "%s %s" % (self.app_name, (date or datetimeutil.utc_now()).isoformat())


class Five(Noting):
    app_name = "five"


class Ten(Noting):
    app_name = "ten"


class Hourly(Noting):
    app_name = "hourly"


class Nightly(Noting):
    app_name = "nightly"


class Weekly(Noting):
    app_name = "weekly"


@as_backfill_cron_app
class Dates(Noting):
    app_name = "dates"


class Earlier(Noting):
    app_name = "a-slow-one"

    def run(self):
        # It takes as long as the file says: move the clock of this process on by that much.
        seconds, clock = HERE / "seconds", pathlib.Path(os.environ["FAKETIME_TIMESTAMP_FILE"])
        start = datetime.datetime.strptime(clock.read_text(), "@%Y-%m-%d %H:%M:%S")
        if seconds.exists():
            clock.write_text(f"@{start + datetime.timedelta(seconds=int(seconds.read_text())):%Y-%m-%d %H:%M:%S}")


class Parent(Noting):
    app_name = "a-parent"


class Child(Noting):
    app_name = "child"
    depends_on = ("a-parent", "a-slow-one")
"""


@cache
def faketime_library() -> str | None:
    found = [path for pattern in PLACES for path in glob.glob(pattern)]
    return found[0] if found else None


class SimulatedCrontab(DatabaseTestCase):
    """`tick(moment)` runs crontabber as if it started at that moment; the server's clock is unchanged."""

    def setUp(self) -> None:
        if faketime_library() is None:
            raise unittest.SkipTest("libfaketime is not installed: apt-get install faketime")
        super().setUp()
        self.write_module("timed", JOBS)
        self.addCleanup(self.sql, f"ALTER DATABASE {self.database()} RESET timezone")

    def database(self) -> str:
        return str(self.sql("SELECT quote_ident(current_database())")[0][0])

    def server_zone(self, zone: str) -> None:
        self.sql(f"ALTER DATABASE {self.database()} SET timezone = %s", (zone,))

    def tick(self, moment: datetime) -> "subprocess.CompletedProcess[str]":
        clock = self.folder / "clock"
        clock.write_text(f"@{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}")
        tick = self.crontabber(
            LD_PRELOAD=faketime_library() or "", FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_NO_CACHE="1", TZ="UTC",
            PGCONNECT_TIMEOUT="6000",
        )  # fmt: skip
        self.assertEqual(tick.returncode, 0, tick.stderr)
        return tick

    def failing(self, *app_names: str) -> None:
        (self.folder / "failing").write_text(" ".join(app_names))

    def ran(self) -> list[Any]:
        """Return (app_name, moment) of each run since the last call; for a backfill job, (app_name, date)."""
        return [(name, datetime.fromisoformat(moment)) for name, moment in map(str.split, super().ran())]
