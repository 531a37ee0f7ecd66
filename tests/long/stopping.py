"""A hundred stops in each of the ways of `timeout`, of systemd and of containers."""

from tests.integration import test_stopping


class TestStopping(test_stopping.TestStopping):
    # Of three kinds of jobs in two modes.
    stops = 17

    def tearDown(self):
        print(f"{self.id().rpartition('.')[2]}: {self.recorded} recorded")
        super().tearDown()
