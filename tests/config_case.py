"""Shared by the tests of crontabber/config/: definitions with references and nested classes, and our manager."""

import contextlib
import datetime
import io
import shutil
import tempfile
import unittest
from pathlib import Path

from configman import ConfigurationManager, Namespace, RequiredConfig, class_converter, command_line

from crontabber.config.manager import ManagerMixin


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


class Manager(ManagerMixin, ConfigurationManager):
    pass


def manager(arguments=(), sources=(), **options) -> Manager:
    return Manager(
        [options.pop("definition", None) or definition()],
        values_source_list=[*sources, options.pop("command_line", command_line)],
        argv_source=list(arguments), app_name="app", quit_after_admin=False, **options,
    )  # fmt: skip


def values(config_manager: ConfigurationManager) -> dict:
    definitions = config_manager.option_definitions
    return {key: definitions[key].value for key in definitions.keys_breadth_first() if not key.startswith("admin.")}


def printed(arguments, **options) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        manager(arguments, **options)
    return output.getvalue()


class ConfigTestCase(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="crontabber-test-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def file(self, name: str, content: str | bytes) -> str:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)
