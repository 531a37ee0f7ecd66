"""What --configtest finds in job classes: what is sure to fail, and what may be a mistake."""

import functools
import unittest
from contextlib import nullcontext

from crontabber.base import BaseCronApp
from crontabber.config.job_checks import fault_of_run, misspelt_attributes
from crontabber.mixins import (
    as_backfill_cron_app,
    as_single_postgres_transaction,
    using_postgres,
    with_postgres_connection_as_argument,
    with_resource_connection_as_argument,
    with_subprocess,
    with_transactional_resource,
)

FACTORY = "crontabber.connection_factory.ConnectionFactory"


def job(*decorators, base=BaseCronApp, **body):
    """Return a job class with these decorators, the lowest first."""
    job_class = type("Job", (base,), {"__module__": "jobs", **body})
    for decorate in decorators:
        job_class = decorate(job_class)
    return job_class


def takes_connection_itself(function):
    """Call a method with a connection of its own, as decorators of users do."""

    @functools.wraps(function)
    def wrapper(self):
        return function(self, "a connection")

    return wrapper


def adds_an_argument(job_class):
    """Call `run` with one more argument, as decorators of users do."""
    inherited = job_class._run_proxy

    @functools.wraps(inherited)
    def _run_proxy(self, *arguments):
        return inherited(self, "one more", *arguments)

    job_class._run_proxy = _run_proxy
    return job_class


CONNECTION = (using_postgres(), with_postgres_connection_as_argument())
TRANSACTION = (using_postgres(), as_single_postgres_transaction())
BOTH = (*CONNECTION, with_transactional_resource(FACTORY, "archive"), with_resource_connection_as_argument("archive"))


class TestRun(unittest.TestCase):
    maxDiff = None

    def test_a_run_that_cannot_be_called_is_a_fault(self):
        cases = [
            (job(), "jobs: jobs.Job has no run(): write def run(self)"),
            (job(Run=lambda self: None), "jobs: jobs.Job has no run() (did you mean Run?): write def run(self)"),
            (job(as_backfill_cron_app), "jobs: jobs.Job has no run(): write def run(self, date)"),
            (
                job(as_backfill_cron_app, run=lambda self: None),
                "jobs: jobs.Job: its run() cannot be called (too many positional arguments): write def run(self, date)",
            ),
            (
                job(run=lambda self, date: None),
                "jobs: jobs.Job: its run() cannot be called (missing a required argument: 'date'): write def run(self)",
            ),
            (
                job(*CONNECTION, run=lambda self: None),
                "jobs: jobs.Job: its run() cannot be called (too many positional arguments): write def run(self, connection)",
            ),
            (
                job(*TRANSACTION, as_backfill_cron_app, run=lambda self, connection: None),
                "jobs: jobs.Job: its run() cannot be called (too many positional arguments):"
                " write def run(self, connection, date)",
            ),
            (
                job(*BOTH, as_backfill_cron_app, run=lambda self, connection: None),
                "jobs: jobs.Job: its run() cannot be called (too many positional arguments):"
                " write def run(self, connection, archive_connection, date)",
            ),
            (
                job(base=job(*CONNECTION, run=lambda self, connection: None), run=lambda self: None),
                "jobs: jobs.Job: its run() cannot be called (too many positional arguments): write def run(self, connection)",
            ),
        ]
        for job_class, fault in cases:
            with self.subTest(fault):
                self.assertEqual(fault_of_run(job_class), fault)

    def test_the_message_gives_the_arguments_that_decorators_pass(self):
        passed = []
        job_class = job(*BOTH, as_backfill_cron_app, run=lambda self, *arguments: passed.extend(arguments))
        instance = job_class(None, None)
        instance.database_connection_factory = lambda: nullcontext("database")
        instance.archive_connection_factory = lambda: nullcontext("archive")

        instance._run_proxy("date")

        self.assertEqual(passed, ["database", "archive", "date"])
        self.assertEqual(job_class._run_arguments, ("connection", "archive_connection"))

    def test_a_run_that_may_work_is_no_fault(self):
        async def asynchronous(self):
            pass

        cases = [
            ("exact", job(run=lambda self: None)),
            ("a default", job(run=lambda self, date=None: None)),
            ("any arguments", job(*CONNECTION, as_backfill_cron_app, run=lambda self, *arguments: None)),
            ("all arguments", job(*BOTH, as_backfill_cron_app, run=lambda self, one, two, date: None)),
            ("inherited", job(base=job(*CONNECTION, run=lambda self, connection: None))),
            ("another decorator of ours", job(with_subprocess, run=lambda self: None)),
            ("a coroutine", job(run=asynchronous)),
            ("a wrapper that adds an argument", job(run=takes_connection_itself(lambda self, connection: None))),
            ("a static method", job(run=staticmethod(lambda: None))),
            ("a callable object", job(run=functools.partial(print))),
            ("a main of its own", job(main=lambda self, function=None, once=True: iter(()))),
            ("a decorator of the user's", job(*CONNECTION, adds_an_argument, run=lambda self, one, two: None)),
            ("one below ours", job(adds_an_argument, *CONNECTION, run=lambda self, one, two: None)),
            ("a proxy of its own", job(_run_proxy=lambda self: self.work(), work=lambda self: None)),
        ]
        for why, job_class in cases:
            with self.subTest(why):
                self.assertIsNone(fault_of_run(job_class))


class TestAttributes(unittest.TestCase):
    def test_a_near_miss_of_an_attribute_is_named(self):
        cases = [
            ("depend_on", "depends_on"), ("depends", "depends_on"), ("dependsOn", "depends_on"), ("depends_upon", "depends_on"),
            ("appname", "app_name"), ("APP_NAME", "app_name"), ("required_configs", "required_config"),
        ]  # fmt: skip
        for name, meant in cases:
            with self.subTest(name):
                said = [f"jobs.Job: crontabber does not read {name!r} (did you mean {meant}?)"]
                self.assertEqual(list(misspelt_attributes(job(**{name: "x"}))), said)
                self.assertEqual(list(misspelt_attributes(job(base=job(**{name: "x"})))), said)

    def test_other_attributes_are_not(self):
        cases = [
            {"app_name": "x", "depends_on": "y", "required_config": BaseCronApp.required_config, "run": print},
            {"app_version": "1", "dependencies": [], "config_file": "x", "timeout": 3, "name": "x", "runs": 3, "depth": 1},
            {"get_required_config": BaseCronApp.get_required_config, "_is_backfill_app": True, "main": BaseCronApp.main},
            {"depends_on": "y", "depends_upon": "z"},
        ]
        for body in cases:
            with self.subTest(body):
                self.assertEqual(list(misspelt_attributes(job(**body))), [])
        self.assertEqual(list(misspelt_attributes(job(*BOTH, as_backfill_cron_app, with_subprocess))), [])

