"""What a job raised, as text that can be stored and as an exception that can be sent, whatever its own code does."""

from collections.abc import Callable
from types import TracebackType

from crontabber.errors import OURS
from crontabber.rules.job_state import Failure
from crontabber.rules.text import both_ends
from crontabber.store.rows import storable

# Characters of a traceback or a message that are kept: half of them from each end.
LIMIT = 64 * 1024
# Exceptions of a chain of causes that are sent.
CHAIN = 10

UNSPEAKABLE = "<an exception whose str() raises>"
NAMELESS = "<an exception class whose name raises>"


def failure_of(error: BaseException, mask: Callable[[str], str] = str) -> Failure:
    """The failure that `error` is. `mask` takes secrets out of a text. Never raises anything."""
    error_type = type(error)
    return Failure(
        type=_storable(_attempt(lambda: repr(error_type), "<an exception class whose repr() raises>"), mask),
        value=_storable(_attempt(lambda: str(error), UNSPEAKABLE), mask),
        traceback=_storable(_attempt(lambda: _formatted(error), "<a traceback that cannot be formatted>"), mask),
    )


def as_text(failure: Failure) -> str:
    """The failure as Python itself would show it."""
    return f"Traceback (most recent call last):\n{failure.traceback}\n{failure.type}: {failure.value}"


def harmless_copy(error: BaseException, clean: Callable[[str], str]) -> BaseException:
    """Return a copy of `error` and its causes that runs none of their code: same names and frames, texts made `clean`.

    Call it outside the main thread: a str() may take for ever, and one that calls sys.exit() becomes a text.
    """
    copy: BaseException | None = None
    for each in reversed(_chain(error)):
        copy = _copy(each, copy, clean)
    return copy  # type: ignore[return-value]


def _chain(error: BaseException) -> list[BaseException]:
    """Return `error` and, latest first, what a traceback would show as its causes."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and len(chain) < CHAIN and not any(following is each for each in chain):
        chain.append(following)
        following = following.__cause__ if following.__suppress_context__ else following.__context__
    return chain


def _copy(error: BaseException, cause: BaseException | None, clean: Callable[[str], str]) -> BaseException:
    name = _attempt(lambda: type(error).__name__, NAMELESS)
    module = _attempt(lambda: str(type(error).__module__), NAMELESS)
    text = clean(_attempt(lambda: str(error), UNSPEAKABLE))
    copy: BaseException = type(name, (Exception,), {"__module__": module})(text)
    copy.__cause__ = cause
    return copy.with_traceback(error.__traceback__)


def _storable(text: str, mask: Callable[[str], str]) -> str:
    return storable(both_ends(mask(text), LIMIT))


def _formatted(error: BaseException) -> str:
    """The traceback as --list-jobs shows it, between the heading and the exception that it prints itself."""
    import traceback

    whole = traceback.TracebackException(type(error), error, _from_the_job_on(error.__traceback__))
    text = "".join(whole.format())
    text = text.removeprefix("Traceback (most recent call last):\n")
    return text.removesuffix("".join(whole.format_exception_only())).rstrip("\n")


def _from_the_job_on(frames: TracebackType | None) -> TracebackType | None:
    """Our own frames, which are the same for every job, are left out before the first one of someone else's."""
    frame = frames
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(OURS):
        frame = frame.tb_next
    return frame or frames


def _attempt(describe: Callable[[], str], otherwise: str) -> str:
    try:
        return describe()
    except BaseException:  # The exception's own code ran and raised what it likes, or memory did not suffice.
        return otherwise
