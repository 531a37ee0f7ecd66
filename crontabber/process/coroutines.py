"""Run a coroutine to its end, as asyncio.run does, but do not wait for its clean-up for ever."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from crontabber.process.signals import INTERRUPTION

CLEAN_UP_SECONDS = 5


def run_to_its_end(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what the coroutine returns.

    A signal or a timeout cancels its task. All tasks may then clean up for five seconds, as those may that are left
    when the coroutine has ended. Then the error that stands for the signal is raised.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    runner = _Runner(loop, coroutine)
    try:
        with INTERRUPTION.handed_to(runner.cancel):
            return runner.result()
    finally:
        try:
            runner.end_tasks()
        finally:
            asyncio.set_event_loop(None)
            loop.close()


class _Runner:
    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._loop = loop
        self._task = loop.create_task(coroutine)
        self._error: BaseException | None = None
        self._give_up_at: float | None = None

    def result(self) -> Any:
        try:
            return self._loop.run_until_complete(self._task)
        except (asyncio.CancelledError, RuntimeError):  # the latter if the loop is stopped
            if self._error is None:
                raise
            raise self._error from None

    def cancel(self, error: BaseException) -> None:
        """Called by the handler of a signal, in the midst of the event loop."""
        self._error = self._error or error
        self._give_up_at = self._loop.time() + CLEAN_UP_SECONDS
        self._loop.call_soon_threadsafe(self._loop.call_at, self._give_up_at, self._loop.stop)
        running = asyncio.current_task(self._loop)
        if running is not self._task:
            self._loop.call_soon_threadsafe(self._task.cancel)
        if running is not None:
            # Its code may be waiting for something else than the event loop.
            raise asyncio.CancelledError

    def end_tasks(self) -> None:
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        left = CLEAN_UP_SECONDS if self._give_up_at is None else max(0, self._give_up_at - self._loop.time())
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=left))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
