"""configman 1.3.0 as crontabber's users need it: importable, right, and silent about secrets."""

import contextlib
import datetime
import io
import os
import shlex
import stat
import subprocess
import sys
import tempfile
import textwrap
import unittest
import warnings
from pathlib import Path

import crontabber  # noqa: F401  (covers configman)

# isort: split
import argparse

from configman import ConfigurationManager, Namespace, RequiredConfig, class_converter, command_line
from configman.dotdict import DotDict, DotDictWithAcquisition, configman_keys
from configman.value_sources.source_exceptions import AllHandlersFailedException

ROOT = Path(__file__).resolve().parent.parent
NASTY_TEXTS = (
    "100%", "%Y-%m-%d %(asctime)s", "a#b", "# no comment", "a, b", 'say "hi"', "it's", "'a', \"b\"", '"quoted"', "'quoted'",
    '"a", b#c', "  blank around  ", "tab\there", "back\\slash", "two\nlines", 'a\n"b"\n\n\'c\'', "ü €", "$HOME `x` ${y}", "=", "[x]", ";",
)  # fmt: skip


class Connection(RequiredConfig):
    required_config = Namespace()
    for name, default in (("host", "localhost"), ("port", 5432), ("password", "open % sesame"), ("user", None)):
        required_config.add_option(name, default=default, doc=f"100% {name}", reference_value_from="resource.postgresql")


class Job(RequiredConfig):
    required_config = Namespace()
    required_config.add_option("connection_class", default=Connection, from_string_converter=class_converter)
    required_config.add_option("pause", default=datetime.timedelta(hours=1), doc="a doc\nof two % lines")
    required_config.add_option("names", default=["a", "b"], doc="names")
    required_config.add_option("lines", default="first\nsecond, 100%\n[x]", doc="of a value")
    required_config.add_option("nothing", default=None, doc="nothing, not even a type")


def definition(text: str = "%") -> Namespace:
    result = Namespace()
    result.add_option("text", default=text, doc="a text, 100% or %(name)s", short_form="t")
    result.namespace("crontabber").namespace("class-Job")
    result.crontabber["class-Job"].add_option("job_class", default=Job, from_string_converter=class_converter)
    result.namespace("secrets").namespace("sentry").add_option("dsn", default="https://key@sentry/1", doc="dsn")
    result.secrets.add_option("token", default="t0ken", doc="declared", secret=True)
    return result


def manager(arguments=(), sources=(), **options) -> ConfigurationManager:
    return ConfigurationManager(
        [options.pop("definition", None) or definition()], [*sources, options.pop("command_line", command_line)],
        argv_source=list(arguments), app_name="app", quit_after_admin=False, **options,
    )  # fmt: skip


def values(config_manager: ConfigurationManager) -> dict:
    definitions = config_manager.option_definitions
    return {key: definitions[key].value for key in definitions.keys_breadth_first() if not key.startswith("admin.")}


def printed(arguments, **options) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.suppress(SystemExit):  # argparse's help
        manager(arguments, **options)
    return output.getvalue()


def python(code: str, path: object = ROOT) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


