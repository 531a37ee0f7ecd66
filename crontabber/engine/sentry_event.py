"""Clean what a client of Sentry is about to send, without changing the event that it has made."""

from collections.abc import Callable
from typing import Any

# Identifiers that the server files an event under; nothing in them comes from a job.
_NOT_TEXT = ("event_id", "platform", "project", "release", "sdk", "tags", "timestamp")
# The lines of a frame's source, which may contain anything.
_SOURCE = ("pre_context", "context_line", "post_context")


def cleaned(event: dict[str, Any], clean: Callable[[str], str], send_source: bool) -> dict[str, Any]:
    """Return `event` with every text except the identifiers cleaned, and without lines of source if they are not to be
    sent."""
    dropped = () if send_source else _SOURCE
    return {key: value if key in _NOT_TEXT else _cleaned(value, clean, dropped) for key, value in event.items()}


def _cleaned(value: Any, clean: Callable[[str], str], dropped: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(each, clean, dropped) for key, each in value.items() if key not in dropped}
    if isinstance(value, (list, tuple)):
        return [_cleaned(each, clean, dropped) for each in value]
    # Any other object is sent as text.
    return value if value is None or isinstance(value, (int, float)) else clean(str(value))
