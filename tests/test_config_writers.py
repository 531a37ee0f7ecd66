"""Printed and dumped configurations can be read back without loss, and hide secrets where they should."""

import datetime
import logging
import shlex
import stat
from pathlib import Path

from configman import Namespace, RequiredConfig
from configman.dotdict import configman_keys

from crontabber.config.writers import new_file_for_owner
from tests.config_case import ConfigTestCase, manager, printed, values

NASTY_TEXTS = (
    "100%", "%Y-%m-%d %(asctime)s", "a#b", "# no comment", "a, b", 'say "hi"', "it's", "'a', \"b\"", '"quoted"', "'quoted'",
    '"a", b#c', "  blank around  ", "tab\there", "back\\slash", "two\nlines", 'a\n"b"\n\n\'c\'', "ü €", "$HOME `x` ${y}", "=", "[x]", ";",
)  # fmt: skip


class Writing(ConfigTestCase):
    maxDiff = None

    def test_a_printed_configuration_is_read_back_without_loss_or_warnings(self):
        for text in NASTY_TEXTS:
            arguments = [f"--text={text}", "--crontabber.class-Job.pause=2:00:00", "--resource.postgresql.port=1"]
            expected = values(manager(arguments))
            for file_type in ("ini", "json", "env", "conf"):
                if file_type == "conf" and (text != text.strip() or "\n" in text):
                    continue  # a conf file cannot hold such a value
                with self.subTest(text, file_type=file_type):
                    output = printed([*arguments, f"--admin.print_conf={file_type}", "--admin.expose_secrets"])

                    self.assertEqual(self.read_back(output, file_type), (expected, ()))

    def read_back(self, output, file_type):
        if file_type == "env":
            source = configman_keys(dict(word.split("=", 1) for word in shlex.split(output, comments=True)))
        else:
            source = self.file(f"app.{file_type}", output)
        config_manager = manager(sources=[source])
        return values(config_manager), config_manager.warnings

    def test_a_dump_replaces_a_symbolic_link_instead_of_following_it(self):
        target = Path(self.file("target.txt", "precious"))
        target.chmod(0o644)
        link = self.folder / "app.ini"
        link.symlink_to(target)

        manager([f"--admin.dump_conf={link}"])

        self.assertEqual((target.read_text(), stat.S_IMODE(target.stat().st_mode)), ("precious", 0o644))
        self.assertFalse(link.is_symlink())
        self.assertEqual(stat.S_IMODE(link.stat().st_mode), 0o600)

    def test_a_dump_that_fails_leaves_the_file_as_it_was(self):
        path = Path(self.file("app.ini", "precious"))

        with self.assertRaises(ZeroDivisionError), new_file_for_owner(str(path)) as file:
            file.write("half")
            raise ZeroDivisionError

        self.assertEqual(([each.name for each in self.folder.iterdir()], path.read_text()), (["app.ini"], "precious"))

    def test_a_changed_option_is_not_commented_out_even_if_required_twice(self):
        class Inner(RequiredConfig):
            required_config = Namespace()
            required_config.add_option("both", default=1, doc="required a second time, in a later round")

        class Outer(RequiredConfig):
            required_config = Namespace()
            required_config.add_option("both", default=1)
            required_config.add_option("inner_class", default=Inner)

        tree = Namespace()
        tree.namespace("job").add_option("outer_class", default=Outer)

        self.assertIn("\n    both=2\n", printed(["--job.both=2", "--admin.print_conf=ini"], definition=tree))

    def test_a_class_given_by_name_is_written_as_a_default(self):
        tree = Namespace()
        tree.add_option("job_class", default="tests.config_case.Job", from_string_converter="configman.class_converter")

        self.assertIn("\n#job_class=tests.config_case.Job\n", printed(["--admin.print_conf=ini"], definition=tree))

    def test_a_method_of_a_class_is_written_by_its_name(self):
        tree = Namespace()
        tree.add_option("clock", default=datetime.datetime.now)

        for file_type in ("ini", "json", "env", "conf"):
            with self.subTest(file_type):
                self.assertIn("datetime.datetime.now", printed([f"--admin.print_conf={file_type}"], definition=tree))
        self.assertIn("(default: datetime.datetime.now)", printed(["--help"], definition=tree))


class Secrets(ConfigTestCase):
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
        self.assertEqual(self.shown(printed(["--help"]) + printed(["--help", "--admin.expose_secrets"])), [])
        with self.assertLogs() as logged:
            manager(["--admin.expose_secrets"]).log_config(logging.getLogger())
        self.assertEqual(self.shown("\n".join(logged.output)), [])

    def test_they_are_dumped_into_a_file_that_only_its_owner_can_read(self):
        for already_there in (False, True):
            for file_type in ("ini", "json", "env", "conf", "py"):
                with self.subTest(file_type, already_there=already_there):
                    path = self.folder / f"app.{file_type}"
                    path.unlink(missing_ok=True)
                    if already_there:
                        path.write_text("x" * 100_000)
                        path.chmod(0o644)

                    printed([f"--admin.dump_conf={path}"])

                    self.assertEqual(self.shown(path.read_text()), [*self.SECRETS])
                    self.assertNotIn("xxx", path.read_text())
                    self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)

    def test_a_dump_does_not_expose_them_in_later_output(self):
        path = self.folder / "app.ini"

        output = printed([f"--admin.dump_conf={path}", "--admin.print_conf=ini"])
        config_manager = manager([f"--admin.dump_conf={path}"])

        self.assertEqual(self.shown(output), [])
        self.assertFalse(config_manager.option_definitions.admin.expose_secrets.default)
