"""--sentrytest: send a test message to Sentry."""

from typing import Any

from crontabber.commands import Application
from crontabber.engine.sentry import Sentry


def command(app: Any) -> None:
    app.sentrytest()


def sentrytest(app: Application) -> None:
    """Send a test message. SentryConfigurationError without a usable DSN, SentryDeliveryError if sending fails."""
    Sentry.configured(app.config, app.app_version, app.load_raven).send_test()
