"""A copy of an exception that says the same as the original and runs none of its code."""

from collections.abc import Callable
from types import TracebackType

# What is kept: exceptions of a chain of causes, frames of a traceback (half of them from each end).
CHAIN = 10
FRAMES = 50


def harmless_copy(error: BaseException, clean: Callable[[str], str]) -> BaseException:
    """A copy of `error` and of its causes: the same names, the texts as `clean` leaves them, the same frames.

    It can be hashed, asked for its text and walked through, whatever the original does then, or however long that
    takes. To be called outside the main thread: what the original's str() raises, even sys.exit(), becomes a text.
    """
    *causes, last = reversed(_chain(error))
    copy: BaseException | None = None
    for cause in causes:
        copy = _copy(cause, copy, clean)
    return _copy(last, copy, clean)


def _copy(error: BaseException, cause: BaseException | None, clean: Callable[[str], str]) -> BaseException:
    name = _attempt(lambda: type(error).__name__)
    module = _attempt(lambda: str(type(error).__module__))
    copy: BaseException = type(name, (Exception,), {"__module__": module})(clean(_attempt(lambda: str(error))))
    copy.__cause__ = cause
    return copy.with_traceback(_shortened(error.__traceback__))


def _chain(error: BaseException) -> list[BaseException]:
    """`error` and, latest first, what a traceback would show as its causes."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and len(chain) < CHAIN and not any(following is each for each in chain):
        chain.append(following)
        following = following.__cause__ if following.__suppress_context__ else following.__context__
    return chain


def _shortened(traceback: TracebackType | None) -> TracebackType | None:
    steps = []
    while traceback is not None:
        steps.append(traceback)
        traceback = traceback.tb_next
    if len(steps) > FRAMES:
        steps = steps[: FRAMES // 2] + steps[-(FRAMES // 2) :]
    for step in reversed(steps):
        traceback = TracebackType(traceback, step.tb_frame, step.tb_lasti, step.tb_lineno or 0)
    return traceback


def _attempt(describe: Callable[[], str]) -> str:
    try:
        return describe()
    except BaseException as error:
        return f"<{type(error).__name__} when asked>"
