"""The SQL of the statements about the two tables of the original."""

from crontabber.store import sql_notes as notes
from crontabber.store.keepalives import OF_SERVER
from crontabber.store.sql_notes import in_schema

# The bytes "cron". With 0 it is the lock of the schema; 1.0 locked jobs with it and hashtext(app_name).
LOCK_CLASS = 0x63726F6E


def lock_key(lock: str) -> str:
    """Return the key for a lock named by schema and job: of 64 bits, so that no two jobs share one."""
    return f"('x' || left(md5({lock}), 16))::bit(64)::bigint"


_LOCK_KEY = lock_key("%(lock)s")

# Settings of each session. While a job runs, the session is idle.
SESSION = f"""{OF_SERVER},
       CASE WHEN current_setting('server_version_num')::int >= 140000
            THEN set_config('idle_session_timeout', '0', false) END"""

# ---- states ---------------------------------------------------------------------------------------------------------

def within_the_calendar(column: str, type_: str = "timestamptz") -> str:
    """Return `column` limited to Python's years: PostgreSQL has infinity, and years before 1 and after 9999."""
    first, last = f"{type_} '0001-01-03 00:00+00'", f"{type_} '9999-12-30 00:00+00'"
    return f"CASE WHEN {column} > {last} THEN {last} WHEN {column} < {first} THEN {first} ELSE {column} END"


_NAMES = "app_name, next_run, first_run, last_run, last_success, error_count, depends_on, last_error, ongoing, owner"
_TIMES = ("next_run", "first_run", "last_run", "last_success", "ongoing")
# A role that may not read crontabber_job sends the statements without what is named here: see older_tables.py.
_DATES = {"first_slot": "timestamptz", "last_date": "date", "last_date_for": "timestamptz", "paused_at": "timestamptz"}
NOTES = ", ".join([*(within_the_calendar(*column) for column in _DATES.items()), "paused_by", "pause_reason"])
JOIN_NOTES = "JOIN crontabber_job USING (app_name)"
OWNER = "owner AS owner"
_COLUMNS = {name: within_the_calendar(name) for name in _TIMES} | {"owner": OWNER}
COLUMNS = ", ".join([*(_COLUMNS.get(name, name) for name in _NAMES.split(", ")), NOTES])

SELECT_STATES = f"SELECT {COLUMNS} FROM crontabber LEFT {JOIN_NOTES}"
SELECT_STATE = f"{SELECT_STATES} WHERE app_name = %s"
SELECT_UNSETTLED = f"{SELECT_STATES} WHERE ongoing IS NOT NULL OR next_run IS NULL OR next_run <= %s"
# With the jobs that have not run yet: only the slots of their first runs are known.
SELECT_STATES_AND_SLOTS = f"SELECT {COLUMNS}, crontabber.app_name IS NULL FROM crontabber FULL {JOIN_NOTES}"
# For a table that the original created, read by a role that may not add what is missing.
SELECT_WHATEVER = "SELECT * FROM crontabber"
HAS_DATA = "SELECT EXISTS (SELECT FROM crontabber)"
SELECT_NAMES = "SELECT app_name FROM crontabber ORDER BY app_name"
DELETE_STATE = f"{notes.WITH_FORGOTTEN}DELETE FROM crontabber WHERE app_name = %(app_name)s RETURNING app_name"

# ---- claims ---------------------------------------------------------------------------------------------------------

# A claim need not wait for the disk: one that the server forgets when it crashes is taken again (CLAIM_AGAIN).
_LOCK = f"""
lock AS (
    SELECT CASE WHEN %(session_locks)s THEN pg_try_advisory_lock({_LOCK_KEY}) ELSE true END
           AS taken,
           set_config('synchronous_commit', 'off', true)
)"""

# Another process may have run the job since we read its row: everything that made us run it has to be unchanged.
_CLAIMABLE = f"""
lock.taken AND app_name = %(app_name)s AND owner IS NOT DISTINCT FROM %(seen_owner)s
      AND {within_the_calendar('next_run')} IS NOT DISTINCT FROM %(next_run)s
      AND {within_the_calendar('ongoing')} IS NOT DISTINCT FROM %(seen_ongoing)s"""

# Return the row as it is now: a dead owner may have committed once more after we read it.
_CLAIMED = f"SELECT lock.taken, {COLUMNS} FROM lock LEFT JOIN claimed ON true LEFT {JOIN_NOTES}"

