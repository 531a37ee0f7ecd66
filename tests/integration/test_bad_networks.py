"""Connections that are cut, go silent or are only acknowledged: no result is lost, and nothing waits for ever."""


from crontabber.connection_factory import ConnectionFactory
from crontabber.store import schema
from crontabber.store.keepalives import PROBES, USER_TIMEOUT
from crontabber.store.state_connection import StateConnection
from tests.integration.faults import TcpServerTestCase


class TestKeepalives(TcpServerTestCase):
    NAMES = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
    OURS = [str(PROBES["idle"]), str(PROBES["interval"]), str(PROBES["count"]), str(USER_TIMEOUT)]
    TELLING = """
        from crontabber.base import BaseCronApp
        from crontabber.mixins import using_postgres, with_postgres_connection_as_argument
        from tests.jobs import note

        @using_postgres()
        @with_postgres_connection_as_argument()
        class Telling(BaseCronApp):
            app_name = "telling"

            def run(self, connection):
                note(connection.autocommit)
                note(connection.info.dsn_parameters.get("tcp_user_timeout"))
                cursor = connection.cursor()
                cursor.execute("SELECT unnest(%s)", (["{}"],))
                for (name,) in cursor.fetchall():
                    cursor.execute("SELECT current_setting(%s)", (name,))
                    note(cursor.fetchone()[0])
    """

    def told_by_a_job(self, **env):
        self.write_module("telling", self.TELLING.format('", "'.join(self.NAMES)))
        self.ini("telling.Telling|1h", connection=self.tcp_options())
        tick = self.crontabber("--job=telling", "--force", **env)
        self.assertEqual(tick.returncode, 0, tick.stderr)
        return self.ran()

    def test_both_ends_of_a_jobs_connection_notice_within_two_minutes(self):
        self.assertLess(PROBES["idle"] + PROBES["interval"] * PROBES["count"], 120)
        self.assertEqual(self.told_by_a_job(), ["False", str(USER_TIMEOUT), *self.OURS])

    def test_settings_in_pgoptions_win(self):
        self.assertEqual(self.told_by_a_job(PGOPTIONS="-c tcp_keepalives_idle=240")[2:], ["240", "75", "9", "0"])

    def test_a_service_file_wins(self):
        (self.folder / "service").write_text("[mine]\ntcp_user_timeout=7000\n")

        self.assertEqual(self.told_by_a_job(PGSERVICEFILE=str(self.folder / "service"), PGSERVICE="mine")[1], "7000")

    def test_shorter_settings_of_the_role_stay(self):
        (role,) = self.sql("SELECT quote_ident(current_user)")[0]
        self.sql(f"ALTER ROLE {role} SET tcp_keepalives_idle = 17")
        self.addCleanup(self.sql, f"ALTER ROLE {role} RESET tcp_keepalives_idle")

        self.assertEqual(self.told_by_a_job()[2:], ["17", *self.OURS[1:]])

    def test_the_state_sets_them_with_its_first_statement(self):
        connection = StateConnection(ConnectionFactory(self.tcp_options()))
        self.addCleanup(connection.drop)

        schema.look(connection)

        self.assertEqual([connection.fetch(f"SHOW {name}")[0][0] for name in self.NAMES], self.OURS)
