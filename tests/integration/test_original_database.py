"""A database of the original works unchanged in every mode, and can go back to the original."""

import json

from tests.integration.mode_case import ModeTestCase

STATE = """
CREATE TABLE {schema}crontabber (
    app_name text NOT NULL,
    next_run timestamp with time zone,
    first_run timestamp with time zone,
    last_run timestamp with time zone,
    last_success timestamp with time zone,
    ongoing timestamp with time zone,
    error_count integer DEFAULT 0,
    depends_on text[],
    last_error json
)
"""
INDEX = "CREATE UNIQUE INDEX crontabber_unique_app_name_idx ON {schema}crontabber (app_name)"
LOG = """
CREATE TABLE {schema}crontabber_log (
    id serial NOT NULL,
    app_name text NOT NULL,
    log_time timestamp with time zone DEFAULT now() NOT NULL,
    duration interval,
    success timestamp with time zone,
    exc_type text,
    exc_value text,
    exc_traceback text
)
"""
BEFORE_ONGOING = STATE.replace("    ongoing timestamp with time zone,\n", "")
GENERATIONS = {
    "as the original left it": (STATE, INDEX, LOG),
    "from before the column ongoing": (BEFORE_ONGOING, INDEX, LOG),
    "without its index": (STATE, LOG),
    "without its log": (STATE, INDEX),
}
SLOW = """
import time

from nightly import Noting


class Slow(Noting):
    app_name = "slow"

    def run(self):
        super().run()
        time.sleep(60)
"""
ERROR = {
    "type": "<type 'exceptions.OSError'>", "value": "[Errno 13] Permission denied: '/etc'",
    "traceback": '  File "/srv/jobs.py", line 9, in run\n    os.unlink(path)\n',
}  # fmt: skip
COLUMNS = """
SELECT column_name, data_type, is_nullable FROM information_schema.columns
WHERE table_name = %s AND table_schema = %s ORDER BY ordinal_position
"""
LINE = "=== JOB " + "=" * 72 + "\n"
JOBS = "nightly.Foo|1d\nnightly.Bar|1d\nnightly.Sad|1d\nnightly.Back|1d"


class OriginalTestCase(ModeTestCase):
    def make(self, statements=(STATE, INDEX, LOG), schema=""):
        for statement in statements:
            self.sql(statement.format(schema=schema))

    def put(self, app_name, last_run="-1 hour", next_run="23 hours", ongoing=None, schema="", **values):
        """Insert a row as the original wrote it; times are relative to now."""
        values = {"error_count": 0, "depends_on": None, "last_error": "{}"} | values
        if ongoing:
            values["ongoing"] = self.moment(ongoing)
        for column in ("first_run", "last_run", "last_success"):
            values.setdefault(column, self.moment(last_run))
        values["next_run"] = self.moment(next_run)
        names = ", ".join(values)
        marks = ", ".join(["%s"] * len(values))
        self.sql(f"INSERT INTO {schema}crontabber (app_name, {names}) VALUES (%s, {marks})", [app_name, *values.values()])

    def moment(self, offset):
        return self.sql("SELECT date_trunc('second', now()) + %s::interval", (offset,))[0][0]

    def put_some(self):
        self.put("foo", depends_on=[])
        self.put("sad", error_count=3, last_error=json.dumps(ERROR), last_success=None)
        self.put("back", last_run="-3 days -1 hour", next_run="-2 days -1 hour")
        self.put("ghost", next_run="-400 days")


