"""Jobs that raise odd errors, and jobs that change the process that runs them."""

import asyncio
import datetime
import locale
import logging.config
import os
import signal
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

from crontabber.base import BaseCronApp
from crontabber.errors import StateDatabaseError
from crontabber.mixins import as_single_postgres_transaction, using_postgres, with_postgres_connection_as_argument
from tests.jobs import Noting, note

DEPTH = 100_000
MESSAGE = 10_000_000


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no str")

    __repr__ = __str__


class Rude(Exception):
    def __str__(self):
        raise SystemExit("no str")


class SaysNothing(BaseCronApp):
    app_name = "says-nothing"

    def run(self):
        raise Unspeakable()


class EndsWhoeverAsks(BaseCronApp):
    app_name = "ends-whoever-asks"

    def run(self):
        raise Rude()


class Nul(BaseCronApp):
    app_name = "nul"

    def run(self):
        raise ValueError("a\0b")


class Surrogate(BaseCronApp):
    app_name = "surrogate"

    def run(self):
        raise ValueError("a\ud800b")


class Long(BaseCronApp):
    app_name = "long"

    def run(self):
        raise ValueError("x" * MESSAGE)


def dive(depth):
    if not depth:
        raise ValueError("the bottom")
    dive(depth - 1)


class Deep(BaseCronApp):
    """Recurse on a thread with enough stack for Pythons that use the C stack for this."""

    app_name = "deep"

    def run(self):
        sys.setrecursionlimit(DEPTH + 10_000)
        threading.stack_size(512 * 1024 * 1024)
        try:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(dive, DEPTH).result()
        finally:
            threading.stack_size(0)
            sys.setrecursionlimit(1000)


class Endless(BaseCronApp):
    app_name = "endless"

    def run(self):
        self.run()


class Group(BaseCronApp):
    app_name = "group"

    def run(self):
        if sys.version_info < (3, 11):
            raise ValueError("two at once")
        raise ExceptionGroup("two at once", [ValueError("one"), KeyError("other")])  # noqa: F821


class Exit3(BaseCronApp):
    app_name = "exit-3"

    def run(self):
        sys.exit(3)


class Exit0(BaseCronApp):
    app_name = "exit-0"

    def run(self):
        sys.exit(0)


class OutOfMemory(BaseCronApp):
    app_name = "out-of-memory"

    def run(self):
        bytearray(1 << 62)


class Cancelled(BaseCronApp):
    app_name = "cancelled"

    def run(self):
        raise asyncio.CancelledError()


class ModuleIsGone(BaseCronApp):
    app_name = "module-is-gone"

    def run(self):
        module = types.ModuleType("gone_by_now")
        exec("class Lost(Exception): pass", module.__dict__)
        sys.modules["gone_by_now"] = module
        lost = module.Lost
        del sys.modules["gone_by_now"], module
        raise lost("where from?")


class OurOwnError(BaseCronApp):
    """Raise an error of ours, as a job that uses the state database may."""

    app_name = "our-own-error"

    def run(self):
        raise StateDatabaseError("of the job's own making")


@using_postgres()
@with_postgres_connection_as_argument()
class ClosesItsConnection(BaseCronApp):
    app_name = "closes-its-connection"

    def run(self, connection):
        connection.close()


@using_postgres()
@as_single_postgres_transaction()
class ClosesItsTransaction(BaseCronApp):
    app_name = "closes-its-transaction"

    def run(self, connection):
        connection.close()


@using_postgres()
@as_single_postgres_transaction()
class Commits(BaseCronApp):
    app_name = "commits"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now())")
        connection.commit()


class Forks(BaseCronApp):
    """Leave a child running, which later ends as if it were the job."""

    app_name = "forks"

    def run(self):
        if os.fork() == 0:
            time.sleep(0.5)
            note("child", "forked")
            sys.exit(0)


@using_postgres()
@as_single_postgres_transaction()
class ForksInTransaction(BaseCronApp):
    """Wait for a child that ends first, and ends as a job does."""

    app_name = "forks-in-transaction"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now())")
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0


@using_postgres()
@as_single_postgres_transaction()
class ForksAndFails(BaseCronApp):
    app_name = "forks-and-fails"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (now())")
        child = os.fork()
        if not child:
            raise ValueError("in the child")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


class LeavesAThread(BaseCronApp):
    app_name = "leaves-a-thread"

    def run(self):
        threading.Thread(target=time.sleep, args=(1,)).start()


class MovesAway(BaseCronApp):
    app_name = "moves-away"

    def run(self):
        os.chdir("/")


class SpeaksOtherwise(BaseCronApp):
    app_name = "speaks-otherwise"

    def run(self):
        locale.setlocale(locale.LC_ALL, "C")


class LivesElsewhere(BaseCronApp):
    app_name = "lives-elsewhere"

    def run(self):
        os.environ["TZ"] = "Pacific/Kiritimati"
        time.tzset()


class TakesStdout(BaseCronApp):
    app_name = "takes-stdout"

    def run(self):
        sys.stdout = None


class ClosesStdout(BaseCronApp):
    app_name = "closes-stdout"

    def run(self):
        sys.stdout.close()


class ClosesStderr(BaseCronApp):
    app_name = "closes-stderr"

    def run(self):
        sys.stderr.close()


class ClosesDescriptors(BaseCronApp):
    app_name = "closes-descriptors"

    def run(self):
        os.closerange(3, 200)


class AnswersSignals(BaseCronApp):
    app_name = "answers-signals"

    def run(self):
        signal.set_wakeup_fd(-1)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_DFL)
        signal.alarm(60)


class ConfiguresLogging(BaseCronApp):
    app_name = "configures-logging"

    def run(self):
        logging.config.dictConfig({"version": 1})
        logging.getLogger("crontabber").setLevel(logging.CRITICAL)
        logging.disable()


class CallsFlatly(BaseCronApp):
    app_name = "calls-flatly"

    def run(self):
        sys.setrecursionlimit(40)


class YieldsAText(BaseCronApp):
    app_name = "yields-a-text"

    def main(self):
        yield "soon"


class YieldsADate(BaseCronApp):
    app_name = "gives-a-date"

    def main(self):
        yield datetime.date(2024, 2, 29)


class Uncomparable:
    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = None


class ExitsOddly(BaseCronApp):
    app_name = "exits-oddly"

    def main(self):
        raise SystemExit(Uncomparable())


class Witness(Noting):
    """Run after all the others, and print how they left the process."""

    app_name = "witness"

    def run(self):
        answers = {signal.getsignal(signum).__qualname__ for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        print("stdout", locale.setlocale(locale.LC_CTYPE), time.tzname, sep="|")
        print(sorted(answers), signal.getitimer(signal.ITIMER_REAL)[0], sys.getrecursionlimit())
        super().run()


class Foreign(BaseCronApp):
    app_name = "foreign"

    def run(self):
        raise ValueError("€ é")
