"""The SQL of reports about crontabber_log and the locks of jobs."""

from crontabber.store.sql import LOCK_CLASS

# A log of this size is read as a whole in a few milliseconds.
SMALL = 4 * 1024 * 1024

# The log may have millions of rows: without the index, only a small one is searched. The subqueries without FROM are
# evaluated once, before anything is read.
HAS_INDEX = """(
    SELECT EXISTS (
        SELECT FROM pg_index WHERE indrelid = to_regclass('crontabber_log') AND indisvalid AND indpred IS NULL
        AND pg_get_indexdef(indexrelid, 1, true) = 'app_name' AND pg_get_indexdef(indexrelid, 2, true) = 'log_time'
    )
)"""
_IS_SMALL = f"(SELECT pg_relation_size(to_regclass('crontabber_log')) <= {SMALL})"
LAST_DURATIONS = f"""
SELECT app_name, newest.duration FROM crontabber CROSS JOIN LATERAL (
    SELECT duration FROM crontabber_log AS log WHERE log.app_name = crontabber.app_name
    ORDER BY log_time DESC LIMIT 1
) AS newest
WHERE {HAS_INDEX}
UNION ALL
(SELECT DISTINCT ON (app_name) app_name, duration FROM crontabber_log
 WHERE NOT {HAS_INDEX} AND {_IS_SMALL} ORDER BY app_name, log_time DESC)
"""

_RUN = "log_time, duration, success, exc_type, exc_value, exc_traceback"
_OF_JOB = "FROM crontabber_log WHERE app_name = %(app_name)s ORDER BY log_time DESC LIMIT %(last)s"
RUNS = f"SELECT {_RUN}, slot, host {_OF_JOB}"
RUNS_WITHOUT_SLOTS = f"SELECT {_RUN} {_OF_JOB}"

# Of each job, how long its last runs took and which of them failed, oldest first, when the first of those failed that
# have failed since the last success, and when the last one ended. The forms for a small log are separate statements: a
# planner that expects to read a large one starts workers, and compiles, for nothing.
_SUMS = """array_agg(extract(epoch FROM duration)::float8 ORDER BY log_time), array_agg(failed ORDER BY log_time),
           min(log_time) FILTER (WHERE successes = 0), max(log_time)"""
_LATER = "exc_type IS NOT NULL AS failed, count(*) FILTER (WHERE exc_type IS NULL) OVER"
RECENT = f"""
SELECT app_name, recent.* FROM crontabber CROSS JOIN LATERAL (
    SELECT {_SUMS} FROM (
        SELECT log_time, duration, {_LATER} (ORDER BY log_time DESC) AS successes FROM (
            SELECT log_time, duration, exc_type FROM crontabber_log AS log WHERE log.app_name = crontabber.app_name
            ORDER BY log_time DESC LIMIT %(last)s
        ) AS newest
    ) AS run HAVING count(*) > 0
) AS recent
WHERE {HAS_INDEX}
"""
RECENT_OF_SMALL_LOG = f"""
SELECT app_name, {_SUMS} FROM (
    SELECT app_name, log_time, duration, {_LATER} of_job AS successes, row_number() OVER of_job AS age
    FROM crontabber_log WHERE {_IS_SMALL} WINDOW of_job AS (PARTITION BY app_name ORDER BY log_time DESC)
) AS run WHERE age <= %(last)s GROUP BY app_name
"""
# Without tracebacks. `more` are the columns that a table of the original lacks.
SLOT_AND_HOST = ", slot, host"
_BRIEF = "log_time, duration, success, exc_type, left(exc_value, 1000), NULL::text{more}"
LATEST = f"""
SELECT name, run.* FROM unnest(%(app_names)s::text[]) AS name CROSS JOIN LATERAL (
    SELECT {_BRIEF} FROM crontabber_log WHERE app_name = name ORDER BY log_time DESC LIMIT %(last)s
) AS run WHERE {HAS_INDEX} ORDER BY run.log_time DESC LIMIT %(last)s
"""
LATEST_OF_SMALL_LOG = f"""
SELECT app_name, {_BRIEF} FROM crontabber_log WHERE {_IS_SMALL} ORDER BY log_time DESC LIMIT %(last)s
"""

# Look at the locks without touching them: to try one would be in the way of a claim. The second form is that of 1.0.
LOCKED = f"""
SELECT name FROM unnest(%(app_names)s::text[]) AS name WHERE EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (objsubid = 1 AND (classid::bigint << 32) | objid::bigint = ('x' || left(md5((
               SELECT quote_ident(nspname) FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
               WHERE c.oid = to_regclass('crontabber')) || '.' || name), 16))::bit(64)::bigint
           OR objsubid = 2 AND classid::bigint = {LOCK_CLASS} AND objid::bigint = hashtext(name)::bigint & 4294967295)
)
"""