class TestEveryMode(OriginalTestCase):
    def test_a_role_with_select_alone_can_read_the_original_tables(self):
        for generation, statements in GENERATIONS.items():
            with self.subTest(generation):
                self.empty_the_database()
                self.make(statements)
                self.put_some()
                columns = self.sql(COLUMNS, ("crontabber", "public"))
                self.ini("nightly.Sad|1d\nnightly.Bar|1d", connection=self.reader())

                self.assert_said(
                    self.crontabber("--nagios"), 2,
                    "CRITICAL - sad (Sad) | <type 'exceptions.OSError'> | [Errno 13] Permission denied: '/etc'\n",
                )  # fmt: skip
                self.assert_said(self.crontabber("--audit-ghosts"), 0,
                                 "Found the following in the state database but not configured here:\n\tback\n\tfoo\n\tghost\n")
                self.assert_said(self.crontabber("--list-jobs"), 0, self.listed_sad() + (
                    LINE + "Class:          nightly.Bar\nApp name:       bar\nFrequency:      1d\n*NO PREVIOUS RUN INFO*\n"))
                self.assert_said(self.crontabber("--status-page=status.html"), 0, "")
                for mode, said in (
                    ("--status", "2 jobs: 1 failing, 1 never ran (times in Etc/UTC)"),
                    ("--explain=sad", "\n  \u2717 it waits for its retry until "),
                    ("--explain=bar", "\n  \u2713 it is due: it has never run\n"),
                    ("--history=sad", "sad has not run yet"),
                    ("--dry-run", "bar would run\n"),
                ):
                    answer = self.crontabber(mode)
                    self.assertEqual((answer.returncode, answer.stderr), (0, ""), mode)
                    self.assertIn(said, answer.stdout)
                self.assertEqual(self.sql(COLUMNS, ("crontabber", "public")), columns)

    def listed_sad(self):
        last_run, next_run = self.sql(
            "SELECT to_char(last_run, 'YYYY-MM-DD HH24:MI:SS'), to_char(next_run, 'YYYY-MM-DD HH24:MI:SS')"
            " FROM crontabber WHERE app_name = 'sad'")[0]
        return LINE + (
            "Class:          nightly.Sad\n"
            "App name:       sad\n"
            "Frequency:      1d\n"
            f"Last run:       {last_run}  (1 hour ago)\n"
            "Last success:   no previous successful run\n"
            f"Next run:       {next_run}  (in 22 hours, 59 minutes)\n"
            "Error!!         (3 times)\n"
            "Traceback (most recent call last):\n"
            '  File "/srv/jobs.py", line 9, in run\n'
            "    os.unlink(path)\n"
            "<type 'exceptions.OSError'>: [Errno 13] Permission denied: '/etc'\n"
            "\n"
        )

    def test_every_mode_that_acts_works_on_the_original_tables(self):
        for generation, statements in GENERATIONS.items():
            with self.subTest(generation):
                self.empty_the_database()
                self.make(statements)
                self.put_some()
                self.ini(JOBS)
                self.ran()

                self.assert_said(self.crontabber("--configtest"), 0, "")
                tick = self.crontabber()
                self.assertEqual((tick.returncode, tick.stdout), (0, ""))
                self.assertEqual(self.ran(), ["back again"] * 3 + ["bar the first time"])
                self.assertIsNotNone(self.sql("SELECT to_regclass('crontabber_unique_app_name_idx')")[0][0])
                self.assertEqual(self.sql("SELECT app_name, count(*) FROM crontabber_log GROUP BY 1 ORDER BY 1"),
                                 [("back", 3), ("bar", 1)])

                self.assertEqual(self.crontabber("--job=foo").returncode, 0)
                self.assertEqual(self.ran(), [])
                self.assertEqual(self.crontabber("--job=sad", "--force").returncode, 0)
                self.assertEqual((self.ran(), self.row("sad", "error_count")), (["sad again"], 4))

                self.crontabber("--reset-job=ghost")
                self.crontabber("--reset-job=nightly.Foo")
                self.assertEqual(self.sql("SELECT app_name FROM crontabber ORDER BY 1"), [("back",), ("bar",), ("sad",)])
                self.assert_said(self.crontabber("--audit-ghosts"), 0, "")
                self.assertEqual(self.crontabber("--nagios").returncode, 2)

    def test_a_backfill_continues_where_the_original_stopped(self):
        self.make()
        self.put_some()
        last = self.row("back", "last_success")
        self.ini("nightly.Back|1d")

        self.crontabber()

        dates = self.sql("SELECT extract(epoch FROM success - %s) / 86400 FROM crontabber_log ORDER BY id", (last,))
        self.assertEqual([float(days) for (days,) in dates], [1.0, 2.0, 3.0])

    def test_a_dependency_run_by_the_original_counts(self):
        self.make()
        self.put("foo", next_run="1 hour")
        self.put("sad", error_count=1, last_error=json.dumps(ERROR))
        self.ini("nightly.Bar|1d\nnightly.SadChild|1d")

        self.crontabber()

        self.assertEqual(self.ran(), ["bar the first time"])


