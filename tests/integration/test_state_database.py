"""JobStateDatabase as users' code and test suites know it: a mapping from app_names to dicts."""

import logging
from datetime import datetime, timedelta, timezone

from configman import ConfigurationManager

from crontabber.app import CronTabber, JobStateDatabase
from crontabber.errors import StateDatabaseError
from tests.support import DatabaseTestCase, connection_options

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
FOO = {
    "next_run": NOW + timedelta(hours=1),
    "first_run": NOW - timedelta(days=9),
    "last_run": NOW,
    "last_success": NOW - timedelta(days=1),
    "depends_on": ["bar", "baz"],
    "error_count": 2,
    "last_error": {"type": "<class 'ValueError'>", "value": "Snö ☃", "traceback": "  File ..."},
    "ongoing": NOW - timedelta(minutes=1),
}
BAR = {
    "next_run": NOW, "first_run": NOW, "last_run": NOW, "last_success": None, "depends_on": [], "error_count": 0,
    "last_error": {}, "ongoing": None,
}  # fmt: skip


def without_ongoing(info):
    return {key: value for key, value in info.items() if key != "ongoing"}


class TestMapping(DatabaseTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.database = self.state_database()

    def state_database(self, **connection):
        """Build one as applications' test suites do: from what CronTabber requires, a logger and some values."""
        definition = CronTabber.get_required_config()
        definition.add_option("logger", default=logging.getLogger("tests"))
        values = {f"resource.postgresql.{name}": value for name, value in (connection_options() | connection).items()}
        manager = ConfigurationManager([definition], values_source_list=[values], argv_source=[], app_name="tests")
        with manager.context() as config:
            database = config.crontabber.job_state_db_class(config.crontabber)
        self.assertIsInstance(database, JobStateDatabase)
        self.addCleanup(database.close)
        return database

    def test_building_one_creates_empty_tables(self):
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber UNION ALL SELECT count(*) FROM crontabber_log"), [(0,), (0,)])
        self.assertFalse(self.database.has_data())
        self.assertEqual((list(self.database), len(self.database), self.database.copy()), ([], 0, {}))

    def test_a_stored_state_is_read_back_unchanged(self):
        self.database["foo"] = FOO
        self.database["bar"] = BAR

        self.assertTrue(self.database.has_data())
        self.assertEqual(self.database["foo"], FOO)
        self.assertEqual(self.database.get("bar"), BAR)
        self.assertEqual(list(self.database), ["bar", "foo"])
        self.assertEqual(list(self.database.keys()), ["bar", "foo"])
        self.assertEqual(len(self.database), 2)
        self.assertTrue("foo" in self.database and "nobody" not in self.database)
        self.assertEqual(self.database.copy(), {"foo": FOO, "bar": BAR})

    def test_items_and_values_are_without_ongoing(self):
        self.database["foo"] = FOO
        self.database["bar"] = BAR

        items, values = self.database.items(), self.database.values()

        self.assertEqual(dict(items), {"foo": without_ongoing(FOO), "bar": without_ongoing(BAR)})
        self.assertEqual(sorted(values, key=lambda info: info["error_count"]), [without_ongoing(BAR), without_ongoing(FOO)])

    def test_a_missing_job_is_a_key_error_or_the_default(self):
        self.assertIsNone(self.database.get("foo"))
        self.assertEqual((self.database.get("foo", 17), self.database.pop("foo", 18)), (17, 18))
        for act in (lambda: self.database["foo"], lambda: self.database.pop("foo"), lambda: self.database.__delitem__("foo")):
            with self.assertRaises(KeyError) as caught:
                act()
            self.assertEqual(caught.exception.args, ("foo",))

    def test_pop_and_del_remove_a_job_and_keep_its_log(self):
        self.database["foo"] = FOO
        self.database["bar"] = BAR
        self.database.log_run("foo", timedelta(seconds=3), NOW)

        popped = self.database.pop("foo")
        del self.database["bar"]

        self.assertEqual((popped, self.database.has_data()), (FOO, False))
        self.assertEqual(self.sql("SELECT app_name, duration, success FROM crontabber_log"), [("foo", timedelta(seconds=3), NOW)])

    def test_update_and_setting_again_replace_the_whole_row(self):
        self.database["foo"] = FOO

        self.database.update({"foo": BAR, "bar": FOO})

        self.assertEqual(self.database.copy(), {"foo": BAR, "bar": FOO})
        self.database["bar"] = BAR
        self.assertEqual(self.sql("SELECT app_name, ongoing, owner FROM crontabber ORDER BY 1"), [("bar", None, None), ("foo", None, None)])

    def test_last_success_and_ongoing_may_be_missing(self):
        partial = {key: value for key, value in FOO.items() if key not in ("last_success", "ongoing")}

        self.database["foo"] = partial

        self.assertEqual(self.database["foo"], FOO | {"last_success": None, "ongoing": None})

    def test_a_state_that_was_read_can_be_stored(self):
        self.database["foo"] = FOO

        self.database["copy"] = self.database["foo"]
        self.database.update(dict(self.database.items()))

        self.assertEqual(self.database["copy"], FOO | {"ongoing": None})

    def test_last_error_takes_types_and_text_that_postgresql_refuses(self):
        cases = [
            ({"type": ValueError, "value": "v", "traceback": ""}, {"type": "<class 'ValueError'>", "value": "v", "traceback": ""}),
            ({"type": "T", "value": "a\x00b\ud800", "traceback": ""}, {"type": "T", "value": "a\x00b\ud800", "traceback": ""}),
            ({"type": "T", "value": NOW, "traceback": None}, {"type": "T", "value": repr(NOW), "traceback": None}),
            ({}, {}),
            (None, {}),
        ]
        for given, kept in cases:
            with self.subTest(given=given):
                self.database["foo"] = BAR | {"last_error": given}
                self.assertEqual(self.database["foo"]["last_error"], kept)

    def test_depends_on_accepts_every_form_that_a_job_class_may_use(self):
        for given, kept in ((("a", "b"), ["a", "b"]), (["a"], ["a"]), ("abc", ["abc"]), (None, [])):
            with self.subTest(given=given):
                self.database["foo"] = BAR | {"depends_on": given}
                self.assertEqual(self.database["foo"]["depends_on"], kept)

    def test_a_foreign_last_error_is_shown_as_text(self):
        for number, (stored, shown) in enumerate((('"boom"', "boom"), ("[1]", [1]), ("3", 3))):
            self.sql("INSERT INTO crontabber (app_name, last_error) VALUES (%s, %s)", (f"foo-{number}", stored))
            self.assertEqual(self.database[f"foo-{number}"]["last_error"], {"value": shown})
        self.sql("ALTER TABLE crontabber ALTER last_error TYPE text")
        self.sql("INSERT INTO crontabber (app_name, last_error) VALUES ('foo', '{broken')")

        self.assertEqual(self.database.pop("foo")["last_error"], {"value": "{broken"})

    def test_it_shares_the_table_with_other_processes(self):
        other = self.state_database()

        self.database["foo"] = FOO

        self.assertEqual(other["foo"], FOO)
        other["foo"] = BAR
        self.assertEqual(self.database["foo"], BAR)

    def test_it_reconnects_after_a_lost_connection(self):
        self.database["foo"] = FOO
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 " WHERE application_name = 'crontabber' AND datname = current_database()")

        self.assertEqual(self.database["foo"], FOO)

    def test_an_unreachable_server_is_one_named_error(self):
        with self.assertRaisesRegex(StateDatabaseError, "state database: .*Connection refused"):
            self.state_database(host="127.0.0.1", port="1")