class Importing(unittest.TestCase):
    USE = """
        from configman.dotdict import DotDictWithAcquisition
        config = configman.ConfigurationManager([{"a": 1}], [{"a": "2"}], argv_source=["--a=3"]).get_config()
        assert config["x.y.z.a"] == 2, config
        assert configman.converters.from_string_converters[bytes]("a") == b"a"
        from configman.value_sources import file_extension_dispatch, for_conf
        assert file_extension_dispatch["conf"] is for_conf.ValueSource.write
        """

    def test_configman_can_be_imported_whatever_is_imported_first(self):
        orders = {
            "crontabber first": "import crontabber, configman",
            "a failed attempt first": """
                try: import configman
                except AttributeError: pass
                import crontabber, configman
                """,
            "configman first, with names lent to the standard library": """
                import collections, collections.abc
                lent = [name for name in collections.abc.__all__ if not hasattr(collections, name)]
                for name in lent: setattr(collections, name, getattr(collections.abc, name))
                import configman, crontabber
                for name in lent: delattr(collections, name)
                """,
        }
        for order, code in orders.items():
            with self.subTest(order):
                result = python(textwrap.dedent(code) + textwrap.dedent(self.USE))

                self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_the_standard_library_is_left_as_it_was(self):
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

    def test_applying_twice_changes_nothing(self):
        result = python(
            """
            import sys, crontabber, configman
            from crontabber.configman_compat import apply
            def state():
                modules = [vars(module) for name, module in sys.modules.items() if name.startswith("configman")]
                classes = [vars(value) for module in modules for value in module.values() if isinstance(value, type)]
                return [sys.meta_path[:], [dict(names) for names in modules], [dict(names) for names in classes]]
            before = state()
            apply()
            assert before == state()
            """
        )

        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_another_version_is_left_alone_and_a_broken_one_is_named(self):
        broken = (
            "ImportError: configman at .*/configman/dotdict.py says that it is version 1.3.0, but it is not as published: "
            ".* has no attribute 'DotDict'.*Install it anew: pip install --force-reinstall configman==1.3.0\n$"
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
    def test_any_number_of_levels_may_be_missing_where_a_value_is_acquired(self):
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

    def test_a_variable_named_like_a_namespace_is_no_error(self):
        for hook in (DotDict, DotDictWithAcquisition):
            for name in ("crontabber", "resource", "secrets__sentry"):
                with self.subTest(name, hook=hook):
                    environment = configman_keys({name: "x", "text": "from the environment"})
                    environment.always_ignore_mismatches = True

                    config_manager = manager(sources=[environment], value_source_object_hook=hook)

                    self.assertEqual(config_manager.get_config().text, "from the environment")

    def test_the_value_of_a_bytes_option_can_be_set(self):
        config_manager = manager(["--text=salt"], definition=definition(b""))

        self.assertEqual(config_manager.get_config().text, b"salt")

    def test_options_may_be_defined_by_an_argparse_parser(self):
        parser = argparse.ArgumentParser(prog="app")
        parser.add_argument("--number", default=1, type=int)

        self.assertEqual(manager(["--number=2"], definition=parser, command_line=argparse).get_config().number, 2)


class Help(unittest.TestCase):
    def test_a_percent_sign_does_not_break_it(self):
        for source in (command_line, argparse):
            with self.subTest(source.__name__):
                self.assertIn("a text, 100% or %(name)s", printed(["--help"], command_line=source))
        self.assertIn("(default: %)", printed(["--help"]))


class ShortForms(unittest.TestCase):
    def test_that_of_an_option_further_down_is_understood(self):
        tree = Namespace()
        tree.namespace("crontabber").namespace("class-Job").add_option("shorty", default="a", short_form="S")

        config = manager(["-S", "b"], definition=tree).get_config()

        self.assertEqual(config.crontabber["class-Job"].shorty, "b")


class Writing(unittest.TestCase):
    maxDiff = None

    def test_a_printed_configuration_is_read_back_without_loss_or_warning(self):
        for text in NASTY_TEXTS:
            arguments = [f"--text={text}", "--crontabber.class-Job.pause=2:00:00", "--resource.postgresql.port=1"]
            expected = values(manager(arguments))
            for file_type in ("ini", "json", "env", "conf"):
                if file_type == "conf" and (text != text.strip() or "\n" in text):
                    continue  # this kind of file has no way to write it
                with self.subTest(text, file_type=file_type):
                    output = printed([*arguments, f"--admin.print_conf={file_type}", "--admin.expose_secrets"])

                    self.assertEqual(self.read_back(output, file_type), expected)

    def read_back(self, output, file_type):
        if file_type == "env":
            source = configman_keys(dict(word.split("=", 1) for word in shlex.split(output, comments=True)))
        else:
            source = str(Path(self.enterContextOnAnyPython(tempfile.TemporaryDirectory()), f"app.{file_type}"))
            Path(source).write_text(output)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return values(manager(sources=[source]))

    def enterContextOnAnyPython(self, context):
        self.addCleanup(context.__exit__, None, None, None)
        return context.__enter__()

    def test_an_ini_file_may_refer_to_its_own_values_and_to_unknown_ones(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "app.ini")
            path.write_text("text = %(own)s and %(asctime)s\nown = mine\n")
            with warnings.catch_warnings(record=True):
                warnings.simplefilter("always")  # `own` is no option

                self.assertEqual(manager(sources=[str(path)]).get_config().text, "mine and %(asctime)s")

    def test_a_file_that_is_no_json_is_said_to_be_none(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "app.json")
            path.write_text("{")

            with self.assertRaisesRegex(AllHandlersFailedException, "Cannot load json: Expecting property name"):
                manager(sources=[str(path)])


class Secrets(unittest.TestCase):
    SECRETS = "open % sesame", "https://key@sentry/1", "t0ken"

    def shown(self, text):
        return [secret for secret in self.SECRETS if secret in text]

    def test_they_are_printed_only_with_expose_secrets(self):
        for file_type in ("ini", "json", "env", "conf", "py"):
            with self.subTest(file_type):
                masked = printed([f"--admin.print_conf={file_type}"])
                exposed = printed([f"--admin.print_conf={file_type}", "--admin.expose_secrets"])

                self.assertEqual((self.shown(masked), self.shown(exposed)), ([], [*self.SECRETS]))

    def test_they_are_never_in_the_help_or_the_log(self):
        import logging

        self.assertEqual(self.shown(printed(["--help"]) + printed(["--help", "--admin.expose_secrets"])), [])
        with self.assertLogs() as logged:
            manager(["--admin.expose_secrets"]).log_config(logging.getLogger())
        self.assertEqual(self.shown("\n".join(logged.output)), [])

    def test_they_are_in_a_dumped_file_for_its_owner_alone(self):
        for already_there in (False, True):
            with self.subTest(already_there=already_there), tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "app.ini")
                if already_there:
                    path.write_text("x" * 100_000)
                    path.chmod(0o644)

                manager([f"--admin.dump_conf={path}"])

                self.assertEqual(self.shown(path.read_text()), [*self.SECRETS])
                self.assertNotIn("xxx", path.read_text())
                self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
