"""What a job raised, as text that can always be stored: whatever the exception does to whoever looks at it."""

import traceback
from collections.abc import Callable

from crontabber.rules.job_state import Failure

# Characters of a traceback or a message that are kept: half of them from each end.
LIMIT = 64 * 1024


def failure_of(error: BaseException, mask: Callable[[str], str] = str) -> Failure:
    """The failure that `error` is. `mask` takes secrets out of a text. Never raises an Exception."""
    error_type = type(error)
    return Failure(
        type=_storable(_attempt(lambda: repr(error_type), "<an exception class whose repr() raises>"), mask),
        value=_storable(_attempt(lambda: str(error), "<an exception whose str() raises>"), mask),
        traceback=_storable(_attempt(lambda: _formatted(error), "<a traceback that cannot be formatted>"), mask),
    )


def storable(text: str) -> str:
    """`text` without what PostgreSQL refuses (NUL, lone surrogates), which is escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def _storable(text: str, mask: Callable[[str], str]) -> str:
    return storable(mask(_both_ends(text)))


def _both_ends(text: str) -> str:
    if len(text) <= LIMIT:
        return text
    half = LIMIT // 2
    return f"{text[:half]}\n... {len(text) - LIMIT} characters left out ...\n{text[-half:]}"


def _formatted(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip("\n")


def _attempt(describe: Callable[[], str], otherwise: str) -> str:
    try:
        return describe()
    except Exception:  # The exception's own code ran, or memory did not suffice.
        return otherwise
