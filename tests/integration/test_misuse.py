"""Bad input of every kind, through the real command: a short message names the culprit, and nothing is harmed."""

import re
import socket
import threading
from dataclasses import dataclass, field

from tests.support import DatabaseTestCase, connection_options

MOST_LINES = 12
# An error that ends the command, or one that stops only some entries of the `jobs` setting.
LINE = re.compile(r"crontabber: |\S+ \S+ \S+ ERROR - (\S+/crontabber\.ini: )?(jobs: |crontabber\.class-)")

JOBS = """
from configman import Namespace
from crontabber.base import BaseCronApp
from tests.jobs import Noting as Job


class Good(Job):
    app_name = "good"


class Other(Job):
    app_name = "other"


class SameName(Job):
    app_name = "good"


class Nameless(BaseCronApp):
    def run(self):
        pass


class NumberName(Job):
    app_name = 7


class Selfish(Job):
    app_name = "selfish"
    depends_on = "selfish"


class Confused(Job):
    app_name = "confused"
    depends_on = 17


class Hen(Job):
    app_name = "hen"
    depends_on = "egg"


class Egg(Job):
    app_name = "egg"
    depends_on = ["hen"]


class OwnTime(Job):
    app_name = "own-time"
    required_config = Namespace()
    required_config.add_option("time", default="noon")


class OwnItems(Job):
    app_name = "own-items"
    required_config = Namespace()
    required_config.add_option("items", default="all")


class NumberConfig(Job):
    app_name = "number-config"
    required_config = 17


class BrokenConfig(Job):
    app_name = "broken-config"

    @classmethod
    def get_required_config(cls):
        raise KeyError("what it needs")


def at_least_3(text):
    if int(text) < 3:
        raise ValueError("expected at least 3")
    return int(text)


def picky(text):
    return {"a": 1}[text]


class Configured(Job):
    app_name = "configured"
    required_config = Namespace()
    required_config.add_option("number", default=3, from_string_converter=at_least_3, doc="a number")
    required_config.add_option("choice", default="a", from_string_converter=picky, doc="a choice")
    required_config.add_option("password", default=0, from_string_converter=int, doc="a secret that is a number")


def function():
    pass


not_a_class = 17
"""


@dataclass(frozen=True)
class Misuse:
    """A mistake, and the words that its message must have. `jobs` and `crontabber` go into a good ini file; `raw`
    replaces it."""

    why: str
    words: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    jobs: str = "oddities.Good|1d"
    extra: str = ""
    crontabber: dict = field(default_factory=dict)
    connection: dict = field(default_factory=dict)
    env: dict = field(default_factory=dict)
    raw: bytes | None = None
    exit_code: int = 1
    stdout: str = ""


