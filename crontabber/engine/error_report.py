"""Report what jobs raise to Sentry."""

from collections.abc import Callable
from functools import cache
from typing import Any

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


def dsn_in(config: Any) -> str:
    """Return the DSN of a configuration, or an empty text; `sentry.dsn` wins over `secrets.sentry.dsn`."""
    places = (config.get("sentry"), (config.get("secrets") or {}).get("sentry"))
    return next((str(options["dsn"]).strip() for options in places if options and options.get("dsn")), "")
