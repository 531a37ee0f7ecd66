"""Three million rows of the log, pruned to 180 days while a tick starts every second."""

from tests.integration import test_control


class TestPruningWhileTicksGoOn(test_control.TestPruningWhileTicksGoOn):
    rows_in_log, jobs_in_log, ticks_before = 3_000_000, 30, 20

    def check_seconds(self, before, during):
        print(f"ticks took up to {max(before):.2f} s before, up to {max(during):.2f} s in {len(during)} ticks during the pruning")
        self.assertLess(max(during) - max(before), 1)
