"""Several crontabbers share the jobs: each takes one of those that may run, instead of trying all."""

import time

from crontabber.store import sql
from tests.integration.fault_jobs import ALL_NAPS, NAP_ENTRIES
from tests.integration.faults import FaultTestCase, seeded
from tests.integration.faulty_proxy import FaultyProxy
from tests.support import connection_options

NUMBER, PROCESSES = 60, 4
SHORT_JOBS = f"""
    import time
    from crontabber.base import BaseCronApp
    from tests.jobs import note

    def run(self):
        time.sleep(0.02)
        note(self.app_name)

    for number in range({NUMBER}):
        name = f'short-{{number:02}}'
        globals()[f'Short{{number}}'] = type(f'Short{{number}}', (BaseCronApp,), {{
            'app_name': name, '__module__': __name__, 'run': run,
        }})
"""
ALL_SHORT = [f"short-{number:02}" for number in range(NUMBER)]
LINKS = """
    from crontabber.base import BaseCronApp
    from tests.integration.fault_jobs import wait_for
    from tests.jobs import Noting, note

    class Patient(BaseCronApp):
        def run(self):
            note("", f"running-{self.app_name}")
            wait_for(f"end-{self.app_name}")
            note(self.app_name)

    class First(Patient):
        app_name = "a-first"

    class Second(Noting):
        app_name = "b-second"

    class Busy(Patient):
        app_name = "c-busy"
        depends_on = "a-first"

    class Child(Noting):
        app_name = "d-child"
        depends_on = ["a-first", "b-second"]

    class Last(Patient):
        app_name = "e-last"
        depends_on = "b-second"
"""


class TestClaims(FaultTestCase):
    def short_jobs(self, **options):
        self.write_module("short_jobs", SHORT_JOBS)
        self.entries = ",".join(f"short_jobs.Short{number}|1d" for number in range(NUMBER))
        self.ini(self.entries, **options)

    def shared_statements(self, **options):
        """Return the statements for each job that PROCESSES processes send together."""
        with FaultyProxy(connection_options()) as proxy:
            self.ini(self.entries, connection=proxy.options, **options)
            ends, _ = self.together(PROCESSES)
        self.assertLessEqual({end.returncode for end in ends}, {0, 2, 3}, [end.stderr for end in ends])
        self.assert_each_once(self.ran(), ALL_SHORT)
        self.sent = statements = [each for each in proxy.statements if not each.startswith("PREPARE ")]
        return (len(statements) - 2 * PROCESSES) / NUMBER

    def test_four_processes_hardly_send_more_statements_than_one(self):
        for options in ({}, {"session_locks": False}):
            with self.subTest(**options):
                self.short_jobs(**options)
                self.crontabber()
                self.ran()
                self.due(*ALL_SHORT)

                self.assertLess(self.shared_statements(**options), 3)
                self.assertTrue([each for each in self.sent if "next_run <= " in each], "all states were read again")

    def test_first_runs_are_shared_as_well(self):
        self.short_jobs()
        self.crontabber()
        self.ran()
        self.sql("DELETE FROM crontabber")

        self.assertLess(self.shared_statements(), 3)

    def test_a_lock_that_is_never_freed_stops_only_its_own_job(self):
        self.configure(*NAP_ENTRIES[:4])
        self.crontabber()
        self.ran()
        self.due(*ALL_NAPS[:4])
        for name in ALL_NAPS[:3:2]:
            self.sql(f"SELECT pg_advisory_lock({sql.lock_key('%s')})", (f"public.{name}",))

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (3, [ALL_NAPS[1], ALL_NAPS[3]]), tick.stderr)
        for name in ALL_NAPS[:3:2]:
            self.assertIn(f"'{name}' is already running (another process)", tick.stderr)

    def test_a_row_that_somebody_locks_stops_only_its_own_job(self):
        self.configure(*NAP_ENTRIES[:4])
        self.crontabber()
        self.ran()
        self.due(*ALL_NAPS[:4])
        self.set_for_new_sessions("lock_timeout", "100ms")
        self.sql(f"SELECT pg_advisory_lock({sql.lock_key('%s')})", (f"public.{ALL_NAPS[0]}",))
        with self.holding(f"UPDATE crontabber SET error_count = 0 WHERE app_name = '{ALL_NAPS[2]}'"):
            tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (3, [ALL_NAPS[1], ALL_NAPS[3]]), tick.stderr)
        self.assertIn(f"WARNING - could not claim '{ALL_NAPS[2]}', trying again at the next tick", tick.stderr)


class TestDependencies(FaultTestCase):
    def test_a_child_runs_wherever_a_process_is_free_after_its_last_parent(self):
        self.write_module("links", LINKS)
        self.ini(",".join(f"links.{name}|1d" for name in ("First", "Second", "Busy", "Child", "Last")))
        one = self.start()
        self.wait_for("running-a-first")
        other = self.start()
        self.wait_for("running-e-last")
        self.give("end-a-first")
        self.wait_for("running-c-busy")

        self.give("end-e-last")

        self.assertEqual(self.end_of(other).returncode, 3)
        self.assertEqual(self.ran(), ["b-second", "a-first", "e-last", "d-child"])
        self.give("end-c-busy")
        self.assertEqual(self.end_of(one).returncode, 2)
        self.assertEqual(self.ran(), ["c-busy"])
        self.assert_at_rest()


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
    """A random graph: `levels` of `width` jobs each. As many processes are at work, and one is killed every 200 ms."""

    rounds, levels, width, processes = 1, 4, 5, 6

    def test_each_job_succeeds_once_after_its_parents_though_processes_are_killed(self) -> None:
        self.random = seeded()
        graph = self.graph()
        self.write_module("linked", LINKED_JOBS.format(graph=graph))
        self.ini(",".join(f"linked.{name}|1d" for name in graph), error_retry_time=0)
        self.crontabber()
        kills = 0
        for _ in range(self.rounds):
            self.due(*graph)
            kills += self.share(len(graph))
            self.check(graph)
        print(f"{self.rounds} rounds of {len(graph)} jobs, {kills} kills")
        self.assert_at_rest()

    def graph(self) -> dict[str, list[str]]:
        """Return app_name -> what it depends on: jobs of the level above, and of any other above that."""
        graph: dict[str, list[str]] = {}
        for level in range(self.levels):
            above = list(graph)
            for name in (f"job_{level}_{number}" for number in range(self.width)):
                graph[name] = sorted({self.random.choice(above[-self.width :]), *self.random.sample(above, 2)}) if above else []
        return graph

    def share(self, number: int) -> int:
        """Keep so many processes at work until all jobs have succeeded. Return how many of them were killed."""
        self.sql("TRUNCATE crontabber_log")
        self.ran()
        processes, kills, next_kill = [], 0, time.monotonic() + 0.2
        while len(self.sql(SUCCESSES)) < number:
            processes = [process for process in processes if process.poll() is None]
            processes += [self.start("--logging.stderr_error_logging_level=50") for _ in range(self.processes - len(processes))]
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