COMMAND_LINE = [
    Misuse("an unknown option", ("unknown option --frobnicate (see --help)",), ("--frobnicate",)),
    Misuse("a misspelt option", ("--list-job", "--list-jobs"), ("--list-jobz",)),
    Misuse("a misspelt option of a section", ("crontabber.error_retry_tim", "--crontabber.error_retry_time"),
           ("--crontabber.error_retry_tyme=5",)),
    Misuse("an option without its section", ("--error_retry_time", "--crontabber.error_retry_time"),
           ("--error_retry_time=5",)),
    Misuse("an unknown short option", ("-x",), ("-x",)),
    Misuse("-h", ("-h", "--help"), ("-h",)),
    Misuse("an ambiguous abbreviation", ("--re", "--reset-job", "--resource"), ("--re",)),
    Misuse("an option without its value", ("--job", "needs a value"), ("--job",)),
    Misuse("a short option without its value", ("-j", "needs a value"), ("-j",)),
    Misuse("an empty value of a short option", ("an empty argument after -j", "variable"), ("-j", "")),
    Misuse("an empty value of a long option", ("an empty argument after --job", "variable"), ("--job", "")),
    Misuse("an empty argument", ("an empty argument after --force", "variable"), ("--force", "")),
    Misuse("a switch with a value", ("--force", "takes no value"), ("--force=yes", "--job=good")),
    Misuse("a switch of the configuration with a value", ("--crontabber.session_locks", "takes no value"),
           ("--crontabber.session_locks=False",)),
    Misuse("--conf for --admin.conf", ("--configtest", "--admin.conf="), ("--conf=crontabber.ini",)),
    Misuse("an argument without an option", ("unexpected argument 'good'",), ("good",)),
    Misuse("an argument after two dashes", ("'good'",), ("--", "good")),
    Misuse("an empty --job", ("--job is empty",), ("--job=",)),
    Misuse("a blank --job", ("--job is empty",), ("--job= ",)),
    Misuse("an empty --reset-job", ("--reset-job is empty",), ("--reset-job=",)),
    Misuse("an unknown job", ("'goood'", "did you mean good?"), ("--job=goood",)),
    Misuse("an unknown class", ("'oddities.Goood'", "oddities.Good"), ("--job=oddities.Goood",)),
    Misuse("an unknown job to reset", ("'nobody'",), ("--reset-job=nobody",)),
    Misuse("--force alone", ("--force", "--job"), ("--force",)),
    Misuse("two modes", ("--list-jobs and --configtest",), ("--list-jobs", "--configtest")),
    Misuse("a job and a mode", ("--job and --audit-ghosts",), ("--job=good", "--audit-ghosts")),
    Misuse("two modes, one of them --nagios", (), ("--nagios", "--list-jobs"), exit_code=3,
           stdout="UNKNOWN - --list-jobs and --nagios cannot be combined: choose one\n"),
    Misuse("a test of Sentry without a DSN", ("sentry.dsn is not set",), ("--sentrytest",)),
    Misuse("an empty configuration format", ("--admin.print_conf is empty",), ("--admin.print_conf=",)),
    Misuse("an empty file to dump to", ("--admin.dump_conf is empty",), ("--admin.dump_conf=",)),
    Misuse("an unknown configuration format", ("unknown configuration format 'yaml'",), ("--admin.print_conf=yaml",)),
    Misuse("a dump in an unknown format", ("xyz",), ("--admin.dump_conf=dumped.xyz",)),
    Misuse("a dump into a missing folder", ("nowhere/dumped.ini",), ("--admin.dump_conf=nowhere/dumped.ini",)),
]  # fmt: skip

