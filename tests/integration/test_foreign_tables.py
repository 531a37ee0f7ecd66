"""What the owner of the tables is asked to add, where the role that runs jobs may not."""

import re

from crontabber.store import schema_sql
from tests.documents import blocks_of
from tests.integration.test_original_database import OriginalTestCase
from tests.support import connection_options

ADVICE = re.compile(r"^(.*?): .*\. The owner of the tables can change that: (.*)$", re.MULTILINE)


def on_one_line(statement):
    return " ".join(statement.split())


class TestForeignTables(OriginalTestCase):
    def setUp(self):
        super().setUp()
        self.make()
        self.sql("DROP ROLE IF EXISTS foreign_worker")
        self.sql("CREATE ROLE foreign_worker LOGIN PASSWORD 'worker'")
        self.addCleanup(self.sql, "DROP OWNED BY foreign_worker; DROP ROLE foreign_worker")
        self.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON crontabber, crontabber_log TO foreign_worker")
        self.sql("GRANT USAGE ON SEQUENCE crontabber_log_id_seq TO foreign_worker")
        self.ini("nightly.Foo|1d", connection=connection_options() | {"user": "foreign_worker", "password": "worker"})

    def advice(self):
        """Return what --status says below its table: pairs of what is missing, and the statements."""
        status = self.crontabber("--status")
        self.assertEqual((status.returncode, status.stderr), (0, ""))
        return ADVICE.findall(status.stdout)

    def checked(self):
        self.sql("INSERT INTO crontabber (app_name) VALUES ('foo')")
        return self.crontabber("--check").stdout

    def test_status_names_statements_that_complete_the_tables(self):
        advice = self.advice()

        self.assertEqual([what for what, _ in advice], [
            "The table crontabber has no column owner",
            "The table crontabber_log has no column slot, host",
            "There is no table crontabber_job",
            "There is no table crontabber_host",
        ])  # fmt: skip
        self.assertEqual([what for what, _ in re.findall(r"^((?:The|There is) [^:]*): (.)", self.checked(), re.MULTILINE)],
                         [what for what, _ in advice])  # fmt: skip
        for _, statements in advice:
            self.sql(statements)
        self.assertEqual(self.advice(), [])
        self.assertEqual(self.crontabber("--pause=foo", "--yes").returncode, 0)
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber_job WHERE paused_at IS NOT NULL"), [(1,)])

    def test_the_log_is_pruned_without_the_index_that_only_the_owner_can_make(self):
        self.ini("nightly.Foo|1d", "log_retention=180d", connection=connection_options() | {"user": "foreign_worker", "password": "worker"})
        self.sql("INSERT INTO crontabber_log (app_name, log_time) SELECT 'foo', now() - day * interval '1 day' FROM generate_series(0, 400) AS day")
        waits = self.crontabber("--job=foo", "--force").stderr

        pruned = self.crontabber("--prune-log", "--older-than=180d", "--yes")

        self.assertEqual((pruned.returncode, self.sql("SELECT count(*) FROM crontabber_log WHERE log_time < now() - interval '180 days'")), (0, [(0,)]))
        self.assertIn("WARNING - crontabber_log has no index, and only its owner can add it: CREATE INDEX CONCURRENTLY ", pruned.stderr)
        self.assertNotIn("log_retention", waits)  # --job is no tick
        self.assertIn("INFO - log_retention waits for an index: run --prune-log once as the owner of the log", self.crontabber().stderr)

    def test_a_role_for_which_pauses_do_not_hold_is_warned_at_each_tick(self):
        self.sql("CREATE TABLE crontabber_job (app_name text PRIMARY KEY, first_slot timestamptz, last_date date, last_date_for timestamptz,"
                 " paused_at timestamptz, paused_by text, pause_reason text)")  # fmt: skip
        self.sql("INSERT INTO crontabber_job (app_name, paused_at) VALUES ('foo', now())")

        self.assertRegex(self.crontabber().stderr, r"WARNING - Pauses do not hold for this role: .* GRANT SELECT, INSERT, UPDATE, DELETE ON public\.crontabber_job TO ")

        self.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON crontabber_job TO foreign_worker")
        self.sql("UPDATE crontabber SET next_run = now()")
        # Now the pause holds.
        self.assertEqual((self.crontabber().stderr.count("WARNING"), self.ran()), (0, ["foo the first time"]))

    def test_a_missing_column_of_crontabber_job_is_named(self):
        self.sql("CREATE TABLE crontabber_job (app_name text PRIMARY KEY, first_slot timestamptz, last_date date, last_date_for timestamptz)")
        self.sql("CREATE TABLE crontabber_host (host text PRIMARY KEY, last_tick timestamptz, version text)")
        self.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON crontabber_job TO foreign_worker")
        statement = ("ALTER TABLE crontabber_job ADD COLUMN paused_at timestamptz, ADD COLUMN paused_by text,"
                     " ADD COLUMN pause_reason text;")  # fmt: skip
        what = "The table crontabber_job has no column paused_at, paused_by, pause_reason"

        pause = self.crontabber("--pause=foo", "--yes")

        self.assert_said(pause, 1, "", "crontabber: state database: jobs cannot be paused:"
                                       f" {what}. The owner of the tables can change that: {statement}\n")  # fmt: skip
        grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON public.crontabber_host TO foreign_worker;"
        self.assertEqual(self.advice()[2:], [(what, statement), ("This role may not use the table crontabber_host", grant)])
        self.sql(statement)
        self.assertEqual(self.crontabber("--pause=foo", "--yes").returncode, 0)

    def test_nothing_is_said_to_a_role_that_adds_it_or_runs_no_jobs(self):
        self.ini("nightly.Foo|1d")
        self.assertEqual(self.advice(), [])

        self.ini("nightly.Foo|1d", connection=self.reader())
        self.assertEqual(self.advice(), [])

    def test_the_upgrade_page_has_exactly_these_statements(self):
        (block,) = [block for block in blocks_of("docs/user/coming-from-the-original.rst") if block.kind == "sql"]
        tables = schema_sql.CREATE_NOTES, schema_sql.CREATE_HOSTS
        statements = [
            schema_sql.ADD_OWNER, schema_sql.ADD_SLOT, schema_sql.ADD_HOST, *(table.format(schema="") for table in tables),
            schema_sql.GRANT.format(table="crontabber_job, crontabber_host", role="runner"),
        ]  # fmt: skip

        self.assertEqual([on_one_line(each) for each in block.text.split(";") if each.strip()], list(map(on_one_line, statements)))
