"""Make configman 1.3.0, which is no longer maintained, work on Python 3.10 and later."""

from crontabber.configman_compat.importing import apply

__all__ = ["apply"]
