"""Tests with a real PostgreSQL and real processes."""
