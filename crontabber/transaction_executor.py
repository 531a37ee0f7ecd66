"""Run a function in a transaction: committed if it returns, rolled back whatever it raises, retried if that may help.

A connection source is a callable that returns a context manager for a connection. Its `close_connection(connection,
force)` closes one, and its `is_operational_exception(error)` alone decides whether a new one may help.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property, wraps
from itertools import chain, repeat
from math import ceil
from typing import Any

from configman import Namespace, RequiredConfig
from psycopg2.extensions import TRANSACTION_STATUS_INERROR

from crontabber.dbapi2_util import DBApiUtilNonFatalBaseException
from crontabber.errors import CrontabberError
from crontabber.rules.text import one_line


def string_to_list_of_ints(text: str) -> list[int]:
    """Parse "10, 30" into [10, 30]: at least one number, none below zero. CrontabberError otherwise."""
    try:
        numbers = [int(part) for part in text.strip("[] ").split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0:
        raise CrontabberError(f"backoff_delays: {text!r} is not a list of seconds: expected, for example, 10, 30, 60")
    return numbers


class TransactionExecutor(RequiredConfig):
    """`executor(function, *args)` calls `function(connection, *args)` in a transaction of its own, once."""

    required_config = Namespace()

    def __init__(
        self, config: Any, connection_source: Any, quit_check_callback: Callable[[], Any] | None = None
    ) -> None:
        """`quit_check_callback` is called every second between attempts. It may raise to end the wait."""
        self.config = config
        self.connection_source = connection_source
        self.quit_check = quit_check_callback or _go_on

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns. If the commit fails, there is no retry: it may have taken effect."""
        delays = iter(self.backoff_generator())
        while True:
            with ExitStack() as context:
                try:
                    connection = context.enter_context(self.connection_source())
                    with self._rolled_back_on_error(connection):
                        result = function(connection, *args, **kwargs)
                except Exception as error:
                    delay = next(delays, None) if self._is_operational(error) else None
                    if delay is None:
                        self._log_failure(error)
                        raise
                    self._log_retry(error, delay)
                else:
                    self._commit(connection)
                    return result
            self.responsive_sleep(delay, f"waiting to retry ({self.connection_source_type})")

    @cached_property
    def connection_source_type(self) -> str:
        """The name of the class that connects."""
        return type(self.connection_source).__name__

    def backoff_generator(self) -> Iterator[float]:
        """Yield the seconds to wait before each retry: there is none."""
        return iter(())

    def responsive_sleep(self, seconds: float, wait_reason: str = "") -> None:
        """Sleep, but call the quit check each second. Log the reason every `wait_log_interval` seconds."""
        interval = self._wait_log_interval()
        for second in range(ceil(seconds)):
            if interval and second and second % interval == 0:
                self.config.logger.debug("%s: %d of %g s", wait_reason or "waiting", second, seconds)
            self.quit_check()
            time.sleep(min(1, seconds - second))

    def _wait_log_interval(self) -> int:
        try:
            return int(self.config.wait_log_interval)
        except (AttributeError, KeyError):
            return 0  # Only the executors that retry have this option; a subclass of another one may wait, too.

    def _log_retry(self, error: Exception, delay: float) -> None:
        """Log an error that is not raised. In a tick only at INFO: what becomes of the job is logged anyway."""
        logger = self.config.logger
        log = logger.info if _belongs_to_crontabber(logger) else logger.warning
        log("%s; retrying in %g s", _in_one_line(error), delay)

    def _log_failure(self, error: Exception) -> None:
        """Log an error that is raised. In a tick only at DEBUG: crontabber itself logs the failure of the job."""
        if isinstance(error, DBApiUtilNonFatalBaseException):
            return
        with suppress(Exception):  # A job class that is tried out by itself may have no logger.
            logger = self.config.logger
            log = logger.debug if _belongs_to_crontabber(logger) else logger.error
            log("the transaction failed and is rolled back", exc_info=True)

    def _commit(self, connection: Any) -> None:
        try:
            with self._rolled_back_on_error(connection):
                if _has_failed(connection):
                    self.config.logger.warning("an error in this transaction was ignored, so all of it is rolled back")
                connection.commit()
        except Exception as error:
            self._log_failure(error)
            raise

    @contextmanager
    def _rolled_back_on_error(self, connection: Any) -> Iterator[None]:
        """Roll back on any error. Close a connection that caused the error, or that cannot even roll back."""
        try:
            yield
        except BaseException as error:
            if self._is_operational(error) or not _rolled_back(connection):
                self.connection_source.close_connection(connection, force=True)
            raise

    def _is_operational(self, error: BaseException) -> bool:
        if isinstance(error, DBApiUtilNonFatalBaseException):
            return False
        return bool(self.connection_source.is_operational_exception(error))


class TransactionExecutorWithInfiniteBackoff(TransactionExecutor):
    """Retry until it works: after each of the delays, and then after the last one again and again."""

    required_config = Namespace()
    required_config.add_option(
        "backoff_delays",
        default="10, 30, 60, 120, 300",
        from_string_converter=string_to_list_of_ints,
        doc="seconds to wait before each retry when the database cannot be reached",
    )
    required_config.add_option(
        "wait_log_interval", default=10, doc="seconds between log lines while waiting; 0: no lines"
    )

    def backoff_generator(self) -> Iterator[float]:
        """Yield the seconds to wait before each retry."""
        delays = self.config.backoff_delays
        return chain(delays, repeat(delays[-1]))


class TransactionExecutorWithLimitedBackoff(TransactionExecutorWithInfiniteBackoff):
    """Retry after each of the delays, then raise the error of the database."""

    def backoff_generator(self) -> Iterator[float]:
        """Yield the seconds to wait before each retry."""
        return iter(self.config.backoff_delays)


def database_transaction(transaction_object_name: str = "transaction_executor") -> Callable[..., Any]:
    """Decorate a method that takes a connection as its first argument: each call runs in a transaction of the executor
    in this attribute of the object."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def in_transaction(self: Any, *args: Any, **kwargs: Any) -> Any:
            def with_connection(connection: Any) -> Any:
                return method(self, connection, *args, **kwargs)

            return getattr(self, transaction_object_name)(with_connection)

        return in_transaction

    return decorate


def _belongs_to_crontabber(logger: Any) -> bool:
    """True in a tick: crontabber's lines about the job reach the same handlers."""
    return getattr(logger, "belongs_to_crontabber", None) is True


def _go_on() -> None:
    """The default quit check: never ends the wait."""


def _has_failed(connection: Any) -> bool:
    """True if a commit would roll back: PostgreSQL does so after an error, and psycopg2 does not say so."""
    status = getattr(connection, "get_transaction_status", None)
    return status is not None and status() == TRANSACTION_STATUS_INERROR


def _rolled_back(connection: Any) -> bool:
    try:
        connection.rollback()
    except Exception:
        return False
    return True


def _in_one_line(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}")