VALUES = [
    Misuse("a word instead of a number", ("crontabber.ini", "crontabber.error_retry_time", "'soon'", "whole number"),
           crontabber={"error_retry_time": "soon"}),
    Misuse("the same on the command line", ("command line", "crontabber.error_retry_time", "'soon'"),
           ("--crontabber.error_retry_time=soon",)),
    Misuse("the same in the environment", ("environment", "crontabber.error_retry_time", "'soon'"),
           env={"crontabber.error_retry_time": "soon"}),
    Misuse("a negative time", ("crontabber.error_retry_time", "'-5'"), crontabber={"error_retry_time": "-5"}),
    Misuse("too long a time", ("crontabber.error_retry_time", "99999999999999"),
           crontabber={"error_retry_time": "99999999999999"}),
    Misuse("hours that are not a number", ("crontabber.max_ongoing_age_hours", "'nan'"),
           crontabber={"max_ongoing_age_hours": "nan"}),
    Misuse("zero hours", ("crontabber.max_ongoing_age_hours", "'0'"), crontabber={"max_ongoing_age_hours": "0"}),
    Misuse("infinite hours", ("crontabber.max_ongoing_age_hours", "'inf'"), crontabber={"max_ongoing_age_hours": "inf"}),
    Misuse("neither true nor false", ("crontabber.session_locks", "'maybe'", "taken as False"), ("--admin.strict",),
           crontabber={"session_locks": "maybe"}),
    Misuse("a class of a missing module", ("crontabber.database_class", "'nowhere.Factory'", "nowhere"),
           crontabber={"database_class": "nowhere.Factory"}),
    Misuse("a class that is not in its module", ("crontabber.job_state_db_class", "'crontabber.app.Nothing'"),
           crontabber={"job_state_db_class": "crontabber.app.Nothing"}),
    Misuse("a module instead of a class", ("crontabber.database_class", "'os.path'", "expected a class"),
           crontabber={"database_class": "os.path"}),
    Misuse("an empty class", ("crontabber.database_class", "expected a class"), crontabber={"database_class": ""}),
    Misuse("a class whose module raises", ("crontabber.database_class", "exploding.Factory", "boom"),
           crontabber={"database_class": "exploding.Factory"}),
    Misuse("a class whose module exits", ("crontabber.database_class", "exiting.Factory"),
           crontabber={"database_class": "exiting.Factory"}),
    Misuse("an unknown log level", ("logging.stderr_error_logging_level", "'LOUD'", "WARNING"),
           extra="[logging]\nstderr_error_logging_level=LOUD"),
    Misuse("a format string that does not work", ("logging.stderr_line_format_string", "{mesage}"),
           extra="[logging]\nstderr_line_format_string={mesage}"),
    Misuse("an unknown syslog facility", ("logging.syslog_facility_string", "'nowhere'", "daemon"),
           extra="[logging]\nsyslog_facility_string=nowhere"),
    Misuse("a port out of range", ("logging.syslog_port", "'70000'"), extra="[logging]\nsyslog_port=70000"),
    Misuse("two numbers instead of one", ("crontabber.error_retry_time", "'600, 1'", "whole number"),
           crontabber={"error_retry_time": "600, 1"}),
    Misuse("a frequency with a comma", ("crontabber.class-Good.frequency", "put quotes around"),
           extra="[[class-Good]]\nfrequency=1d, 2d"),
    Misuse("a password with a comma", ("crontabber.password is ****", "put quotes around"), crontabber={"password": "s3same,x"}),
    Misuse("two bad values at once", ("crontabber.error_retry_time", "crontabber.max_ongoing_age_hours"),
           crontabber={"error_retry_time": "soon", "max_ongoing_age_hours": "x"}),
    Misuse("a value that the job's converter refuses", ("crontabber.class-Configured.number", "'2'", "expected at least 3"),
           jobs="oddities.Configured|1d", extra="[[class-Configured]]\nnumber=2"),
    Misuse("a value that the job's converter fails on", ("crontabber.class-Configured.choice", "'b'"),
           jobs="oddities.Configured|1d", extra="[[class-Configured]]\nchoice=b"),
    Misuse("a secret that cannot be converted", ("crontabber.class-Configured.password", "****"),
           jobs="oddities.Configured|1d", extra="[[class-Configured]]\npassword=s3same-open"),
    Misuse("a section instead of an option", ("crontabber.jobs",), raw=b"[crontabber]\n[[jobs]]\na=1\n"),
    Misuse("an unknown option of a job, with --admin.strict", ("crontabber.ini", "crontabber.class-Good.nosuch"),
           ("--admin.strict",), extra="[[class-Good]]\nnosuch=1"),
    Misuse("a setting of another program, with --admin.strict", ("crontabber.ini", "secrets.vault.x"),
           ("--admin.strict",), extra="[secrets]\n[[vault]]\nx=1"),
    Misuse("an unknown option, with --admin.strict", ("crontabber.ini", "crontabber.jbos", "crontabber.jobs"),
           ("--admin.strict",), extra="jbos=1"),
]  # fmt: skip

