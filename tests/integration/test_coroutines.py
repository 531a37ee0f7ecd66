"""`async def run` in every kind of job, and what a signal does to it."""

import signal
import time

from tests.support import DatabaseTestCase

JOBS = """
import asyncio
import time
from contextlib import suppress

from crontabber.base import BaseCronApp
from crontabber.mixins import (
    as_backfill_cron_app, as_single_postgres_transaction, using_postgres, with_postgres_connection_as_argument, with_subprocess,
)
from tests.jobs import note


class Plain(BaseCronApp):
    app_name = "plain"

    async def run(self):
        await asyncio.gather(*(self.work(number) for number in range(3)))

    async def work(self, number):
        await asyncio.sleep(0.01 * (3 - number))
        note(number)


@as_backfill_cron_app
class Backfill(BaseCronApp):
    app_name = "backfill"

    async def run(self, date):
        await asyncio.sleep(0)
        note(f"{date:%H}")


@using_postgres()
@with_postgres_connection_as_argument()
class WithConnection(BaseCronApp):
    app_name = "with-connection"

    async def run(self, connection):
        await asyncio.to_thread(connection.cursor().execute, "CREATE TABLE effects AS SELECT 'connection' AS name")
        connection.commit()


@using_postgres()
@as_single_postgres_transaction()
class Transaction(BaseCronApp):
    app_name = "transaction"

    async def run(self, connection):
        await asyncio.sleep(0.01)
        connection.cursor().execute("INSERT INTO effects VALUES ('transaction')")


@using_postgres()
@as_single_postgres_transaction()
class Failing(BaseCronApp):
    app_name = "failing"

    async def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES ('failing')")
        await asyncio.sleep(0)
        raise ValueError("late")


@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
@with_subprocess
class Everything(BaseCronApp):
    app_name = "everything"

    async def run(self, connection, date):
        out = await asyncio.to_thread(self.run_process, "echo everything")
        connection.cursor().execute("INSERT INTO effects VALUES (%s)", (out[1],))


class Leaving(BaseCronApp):
    '''Leaves a task behind.'''

    app_name = "leaving"

    async def run(self):
        asyncio.create_task(self.forgotten())
        await asyncio.sleep(0)

    async def forgotten(self):
        try:
            await asyncio.sleep(60)
        finally:
            note("cleaned up")


class Waiting(BaseCronApp):
    app_name = "waiting"

    async def run(self):
        try:
            open("running", "w").close()
            await self.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
            note("cleaned up")
            raise

    async def wait(self):
        await asyncio.sleep(60)


class WaitingInATask(Waiting):
    async def wait(self):
        await asyncio.gather(asyncio.create_task(asyncio.sleep(60)), asyncio.sleep(60))


class Blocking(Waiting):
    async def wait(self):
        time.sleep(60)


class BlockingInATask(Waiting):
    async def wait(self):
        await asyncio.create_task(self.block())

    async def block(self):
        time.sleep(60)


class Stubborn(Waiting):
    async def wait(self):
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)


class Child(BaseCronApp):
    app_name = "child"
    depends_on = "waiting"

    async def run(self):
        note("child")
"""


class TestCoroutines(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("coroutines", JOBS)

    def tick(self, *names, **options):
        self.ini("\n".join(f"coroutines.{name}|1h" for name in names), **options)
        tick = self.crontabber()
        self.assertEqual(tick.returncode, 0, tick.stderr)
        return tick

    def test_a_job_may_be_a_coroutine(self):
        self.tick("Plain", "Backfill")

        self.assertEqual(self.ran()[1:], ["2", "1", "0"])
        self.assertEqual(self.sql("SELECT app_name FROM crontabber WHERE error_count = 0 ORDER BY 1"), [("backfill",), ("plain",)])

    def test_it_may_have_every_decorator(self):
        self.tick("WithConnection")
        tick = self.tick("Transaction", "Everything", "Failing")

        self.assertEqual(self.sql("SELECT name FROM effects ORDER BY 1"), [("connection",), ("everything",), ("transaction",)])
        self.assertEqual(self.row("failing", "last_error->>'value'"), "late", tick.stderr)

    def test_the_error_points_to_the_code_of_the_job(self):
        self.sql("CREATE TABLE effects (name text)")
        self.tick("Failing")

        self.assertIn('raise ValueError("late")', self.row("failing", "last_error->>'traceback'"))

    def test_a_task_that_is_left_behind_is_cancelled(self):
        tick = self.tick("Leaving")

        self.assertEqual(self.ran(), ["cleaned up"])
        self.assertNotIn("pending", tick.stderr)

    def test_a_signal_cancels_it_and_waits_for_its_clean_up(self):
        for name in ("Waiting", "WaitingInATask", "Blocking", "BlockingInATask"):
            with self.subTest(name):
                process = self.start_job(name)

                process.terminate()

                stderr = process.communicate(timeout=30)[1]
                self.assertEqual(process.returncode, 143, stderr)
                self.assertEqual(self.ran(), ["cleaned up"], stderr)
                self.assertEqual(self.row("waiting", "last_error->>'value'"), "stopped by SIGTERM")
                self.assertNotIn("never retrieved", stderr)

    def test_a_clean_up_that_does_not_end_is_not_waited_for(self):
        process = self.start_job("Stubborn")
        started = time.monotonic()

        process.send_signal(signal.SIGTERM)

        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 143)
        self.assertEqual(self.row("waiting", "last_error->>'value'"), "stopped by SIGTERM")
        self.assertLess(time.monotonic() - started, 30)

    def start_job(self, name):
        self.empty_the_database()
        (self.folder / "running").unlink(missing_ok=True)
        self.ini(f"coroutines.{name}|1h\ncoroutines.Child|1h")
        process = self.start()
        self.wait_for("running")
        time.sleep(0.1)  # until it waits
        return process
