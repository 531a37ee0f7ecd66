"""The `jobs` setting: from text to classes, with all faults reported at once."""

import unittest
from zoneinfo import ZoneInfo

from configman import ConfigurationManager, Namespace

from crontabber.config.jobs_setting import classes_in_namespaces_converter_with_compression, jobs_of
from crontabber.errors import JobDescriptionError, JobNotFoundError, JobsSettingError
from tests import jobs
from tests.support import ROOT

convert = classes_in_namespaces_converter_with_compression()


def configured(text, **overrides):
    """Return the namespace `crontabber` of a configuration with this setting."""
    definition = Namespace()
    definition.namespace("crontabber")
    definition.crontabber.add_option("jobs", default="", from_string_converter=convert)
    sources = [{"crontabber": {"jobs": text, **overrides}}]
    manager = ConfigurationManager(definition, values_source_list=sources, argv_source=[], use_admin_controls=False,
                                   use_auto_help=False)  # fmt: skip
    return manager.get_config().crontabber


class TestConverting(unittest.TestCase):
    def test_the_jobs_come_in_the_order_of_the_setting_with_their_options(self):
        options = configured("tests.jobs.BarJob|1h\ntests.jobs.FooJob|2d|03:00")

        found = jobs_of(options.jobs, options)

        self.assertEqual([job.job_class for job in found], [jobs.BarJob, jobs.FooJob])
        self.assertEqual([job.depends_on for job in found], [("foo",), ()])
        self.assertEqual([(job.config.frequency, job.config.time) for job in found], [("1h", ""), ("2d", "03:00")])
        self.assertEqual(options.jobs.class_list, [("BarJob", jobs.BarJob), ("FooJob", jobs.FooJob)])

    def test_frequency_and_options_of_a_job_can_be_set_like_any_other(self):
        overrides = {"class-ConfiguredJob": {"frequency": "3h", "greeting": "Hei"}}

        options = configured("tests.odd_jobs.ConfiguredJob|1h", **overrides)

        (job,) = jobs_of(options.jobs, options)
        self.assertEqual((job.config.frequency, job.config.greeting, job.config.shout), ("3h", "Hei", False))

    def test_the_zone_of_an_entry_can_be_set_like_any_other_option(self):
        berlin, tokyo = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
        for rest, overrides, expected in [
            ("1d|03:00", {}, None),
            ("1d|03:00|Europe/Berlin", {}, berlin),
            ("1d|03:00|Europe/Berlin", {"class-FooJob": {"timezone": "Asia/Tokyo"}}, tokyo),
            ("0 3 * * 1,2|Europe/Berlin", {}, berlin),
        ]:
            with self.subTest(rest=rest, **overrides):
                options = configured(f"tests.jobs.FooJob|{rest}", **overrides)
                (job,) = jobs_of(options.jobs, options)
                self.assertEqual(job.zone, expected)

    def test_an_option_of_the_job_called_timezone_is_its_own(self):
        options = configured("tests.odd_jobs.ZonedJob|1d|03:00")

        (job,) = jobs_of(options.jobs, options)

        self.assertEqual((job.zone, job.config.timezone), (None, "not even a zone"))

    def test_one_jobs_options_do_not_leak_into_the_next(self):
        options = configured("tests.odd_jobs.ConfiguredJob|1h, tests.jobs.FooJob|1h")

        self.assertEqual(sorted(options["class-FooJob"]), ["frequency", "time"])

    def test_it_is_written_out_as_an_equivalent_setting(self):
        text = convert("# one\ntests.jobs.FooJob|1h\n\ntests.jobs.BarJob|1d|03:00").to_str()

        self.assertEqual(text, "tests.jobs.FooJob|1h, tests.jobs.BarJob|1d|03:00")
        self.assertEqual(convert(text).class_list, [("FooJob", jobs.FooJob), ("BarJob", jobs.BarJob)])

    def test_an_empty_setting_has_no_jobs(self):
        self.assertEqual(convert("").class_list, [])