class TestOngoing(OriginalTestCase):
    """Whether the original's process is alive is unknown: the age of its run decides."""

    def test_a_recent_run_is_left_alone_and_holds_back_only_its_children(self):
        self.make()
        self.put("foo", next_run="-1 minute", ongoing="-11 hours -59 minutes")
        self.ini("nightly.Foo|1d\nnightly.Bar|1d\nnightly.Back|1d")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (3, ["back the first time"]))
        self.assertEqual(self.row("foo", "ongoing IS NULL", "owner"), (False, None))
        self.assertIn("bar is held back: its dependency 'foo' has not run recently", tick.stderr)
        self.assertEqual(self.crontabber("--nagios").returncode, 0)
        self.assertIn("\nOngoing now!    Started 11 hours, 59 minutes ago\n", self.crontabber("--list").stdout)

    def test_a_job_ongoing_for_too_long_runs_again_with_a_warning(self):
        self.make()
        self.put("foo", next_run="-1 minute", ongoing="-12 hours -1 minute")
        self.ini("nightly.Foo|1d")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (0, ["foo again"]))
        self.assertRegex(tick.stderr, r"WARNING - foo: it has been marked as ongoing since .*max_ongoing_age_hours")
        self.assertEqual(self.row("foo", "ongoing", "owner", "error_count"), (None, None, 0))
        self.assertEqual(self.sql("SELECT exc_type LIKE '%OwnerDiedError%' FROM crontabber_log ORDER BY id"), [(True,), (None,)])

    def test_a_run_of_the_original_after_our_killed_one_counts_as_running(self):
        """The original does not touch `owner`, which still names the process that was killed."""
        self.kill_a_run_of_ours()
        self.sql("UPDATE crontabber SET ongoing = now() - interval '10 seconds', next_run = now() - interval '1 second'")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (3, []), tick.stderr)
        self.assertIn("'slow' is already running (another process since ", tick.stderr)

    def kill_a_run_of_ours(self):
        self.write_module("slow", SLOW)
        self.ini("slow.Slow|1d")
        ours = self.start()
        self.wait_for("ran.txt")
        ours.kill()
        ours.wait()
        self.ran()

    def test_ongoing_can_be_cleared_by_hand_after_a_kill(self):
        self.kill_a_run_of_ours()
        self.sql("UPDATE crontabber SET ongoing = NULL")
        self.write_module("slow", SLOW.replace("time.sleep(60)", "pass"))

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (0, ["slow again"]), tick.stderr)
        self.assertNotIn("ended without a result", tick.stderr)
        self.assertEqual(self.row("slow", "ongoing", "owner", "error_count"), (None, None, 0))

    def test_the_age_includes_days_and_its_limit_is_an_option(self):
        for age, limit, runs in (("-2 days -1 hour", "12", True), ("-2 days -1 hour", "50", False), ("-2 hours", "1.5", True)):
            with self.subTest(age=age, limit=limit):
                self.empty_the_database()
                self.make()
                self.put("foo", next_run="-1 minute", ongoing=age)
                self.ini("nightly.Foo|1d", max_ongoing_age_hours=limit)

                tick = self.crontabber()

                self.assertEqual((tick.returncode, self.ran()), (0, ["foo again"]) if runs else (3, []))

    def test_force_does_not_run_an_ongoing_job(self):
        self.make()
        self.put("foo", ongoing="-1 hour")
        self.ini("nightly.Foo|1d")

        forced = self.crontabber("--job=foo", "--force")

        self.assertEqual((forced.returncode, self.ran()), (3, []))
        self.assertRegex(forced.stderr, r"(?m)^\S+ \S+ \S+ INFO - 'foo' is already running \(another process since [\d-]+ [\d:]+ \S+\)\n\Z")

    def test_an_ongoing_job_can_be_reset(self):
        self.make()
        self.put("foo", ongoing="-1 hour")
        self.ini("nightly.Foo|1d")

        self.crontabber("--reset-job=foo")
        self.crontabber()

        self.assertEqual(self.ran(), ["foo the first time"])


class TestSchemas(OriginalTestCase):
    def setUp(self):
        super().setUp()
        for schema in ("one", "two"):
            self.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            self.sql(f"CREATE SCHEMA {schema}")
            self.addCleanup(self.sql, f"DROP SCHEMA {schema} CASCADE")
        self.ini("nightly.Foo|1d")

    def tick(self, search_path, *arguments):
        return self.crontabber(*arguments, PGOPTIONS=f"-c search_path={search_path}")

    def rows(self, schema):
        return self.sql(f"SELECT app_name FROM {schema}.crontabber")

    def test_tables_outside_the_search_path_are_ignored(self):
        self.make(schema="one.")
        self.put("ghost", schema="one.")

        self.assertEqual(self.tick("two").returncode, 0)

        self.assertEqual((self.rows("one"), self.rows("two")), ([("ghost",)], [("foo",)]))
        self.assertEqual(self.sql("SELECT count(*) FROM one.crontabber_log UNION ALL SELECT count(*) FROM two.crontabber_log"), [(0,), (1,)])
        self.assertNotIn("owner", [row[0] for row in self.sql(COLUMNS, ("crontabber", "one"))])

    def test_tables_further_down_the_search_path_are_found_and_completed_there(self):
        self.make((BEFORE_ONGOING, LOG), schema="two.")
        self.put("ghost", schema="two.")

        ghosts = self.tick("one,two", "--audit-ghosts")
        tick = self.tick("one,two")

        self.assert_said(ghosts, 0, "Found the following in the state database but not configured here:\n\tghost\n")
        self.assertEqual((tick.returncode, self.ran()), (0, ["foo the first time"]))
        self.assertEqual(self.sql("SELECT to_regclass('one.crontabber'), to_regclass('one.crontabber_log')"), [(None, None)])
        self.assertEqual(sorted(self.rows("two")), [("foo",), ("ghost",)])
        columns = [row[0] for row in self.sql(COLUMNS, ("crontabber", "two"))]
        self.assertEqual(columns[-2:], ["ongoing", "owner"])
        self.assertIsNotNone(self.sql("SELECT to_regclass('two.crontabber_unique_app_name_idx')")[0][0])

    def test_each_schema_has_a_state_of_its_own(self):
        self.make(schema="one.")
        self.make(schema="two.")

        for search_path in ("one", "two,one", "one,two"):
            self.tick(search_path)

        self.assertEqual(self.ran(), ["foo the first time", "foo the first time"])
        self.assertEqual((self.rows("one"), self.rows("two")), ([("foo",)], [("foo",)]))

    def test_a_search_path_without_schemas_is_reported(self):
        tick = self.tick("nowhere")

        self.assertEqual((tick.returncode, tick.stdout), (1, ""))
        self.assertRegex(tick.stderr, r"crontabber: state database: no schema has been selected to create in .*\n\Z")


