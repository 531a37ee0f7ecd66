"""Send errors to Sentry, by whichever client is configured.

Whatever Sentry, its client or the error do, the tick goes on within a few seconds and nothing appears on stderr.
"""

import os
import re
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from crontabber.engine import sentry_raven
from crontabber.engine.dsn import dsn_in, parse_dsn
from crontabber.engine.errand import Errand
from crontabber.engine.failure import harmless_copy
from crontabber.errors import SentryConfigurationError, SentryDeliveryError
from crontabber.output.secrets import SHORT, SecretMask, masker, secrets_in
from crontabber.rules.text import both_ends
from crontabber.store.rows import storable

# How long all reports of one process together may delay its jobs. The first USUAL_SECONDS of a delivered report do not
# count: many failing jobs are no reason to give up on a Sentry that works.
PATIENCE_SECONDS = 5.0
USUAL_SECONDS = 0.5
# Characters kept of a text, half of them from each end.
CHARACTERS = 8 * 1024

TEST_MESSAGE = "crontabber was asked to test its connection to Sentry"

Clean = Callable[[str], str]


class Sentry:
    """Reports errors. `load_raven` is called when there is something to send, because importing raven takes as long as
    a whole tick; `mask` removes the configuration's secrets from a text; `client` is raven or sentry_sdk."""

    def __init__(
        self, dsn: str | None, release: str, load_raven: Callable[[], ModuleType], logger: Any,
        mask: Callable[[str], str] = str, patience: float = PATIENCE_SECONDS, client: str = "raven",
        send_source: bool = False,
    ) -> None:  # fmt: skip
        self._dsn = (dsn or "").strip()
        self._release = release
        self._load_raven = load_raven
        self._logger = logger
        self._mask = mask
        self._patience = patience
        self._client = client
        self._send_source = send_source

    @classmethod
    def configured(cls, config: Any, release: str, load_raven: Callable[[], ModuleType]) -> "Sentry":
        """Create one from the options in `config`."""
        options = config.get("sentry") or {}
        return cls(
            dsn_in(config), release, load_raven, config.logger, SecretMask(config),
            client=options.get("client") or "raven", send_source=bool(options.get("send_source")),
        )  # fmt: skip

    def report(self, error: BaseException, app_name: str) -> None:
        """Send what the job `app_name` raised, and log the reference. Raises nothing but Interrupted."""
        if not self._dsn or self._patience <= 0:
            return
        try:
            reference = self._send(app_name, lambda client, clean: client.capture_error(harmless_copy(error, clean)))
        except SentryConfigurationError as fault:
            self._patience = 0
            self._logger.warning("%s; errors are not sent to Sentry", fault)
            self._logger.debug("Failed to capture and send error to Sentry", exc_info=True)
        except Exception:
            self._logger.debug("Failed to capture and send error to Sentry", exc_info=True)
        else:
            self._logger.info(f"Error captured in Sentry. Reference: {reference}")

    def send_test(self) -> str:
        """Send a test message, log its identifier and return it.

        SentryConfigurationError without a usable DSN, SentryDeliveryError if it cannot be delivered.
        """
        if not self._dsn:
            raise SentryConfigurationError("cannot test Sentry: sentry.dsn is not set")
        identifier = self._send("sentrytest", lambda client, clean: client.capture_message(TEST_MESSAGE))
        self._logger.info("Sentry successful identifier: %s", identifier)
        return identifier

    def _send(self, app_name: str, capture: Callable[[Any, Clean], Any]) -> str:
        """Have `capture` send something through a client. Return its reference. Errors as in `send_test`, without
        secrets."""
        clean = self._cleaner()
        started = time.monotonic()
        with sentry_raven.quiet(self._logger, clean):
            new_client = self._client_maker()

            def act() -> tuple[Any, Any]:
                client = new_client(self._dsn, self._release, app_name, clean, self._patience, self._send_source)
                return client, capture(client, clean)

            errand = Errand(act, lambda failure: harmless_copy(failure, clean))
            errand.wait_for(self._patience)
            seconds = time.monotonic() - started
            self._use_patience(seconds - USUAL_SECONDS if errand.delivered else seconds)
            if errand.delivered:
                client, captured = errand.result
                return client.reference_of(captured)  # type: ignore[no-any-return]
        said = f"Sentry at {parse_dsn(self._dsn).host} did not accept the report: {errand.reason()}"
        raise SentryDeliveryError(said) from errand.failure

    def _client_maker(self) -> Callable[..., Any]:
        if self._client == "sentry_sdk":
            from crontabber.engine import sentry_sdk_client

            return sentry_sdk_client.Client
        return lambda *arguments: sentry_raven.Client(self._load_raven(), *arguments)

    def _cleaner(self) -> Clean:
        keys = re.split("[:/]+", self._dsn.rpartition("@")[0])[1:]
        keys = [key for key in keys if len(key) >= SHORT]  # those of a test may be single letters
        mask = masker([self._dsn, *keys, *secrets_in(os.environ)])

        def clean(text: str) -> str:
            # Shorten to much more than is kept, mask, then shorten again: so half a secret never remains.
            text = both_ends(text, 8 * CHARACTERS)
            return both_ends(storable(mask(self._mask(text))), CHARACTERS)

        return clean

    def _use_patience(self, seconds: float) -> None:
        self._patience -= max(seconds, 0)
        if self._patience <= 0:
            self._logger.warning("Sentry has delayed the jobs for too long: no more errors are sent to it in this run")