CLAIM = f"""
WITH {_LOCK},
claimed AS (
    UPDATE crontabber SET ongoing = %(now)s, owner = %(owner)s FROM lock WHERE {_CLAIMABLE} RETURNING crontabber.*
)
{_CLAIMED}
"""
CLAIM_NEW = f"""
WITH {_LOCK},
claimed AS (
    INSERT INTO crontabber (app_name, first_run, depends_on, last_error, ongoing, owner)
    SELECT %(app_name)s, %(now)s, %(depends_on)s, '{{}}', %(now)s, %(owner)s FROM lock WHERE lock.taken
    ON CONFLICT (app_name) DO NOTHING
    RETURNING *
)
{_CLAIMED}
"""
# A run that a dead owner did not finish has failed: in the row and in the log. The lock shows that it is dead.
BURY = f"""
WITH {_LOCK},
buried AS (
    UPDATE crontabber SET next_run = %(new_next_run)s, last_run = %(last_run)s, error_count = %(error_count)s,
        last_error = %(last_error)s, ongoing = NULL, owner = NULL
    FROM lock WHERE {_CLAIMABLE} RETURNING crontabber.app_name
), logged AS (
    INSERT INTO crontabber_log (app_name, duration, exc_type, exc_value, exc_traceback, slot, host)
    SELECT app_name, %(now)s - %(seen_ongoing)s, %(exc_type)s, %(exc_value)s, %(exc_traceback)s, %(slot)s, %(host)s
    FROM buried
    RETURNING 1
)
SELECT lock.taken, buried.app_name, (SELECT count(*) FROM logged),
       CASE WHEN %(session_locks)s AND lock.taken THEN pg_advisory_unlock({_LOCK_KEY}) END
FROM lock LEFT JOIN buried ON true
"""
END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY(%(pids)s) AND usename = current_user
"""
# On a new connection, after the one that held the lock was lost.
LOCK_AGAIN = f"SELECT pg_try_advisory_lock({_LOCK_KEY}), {SESSION}"
LOCK_IS_FREE = f"SELECT pg_try_advisory_lock({_LOCK_KEY}) AND pg_advisory_unlock({_LOCK_KEY})"
UNLOCK = f"SELECT pg_advisory_unlock({_LOCK_KEY})"
# Is the lock free that an owner of version 1.0 would hold?
_OLD_KEY = f"{LOCK_CLASS}, hashtext(%(app_name)s)"
OLD_LOCK_IS_FREE = f"SELECT pg_try_advisory_lock({_OLD_KEY}) AND pg_advisory_unlock({_OLD_KEY})"

# The statement that settles a run releases the lock last, after writing row and log: if it failed after that, it would
# be sent again without the lock. A process that gets the lock before the commit waits for the row and finds it changed.
_UNLOCKED = f"""CASE WHEN %(session_locks)s THEN pg_advisory_unlock({_LOCK_KEY}) END"""

# The fence: a process whose job was taken over stores nothing.
_OURS = "app_name = %(app_name)s AND owner = %(owner)s AND ongoing = %(since)s"

# After a crash or a failover, the database may have forgotten a claim. It is still ours, unless the row shows that
# another process has claimed the job, or has run it, since.
CLAIM_AGAIN = f"""
UPDATE crontabber SET ongoing = %(since)s, owner = %(owner)s
WHERE {_OURS} OR app_name = %(app_name)s AND ongoing IS NULL AND owner IS NULL
      AND COALESCE(last_run, '-infinity') <= COALESCE(%(last_run)s::timestamptz, '-infinity')
RETURNING app_name
"""

# A first run that did not start leaves no row behind.
RELEASE = f"""
WITH forgotten AS (
    DELETE FROM crontabber WHERE {_OURS} AND COALESCE(last_run, next_run, last_success) IS NULL RETURNING app_name
)
UPDATE crontabber SET ongoing = NULL, owner = NULL WHERE {_OURS} AND NOT EXISTS (SELECT FROM forgotten)
"""

LOG_RUN = """
INSERT INTO crontabber_log (app_name, log_time, duration, success, exc_type, exc_value, exc_traceback, slot, host)
VALUES (%(app_name)s, clock_timestamp(), %(duration)s, %(success)s, %(exc_type)s, %(exc_value)s, %(exc_traceback)s,
        %(slot)s, %(host)s)
