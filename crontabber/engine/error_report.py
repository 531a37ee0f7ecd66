"""Report what jobs raise to Sentry."""

from collections.abc import Callable
from functools import cache
from typing import Any

from crontabber.engine.dsn import dsn_in
from crontabber.errors import RetryLater


def error_reporter(app: Any) -> Callable[[BaseException, str], None]:
    """Return a reporter that creates its only Sentry at the first error: a Sentry adds up the time that it takes.

    Without a DSN it imports nothing: after a MemoryError, an import may fail.
    """

    @cache
    def sentry() -> Any:
        from crontabber.engine.sentry import Sentry

        return Sentry.configured(app.config, app.app_version, app.load_raven)

    def report(error: BaseException, app_name: str) -> None:
        if isinstance(error, RetryLater) or not dsn_in(app.config):
            return
        try:
            sentry().report(error, app_name)
        except Exception:
            app.config.logger.debug("Failed to capture and send error to Sentry", exc_info=True)

    return report
