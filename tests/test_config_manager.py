"""Our ConfigurationManager: what it reads from files and the command line, and how it treats users' own classes."""

import os
import subprocess
import sys
from unittest import mock

from configman import ConfigurationManager, Namespace, RequiredConfig
from configman.converters import boolean_converter
from configman.dotdict import DotDict, DotDictWithAcquisition, configman_keys

from crontabber.app import CronTabber
from crontabber.config.configure import configuration
from crontabber.config.jobs_setting import classes_in_namespaces_converter_with_compression
from crontabber.config.manager import ManagerMixin
from crontabber.errors import ConfigurationError, JobNotFoundError
from crontabber.generic_app import App
from crontabber.rules.configured_jobs import BrokenEntry
from crontabber.transaction_executor import string_to_list_of_ints
from tests.config_case import ConfigTestCase, definition, manager, printed, values
from tests.jobs import FooJob


def options(**defaults) -> Namespace:
    tree = Namespace()
    for name, default in defaults.items():
        tree.add_option(name, default=default)
    return tree


class Files(ConfigTestCase):
    def test_an_ini_file_may_refer_to_known_and_unknown_values(self):
        path = self.file("app.ini", "text = %(own)s and %(asctime)s\nown = mine\n")

        config_manager = manager(sources=[path])

        self.assertEqual(config_manager.get_config().text, "mine and %(asctime)s")
        self.assertEqual(config_manager.warnings, (f"{path}: unknown option own, ignored",))

    def test_an_ini_file_may_include_others_at_any_depth_of_sections(self):
        self.file("more.ini", "text = far\n+include ./deep/section.ini\n")
        (self.folder / "deep").mkdir()
        self.file("deep/section.ini", "[secrets]\n  +include ./token.ini\n")
        self.file("deep/token.ini", "token = t\n")

        config = manager(sources=[self.file("app.ini", "+include ./more.ini\n")]).get_config()

        self.assertEqual((config.text, config.secrets.token), ("far", "t"))

    def test_every_file_is_read_as_utf_8_in_any_locale(self):
        read = (
            "import sys; from tests.config_case import manager;"
            " print(ascii([manager(sources=[path]).get_config().text for path in sys.argv[1:]]))"
        )
        paths = [
            self.file(f"{mark}.{kind}", (b"\xef\xbb\xbf" if mark else b"") + content.encode())
            for kind, content in (("ini", "text = ü €\n"), ("json", '{"text": "ü €"}'), ("conf", "text=ü €\n"))
            for mark in ("", "mark")
        ]
        env = {**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

        process = subprocess.run([sys.executable, "-c", read, *paths], env=env, text=True, capture_output=True, timeout=60, check=False)

        self.assertEqual(process.stdout, ascii(["ü €"] * len(paths)) + "\n", process.stderr)

    def test_a_file_that_cannot_be_read_is_named_with_the_reason(self):
        cases = (
            ("app.json", "{", "line 1 is not valid JSON: Expecting property name"),
            ("app.json", "[1]", "expected a JSON object"),
            ("app.ini", "[a\n", "line 1 is neither"),
            ("app.ini", "text=%(text)s\n", "interpolation loop"),
            ("app.ini", "+include ./gone.ini\n", r"\+include .*gone.ini: No such file"),
            ("app.conf", b"text=\xe9\n", "line 1 is not valid UTF-8"),
        )
        for name, content, message in cases:
            with self.subTest(content), self.assertRaisesRegex(ConfigurationError, f"{name}: .*{message}"):
                manager(sources=[self.file(name, content)])

    def test_a_list_stays_a_list_except_for_our_own_converters(self):
        tree = options(pair=("a", "b"), names=["a"], text="")
        tree.add_option("split", default="", from_string_converter=lambda text: text.split(","))
        tree.add_option("delays", default="1", from_string_converter=string_to_list_of_ints)
        path = self.file("app.ini", "".join(f"{name} = 1, 2\n" for name in tree))

        config = manager(sources=[path], definition=tree).get_config()

        self.assertEqual([config.pair, config.names, config.text, config.split], [["1", "2"]] * 4)
        self.assertEqual(config.delays, [1, 2])

    def test_an_application_may_give_the_path_of_a_file(self):
        path = self.file("app.ini", "[logging]\nsyslog_port=515\n")

        for argv in ([], [f"--admin.conf={path}"]):
            with self.subTest(argv), mock.patch("sys.argv", ["app", *argv]):
                config_manager = configuration(App, None, path)

                self.assertEqual(config_manager.option_definitions.logging.syslog_port.value, 515)

    def test_only_an_application_that_reports_broken_entries_goes_on_without_them(self):
        class Own(App):
            app_description = "An application with jobs of its own."
            required_config = Namespace()
            required_config.add_option("jobs", from_string_converter=classes_in_namespaces_converter_with_compression())

        path = self.file("app.ini", "jobs='nowhere.Job|1d, tests.jobs.FooJob|1d'\n[crontabber]\njobs='nowhere.Job|1d, tests.jobs.FooJob|1d'\n")
        with mock.patch("sys.argv", ["app"]):
            with self.assertRaises(JobNotFoundError):
                configuration(Own, None, path)

            jobs = configuration(CronTabber, None, path).option_definitions.crontabber.jobs.value

        self.assertEqual([job_class for _, job_class in jobs.class_list], [FooJob])
        self.assertEqual([fault.entries for fault in jobs.faults], [(BrokenEntry("nowhere.Job"),)])


class Environment(ConfigTestCase):
    def test_a_variable_named_like_a_namespace_is_ignored(self):
        for hook in (DotDict, DotDictWithAcquisition):
            for name in ("crontabber", "resource", "secrets__sentry"):
                with self.subTest(name, hook=hook):
                    environment = configman_keys({name: "x", "text": "from the environment"})
                    environment.always_ignore_mismatches = True

                    config_manager = manager(sources=[environment], value_source_object_hook=hook)

                    self.assertEqual(config_manager.get_config().text, "from the environment")


class EnvironmentAcquisition(ConfigTestCase):
    """What the environment sets for a namespace also applies to the namespaces in it, as in the original."""

    JOB = "crontabber.class-Job."

    def found(self, **variables):
        with mock.patch.dict(os.environ, variables):
            source = configman_keys(os.environ)
        source.always_ignore_mismatches = True
        with mock.patch("crontabber.config.overlay.environment", source):
            return values(manager(sources=[source]))

    def test_a_value_for_a_namespace_applies_to_the_namespaces_in_it(self):
        found = self.found(**{"crontabber.host": "db", "crontabber__port": "6000"})

        self.assertEqual((found[self.JOB + "host"], found[self.JOB + "port"]), ("db", 6000))
        self.assertEqual(found["resource.postgresql.host"], "localhost")

    def test_the_nearest_namespace_wins(self):
        found = self.found(**{"crontabber.host": "far", self.JOB + "host": "near", "host": "bare"})

        self.assertEqual((found[self.JOB + "host"], found["resource.postgresql.host"]), ("near", "bare"))

    def test_only_connection_options_need_no_namespace(self):
        found = self.found(host="db", lines="other program", names="other program", token="other program")

        self.assertEqual((found[self.JOB + "host"], found["resource.postgresql.host"]), ("db", "db"))
        self.assertEqual((found[self.JOB + "lines"], found["secrets.token"]), ("first\nsecond, 100%\n[x]", "t0ken"))

    def test_other_sources_do_not_acquire(self):
        self.assertEqual(values(manager(sources=[{"crontabber": {"host": "db"}}]))[self.JOB + "host"], "localhost")


class Booleans(ConfigTestCase):
    def test_an_unknown_text_counts_as_false_with_a_warning(self):
        for text, value, warnings in (
            ("True", True, 0), ("t", True, 0), ("YES", True, 0), ("y", True, 0), ("1", True, 0),
            ("no", False, 0), ("off", False, 0), ("None", False, 0), ("0", False, 0), ("", False, 0),
            ("on", False, 1), ("2", False, 1), ("maybe", False, 1),
        ):  # fmt: skip
            with self.subTest(text):
                options = Namespace()
                options.add_option("flag", default=True)

                config_manager = manager(sources=[{"flag": text}], definition=options)

                self.assertEqual((config_manager.get_config().flag, len(config_manager.warnings)), (value, warnings))

    def test_an_unknown_default_in_code_gets_a_warning_too(self):
        options = Namespace()
        options.add_option("flag", default="on", from_string_converter=boolean_converter)

        self.assertEqual(manager(definition=options).warnings, ("flag is 'on': taken as False (write True or False)",))


class CommandLine(ConfigTestCase):
    def test_a_short_form_works_at_any_depth(self):
        class Jobs(RequiredConfig):
            required_config = Namespace()
            required_config.namespace("class-Job").add_option("shorty", default="a", short_form="S")

        tree = Namespace()
        tree.namespace("crontabber").add_option("jobs", default=Jobs)

        config = manager(["-S", "b"], definition=tree).get_config()

        self.assertEqual(config.crontabber["class-Job"].shorty, "b")

    def test_a_switch_with_a_value_is_refused_whatever_the_file_says(self):
        for default, said_by_file, arguments in (
            (False, "True", ["--jobs.enabled=False"]),
            (True, "False", ["--jobs.enabled=True"]),
            (None, "True", ["--jobs.enabled=False"]),
            ("no", "True", ["-S", "b", "--jobs.enabled=False"]),
        ):
            refused = self.assertRaisesRegex(ConfigurationError, "^--jobs.enabled takes no value: ")
            with self.subTest(default=default, arguments=arguments), refused:
                manager(arguments, [{"jobs.enabled": said_by_file}], definition=self.with_switch(default))

    def test_a_switch_is_the_opposite_of_the_default_in_code(self):
        for default, value in ((False, True), (True, False), (None, True), ("no", True), ("yes", False)):
            for said_by_file in ("True", "False"):
                with self.subTest(default=default, said_by_file=said_by_file):
                    config_manager = manager(
                        ["--jobs.enabled"], [{"jobs.enabled": said_by_file}], definition=self.with_switch(default)
                    )

                    self.assertIs(config_manager.get_config().jobs.enabled, value)

    def with_switch(self, default):
        class Jobs(RequiredConfig):
            required_config = Namespace()
            required_config.add_option("enabled", default=default, from_string_converter=boolean_converter)
            required_config.add_option("shorty", default="a", short_form="S")

        tree = Namespace()
        tree.namespace("jobs").add_option("jobs_class", default=Jobs)
        return tree

    def test_a_percent_sign_does_not_break_the_help(self):
        help_text = printed(["--help"])

        self.assertIn("a text, 100% or %(name)s", help_text)
        self.assertIn("(default: %)", help_text)


class Aggregations(ConfigTestCase):
    def test_each_aggregation_runs_once_with_the_options_and_its_section(self):
        tree = options(number=1)
        tree.namespace("inner").add_option("own", default=2)
        made = []

        def aggregated(config, local, arguments):
            made.append((config.number, local.get("own"), config.both))
            return len(made)

        tree.add_aggregation("both", aggregated)
        tree.inner.add_aggregation("both", aggregated)
        tree.add_aggregation("hidden$", aggregated)

        config = manager(definition=tree).get_config()

        self.assertEqual(made, [(1, None, None), (1, None, None), (1, 2, None)])
        self.assertEqual((config.both, config.inner.both, "hidden$" in config), (1, 3, False))


class Closing(ConfigTestCase):
    def test_values_with_a_close_method_are_closed_even_inside_mappings(self):
        class Thing:
            def close(self):
                closed.append(self)

        closed, deep, near = [], Thing(), Thing()
        tree = options(near=near, mapping={"deep": deep}, thing_class=Thing, text="close")
        tree.namespace("section").add_option("again", default=near)

        with manager(definition=tree).context():
            self.assertEqual(closed, [])

        self.assertEqual(closed, [near, deep, near])


class ClassesOfUsers(ConfigTestCase):
    def test_a_manager_class_of_a_user_keeps_its_methods(self):
        class Theirs(ConfigurationManager):
            def __init__(self, *args, **options):
                super().__init__(*args, **options)
                self.made = True

            def get_config(self, *args, **options):
                config = super().get_config(*args, **options)
                config.extra = "theirs"
                return config

            def dump_conf(self, config_pathname=None):
                super().dump_conf(config_pathname)
                self.dumped = config_pathname

        theirs = type("Manager", (ManagerMixin, Theirs), {})(
            [definition()], values_source_list=[{"text": "x"}], argv_source=[], quit_after_admin=False
        )
        theirs.dump_conf(str(self.folder / "app.ini"))

        with theirs.context() as config:
            self.assertEqual((theirs.made, config.text, config.extra), (True, "x", "theirs"))
        self.assertEqual(theirs.dumped, str(self.folder / "app.ini"))