"""

# A job's own transaction may have another search_path, so these statements name the schema. If the transaction may not
# write to our tables, it has to survive the attempt.
SAVEPOINT = "SAVEPOINT crontabber"
BACK_TO_SAVEPOINT = "ROLLBACK TO SAVEPOINT crontabber"
HAS_WRITTEN = "SELECT txid_current_if_assigned() IS NOT NULL"


# A success must survive a crash of the server, whatever the role's setting is.
_DURABLE = """CASE WHEN current_setting('synchronous_commit') = 'off'
    THEN set_config('synchronous_commit', 'on', true) END"""

# The chain: a date is stored only on top of the one that this run has read or stored before. Otherwise the database has
# forgotten that one, as a standby does that lags behind and is promoted.
_ON_TOP = f"{within_the_calendar('last_success')} IS NOT DISTINCT FROM %(previous)s"
LAST_SUCCESS = f"""
SELECT {within_the_calendar('last_success')}, ongoing = %(since)s AND owner = %(owner)s
FROM crontabber WHERE app_name = %(app_name)s FOR SHARE
"""


def settle_date(schema: str = "", note: bool = False) -> str:
    """Return the statement for one date that is done, while the job goes on: the row and its log row; with `note`, its
    calendar date."""
    return f"""
WITH settled AS (
    UPDATE {in_schema(schema)}crontabber SET last_success = %(success)s, error_count = 0, last_error = '{{}}'
    WHERE {_OURS} AND {_ON_TOP} RETURNING app_name
), {_log_settled(schema)}{notes.note_date(schema) if note else ''}
SELECT app_name, {_DURABLE} FROM settled"""


def move_cursor(note: bool = False) -> str:
    """Return the statement that skips dates: their last one counts as done, but is not logged."""
    return f"""
WITH settled AS (
    UPDATE crontabber SET last_success = %(success)s WHERE {_OURS} AND {_ON_TOP} RETURNING app_name
){notes.note_date('') if note else ''}
SELECT app_name, {_DURABLE} FROM settled"""


def settle(drop_note: bool = False) -> str:
    """Return the statement for the end of a run: row, log row and unlock, all together or not at all. With `drop_note`,
    the slot of its first run goes, too."""
    return f"""
WITH settled AS ({_settle_row('')}), {_log_settled('')}{notes.drop_slot('') if drop_note else ''}
SELECT app_name, {_DURABLE}, {_UNLOCKED} FROM settled, (SELECT count(*) FROM logged) AS written"""


def settle_unlogged() -> str:
    """Return the statement for the end of a backfill, whose dates have their log rows already."""
    return f"{_settle_row('')}, {_DURABLE}, {_UNLOCKED}"


def settle_within(schema: str, drop_note: bool = False) -> str:
    """Return the statement for the job's own transaction: row and log row. The lock belongs to our own session."""
    return f"""
WITH settled AS ({_settle_row(schema)}), {_log_settled(schema)}{notes.drop_slot(schema) if drop_note else ''}
SELECT app_name, {_DURABLE} FROM settled"""


def log_rerun(schema: str = "") -> str:
    """Return the statement for the log row of a rerun."""
    return f"""
WITH settled AS (
    SELECT app_name FROM {in_schema(schema)}crontabber WHERE {_OURS} FOR SHARE
), {_log_settled(schema)}
SELECT app_name, {_DURABLE} FROM settled"""


def _settle_row(schema: str) -> str:
    """Update the row. Keep a last_success that was stored earlier, by a date or by the job's own transaction."""
    return f"""
UPDATE {in_schema(schema)}crontabber SET
    next_run = %(next_run)s, first_run = COALESCE(first_run, %(first_run)s), last_run = %(last_run)s,
    last_success = COALESCE(%(success)s, last_success), error_count = %(error_count)s,
    depends_on = %(depends_on)s, last_error = %(last_error)s, ongoing = NULL, owner = NULL
WHERE {_OURS} AND (NOT %(chained)s OR {_ON_TOP})
RETURNING app_name"""


END_RERUN = f"""
UPDATE crontabber SET last_run = %(since)s, ongoing = NULL, owner = NULL WHERE {_OURS} RETURNING app_name, {_UNLOCKED}
"""

# Was the run stored after all: by the job's own transaction, or by a statement whose answer was lost?
WAS_SETTLED = """
SELECT app_name FROM crontabber
WHERE app_name = %(app_name)s AND owner IS NULL AND last_run = %(last_run)s
      AND next_run IS NOT DISTINCT FROM %(next_run)s
"""


def _log_settled(schema: str) -> str:
    """Add the log row. Do not judge by its result whether the run is settled: a trigger may redirect the row."""
    return f"""
logged AS (
    INSERT INTO {in_schema(schema)}crontabber_log
        (app_name, log_time, duration, success, exc_type, exc_value, exc_traceback, slot, host)
    SELECT app_name, clock_timestamp(), %(duration)s, %(success)s, %(exc_type)s, %(exc_value)s, %(exc_traceback)s,
        %(slot)s, %(host)s
    FROM settled
    RETURNING 1
)"""
