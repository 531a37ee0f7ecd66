"""Print everything that configman makes of some definitions and sources, as JSON for test_config_overlay to compare.

The argument `plain` selects configman's own slow methods.
"""

import contextlib
import datetime
import io
import json
import logging
import re
import sys
import tempfile
import warnings
from pathlib import Path

import crontabber  # noqa: F401  (makes configman importable)

# isort: split
from configman import ConfigurationManager, Namespace, RequiredConfig, class_converter, command_line
from configman.converters import list_converter, str_to_classes_in_namespaces
from configman.dotdict import DotDict, DotDictWithAcquisition, configman_keys
from configman.option import Aggregation, Option

from crontabber.config.command_line import adapted
from crontabber.config.good_entries import GoodEntries
from crontabber.config.manager import ManagerMixin
from crontabber.config.overlay import overlay

overlay.__globals__["policy_names"] = lambda manager: []  # configman knows nothing of policies


class Plain(ConfigurationManager):
    def output_summary(self, output_stream=None):
        """Write to the current stdout; configman writes to the stdout at the time of its import."""
        super().output_summary(output_stream or sys.stdout)


class Fast(GoodEntries, Plain):
    """The faster parts of our manager, without its messages, writers and readers."""

    _aggregate = ManagerMixin._aggregate

    def _overlay_expand(self):
        self.values_source_list = list(map(adapted, self.values_source_list))
        return overlay(self)


MANAGER = Plain if "plain" in sys.argv else Fast


class Connection(RequiredConfig):
    required_config = Namespace()
    for name, default in (("host", "localhost"), ("port", 5432), ("password", ""), ("timeout", datetime.timedelta(0, 9))):
        required_config.add_option(name, default=default, doc=f"the {name}", reference_value_from="resource.postgresql")
    required_config.add_aggregation("dsn", lambda config, local, arguments: f"{local.host}:{local.port}/{len(arguments)}")

    def __init__(self, config):
        self.config = config


class FastConnection(Connection):
    required_config = Namespace()
    required_config.add_option("pool", default=3, doc="size", short_form="p")
    required_config.namespace("tuning").add_option("depth", default=1.5, doc="a nested one")
    required_config.namespace("void").namespace("nothing")
    required_config.tuning.namespace("deep").add_option("words", default=["x", "y"], doc="words")


class Executor:
    """Requires options as a plain mapping. Another class in its namespace requires one of them too."""

    required_config = {"retries": 2, "port": 1, "inner_class": None}


class Inner(RequiredConfig):
    required_config = Namespace()
    required_config.add_option("both", default=2, doc="the outer one is there first")
    required_config.add_option("own", default="o")


class Outer(RequiredConfig):
    """Brings in a class later, whose options overlap with its own."""

    required_config = Namespace()
    required_config.add_option("both", default=1, doc="required twice")
    required_config.add_option("inner_class", default=Inner, from_string_converter=class_converter)


class Dynamic:
    @classmethod
    def get_required_config(cls):
        result = Namespace()
        result.add_option("made", default="up", doc="as one goes")
        return result


class Misleading:
    """Raises when asked for its options, and its `required_config` is not a mapping."""

    required_config = "nothing of the kind"

    @classmethod
    def get_required_config(cls):
        raise AttributeError("never mind")


class Closing:
    required_config = Namespace()
    closed = 0

    def __repr__(self):
        return "a thing"

    def close(self):
        Closing.closed += 1


class Job(RequiredConfig):
    required_config = Namespace()
    required_config.add_option("database_class", default=Connection, from_string_converter=class_converter, reference_value_from="resource.postgresql")
    required_config.add_option("executor_class", default=Executor, from_string_converter=class_converter, reference_value_from="resource.postgresql")
    required_config.add_option("flag", default=False, doc="a switch", short_form="f")
    required_config.add_option("shy$", default=1, doc="never shown")
    required_config.add_option("date", default=datetime.date(2020, 2, 29), doc="a day")


def definition():
    result = Namespace()
    result.add_option("number", default=1, doc="a number", short_form="n")
    result.add_option("word", default="w", doc="positional", is_argument=True)
    result.add_option("nothing", default=None)
    result.add_option("pattern", default="a.*b", from_string_converter=str)
    result.add_option("thing", default=Closing())
    result.add_option("dynamic", default=Dynamic, from_string_converter=class_converter)
    result.add_option("misleading", default=Misleading, from_string_converter=class_converter)
    result.namespace("crontabber").add_option("jobs", default="", from_string_converter=str_to_classes_in_namespaces("class-%d"))
    result.crontabber.add_option("retry", default=300, likely_to_be_changed=True, doc="seconds")
    result.crontabber.add_option("connection_class", default=Connection, from_string_converter=class_converter, reference_value_from="resource.postgresql")
    result.crontabber.add_option("excluded", default="x", exclude_from_print_conf=True)
    result.crontabber.add_option("listed", default=[1, 2], from_string_converter=lambda text: list_converter(text, int))
    result.add_aggregation("sum", lambda config, local, arguments: config.number + config.crontabber.retry)
    result.namespace("outer").add_option("outer_class", default=Outer, from_string_converter=class_converter)
    result.namespace("other").add_option("level", default=20, doc="other", reference_value_from="resource.logging")
    result.namespace("empty")
    result.namespace("logging", doc="about logging").add_option("level", default=10, reference_value_from="resource.logging")
    return result


