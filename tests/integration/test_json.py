"""Every answer in JSON follows docs/answers.schema.json, for any text in names and errors."""

import json
from datetime import datetime

from jsonschema import Draft202012Validator

from tests.integration.mode_case import ModeTestCase
from tests.support import ROOT

SCHEMA = json.loads((ROOT / "docs/answers.schema.json").read_text("utf-8"))
ODD = """
from nightly import Noting, Sad


class Japanese(Noting):
    app_name = "夜間バッチ"


class RightToLeft(Noting):
    app_name = "משימה"
    depends_on = "夜間バッチ"


class Long(Sad):
    app_name = "long-" + "x" * 295


class Control(Noting):
    app_name = "bell\\x07and\\x1b[31m"
"""
JOBS = "\n".join((
    "nightly.Foo|1d", "nightly.Bar|1d|03:00", "nightly.Sad|1d", "nightly.SadChild|1h", "nightly.Back|1h", "nightly.SadBack|1d",
    "odd.Japanese|1d", "odd.RightToLeft|1d", "odd.Long|1d", "odd.Control|1d", "nightly.Rude|1d", "nightly.Loud|1x", "no.such|1d",
))  # fmt: skip
ANSWERS = (
    ("--status",), ("--list-jobs",), ("--list-jobs", "--job=sad"), ("--dry-run",), ("--dry-run", "--job=foo", "--force"),
    ("--explain=sad-child",), ("--explain=sad-back",), ("--explain=odd.Japanese",), ("--history=sad",), ("--history=back",),
    ("--history=nightly.SadChild",), ("--audit-ghosts",), ("--check",),
    ("--check", "--crontabber.workers=x"),
)  # fmt: skip


class TestSchema(ModeTestCase):
    def answered(self, *arguments):
        """Return the answer, which follows the schema."""
        process = self.crontabber(*arguments, "--format=json")
        self.assertIn(process.returncode, (2, 3) if "--check" in arguments else (0, 1), process.stderr)
        answer = json.loads(process.stdout)
        Draft202012Validator(SCHEMA).validate(answer)
        return answer

    def test_every_answer_follows_it_before_and_after_the_first_run(self):
        self.write_module("odd", ODD)
        self.ini(JOBS)

        for when in ("before", "after"):
            for arguments in ANSWERS:
                with self.subTest(when, arguments=arguments):
                    self.answered(*arguments)
            self.crontabber()
            self.sql("INSERT INTO crontabber (app_name) VALUES ('ghost') ON CONFLICT DO NOTHING")
        names = {job["app_name"] for job in self.answered("--status")["jobs"]}
        self.assertTrue({"夜間バッチ", "משימה", "long-" + "x" * 295, "bell\x07and\x1b[31m"} <= names)

    def test_it_refuses_what_is_no_answer(self):
        self.ini("nightly.Foo|1d")
        answer = self.answered("--status")

        for change in ({"now": "yesterday"}, {"format_version": "2.0"}, {"jobs": [{}]}, {"ghosts": []}):
            with self.subTest(change):
                self.assertFalse(Draft202012Validator(SCHEMA).is_valid(answer | change))

    def test_the_texts_of_errors_are_there_only_if_asked_for(self):
        self.ini("nightly.Sad|1d\nnightly.Foo|1x")
        self.crontabber()

        for mode in ("--status", "--explain=sad", "--history=sad", "--list-jobs", "--check"):
            with self.subTest(mode):
                self.assertNotIn("tissues", json.dumps(self.answered(mode)))
                self.assertIn("tissues", json.dumps(self.answered(mode, "--with-errors")))
        broken, sad = self.answered("--status", "--with-errors")["jobs"]
        self.assertEqual(broken["faults"][0][:33], "jobs: nightly.Foo: '1x' is not a ")
        self.assertEqual(sad["last_error"]["value"], "No more tissues")

    def test_the_facts_are_those_of_the_state(self):
        self.ini("nightly.Back|1h")
        self.crontabber()
        self.sql("UPDATE crontabber SET last_success = now() - interval '150 minutes', last_run = now() - interval '150 minutes',"
                 " next_run = now() - interval '90 minutes'")

        (job,) = self.answered("--status")["jobs"]

        self.assertEqual((job["app_name"], job["class"], job["state"], job["reasons"]), ("back", "nightly.Back", "overdue", []))
        self.assertEqual((job["outstanding_dates"], job["error_count"], job["ongoing"]), (2, 0, None))
        self.assertEqual(datetime.fromisoformat(job["next_run"]), self.row("back", "next_run"))
        ((duration,),) = self.sql("SELECT extract(epoch FROM duration)::float FROM crontabber_log")
        self.assertEqual(job["last_duration"], duration)

    def test_options_that_go_with_no_mode_are_refused(self):
        self.ini("nightly.Foo|1d")
        for arguments, message in (
            (("--format=json",), "--format needs --status, --explain, --history, --list-jobs, --audit-ghosts, --dry-run or --check"),
            (("--status", "--format=yaml"), "--format is 'yaml': expected text or json"),
            (("--status", "--with-errors"), "--with-errors needs --format=json"),
            (("--status", "--last=3"), "--last needs --history"),
            (("--history=foo", "--last=0"), "--last is '0': expected a whole number, 1 or more"),
            (("--status", "--job=foo"), "--job and --status cannot be combined: choose one"),
            (("--explain=fo",), "unknown job 'fo': did you mean foo?"),
        ):
            with self.subTest(arguments):
                self.assert_said(self.crontabber(*arguments), 1, "", f"crontabber: {message}\n")
