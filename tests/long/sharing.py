"""Several crontabbers at once, again and again: each job runs once, and they share the work."""

from tests.integration import test_claims, test_odd_databases, test_pooling_proxy, test_sharing
from tests.integration.fault_jobs import ALL_NAPS, NAP_ENTRIES


class TestSharing(test_claims.TestSharing):
    rounds = 20

    def test_eight_processes_need_less_than_a_third_of_the_time(self) -> None:
        self.configure(*NAP_ENTRIES)
        _, alone = self.together(1)
        self.assert_each_once(self.ran(), ALL_NAPS)
        self.due(*ALL_NAPS)

        times = self.share()

        print(f"alone {alone:.2f} s; eight together {min(times):.2f} to {max(times):.2f} s in {self.rounds} rounds")
        # Other load on the machine can only make a time longer.
        self.assertLess(min(times), alone / 3)


class TestIsolation(test_odd_databases.TestIsolation):
    rounds = 20


class TestBehindPgBouncer(test_pooling_proxy.TestBehindPgBouncer):
    rounds = 20


class TestNetwork(test_sharing.TestNetwork):
    rounds, levels, width, processes = 20, 10, 20, 30