class TestWayBack(OriginalTestCase):
    def test_a_tick_adds_only_nullable_columns_to_the_originals_tables(self):
        self.make()
        before = {table: self.sql(COLUMNS, (table, "public")) for table in ("crontabber", "crontabber_log")}
        self.put_some()
        self.due("foo", "sad")
        self.ini(JOBS)

        self.crontabber()

        after = {table: self.sql(COLUMNS, (table, "public")) for table in before}
        self.assertEqual(after["crontabber"], [*before["crontabber"], ("owner", "text", "YES")])
        ours = [("slot", "timestamp with time zone", "YES"), ("host", "text", "YES")]
        self.assertEqual(after["crontabber_log"], [*before["crontabber_log"], *ours])
        rows = self.sql("SELECT app_name, ongoing, owner, error_count, json_typeof(last_error), depends_on,"
                        " next_run > last_run FROM crontabber WHERE app_name <> 'ghost' ORDER BY 1")
        self.assertEqual(rows, [
            ("back", None, None, 0, "object", [], True),
            ("bar", None, None, 0, "object", ["foo"], True),
            ("foo", None, None, 0, "object", [], True),
            ("sad", None, None, 4, "object", [], True),
        ])
        self.assertEqual(set(self.row("sad", "last_error")), {"type", "value", "traceback"})

    def test_new_tables_are_the_originals_one_column_and_one_table(self):
        self.make(schema="")
        wanted = {table: set(self.sql(COLUMNS, (table, "public"))) for table in ("crontabber", "crontabber_log")}
        self.empty_the_database()
        self.ini("nightly.Foo|1d")

        self.crontabber()

        self.assertEqual(set(self.sql(COLUMNS, ("crontabber", "public"))), wanted["crontabber"] | {("owner", "text", "YES")})
        ours = {("slot", "timestamp with time zone", "YES"), ("host", "text", "YES")}
        self.assertEqual(set(self.sql(COLUMNS, ("crontabber_log", "public"))), wanted["crontabber_log"] | ours)
        self.assertEqual(self.sql("SELECT indexdef FROM pg_indexes WHERE tablename IN ('crontabber', 'crontabber_log')"),
                         [("CREATE UNIQUE INDEX crontabber_unique_app_name_idx ON public.crontabber USING btree (app_name)",)])
        self.assertEqual(self.sql(COLUMNS, ("crontabber_job", "public")), [
            ("app_name", "text", "NO"), ("first_slot", "timestamp with time zone", "YES"), ("last_date", "date", "YES"),
            ("last_date_for", "timestamp with time zone", "YES"), ("paused_at", "timestamp with time zone", "YES"),
            ("paused_by", "text", "YES"), ("pause_reason", "text", "YES"),
        ])  # fmt: skip

    def test_both_programs_can_run_jobs_in_turns(self):
        """The original writes whole rows without `owner`, and runs what ours planned."""
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.sql("UPDATE crontabber SET ongoing = now() WHERE app_name = 'foo'")
        self.sql("UPDATE crontabber SET last_run = now(), last_success = now(), next_run = now() - interval '1 minute',"
                 " error_count = 0, last_error = '{}', ongoing = NULL WHERE app_name = 'foo'")
        self.put("bar")
        self.ran()

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (0, ["foo again"]))
