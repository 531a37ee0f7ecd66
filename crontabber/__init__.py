"""A cron-job runner that keeps its state in PostgreSQL. Importing it makes configman 1.3.0 work on current Python."""

from crontabber import configman_compat

__version__ = "1.1.0"

configman_compat.apply()
