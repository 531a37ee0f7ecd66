"""crontabber as cron and Nagios run it. Not part of a run of all tests: tests/e2e/run.sh starts these."""
