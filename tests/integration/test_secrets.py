"""Secrets that contain a mark: no mode shows one of them, at any level of the log."""

import json
import stat

from tests.integration.sentry_receiver import SentryReceiver
from tests.support import DatabaseTestCase, connection_options

MARK = "s3same"
PASSWORD, KEY, TOKEN, IN_URL = f"{MARK} pw'\"%\\", f"{MARK}key", f"{MARK}-token", f"{MARK}:in@url"
PGPASSWORD, ON_COMMAND_LINE = f"{MARK}-pgpassword", f"{MARK}-on-command-line"
DSN = f"http://{KEY}@127.0.0.1:1/7"

JOBS = f"""
from configman import Namespace
from crontabber.base import BaseCronApp
from crontabber.mixins import using_postgres


@using_postgres()
class Telltale(BaseCronApp):
    app_name = "telltale"
    required_config = Namespace()
    required_config.add_option("api_token", default={TOKEN!r}, doc="a secret by its name")
    required_config.add_option("secret_number", default=7, doc="a secret that has to be converted")
    required_config.add_option("url", default="https://me:{IN_URL}@example.com/", doc="a secret by its form")

    def run(self, connection=None):
        config = self.config
        everything = (config.api_token, config.url, config.password, config.database_password)
        config.logger.info("I know %s", everything)
        config.logger.debug("I know %s", config.url)
        raise ValueError("It failed with %r and password=%s" % (everything, config.password))


class Quiet(BaseCronApp):
    app_name = "quiet"

    def run(self):
        pass
"""

MODES = [
    (),
    ("--job=telltale", "--force"),
    ("--job=nobody",),
    ("--list-jobs",),
    ("--nagios",),
    ("--configtest",),
    ("--sentrytest",),
    ("--audit-ghosts",),
    ("--status", "--format=json", "--with-errors"),
    ("--explain=telltale",),
    ("--explain=telltale", "--format=json"),
    ("--history=telltale",),
    ("--dry-run",),
    ("--reset-job=quiet",),
    ("--version",),
    ("--help",),
    ("--admin.print_conf=ini",),
    ("--admin.print_conf=json",),
    ("--admin.print_conf=conf",),
    ("--admin.print_conf=env",),
    ("--frobnicate",),
    ("--crontabber.error_retry_time=soon",),
]


class Refusing(SentryReceiver):
    """Refuses whatever it gets."""

    def unpacked(self, path, headers, body):
        return path


class TestSecrets(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        receiver = Refusing(404)
        receiver.__enter__()
        self.addCleanup(receiver.__exit__)
        self.service = f"http://127.0.0.1:{receiver.port}"
        self.write_module("vault", JOBS.replace("config.database_password", "config.get('password')"))
        self.write_module("leaky", "import os\nraise RuntimeError(os.environ['PGPASSWORD'], 'password=s3same-too')")
        self.write_ini()

    def write_ini(self, **connection):
        jobs = "vault.Telltale|1d\nvault.Quiet|1d"
        password = "'''" + PASSWORD + "'''"
        path = self.ini(jobs, connection=connection_options() | connection)
        text = path.read_text().replace("[[postgresql]]", f"[[postgresql]]\npassword={password}", 1)
        text = text.replace("[crontabber]", f"[crontabber]\ntick_ping_url={self.service}/{TOKEN}", 1)
        text += f"[[policy]]\nping_url={self.service}/{TOKEN}/{{app_name}}\n"
        path.write_text(f"[secrets]\n[[sentry]]\ndsn={DSN}\n{text}")

    def assert_no_secret(self, *texts):
        for text in texts:
            self.assertNotIn(MARK, text)

    def test_no_mode_shows_them_at_any_level_of_the_log(self):
        for level in ("DEBUG", "WARNING", "CRITICAL"):
            for mode in MODES:
                with self.subTest(mode, level=level):
                    tick = self.crontabber(f"--logging.stderr_error_logging_level={level}", *mode, PGPASSWORD=PGPASSWORD)
                    self.assert_no_secret(tick.stdout, tick.stderr)
                    self.assertTrue(tick.stdout or tick.stderr or level != "DEBUG", mode)

    def test_an_explanation_shows_that_there_is_an_address_to_ping(self):
        self.assertRegex(self.crontabber("--explain=telltale").stdout, r"ping_url +\*{4} +\(crontabber\.policy\.ping_url\)\n")

    def test_they_are_not_in_the_tables(self):
        self.crontabber(PGPASSWORD=PGPASSWORD)

        last_error = self.row("telltale", "last_error")
        self.assertIn("It failed with", last_error["value"])
        rows = self.sql("SELECT * FROM crontabber"), self.sql("SELECT * FROM crontabber_log")
        self.assert_no_secret(json.dumps(last_error), str(rows))

    def test_a_secret_on_the_command_line_is_not_shown(self):
        for mode in ("--admin.print_conf=ini", "--help", "--nagios", "--job=telltale"):
            with self.subTest(mode):
                tick = self.crontabber(f"--crontabber.password={ON_COMMAND_LINE}", mode, "--force" if "job" in mode else "-n"
                                       if mode == "--nagios" else mode)  # fmt: skip
                self.assert_no_secret(tick.stdout, tick.stderr)

    def test_errors_of_the_configuration_and_the_server_do_not_show_them(self):
        def broken(line):
            path = self.folder / "crontabber.ini"
            path.write_text(f"{path.read_text()}\n{line}\n")

        cases = [
            (lambda: self.write_ini(host="127.0.0.1", port="1"), "no server"),
            (lambda: self.write_ini(port="many"), "a bad connection string"),
            (lambda: self.write_ini(user="nobody_at_all"), "a server that refuses the role"),
            (lambda: broken(f"password {PASSWORD}"), "a line that cannot be read"),
            (lambda: broken(f"[[class-Telltale]]\nsecret_number={TOKEN}"), "a value that cannot be converted"),
            (lambda: broken(f"[sentry]\ndsn='''{DSN}"), "an unclosed quote"),
            (lambda: self.ini("leaky.Job|1d"), "a module that raises an error with a secret"),
            (lambda: broken(f"[paswords]\nx={TOKEN}"), "an unknown option"),
        ]
        for spoil, why in cases:
            for level in ("10", "20"):
                with self.subTest(why, level=level):
                    self.write_ini()
                    spoil()
                    tick = self.crontabber(f"--logging.stderr_error_logging_level={level}", PGPASSWORD=PGPASSWORD)
                    self.assertTrue(tick.stderr)
                    self.assert_no_secret(tick.stdout, tick.stderr)

    def test_a_dumped_configuration_has_them_and_only_its_owner_can_read_it(self):
        path = self.folder / "dumped.ini"
        path.write_text("")
        path.chmod(0o644)

        tick = self.crontabber(f"--admin.dump_conf={path}")

        self.assertEqual((tick.returncode, tick.stdout, tick.stderr), (0, "", ""))
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertIn(KEY, path.read_text())
        self.assertIn(PASSWORD, path.read_text())

    def test_they_are_printed_only_on_demand(self):
        tick = self.crontabber("--admin.print_conf=ini", "--admin.expose_secrets")

        self.assertIn(KEY, tick.stdout)
