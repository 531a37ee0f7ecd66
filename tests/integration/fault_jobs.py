"""Jobs for the tests of faults. They leave notes in the current directory, and wait for notes from the test."""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

from psycopg2 import IntegrityError

from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app, as_single_postgres_transaction, using_postgres, with_subprocess
from crontabber.store import insistence
from tests.jobs import Noting, note

NAPS = 20
ALL_NAPS = [f"nap-{number:02}" for number in range(1, NAPS + 1)]
NAP_ENTRIES = [f"Nap{number:02}|1h" for number in range(1, NAPS + 1)]


def wait_for(name):
    """Wait for a note; the end of the test also ends the wait, because it removes the folder."""
    while not Path(name).exists():
        os.getcwd()
        time.sleep(0.01)


class Nap(BaseCronApp):
    def run(self):
        time.sleep(0.3)
        note(self.app_name)


for number in range(1, NAPS + 1):
    globals()[f"Nap{number:02}"] = type(f"Nap{number:02}", (Nap,), {"app_name": f"nap-{number:02}"})


class Relative(BaseCronApp):
    """Note its start, and its end shortly before that is stored."""

    def run(self):
        note(f"start {self.app_name}")
        time.sleep(random.random() / 20)
        note(f"done {self.app_name}")


FAMILY = {
    "a": (), "b": (), "c": ("a",), "d": ("a", "b"), "e": ("b",), "f": ("c", "d"), "g": ("d", "e"), "h": ("f", "g"), "i": ("a",), "j": ("b", "i"),
}  # fmt: skip
for name, parents in FAMILY.items():
    globals()[f"Relative{name.upper()}"] = type(f"Relative{name.upper()}", (Relative,), {"app_name": name, "depends_on": parents})


class Patient(BaseCronApp):
    """Run until the test lets it end."""

    app_name = "patient"

    def run(self):
        note(os.getpid(), "running")
        wait_for("enough")
        note(self.app_name)


class PatientToo(BaseCronApp):
    app_name = "patient-too"

    def run(self):
        note(os.getpid(), "running-too")
        wait_for("enough-too")


class ChildOfPatient(Noting):
    app_name = "child-of-patient"
    depends_on = "patient"


class Other(Noting):
    app_name = "other"


class Another(Noting):
    app_name = "another"


@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
class Dates(BaseCronApp):
    """Insert one row per date, in the transaction that also records the date as done."""

    app_name = "dates"

    def run(self, connection, date):
        time.sleep(0.008)
        connection.cursor().execute("INSERT INTO effects VALUES (%s)", (date,))
        time.sleep(0.008)


@using_postgres()
@as_single_postgres_transaction()
class InOneTransaction(BaseCronApp):
    app_name = "in-one-transaction"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now())")
        note(os.getpid(), "running")
        wait_for("enough")


@using_postgres()
@as_single_postgres_transaction()
class RefusedAtCommit(BaseCronApp):
    """Violate a deferred constraint, which is checked only at the commit."""

    app_name = "refused-at-commit"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now()), (now())")


class RefusedAtCommitInSilence(RefusedAtCommit):
    """Hide the refused commit."""

    app_name = "refused-in-silence"

    def main(self, *args, **kwargs):
        with suppress(IntegrityError):
            yield from super().main(*args, **kwargs)


@using_postgres()
@as_single_postgres_transaction()
class EndedAfterCommit(BaseCronApp):
    app_name = "ended-after-commit"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now())")

    def main(self, *args, **kwargs):
        for success in super().main(*args, **kwargs):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
            yield success


@using_postgres()
@as_single_postgres_transaction()
class ExitsInTransaction(BaseCronApp):
    app_name = "exits-in-transaction"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now())")
        raise SystemExit(0)


@using_postgres()
@as_single_postgres_transaction()
class WaitsForALock(BaseCronApp):
    app_name = "waits-for-a-lock"

    def run(self, connection):
        note(os.getpid(), "running")
        connection.cursor().execute("LOCK TABLE obstacle")


@with_subprocess
class RunsAnother(BaseCronApp):
    app_name = "runs-another"

    def run(self):
        self.run_process("echo $$ > running; sleep 60")


class Stubborn(BaseCronApp):
    """Ignore every request to end."""

    app_name = "stubborn"

    def run(self):
        while True:
            try:
                note(os.getpid(), "running")
                time.sleep(60)
            except KeyboardInterrupt:
                note("no", "refused")


class Tidy(BaseCronApp):
    """Take a moment to end."""

    app_name = "tidy"

    def run(self):
        try:
            note(os.getpid(), "running")
            time.sleep(60)
        finally:
            note("", "tidying")
            time.sleep(0.5)
            note("tidied")


class LeavesAChild(BaseCronApp):
    """Fork a child on the first run; it runs until the test lets it end."""

    app_name = "leaves-a-child"

    def run(self):
        if Path("running").exists():
            return
        if os.fork() == 0:
            for stream in (1, 2):  # Otherwise the test would wait until the child closes them.
                os.close(stream)
            try:
                wait_for("enough")
            finally:
                os._exit(0)
        note(os.getpid(), "running")
        time.sleep(60)


class ForksLater(BaseCronApp):
    """Leave a child behind once the test asks for it."""

    app_name = "forks-later"

    def run(self):
        note(os.getpid(), "running")
        wait_for("fork")
        if os.fork() == 0:
            for stream in (1, 2):  # Otherwise the test would wait until the child closes them.
                os.close(stream)
            try:
                wait_for("enough")
            finally:
                os._exit(0)
        note("", "forked")
        time.sleep(60)


class Zealous(Noting):
    app_name = "zealous"


class Deaf(BaseCronApp):
    """Ignore a request to end, and finish."""

    app_name = "deaf"

    def run(self):
        while True:
            try:
                note(os.getpid(), "running")
                wait_for("enough")
                break
            except KeyboardInterrupt:
                note("no", "refused")
        note(self.app_name)


@as_backfill_cron_app
class PatientDates(BaseCronApp):
    """Do one date, then wait."""

    app_name = "patient-dates"

    def run(self, date):
        if Path("one-done").exists():
            note(os.getpid(), "running")
            wait_for("enough")
        note(f"{date:%Y-%m-%d}")
        Path("one-done").touch()


class Translator(Patient):
    """Raise an error of its own when it is interrupted, as libraries do."""

    app_name = "translator"

    def run(self):
        try:
            super().run()
        except KeyboardInterrupt as error:
            raise OSError("the connection was closed") from error


class TwoSeconds(BaseCronApp):
    app_name = "two-seconds"

    def run(self):
        time.sleep(2)
        note(self.app_name)


class PatientFailure(Patient):
    app_name = "patient-failure"

    def run(self):
        super().run()
        raise ValueError("No more patience")


class Hasty:
    """Make its process wait only one second for its server, not a minute."""

    def run(self):
        insistence.PATIENCE_SECONDS = 1
        super().run()


class HastyPatient(Hasty, Patient):
    pass


class HastyPatientFailure(Hasty, PatientFailure):
    pass
