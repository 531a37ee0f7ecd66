"""--prometheus and crontabber.prometheus_file, read by the parser of Prometheus' own client."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

import crontabber
from crontabber.rules.health import STATES
from tests.integration.faults import ELSEWHERE, FaultTestCase
from tests.integration.faulty_proxy import FaultyProxy
from tests.integration.mode_case import JOBS, NOWHERE
from tests.support import ROOT, connection_options

ODD = r'''
from nightly import Noting


class Odd(Noting):
    app_name = 'a "quoted" back\\slash\nand 夜間バッチ {x="y"} 1'
'''
NAME = 'a "quoted" back\\slash\nand 夜間バッチ {x="y"} 1'


class PrometheusCase(FaultTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.write_module("nightly", JOBS)
        self.file = self.folder / "crontabber.prom"

    def samples(self, file=None):
        """Return the values by metric and labels; no series may be there twice."""
        found = [
            ((sample.name, *(value for _, value in sorted(sample.labels.items()))), sample.value)
            for family in text_string_to_metric_families((file or self.file).read_text("utf-8"))
            for sample in family.samples
        ]
        self.assertEqual(len(found), len(dict(found)))
        return dict(found)

    def write(self):
        process = self.crontabber(f"--prometheus={self.file}")
        self.assertEqual((process.returncode, process.stdout, process.stderr), (0, "", ""))
        return self.samples()


class TestMetrics(PrometheusCase):
    def test_they_are_those_of_the_state(self):
        self.ini("nightly.Foo|1d\nnightly.Sad|1d\nnightly.SadChild|1d\nnightly.Back|1h\nnightly.Bar|1d|23:59")
        self.crontabber()
        ago = ", ".join(f"{name} = {name} - interval '3 hours'" for name in ("last_run", "last_success", "next_run"))
        self.sql(f"UPDATE crontabber SET {ago} WHERE app_name = 'back'")

        found = self.write()

        for app_name, states in (("foo", "ok"), ("sad", "failing"), ("sad-child", "held_back"), ("back", "overdue")):
            with self.subTest(app_name):
                values = self.sql("SELECT extract(epoch FROM next_run)::float, extract(epoch FROM last_run)::float,"
                                  " extract(epoch FROM last_success)::float, error_count FROM crontabber WHERE app_name = %s", (app_name,))
                expected = dict(zip(("next_run_timestamp_seconds", "last_run_timestamp_seconds", "last_success_timestamp_seconds",
                                     "consecutive_errors"), values[0] if values else (None, None, None, 0), strict=True))
                for name, value in expected.items():
                    self.assertAlmostEqual(found.get((f"crontabber_job_{name}", app_name), 0), value or 0, 4)
                self.assertEqual({state for state in STATES if found["crontabber_job_state", app_name, state.replace(" ", "_")]}, {states.replace("_", " ")})
        self.assertEqual({key[1]: value for key, value in found.items() if key[0] == "crontabber_job_outstanding_dates"}, {"back": 3})
        self.assertGreater(found["crontabber_job_last_duration_seconds", "foo"], 0)
        ((last_tick,),) = self.sql("SELECT extract(epoch FROM last_tick)::float FROM crontabber_host")
        self.assertAlmostEqual(found["crontabber_last_tick_timestamp_seconds",], last_tick, 4)
        self.assertEqual(found["crontabber_build_info", crontabber.__version__], 1)

    def test_a_job_that_never_ran_and_a_broken_entry_have_a_state(self):
        self.ini("nightly.Foo|1d\nnightly.Gone|1d\nnightly.Bar|1x\nnightly.Bar|2x")

        found = self.write()

        states = {key[1:]: value for key, value in found.items() if key[0] == "crontabber_job_state" and value}
        self.assertEqual(states, {("foo", "never_ran"): 1, ("nightly.Gone", "broken"): 1, ("bar", "broken"): 1})
        self.assertEqual({key for key in found if key[0] == "crontabber_job_consecutive_errors"}, {("crontabber_job_consecutive_errors", "foo")})
        self.assertNotIn(("crontabber_last_tick_timestamp_seconds",), found)

    def test_any_name_comes_back_as_it_is(self):
        self.write_module("odd", ODD)
        self.ini("odd.Odd|1d")

        found = self.write()

        self.assertEqual(found["crontabber_job_state", NAME, "never_ran"], 1)

    def test_a_role_that_may_only_select_can_write_them(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        expected = self.write()
        self.sql("CREATE ROLE crontabber_reader LOGIN PASSWORD 'reading'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO crontabber_reader")
        self.addCleanup(self.sql, "DROP OWNED BY crontabber_reader; DROP ROLE crontabber_reader")
        self.ini("nightly.Foo|1d", connection=connection_options() | {"user": "crontabber_reader", "password": "reading"})

        self.assertEqual(self.write(), expected)

    def test_every_metric_has_its_help_and_its_type_and_a_row_on_the_page(self):
        self.ini("nightly.Back|1d")
        self.crontabber()
        self.write()

        families = list(text_string_to_metric_families(self.file.read_text("utf-8")))
        page = (ROOT / "docs/user/prometheus.rst").read_text("utf-8")

        self.assertEqual({family.type for family in families}, {"gauge"})
        self.assertEqual([family.name for family in families if not family.documentation.endswith(".")], [])
        rows = re.findall(r"^``(crontabber_\w+)(?:\{([\w, ]+)\})?``  ", page, re.MULTILINE)
        ours = [(family.name, ", ".join(family.samples[0].labels)) for family in families]
        self.assertEqual(sorted(rows), sorted(ours))

    def test_a_file_that_cannot_be_written_is_an_error(self):
        self.ini("nightly.Foo|1d")
        for path, said in ((f"{self.folder}/no/x.prom", "No such file or directory"), (str(self.folder), "Is a directory")):
            with self.subTest(said):
                process = self.crontabber(f"--prometheus={path}")

                self.assertEqual((process.returncode, process.stderr), (1, f"crontabber: cannot write {path}: {said}\n"))
        self.assertEqual(self.crontabber("--prometheus=").stderr, "crontabber: --prometheus is empty: give it the name of a file\n")


class TestAfterTicks(PrometheusCase):
    def settle(self, jobs="nightly.Foo|1d", **options):
        self.ini(jobs, **{"prometheus_file": self.file, **options})

    def test_each_tick_writes_the_file_for_everybody_also_an_idle_one(self):
        self.settle()
        self.addCleanup(os.umask, os.umask(0o077))
        first = self.crontabber()
        found = self.samples()
        self.assertEqual((first.returncode, found["crontabber_job_state", "foo", "ok"]), (0, 1))

        idle = self.crontabber()

        self.assertEqual((idle.returncode, idle.stderr), (0, ""))
        self.assertGreater(self.samples()["crontabber_last_tick_timestamp_seconds",], found["crontabber_last_tick_timestamp_seconds",])
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o644)

    def test_no_other_mode_writes_it(self):
        self.settle()
        self.crontabber()
        self.file.unlink()

        for mode in ("--job=foo", "--status", "--check", "--dry-run", "--list-jobs"):
            self.crontabber(mode)

        self.assertFalse(self.file.exists())

    def test_it_takes_three_statements_on_the_connection_of_the_tick(self):
        self.settle()
        self.crontabber()
        with FaultyProxy(connection_options()) as proxy:
            self.settle(connection=proxy.options)
            self.assertEqual(self.crontabber().returncode, 0)

        self.assertEqual((proxy.connections, len(proxy.statements)), (1, 3 + 3))

    def test_a_file_that_cannot_be_written_is_one_warning(self):
        self.settle(prometheus_file=f"{self.folder}/no/x.prom")

        tick = self.crontabber("--logging.stderr_error_logging_level=WARNING")

        self.assertEqual((tick.returncode, self.ran(), len(tick.stderr.splitlines())), (0, ["foo the first time"], 1))
        self.assertIn(f"WARNING - The metrics for Prometheus are not up to date: cannot write {self.folder}/no/x.prom: No such", tick.stderr)

    def test_without_a_database_the_file_stays_as_old_as_it_is(self):
        self.settle()
        self.crontabber()
        before = self.file.read_bytes()
        self.settle(connection=NOWHERE)

        self.assertEqual(self.crontabber().returncode, 1)
        self.assertEqual(self.file.read_bytes(), before)

    def test_of_several_workers_it_is_written_once_after_the_last(self):
        self.settle("nightly.Foo|1d\nnightly.Bar|1d\nnightly.Back|1d", workers=3)

        tick = self.crontabber()

        found = self.samples()
        self.assertEqual((tick.returncode, [found["crontabber_job_state", name, "ok"] for name in ("foo", "bar", "back")]), (0, [1, 1, 1]))

    def test_two_hosts_write_files_of_their_own(self):
        self.settle("nightly.Foo|1d\nnightly.Bar|1d")
        here = self.start()
        theirs = self.folder / "theirs.prom"
        arguments = [f"--admin.conf={self.folder / 'crontabber.ini'}", f"--crontabber.prometheus_file={theirs}"]
        elsewhere = self.start_program([sys.executable, "-c", ELSEWHERE % ("elsewhere", 0.1), *arguments])

        codes = {self.end_of(here).returncode, self.end_of(elsewhere).returncode}

        self.assertLessEqual(codes, {0, 2, 3})
        self.assertEqual(len(self.sql("SELECT host FROM crontabber_host")), 2)
        for file in (self.file, theirs):
            self.assertEqual(self.samples(file)["crontabber_build_info", crontabber.__version__], 1)
            self.assertGreater(self.samples(file)["crontabber_last_tick_timestamp_seconds",], 0)


# Values at each minute: one job is fine, others fail, are overdue and gave up; cron dies after 10 minutes.
SERIES = {
    'crontabber_job_consecutive_errors{job_name="fine", instance="a"}': "0+0x60",
    'crontabber_job_consecutive_errors{job_name="sad", instance="a"}': "0+0x5 1+1x55",
    'crontabber_job_state{job_name="late", state="overdue", instance="a"}': "0+0x5 1+0x55",
    'crontabber_job_state{job_name="late", state="ok", instance="a"}': "1+0x5 0+0x55",
    'crontabber_job_state{job_name="tired", state="gave_up", instance="b"}': "0+0x5 1+0x55",
    'crontabber_last_tick_timestamp_seconds{instance="a"}': "0+60x10 600+0x50",
    'crontabber_last_tick_timestamp_seconds{instance="b"}': "0+60x60",
    'crontabber_build_info{version="1", instance="a"}': "1+0x60",
}
ALERTS = [
    # minute, alert, the labels of what fires
    (5, "CrontabberJobFailing", []),
    (6, "CrontabberJobFailing", [{"job_name": "sad"}]),
    (5, "CrontabberJobStopped", []),
    (6, "CrontabberJobStopped", [{"job_name": "late", "state": "overdue"}, {"job_name": "tired", "state": "gave_up"}]),
    (40, "CrontabberCronDead", []),
    (41, "CrontabberCronDead", [{"instance": "a"}]),
    (60, "CrontabberMetricsMissing", []),
    (200, "CrontabberMetricsMissing", [{}]),
]


@unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
class TestRules(unittest.TestCase):
    """The alert rules of exampleapp/, by Prometheus' own tool."""

    RULES = ROOT / "exampleapp/prometheus/crontabber.rules.yml"

    def promtool(self, *arguments):
        process = subprocess.run(["promtool", *arguments], text=True, capture_output=True, timeout=60, check=False)
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)

    def test_promtool_accepts_them(self):
        self.promtool("check", "rules", str(self.RULES))

    def test_they_fire_when_a_job_fails_or_is_overdue_and_when_cron_is_dead(self):
        # The texts are not what is tested.
        rules = re.sub("(?<=summary: ).*", "x", self.RULES.read_text("utf-8"))
        tests = {
            "rule_files": ["rules.yml"], "evaluation_interval": "1m",
            "tests": [{
                "interval": "1m",
                "input_series": [{"series": series, "values": values} for series, values in SERIES.items()],
                "alert_rule_test": [
                    {"eval_time": f"{minute}m", "alertname": alert,
                     "exp_alerts": [{"exp_labels": labels, "exp_annotations": {"summary": "x"}} for labels in fired]}
                    for minute, alert, fired in ALERTS
                ],
            }],
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "rules.yml").write_text(rules, "utf-8")
            Path(folder, "tests.yml").write_text(json.dumps(tests), "utf-8")
            self.promtool("test", "rules", f"{folder}/tests.yml")
