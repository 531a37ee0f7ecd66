"""configman 1.3.0 works on today's Python: it can be imported, and the one fault that raises is fixed."""

import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

import crontabber  # noqa: F401  (repairs configman)

# isort: split
import argparse

from configman import ConfigurationManager, Namespace
from configman.dotdict import DotDictWithAcquisition

ROOT = Path(__file__).resolve().parent.parent
# Where crontabber is installed, its .pth file adds this finder: see test_configman_first.py.
WITHOUT_PTH = "import sys; sys.meta_path[:] = [finder for finder in sys.meta_path if 'repair_configman' not in repr(finder)]\n"
# What old code does to import configman before crontabber.
LEND_NAMES = """
import collections, collections.abc
lent = [name for name in collections.abc.__all__ if not hasattr(collections, name)]
for name in lent: setattr(collections, name, getattr(collections.abc, name))
"""
TAKE_BACK = "for name in lent: delattr(collections, name)\n"
STATE = """
import sys
def state():
    '''Everything in configman, by its module, class and name.'''
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "configman":
            for key, value in vars(module).items():
                if isinstance(value, type) and value.__module__ == name:
                    found.update({f"{name}.{key}.{attribute}": id(held) for attribute, held in vars(value).items()})
                found[f"{name}.{key}"] = {**value} if isinstance(value, dict) and key != "__builtins__" else id(value)
    return found
"""


def python(code: str, path: object = ROOT) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-W", "error", "-c", WITHOUT_PTH + textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


class Importing(unittest.TestCase):
    USE = """
        from configman.dotdict import DotDictWithAcquisition
        config = configman.ConfigurationManager([{"a": 1}], [{"a": "2"}], argv_source=["--a=3"]).get_config()
        assert config["x.y.z.a"] == 2, config
        assert configman.converters.from_string_converters[bytes]("a") == b"a"
        """

    def test_configman_can_be_imported_whatever_is_imported_first(self):
        orders = {
            "crontabber first": "import crontabber, configman",
            "a failed attempt first": """
                try: import configman
                except AttributeError: pass
                import crontabber, configman
                """,
            "configman first, with names lent to the standard library": LEND_NAMES + "import configman, crontabber\n" + TAKE_BACK,
        }
        for order, code in orders.items():
            with self.subTest(order):
                result = python(textwrap.dedent(code) + textwrap.dedent(self.USE))

                self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_the_standard_library_is_not_changed(self):
        result = python(
            """
            import builtins, collections, inspect, six
            import six.moves.builtins
            modules = builtins, collections, inspect, six
            before = [dict(vars(module)) for module in modules]
            import crontabber, configman
            assert before == [dict(vars(module)) for module in modules]
            """
        )

        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_only_one_method_of_configman_is_replaced(self):
        result = python(
            LEND_NAMES
            + STATE
            + """
import configman
before = state()
import crontabber.app, crontabber.config.writers, crontabber.config.help_text
after = state()
changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
views = {key for key in changed if key.rpartition(".")[2] in ("collections", "inspect", "six", "__repaired__")}
print(sorted(changed - views))
"""
        )

        self.assertEqual((result.stdout, result.stderr), ("['configman.dotdict.DotDictWithAcquisition.__getitem__']\n", ""))

    def test_applying_twice_changes_nothing(self):
        result = python(
            STATE
            + """
import crontabber, configman
from crontabber.configman_compat import apply
before = sys.meta_path[:], state()
apply()
assert before == (sys.meta_path[:], state())
"""
        )

        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_another_version_is_left_alone_and_a_broken_one_reported(self):
        broken = (
            "ImportError: configman at .*/configman/dotdict.py claims to be version 1.3.0, but differs from the published one: "
            ".* has no attribute 'DotDictWithAcquisition'.*"
            "Reinstall it: pip install --force-reinstall configman==1.3.0\n$"
        )
        for version, message, code in (("1.4.0", "^$", 0), ("", "^$", 0), ("1.3.0", broken, 1)):
            with self.subTest(version), tempfile.TemporaryDirectory() as folder:
                package = Path(folder, "configman")
                package.mkdir()
                package.joinpath("version.txt").write_text(version)
                package.joinpath("__init__.py").touch()
                package.joinpath("dotdict.py").write_text("import collections\nassert collections.Mapping")

                result = python("import crontabber, configman.dotdict", path=folder)

                self.assertEqual(result.returncode, code, result.stderr)
                self.assertRegex(result.stderr, message)


class LookingUp(unittest.TestCase):
    def test_a_value_is_acquired_across_any_number_of_missing_levels(self):
        config = DotDictWithAcquisition()
        config.near = DotDictWithAcquisition()
        config.name, config.near.name = "far", "near"
        cases = (("name", "far"), ("near.name", "near"), ("near.b.c.name", "near"), ("a.b.name", "far"), ("a.b.c.d.name", "far"))

        for key, expected in cases:
            with self.subTest(key):
                self.assertEqual(config[key], expected)
        for key in ("other", "a.b.other", "near.b.c.other"):
            with self.subTest(key), self.assertRaises(KeyError):
                config[key]


class Views(unittest.TestCase):
    """Places where configman uses names that Python has removed, after it has been imported."""

    def test_the_value_of_a_bytes_option_can_be_set(self):
        definition = Namespace()
        definition.add_option("text", default=b"")

        config = ConfigurationManager([definition], argv_source=["--text=salt"]).get_config()

        self.assertEqual(config.text, b"salt")

    def test_options_may_be_defined_by_an_argparse_parser(self):
        parser = argparse.ArgumentParser(prog="app")
        parser.add_argument("--number", default=1, type=int)

        config = ConfigurationManager([parser], [argparse], argv_source=["--number=2"]).get_config()

        self.assertEqual(config.number, 2)
