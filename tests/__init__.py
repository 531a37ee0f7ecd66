"""Tests: those beside this file need no database, those in integration/ run real processes against a real one."""

# Before any test module imports configman, which needs it.
import crontabber  # noqa: F401
