"""Report what jobs raise to Sentry."""

from collections.abc import Callable
from functools import cache
from typing import Any

from crontabber.errors import RetryLater


def error_reporter(app: Any) -> Callable[[BaseException, str], None]:
    """Return a reporter that creates its only Sentry at the first error: a Sentry adds up the time that it takes."""

    @cache
    def sentry() -> Any:
        from crontabber.engine.sentry import Sentry

        return Sentry.configured(app.config, app.app_version, app.load_raven)

    def report(error: BaseException, app_name: str) -> None:
        if not isinstance(error, RetryLater):
            sentry().report(error, app_name)

    return report