class TestFaults(unittest.TestCase):
    maxDiff = None

    def faults(self, text):
        """Return all faults of the setting, found while it is read or afterwards."""
        with self.assertRaises(JobsSettingError) as caught:
            options = configured(text)
            jobs_of(options.jobs, options)
        return list(caught.exception.faults)

    def test_each_fault_has_its_own_message(self):
        odd = "tests.odd_jobs"
        cases = [
            ("tests.nowhere.Foo|1d", "jobs: tests.nowhere.Foo: no module named 'tests.nowhere' (is PYTHONPATH right?)"),
            ("tests.jobs.Nothing|1d", "jobs: tests.jobs.Nothing: module tests.jobs has no class 'Nothing'"),
            ("Lonely|1d", "jobs: 'Lonely' names no module: expected module.Class"),
            ("tests.broken_jobs.Any|1d",
             "jobs: tests.broken_jobs.Any: importing tests.broken_jobs raised RuntimeError: broken while loading"
             f" ({ROOT}/tests/broken_jobs.py, line 3)"),
            ("tests.jobs.FooJob", "jobs: 'tests.jobs.FooJob' has no frequency: expected module.Class|FREQUENCY or"
             " module.Class|FREQUENCY|HH:MM"),
            (f"{odd}.not_a_class|1d",
             f"jobs: {odd}.not_a_class is not a job class: derive it from crontabber.base.BaseCronApp"),
            (f"{odd}.NamelessJob|1d", f"jobs: {odd}.NamelessJob has no app_name: set it to a unique name"),
            (f"{odd}.SelfishJob|1d", f"jobs: {odd}.SelfishJob: 'selfish' depends on itself: remove it from depends_on"),
            (f"{odd}.ConfusedJob|1d",
             f"jobs: {odd}.ConfusedJob: depends_on is 17: expected an app_name, or a list or tuple of them"),
            (f"{odd}.HenJob|1d,{odd}.EggJob|1d", "jobs: circular dependency: hen -> egg -> hen"),
            ("tests.jobs.FooJob|0 0 3 * * *", "jobs: tests.jobs.FooJob: '0 0 3 * * *' has 6 fields: expected minute, hour, day"
             " of month, month and day of week"),
            ("tests.jobs.FooJob|@reboot", "jobs: tests.jobs.FooJob: unknown name '@reboot': expected one of @hourly, @daily,"
             " @weekly, @monthly, @yearly"),
            ("tests.jobs.FooJob|1d|03:00|Europe/Berln", "jobs: 'tests.jobs.FooJob|1d|03:00|Europe/Berln': unknown time zone"
             " 'Europe/Berln': did you mean 'Europe/Berlin'?"),
            ("tests.odd_jobs.ZonedJob|03:00|Europe/Berlin",
             "jobs: tests.odd_jobs.ZonedJob: rename its option 'timezone': that name is reserved"),
            ("tests.jobs.FooJob|1d,tests.jobs.FooJob|2d", "jobs: tests.jobs.FooJob is listed twice: remove one of the entries"),
            (f"tests.jobs.FooJob|1d,{odd}.FooJob|2d", f"jobs: tests.jobs.FooJob and {odd}.FooJob have the same class name,"
             " so their options would collide: rename one of them"),
            (f"tests.jobs.FooJob|1d,{odd}.OtherFooJob|2d",
             f"jobs: tests.jobs.FooJob and {odd}.OtherFooJob have the same app_name, 'foo': change one of them"),
        ]  # fmt: skip
        for text, fault in cases:
            with self.subTest(text):
                self.assertEqual(self.faults(text), [fault])

    def test_all_faults_are_reported_at_once(self):
        found = self.faults("tests.nowhere.Foo|1d\ntests.jobs.FooJob|3e\ntests.odd_jobs.NamelessJob|1d\nLonely|1d")

        self.assertEqual(len(found), 4)
        for word in ("tests.nowhere", "'3e'", "NamelessJob", "'Lonely'"):
            self.assertEqual(sum(word in fault for fault in found), 1, word)

    def test_a_bad_frequency_leaves_the_configuration_readable(self):
        options = configured("tests.jobs.FooJob|3e, tests.jobs.BarJob|1h|03:00")

        with self.assertRaises(JobDescriptionError) as caught:
            jobs_of(options.jobs, options)

        self.assertEqual([fault.split(": ")[1] for fault in caught.exception.faults],
                         ["tests.jobs.FooJob", "tests.jobs.BarJob"])  # fmt: skip

    def test_the_first_fault_decides_the_type(self):
        with self.assertRaises(JobNotFoundError):
            convert("tests.nowhere.Foo|1d, tests.jobs.FooJob")
        with self.assertRaises(JobDescriptionError):
            convert("tests.jobs.FooJob, tests.nowhere.Foo|1d")

    def test_a_module_that_exits_when_it_is_imported_is_a_fault(self):
        (fault,) = self.faults("tests.exiting_jobs.Any|1d")

        self.assertEqual(fault, "jobs: tests.exiting_jobs.Any: importing tests.exiting_jobs raised SystemExit: 3"
                                f" ({ROOT}/tests/exiting_jobs.py, line 5)")  # fmt: skip
