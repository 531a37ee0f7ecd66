"""Several crontabbers at once, again and again: each job runs once, and they share the work."""

import time

from tests.integration import test_claims, test_odd_databases, test_pooling_proxy
from tests.integration.fault_jobs import ALL_NAPS, NAP_ENTRIES
from tests.integration.faults import FaultTestCase, seeded


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


LEVELS, WIDTH, PROCESSES = 10, 20, 30
LINKED_JOBS = """
    import time

    from crontabber.base import BaseCronApp
    from tests.jobs import note

    def run(self):
        note(f"{{time.time()}} {{self.app_name}}")
        time.sleep(0.02)

    for name, parents in {graph}.items():
        globals()[name] = type(name, (BaseCronApp,), {{
            'app_name': name, 'depends_on': parents, '__module__': __name__, 'run': run,
        }})
"""
SUCCESSES = "SELECT app_name, extract(epoch FROM log_time)::float FROM crontabber_log WHERE success IS NOT NULL"


class TestNetwork(FaultTestCase):
    rounds = 20

    def test_each_job_succeeds_once_after_its_parents_though_processes_are_killed(self) -> None:
        self.random = seeded()
        graph = self.graph()
        self.write_module("linked", LINKED_JOBS.format(graph=graph))
        self.ini(",".join(f"linked.{name}|1d" for name in graph), error_retry_time=0)
        self.crontabber("--audit-ghosts")
        kills = 0
        for _ in range(self.rounds):
            kills += self.share(len(graph))
            self.check(graph)
            self.due(*graph)
        print(f"{self.rounds} rounds of {len(graph)} jobs, {kills} kills")
        self.assert_at_rest()

    def graph(self) -> dict[str, list[str]]:
        """Return app_name -> what it depends on: jobs of the level above, and of any other above that."""
        graph: dict[str, list[str]] = {}
        for level in range(LEVELS):
            above = list(graph)
            for name in (f"job_{level}_{number}" for number in range(WIDTH)):
                graph[name] = sorted({self.random.choice(above[-WIDTH:]), *self.random.sample(above, 2)}) if above else []
        return graph

    def share(self, number: int) -> int:
        """Keep so many processes at work until all jobs have succeeded. Return how many of them were killed."""
        self.sql("TRUNCATE crontabber_log")
        self.ran()
        processes, kills, next_kill = [], 0, time.monotonic() + 0.2
        while len(self.sql(SUCCESSES)) < number:
            processes = [process for process in processes if process.poll() is None]
            processes += [self.start("--logging.stderr_error_logging_level=50") for _ in range(PROCESSES - len(processes))]
            time.sleep(max(0, next_kill - time.monotonic()))
            self.kill(processes.pop(self.random.randrange(len(processes))))
            kills, next_kill = kills + 1, time.monotonic() + 0.2
        for process in processes:
            self.end_of(process)
        return kills

    def check(self, graph: dict[str, list[str]]) -> None:
        successes = self.sql(SUCCESSES)
        self.assert_each_once([name for name, _ in successes], list(graph))
        stored = dict(successes)
        for line in self.ran():
            started, name = line.split()
            for parent in graph[name]:
                self.assertLess(stored[parent], float(started), (parent, name))
