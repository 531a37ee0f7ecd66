"""Tests: those beside this file need no database, those in integration/ run real processes against a real one."""
