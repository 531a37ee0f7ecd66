"""docs/user/python.rst has what jobs and their tests import."""

import inspect
import re
import unittest

from crontabber import connection_factory, mixins, testing, transaction_executor
from crontabber.base import BaseCronApp
from crontabber.connection_factory import ConnectionFactory
from tests.documents import ROOT

PAGE = (ROOT / "docs/user/python.rst").read_text("utf-8")
FOR_CRONTABBER_ALONE = {"Dsn", "database_transaction", "end_sessions", "resources_of", "string_to_list_of_ints"}


def defined_in(module: object) -> set[str]:
    """Return the public functions and classes that a module defines."""
    found = inspect.getmembers(module, lambda thing: inspect.isfunction(thing) or inspect.isclass(thing))
    return {name for name, thing in found if name[0] != "_" and thing.__module__ == module.__name__}


class TestPythonPage(unittest.TestCase):
    def test_it_has_every_decorator_class_and_helper(self) -> None:
        names = set(testing.__all__).union(*map(defined_in, (mixins, connection_factory, transaction_executor)))

        self.assertEqual({name for name in names - FOR_CRONTABBER_ALONE if not re.search(rf"\b{name}\b", PAGE)}, set())

    def test_it_has_every_method_of_a_job_and_of_a_connection_factory(self) -> None:
        own = [vars(BaseCronApp), vars(ConnectionFactory)]
        names = {name for members in own for name, member in members.items() if inspect.isfunction(member) and name[0] != "_"}

        self.assertEqual({name for name in names - FOR_CRONTABBER_ALONE if not re.search(rf"\b{name}\b", PAGE)}, set())