FILES = [
    Misuse("a missing file", ("nope.ini", "no such configuration file"), ("--admin.conf=nope.ini",)),
    Misuse("a misspelt file name", ("crontaber.ini", "did you mean crontabber.ini?"), ("--admin.conf=crontaber.ini",)),
    Misuse("an empty file name", ("--admin.conf is empty",), ("--admin.conf=",)),
    Misuse("a folder", ("is a folder",), ("--admin.conf=.",)),
    Misuse("a device", ("/dev/null", "is not a regular file"), ("--admin.conf=/dev/null",)),
    Misuse("an unsupported kind of file", ("oddities.txt", ".ini"), ("--admin.conf=oddities.txt",)),
    Misuse("a missing module", ("no_such_module",), ("--admin.conf=no_such_module",)),
    Misuse("a binary file", ("crontabber.ini", "is not a text file"), raw=b"[crontabber]\n\0\1\2"),
    Misuse("another encoding", ("crontabber.ini", "line 2", "not valid UTF-8"), raw=b"[crontabber]\n# caf\xe9\n"),
    Misuse("a line that means nothing", ("crontabber.ini", "line 2"), raw=b"[crontabber]\njust words\n"),
    Misuse("an unclosed section heading", ("crontabber.ini", "line 1"), raw=b"[crontabber\njobs=\n"),
    Misuse("a section nested too deeply", ("crontabber.ini", "line 2", "brackets"), raw=b"[a]\n[[[b]]]\n"),
    Misuse("a repeated section", ("crontabber.ini", "line 3", "repeats"), raw=b"[crontabber]\njobs=\n[crontabber]\n"),
    Misuse("a repeated option", ("crontabber.ini", "line 3", "repeats"), raw=b"[crontabber]\njobs=\njobs=\n"),
    Misuse("an unclosed quote", ("crontabber.ini", "line 2"), raw=b"[crontabber]\njobs='''oddities.Good|1d\n"),
    Misuse("a missing included file", ("common.ini",), raw=b"[crontabber]\n+include ./common.ini\n"),
    Misuse("a file that includes itself", ("crontabber.ini", "circle"), raw=b"+include ./crontabber.ini\n"),
    Misuse("a value that refers to itself", ("crontabber.ini", "loop"), raw=b"[crontabber]\njobs=%(jobs)s\n"),
    Misuse("broken JSON", ("broken.json", "line 2", "not valid JSON"), ("--admin.conf=broken.json",)),
]  # fmt: skip

SETTING = [
    Misuse("a missing module", ("nowhere.Job", "no module named 'nowhere'"), jobs="nowhere.Job|1d"),
    Misuse("a missing class", ("oddities.Job5", "no class 'Job5'"), jobs="oddities.Job5|1d"),
    Misuse("no module", ("'Good'", "module.Class"), jobs="Good|1d"),
    Misuse("a function instead of a class", ("oddities.function", "not a job class"), jobs="oddities.function|1d"),
    Misuse("a number instead of a class", ("oddities.not_a_class", "not a job class"), jobs="oddities.not_a_class|1d"),
    Misuse("a class that is not a job", ("configman.Namespace", "not a job class"), jobs="configman.Namespace|1d"),
    Misuse("a module that raises", ("exploding.Job", "RuntimeError", "boom"), jobs="exploding.Job|1d"),
    Misuse("a module that exits", ("exiting.Job", "SystemExit"), jobs="exiting.Job|1d"),
    Misuse("a module with a syntax error", ("slipped.Job", "SyntaxError"), jobs="slipped.Job|1d"),
    Misuse("a module with a missing import", ("importing.Job", "nowhere"), jobs="importing.Job|1d"),
    Misuse("no frequency", ("oddities.Good", "no frequency"), jobs="oddities.Good"),
    Misuse("an empty frequency", ("oddities.Good|", "no frequency"), jobs="oddities.Good|"),
    Misuse("too many parts", ("oddities.Good|1d|03:00|UTC|x", "too many parts"), jobs="oddities.Good|1d|03:00|UTC|x"),
    *[Misuse(f"the frequency {text}", ("oddities.Good", repr(text)), jobs=f"oddities.Good|{text}")
      for text in ("3e", "0m", "-5m", "5", "m", "1d2h", "1.5h", "d1", "99999999999d", "５m")],
    *[Misuse(f"the time {text}", ("oddities.Good", repr(text)), jobs=f"oddities.Good|1d|{text}")
      for text in ("24:00", "12:60", "noon", "12", "12:00:99")],
    Misuse("a time with a frequency in hours", ("oddities.Good", "2h"), jobs="oddities.Good|2h|03:00"),
    Misuse("no app_name", ("oddities.Nameless", "no app_name"), jobs="oddities.Nameless|1d"),
    Misuse("a number as app_name", ("oddities.NumberName", "app_name"), jobs="oddities.NumberName|1d"),
    Misuse("two jobs with one app_name", ("Good", "oddities.SameName", "'good'"), jobs="oddities.Good|1d\noddities.SameName|1d"),
    Misuse("the same class twice", ("oddities.Good is listed twice",), jobs="oddities.Good|1d\noddities.Good|2d"),
    Misuse("two classes with one name", ("oddities.Good", "others.Good", "collide"),
           jobs="oddities.Good|1d\nothers.Good|1d"),
    Misuse("a job that depends on itself", ("oddities.Selfish", "itself"), jobs="oddities.Selfish|1d"),
    Misuse("a circular dependency", ("circular", "hen", "egg"), jobs="oddities.Hen|1d\noddities.Egg|1d"),
    Misuse("a number as a dependency", ("oddities.Confused", "17"), jobs="oddities.Confused|1d"),
    Misuse("an option of its own called time", ("oddities.OwnTime", "'time'"), jobs="oddities.OwnTime|1d"),
    Misuse("an option of its own called items", ("oddities.OwnItems", "'items'"), jobs="oddities.OwnItems|1d"),
    Misuse("options that are a number", ("oddities.NumberConfig", "required_config"), jobs="oddities.NumberConfig|1d"),
    Misuse("options that raise", ("oddities.BrokenConfig", "what it needs"), jobs="oddities.BrokenConfig|1d"),
    Misuse("four faults at once", ("nowhere", "no frequency", "oddities.Nameless", "'0m'"),
           jobs="nowhere.Job|1d\noddities.Other\noddities.Nameless|1d\noddities.Good|0m"),
    Misuse("fifty faults at once", ("nowhere0", "jobs: 41 more faults"), jobs="\n".join(f"nowhere{n}.Job|1d" for n in range(50))),
    Misuse("faults counted by --configtest", ("nowhere", "no frequency"), ("--configtest",),
           jobs="nowhere.Job|1d\noddities.Other\noddities.Good|1d", exit_code=2),
    Misuse("faults of importable jobs counted by --configtest", ("'noon'", "'0m'"), ("--configtest",),
           jobs="oddities.Other|1d|noon\noddities.Good|0m", exit_code=2),
    Misuse("a broken setting, for Nagios", (), ("--nagios",), jobs="nowhere.Job|1d", exit_code=2,
           stdout="CRITICAL - jobs: nowhere.Job: no module named 'nowhere' (is PYTHONPATH right?)\n"),
    Misuse("a broken setting, for Nagios, with a module that prints", (), ("-n",), jobs="talking.Good|0m", exit_code=2,
           stdout="CRITICAL - jobs: oddities.Good: '0m' is not a valid frequency: "),
]  # fmt: skip

