"""Turn what a job raised into text to store, or into a copy to send. The error's own code may do anything."""

from collections.abc import Callable
from types import TracebackType

from crontabber.errors import OURS, JobTimeout
from crontabber.rules.job_state import Failure
from crontabber.rules.text import both_ends, printable
from crontabber.store.rows import storable

# Characters kept of a traceback or a message, half of them from each end.
LIMIT = 64 * 1024
# Of a chain of causes, at most this many exceptions are copied.
CHAIN = 10

UNSPEAKABLE = "<an exception whose str() raises>"
NAMELESS = "<an exception class whose name raises>"


def failure_of(error: BaseException, mask: Callable[[str], str] = str) -> Failure:
    """Return `error` as text; `mask` removes secrets. Never raises."""
    error_type, value = type(error), _attempt(lambda: str(error), UNSPEAKABLE)
    # A repr may quote text that is already quoted, and no mask knows every way to quote. So if the text contains a
    # secret, use the repr of the masked text.
    masked = mask(value)
    shown = _attempt(lambda: repr(error), "<an exception whose repr() raises>")
    if masked != value:
        shown = f"{_attempt(lambda: error_type.__name__, NAMELESS)}({masked!r})"
    return Failure(
        type=_storable(_attempt(lambda: repr(error_type), "<an exception class whose repr() raises>"), mask),
        value=_storable(value, mask),
        traceback=_storable(_attempt(lambda: _formatted(error), "<a traceback that cannot be formatted>"), mask),
        representation=_storable(shown, mask),
    )


def is_success(error: BaseException) -> bool:
    """True for sys.exit(0). The exit code may be any object, and raise when it is compared."""
    try:
        return isinstance(error, SystemExit) and error.code in (0, None)
    except Exception:
        return False


def as_log_text(failure: Failure) -> str:
    """Return the failure as Python itself would print it, but without control characters, and with the further lines of
    its text indented: they might look like lines of the log."""
    value = failure.value.replace("\n", "\n    ")
    return printable(f"Traceback (most recent call last):\n{failure.traceback}\n{failure.type}: {value}", "\n\t")


def harmless_copy(error: BaseException, clean: Callable[[str], str]) -> BaseException:
    """Return a copy of `error` and its causes that runs none of their code: same names and frames, cleaned texts.

    Call it outside the main thread: the str() of an error may never return.
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
    """Return the traceback without its heading and its last line, which --list-jobs prints itself."""
    import traceback

    whole = traceback.TracebackException(type(error), error, _from_first_foreign_frame(error.__traceback__))
    if isinstance(error, JobTimeout):  # A signal handler of ours raised it.
        while len(whole.stack) > 1 and whole.stack[-1].filename.startswith(OURS):
            whole.stack.pop()
    text = "".join(whole.format())
    text = text.removeprefix("Traceback (most recent call last):\n")
    return text.removesuffix("".join(whole.format_exception_only())).rstrip("\n")


def _from_first_foreign_frame(frames: TracebackType | None) -> TracebackType | None:
    """Skip our own frames at the start: they are the same for every job."""
    frame = frames
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(OURS):
        frame = frame.tb_next
    return frame or frames


def _attempt(describe: Callable[[], str], otherwise: str) -> str:
    try:
        return describe()
    except BaseException:  # The exception's own code may raise anything, and memory may run out.
        return otherwise
