"""What happens beside the main thread, which may be waiting inside libpq or running a job for hours.

After a signal, every statement is cancelled. Otherwise whoever is on duty looks after something of its own: a statement
of the state that gets no answer, the lock of a job that runs.
"""

from crontabber.process.lookout import ON_DUTY
from crontabber.store.connections import Canceller

_cancel_statements = Canceller()


def patrol(is_urgent: bool) -> None:
    """Do one round. It is urgent if a signal has asked for the end."""
    if is_urgent:
        _cancel_statements()
    for post in list(ON_DUTY):
        post.look()