DATABASE = [
    Misuse("a port without a server", ("state database", "127.0.0.1", "port 1 "),
           connection={"host": "127.0.0.1", "port": "1"}),
    Misuse("an unknown host", ("state database", "nowhere.invalid"), connection={"host": "nowhere.invalid"}),
    Misuse("a folder without a socket", ("state database", "/nonexistent"), connection={"host": "/nonexistent"}),
    Misuse("a port that is not a number", ("state database", '"many"'), connection={"port": "many"}),
    Misuse("a missing database", ("state database", '"nodb"', "does not exist"), connection={"dbname": "nodb"}),
    Misuse("an unknown role", ("state database", '"nobody_at_all"'), connection={"user": "nobody_at_all"}),
    Misuse("an unreachable database, for Nagios", (), ("--nagios",), connection={"host": "/nonexistent"}, exit_code=2,
           stdout="CRITICAL - state database: "),
    Misuse("a read-only server", ("state database", "read-only"),
           env={"PGOPTIONS": "-c default_transaction_read_only=on"}),
]  # fmt: skip


class TestMisuse(DatabaseTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.write_module("oddities", JOBS)
        self.write_module("others", "from oddities import Job\nclass Good(Job):\n    app_name = 'other-good'\n")
        self.write_module("exploding", "raise RuntimeError('boom')")
        self.write_module("exiting", "import sys\nsys.exit(0)")
        self.write_module("slipped", "class Job(:\n")
        self.write_module("importing", "import nowhere")
        self.write_module("talking", "import sys\nfrom oddities import Good\nprint('hello')\nprint('oh', file=sys.stderr)")
        (self.folder / "oddities.txt").write_text("no configuration")
        (self.folder / "broken.json").write_text('{"crontabber":\n{"jobs": }}')
        self.ini("oddities.Good|1d")
        self.assertEqual(self.crontabber().returncode, 0)
        self.due("good")
        (self.folder / "ran.txt").unlink()

    def state(self):
        return self.sql("SELECT * FROM crontabber ORDER BY app_name"), self.sql("SELECT * FROM crontabber_log ORDER BY id")

    def check(self, misuse):
        before = self.state()
        self.ini(misuse.jobs, misuse.extra, connection=connection_options() | misuse.connection, **misuse.crontabber)
        if misuse.raw is not None:
            (self.folder / "crontabber.ini").write_bytes(misuse.raw)

        tick = self.crontabber(*misuse.arguments, **misuse.env)

        self.assertEqual(tick.returncode, misuse.exit_code, tick)
        self.assertNotIn("Traceback", tick.stdout + tick.stderr)
        self.assertNotIn("Warning", tick.stderr)
        self.assertNotIn("s3same", tick.stdout + tick.stderr)
        self.assertTrue(tick.stdout.startswith(misuse.stdout) if misuse.stdout else not tick.stdout, tick.stdout)
        lines = tick.stderr.splitlines()
        self.assertLessEqual(len(lines), MOST_LINES, tick.stderr)
        self.assertEqual([line for line in lines if not LINE.match(line)], [])
        self.assertEqual([word for word in misuse.words if word not in tick.stderr], [], tick.stderr)
        if tick.stdout:
            self.assertEqual((tick.stdout.count("\n"), lines), (1, []))
        self.assertEqual(self.state(), before)
        self.assertFalse((self.folder / "ran.txt").exists())

    def check_all(self, misuses):
        for misuse in misuses:
            with self.subTest(misuse.why):
                self.check(misuse)

    def test_mistakes_on_the_command_line_are_explained(self):
        self.check_all(COMMAND_LINE)

    def test_bad_option_values_are_explained(self):
        self.check_all(VALUES)

    def test_bad_configuration_files_are_explained(self):
        self.check_all(FILES)

    def test_mistakes_in_the_jobs_setting_are_explained(self):
        self.check_all(SETTING)

    def test_an_unusable_database_is_explained(self):
        self.check_all(DATABASE)

    def test_missing_privileges_are_explained(self):
        self.addCleanup(self.sql, "DROP OWNED BY crontabber_guest")
        self.sql("DROP ROLE IF EXISTS crontabber_guest")
        self.sql("CREATE ROLE crontabber_guest LOGIN PASSWORD 'guest'")
        guest = {"user": "crontabber_guest", "password": "guest"}

        self.check(Misuse("no privilege is granted", ("permission denied for table crontabber", "SELECT", "INSERT"),
                          connection=guest))

        self.sql("GRANT SELECT ON crontabber, crontabber_log TO crontabber_guest")
        self.check(Misuse("only SELECT is granted", ("permission denied for table crontabber", "UPDATE"), connection=guest))

    def test_a_server_that_refuses_connections_is_explained(self):
        refusals = [("28P01", 'password authentication failed for user "me"'), ("53300", "sorry, too many clients already"),
                    ("57P03", "the database system is starting up")]  # fmt: skip
        for code, said in refusals:
            with self.subTest(said), refusing_server(code, said) as port:
                connection = {"host": "127.0.0.1", "port": str(port), "user": "me", "password": "s3same-open"}
                self.check(Misuse(said, ("state database", said), connection=connection))

    def test_at_least_sixty_mistakes_are_covered(self):
        self.assertGreaterEqual(sum(map(len, (COMMAND_LINE, VALUES, FILES, SETTING, DATABASE))), 60)


class TestWarnings(DatabaseTestCase):
    """Unknown options are reported but stop nothing; those that may be for other programs are not reported."""

    def setUp(self):
        super().setUp()
        self.write_module("oddities", JOBS)

    def warnings(self, *arguments, extra="", before="", **env):
        path = self.ini("oddities.Good|1d\noddities.Configured|1d", extra)
        path.write_text(before + path.read_text())
        tick = self.crontabber("--logging.stderr_line_format_string={levelname} {message}", *arguments, **env)
        self.assertEqual(tick.returncode, 0, tick.stderr)
        lines = [line for line in tick.stderr.splitlines() if line.startswith("WARNING")]
        return [line.replace(f"{self.folder}/", "") for line in lines]

    def test_an_unknown_option_is_reported_with_the_nearest_known_one(self):
        cases = [
            (dict(extra="eror_retry_time=5"),
             "crontabber.ini: unknown option crontabber.eror_retry_time (did you mean crontabber.error_retry_time?), ignored"),
            (dict(before="error_retry_time=5\n"),
             "crontabber.ini: unknown option error_retry_time (did you mean crontabber.error_retry_time?), ignored"),
            (dict(extra="[postgresql]\ndbname=x"),
             "crontabber.ini: unknown option postgresql.dbname (did you mean resource.postgresql.dbname?), ignored"),
            (dict(extra="[[class-Configured]]\nnumbr=5"),
             "crontabber.ini: unknown option crontabber.class-Configured.numbr"
             " (did you mean crontabber.class-Configured.number?), ignored"),
            (dict(extra="[[class-Configurd]]\nnumber=5"),
             "crontabber.ini: unknown option crontabber.class-Configurd.number"
             " (did you mean crontabber.class-Configured.number?), ignored"),
            (dict(extra="[[class-Configured]]\nzzz=5"),
             "crontabber.ini: unknown option crontabber.class-Configured.zzz, ignored"),
            (dict(extra="[[class-Departed]]\njobs=oddities.Good|1d"),
             "crontabber.ini: unknown option crontabber.class-Departed.jobs (did you mean crontabber.jobs? Every line"
             " below a [section] belongs to that section), ignored"),
            (dict(extra="[elsewhere]\nx=1"), "crontabber.ini: unknown option elsewhere.x, ignored"),
            (dict(extra="session_locks=on"), "crontabber.ini: crontabber.session_locks is 'on': taken as False (write True or False)"),
            ({"crontabber.session_locks": "2"}, "environment: crontabber.session_locks is '2': taken as False (write True or False)"),
            ({"crontabber.jbos": "x"}, "environment: unknown option crontabber.jbos (did you mean crontabber.jobs?), ignored"),
        ]  # fmt: skip
        for source, warning in cases:
            with self.subTest(warning):
                self.assertEqual(self.warnings(**source), [f"WARNING {warning}"])

    def test_settings_of_other_programs_cause_no_warning(self):
        cases = [
            (dict(extra="[[class-Departed]]\ngreeting=bye"), "a job that is no longer configured"),
            (dict(extra="[[class-Consigned]]\nnumber=5"), "one whose name only resembles that of another"),
            (dict(extra="[[class-Configurd]]\ndate_format=x"), "an option that the other one does not have"),
            (dict(before="[secrets]\n[[vault]]\nx=1\n"), "a secret of another program"),
            (dict(jobs="x", job_name="y"), "variables of another program"),
            (dict(extra="[[class-Configured]]\nnumber=5"), "nothing but known options"),
        ]
        for source, why in cases:
            with self.subTest(why):
                self.assertEqual(self.warnings(**source), [])

    def test_the_log_shows_a_traceback_only_at_debug(self):
        self.ini("oddities.Good|1d", connection={"host": "/nonexistent"})
        for arguments, tracebacks in (("--job=good",), 0), (("--job=good", "--logging.stderr_error_logging_level=DEBUG"), 1):
            with self.subTest(arguments):
                tick = self.crontabber(*arguments)
                self.assertEqual(tick.returncode, 1)
                self.assertEqual(int("Traceback (most recent call last):\n" in tick.stderr), tracebacks, tick.stderr)
                self.assertTrue(tick.stderr.splitlines()[-1].startswith("crontabber: state database: "), tick.stderr)


class refusing_server:
    """A server on the loopback that answers every connection with an error; `with` gives its port."""

    def __init__(self, code, said):
        fields = f"SFATAL\0VFATAL\0C{code}\0M{said}\0\0".encode()
        self._answer = b"E" + (len(fields) + 4).to_bytes(4, "big") + fields

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return self._socket.getsockname()[1]

    def __exit__(self, *error):
        self._socket.close()

    def _serve(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                request = client.recv(1024)
                while request[4:8] in (bytes.fromhex("04d2162f"), bytes.fromhex("04d21630")):
                    client.sendall(b"N")  # neither SSL nor GSS
                    request = client.recv(1024)
                client.sendall(self._answer)
