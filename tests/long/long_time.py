"""Long stretches of time: two days of late ticks by real processes, two years of jobs at every half hour of the day, and
random histories."""

from datetime import datetime, timezone

from tests import test_cron, test_date_model, test_entries, test_schedule_calendar, test_schedule_histories
from tests.integration import test_dates, test_time


class TestJitter(test_time.TestJitter):
    hours = 48


class TestHistory(test_dates.TestHistory):
    ticks = 100


class TestTwoYears(test_schedule_calendar.TestTwoYears):
    times = test_schedule_calendar.HALF_HOURS


class TestMinutes(test_cron.TestMinutes):
    expressions = ["30 2 * * *", "*/20 * * * *", "15,45 0,2 * * 0"]

    def spans(self, changes):
        return [(datetime(2024, 1, 1, tzinfo=timezone.utc), datetime(2026, 1, 1, tzinfo=timezone.utc))]


class TestHistories(test_schedule_histories.TestHistories):
    number = 10_000


class TestOldEntries(test_entries.TestOldEntries):
    number = 20_000


class TestModel(test_date_model.TestModel):
    number = 10_000