JOBS = "__main__.Job, __main__.Job, __main__.Executor"
TREE = {
    "number": "7",
    "crontabber": {"jobs": JOBS, "retry": 5, "class-0": {"port": "77", "flag": "yes"}, "connection_class": "__main__.FastConnection"},
    "resource": {"postgresql": {"host": "shared", "timeout": "1:00:00"}, "logging": {"level": "40"}},
}
INI = """
number = 8
[crontabber]
jobs = "%s"
listed = "3, 4"
    [[class-1]]
    database_class = __main__.FastConnection
    pool = 9
        [[[tuning]]]
        depth = 2.5
[resource]
    [[postgresql]]
    host = from-ini
    password = x
"""
ENVIRONMENT = {"crontabber__jobs": JOBS, "number": "9", "resource.postgresql.port": "99", "UPPER__CASE": "kept", "others": "ignored"}
STRAY = {"number": "1", "unknown": {"deep": "x"}, "retry": "acquired", "stry": "no", "retr": "no"}
COMMAND_LINES = (
    [], ["--number=3"], ["-n", "4", "word-one"], ["--num", "5"], ["-n6", "--crontabber.retry=1", "a", "b"], ["--crontabber.class-0.cls.flag"],
    [f"--crontabber.jobs={JOBS}", "--crontabber.class-0.flag", "--crontabber.class-1.date=2021-01-02", "--resource.postgresql.host=h"],
    [f"--crontabber.jobs={JOBS}", "-n", "3"], ["--no-such-option"], ["--n"], ["-z"], ["--number"], ["--number=x"], ["--", "--number=3"],
    ["-"], ["--=3"], ["--crontabber.class-0"], ["--admin.strict"], ["--help"], ["--admin.expose_secrets", "--help"],
)  # fmt: skip


def outcome(function, *arguments, **options):
    """Return what a function returns, prints, warns about and raises."""
    result = {}
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(io.StringIO()) as output:
        warnings.simplefilter("always")
        try:
            result["returned"] = function(*arguments, **options)
        except (Exception, SystemExit) as error:
            result["raised"] = f"{type(error).__name__}: {error}"
    return result | {"warned": [str(warning.message) for warning in caught], "printed": output.getvalue()}


def everything(sources, arguments, **options):
    manager = MANAGER(
        definition(), values_source_list=[*sources, command_line], argv_source=arguments, app_name="app", app_version="1",
        app_description="does it", quit_after_admin=False, **options,
    )  # fmt: skip
    definitions = manager.option_definitions
    keys = list(definitions.keys_breadth_first(include_dicts=True))
    result = {"keys": keys, "options": [shown(definitions[key]) for key in keys], "arguments": manager.args, "names": manager.get_option_names()}
    lines = []
    logger = logging.Logger("workout")
    logger.addHandler(type("Handler", (logging.Handler,), {"emit": lambda self, record: lines.append(record.getMessage())})())
    manager.log_config(logger)
    for mapping_class in (DotDict, DotDictWithAcquisition):
        with manager.context(mapping_class=mapping_class) as config:
            result[mapping_class.__name__] = str(config), [[key, shown(config[key])] for key in config.keys_breadth_first()]
        result["acquired"] = outcome(lambda config=config: [shown(config[key]) for key in ("crontabber.class-0.a.b.retry", "crontabber.class-1.number")])
    result["dumped"] = {file_type: dumped(manager, file_type) for file_type in ("ini", "json", "env", "conf", "py")}
    result["printed"] = {}
    for file_type in ("ini", "json", "env", "conf", "py"):
        definitions.admin.print_conf.value = file_type
        result["printed"][file_type] = outcome(manager.print_conf)
    return result | {"logged": lines, "closed": Closing.closed}


def dumped(manager, file_type):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"app.{file_type}")
        return outcome(manager.dump_conf, str(path)) | {"written": path.read_text()}


def shown(value):
    if isinstance(value, (Option, Aggregation)):
        return {name: shown(attribute) for name, attribute in vars(value).items()}
    if isinstance(value, DotDict):
        return f"{type(value).__name__} of {list(value)}, {vars(value).get('_doc')!r}, {vars(value).get('_reference_value_from')}"
    return repr(value)


def main():
    with tempfile.TemporaryDirectory() as folder:
        ini, as_json = f"{folder}/app.ini", f"{folder}/app.json"
        Path(ini).write_text(INI % JOBS)
        Path(as_json).write_text(json.dumps(TREE))
        environment = configman_keys(ENVIRONMENT)
        environment.always_ignore_mismatches = True
        sources = ([], [TREE], [ini], [as_json], [environment], [TREE, ini, environment], [STRAY], [{"crontabber": {"jobs": JOBS}}, STRAY, ini], [{"admin": {"strict": True}}, STRAY])
        results = []
        for source in sources:
            for arguments in COMMAND_LINES if source in ([], [TREE, ini, environment]) else COMMAND_LINES[:7:3]:
                results.append([str(source), arguments, outcome(everything, source, arguments)])
            results.append([str(source), "acquiring", outcome(everything, source, [], value_source_object_hook=DotDictWithAcquisition)])
        results.append(["without --help", outcome(everything, [], [], use_auto_help=False)])
        print(re.sub(" at 0x[0-9a-f]+", "", json.dumps(results).replace(folder, "FOLDER")))


if __name__ == "__main__":
    main()
