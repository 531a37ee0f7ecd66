"""The garbage collector, kept from looking again and again through what lives as long as the process.

Modules and the configuration of 1,000 jobs are some 200,000 objects. To look through them while they are made, and once
more at the very end, takes longer than to find out that nothing is due.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def made_to_last() -> Iterator[None]:
    """Within, nothing is collected. What is there at the end of it is not looked at again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def look_at_all() -> None:
    """What was made to last may be collected like anything else: it is going to be made anew."""
    gc.unfreeze()
