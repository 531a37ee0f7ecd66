"""A night of a hundred jobs, of which twenty misbehave in twenty ways, for one and for three crontabbers."""

import time

from tests.integration import night_jobs, test_night


class TestNight(test_night.NightTestCase):
    ticks = 50
    longest_pause = 6.0
    jobs = tuple(night_jobs.CLASSES)

    def measured_night(self, crontabbers):
        began = time.monotonic()
        self.night(crontabbers)
        print(f"{crontabbers} at once: {self.ticks} ticks in {time.monotonic() - began:.0f} s, {self.killed} kills; mailed: {dict(self.lines)}")

    def test_one_crontabber(self):
        self.measured_night(1)

    def test_three_crontabbers(self):
        self.measured_night(3)
