"""Every statement that crontabber sends to its state database, named."""

# Constant half of the advisory locks: the bytes "cron". The other half is hashtext(app_name).
LOCK_CLASS = 0x63726F6E

# ---- schema ---------------------------------------------------------------------------------------------------------

# For as long as a session of ours lives. The keepalive settings let the server notice within about two minutes that the
# host of a claim's owner has lost power (they mean nothing on a Unix socket). While a job runs the session is idle.
_SESSION = """set_config('tcp_keepalives_idle', '60', false),
       set_config('tcp_keepalives_interval', '10', false),
       set_config('tcp_keepalives_count', '6', false),
       CASE WHEN current_setting('server_version_num')::int >= 140000
            THEN set_config('idle_session_timeout', '0', false) END"""

# Relations are found as PostgreSQL itself finds them, through search_path: a table of the same name in some other
# schema is someone else's. `now` lets the host's clock be compared.
CHECK_SCHEMA = f"""
SELECT clock_timestamp() AS now,
       to_regclass('crontabber') IS NOT NULL AS has_table,
       to_regclass('crontabber_log') IS NOT NULL AS has_log,
       ARRAY(SELECT attname::text FROM pg_attribute
             WHERE attrelid = to_regclass('crontabber') AND attnum > 0 AND NOT attisdropped) AS columns,
       EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
               WHERE i.indrelid = to_regclass('crontabber') AND i.indisunique AND i.indpred IS NULL
                 AND i.indnatts = 1 AND a.attname = 'app_name') AS has_index,
       current_setting('transaction_read_only') = 'on' AS read_only,
       current_setting('server_version_num')::int AS version,
       (SELECT quote_ident(nspname) FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
        WHERE c.oid = to_regclass('crontabber')) AS schema,
       {_SESSION}
"""

# The same where all is there, which it nearly always is: without a join over the catalogs, which takes 3 ms on a new
# connection. The index has to be exactly the one that we make; the subquery fails where a column is missing.
GLANCE = f"""
SELECT clock_timestamp() AS now,
       to_regclass('crontabber_log') IS NOT NULL
       AND pg_get_indexdef(to_regclass('crontabber_unique_app_name_idx'))
           = 'CREATE UNIQUE INDEX crontabber_unique_app_name_idx ON ' || identity || ' USING btree (app_name)'
       AS complete,
       current_setting('transaction_read_only') = 'on' AS read_only,
       current_setting('server_version_num')::int AS version,
       left(identity, -length('.crontabber')) AS schema,
       (SELECT ongoing FROM crontabber WHERE false AND owner = '') AS no_time,
       {_SESSION}
FROM pg_identify_object('pg_class'::regclass, to_regclass('crontabber'), 0)
"""

# Held until the transaction ends: of two first starts at once the second waits, and has to see what the first has made.
LOCK_SCHEMA = f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({LOCK_CLASS}, 0)"

CREATE_TABLE = """
CREATE TABLE crontabber (
    app_name text NOT NULL,
    next_run timestamptz,
    first_run timestamptz,
    last_run timestamptz,
    last_success timestamptz,
    error_count integer DEFAULT 0,
    depends_on text[],
    last_error json,
    ongoing timestamptz,
    owner text
)
"""
CREATE_LOG = """
CREATE TABLE crontabber_log (
    id serial NOT NULL,
    app_name text NOT NULL,
    log_time timestamptz DEFAULT now() NOT NULL,
    duration interval,
    success timestamptz,
    exc_type text,
    exc_value text,
    exc_traceback text
)
"""
ADD_ONGOING = "ALTER TABLE crontabber ADD COLUMN ongoing timestamptz"
ADD_OWNER = "ALTER TABLE crontabber ADD COLUMN owner text"
CREATE_INDEX = "CREATE UNIQUE INDEX crontabber_unique_app_name_idx ON crontabber (app_name)"

# ---- states ---------------------------------------------------------------------------------------------------------



def _within_the_calendar(column: str) -> str:
    """PostgreSQL has infinity, years before 1 and after 9999; Python has not."""
    first, last = "timestamptz '0001-01-03 00:00+00'", "timestamptz '9999-12-30 00:00+00'"
    return f"CASE WHEN {column} > {last} THEN {last} WHEN {column} < {first} THEN {first} ELSE {column} END"


_NAMES = "app_name, next_run, first_run, last_run, last_success, error_count, depends_on, last_error, ongoing, owner"
_TIMES = ("next_run", "first_run", "last_run", "last_success", "ongoing")
COLUMNS = ", ".join(_within_the_calendar(name) if name in _TIMES else name for name in _NAMES.split(", "))

SELECT_STATES = f"SELECT {COLUMNS} FROM crontabber"
SELECT_STATE = f"SELECT {COLUMNS} FROM crontabber WHERE app_name = %s"
# For a table of the original's, whose reader may not add what is missing.
SELECT_WHATEVER = "SELECT * FROM crontabber"
HAS_DATA = "SELECT EXISTS (SELECT FROM crontabber)"
SELECT_NAMES = "SELECT app_name FROM crontabber ORDER BY app_name"
DELETE_STATE = "DELETE FROM crontabber WHERE app_name = %s RETURNING app_name"

UPSERT_STATE = """
INSERT INTO crontabber (app_name, next_run, first_run, last_run, last_success, error_count, depends_on, last_error,
                        ongoing)
VALUES (%(app_name)s, %(next_run)s, %(first_run)s, %(last_run)s, %(last_success)s, %(error_count)s, %(depends_on)s,
        %(last_error)s, %(ongoing)s)
ON CONFLICT (app_name) DO UPDATE SET
    next_run = EXCLUDED.next_run, first_run = EXCLUDED.first_run, last_run = EXCLUDED.last_run,
    last_success = EXCLUDED.last_success, error_count = EXCLUDED.error_count, depends_on = EXCLUDED.depends_on,
    last_error = EXCLUDED.last_error, ongoing = EXCLUDED.ongoing, owner = NULL
"""

# ---- claims ---------------------------------------------------------------------------------------------------------

# A claim needs no flush to disk: a server that crashes ends every session, and with it every claim.
_LOCK = f"""
lock AS (
    SELECT CASE WHEN %(session_locks)s THEN pg_try_advisory_lock({LOCK_CLASS}, hashtext(%(app_name)s)) ELSE true END
           AS taken,
           set_config('synchronous_commit', 'off', true)
)"""

# Someone else may have run the job since we read its row: all that made us run it has to be as it was.
_CLAIMABLE = f"""
lock.taken AND app_name = %(app_name)s AND owner IS NOT DISTINCT FROM %(seen_owner)s
      AND {_within_the_calendar('next_run')} IS NOT DISTINCT FROM %(next_run)s
      AND {_within_the_calendar('ongoing')} IS NOT DISTINCT FROM %(seen_ongoing)s"""

# The row comes back as it is now, because a dead owner's last commit may have come after our reading.
_CLAIMED = f"SELECT lock.taken, {COLUMNS} FROM lock LEFT JOIN claimed ON true"

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
# The run that a dead owner did not finish is a failed one, in the row and in the log.
CLAIM_FROM_THE_DEAD = f"""
WITH {_LOCK},
claimed AS (
    UPDATE crontabber SET ongoing = %(now)s, owner = %(owner)s,
        error_count = COALESCE(error_count, 0) + 1, last_error = %(last_error)s
    FROM lock WHERE {_CLAIMABLE} RETURNING crontabber.*
), logged AS (
    INSERT INTO crontabber_log (app_name, duration, exc_type, exc_value, exc_traceback)
    SELECT app_name, %(now)s - %(seen_ongoing)s, %(exc_type)s, %(exc_value)s, '' FROM claimed
)
{_CLAIMED}
"""
# On a new connection, after the one that held the lock was lost.
LOCK_AGAIN = f"SELECT pg_try_advisory_lock({LOCK_CLASS}, hashtext(%(app_name)s)), {_SESSION}"
UNLOCK = f"SELECT pg_advisory_unlock({LOCK_CLASS}, hashtext(%(app_name)s))"

# In the statement that settles a run, the lock goes last, when row and log are written: what failed after it would be
# sent again without the lock. Whoever takes it before they can be seen waits for the row, and finds it another.
_UNLOCKED = f"""CASE WHEN %(session_locks)s THEN pg_advisory_unlock({LOCK_CLASS}, hashtext(%(app_name)s)) END"""

# The fence: whoever was taken over stores nothing.
_OURS = "app_name = %(app_name)s AND owner = %(owner)s AND ongoing = %(since)s"

# A first run that never started leaves no row behind.
RELEASE = f"""
WITH forgotten AS (DELETE FROM crontabber WHERE {_OURS} AND last_run IS NULL AND next_run IS NULL RETURNING app_name)
UPDATE crontabber SET ongoing = NULL, owner = NULL WHERE {_OURS} AND NOT EXISTS (SELECT FROM forgotten)
"""

LOG_RUN = """
INSERT INTO crontabber_log (app_name, log_time, duration, success, exc_type, exc_value, exc_traceback)
VALUES (%(app_name)s, clock_timestamp(), %(duration)s, %(success)s, %(exc_type)s, %(exc_value)s, %(exc_traceback)s)
"""

# Inside a job's own transaction, which may have another search_path, the tables' schema is named. The transaction may
# not be allowed to write to them, and has to survive that.
SAVEPOINT = "SAVEPOINT crontabber"
BACK_TO_SAVEPOINT = "ROLLBACK TO SAVEPOINT crontabber"
HAS_WRITTEN = "SELECT txid_current_if_assigned() IS NOT NULL"


def settle_date(schema: str = "") -> str:
    """One date of a backfill job is done, and the job goes on; the row and its line in the log."""
    return f"""
WITH settled AS (UPDATE {_in(schema)}crontabber SET last_success = %(success)s WHERE {_OURS} RETURNING app_name),
{_log_settled(schema)}
SELECT app_name FROM settled"""


def settle() -> str:
    """The run is over; the row, its line in the log and the end of the claim: together, or not at all."""
    return f"""
WITH settled AS ({_settle_row('')}), {_log_settled('')}
SELECT app_name, {_UNLOCKED} FROM settled, (SELECT count(*) FROM logged) AS written"""


def settle_unlogged() -> str:
    """For the end of a backfill, whose dates have their lines in the log already."""
    return f"{_settle_row('')}, {_UNLOCKED}"


def settle_within(schema: str) -> str:
    """The row and its line in the log alone, for the job's own transaction: the claim is another session's."""
    return f"WITH settled AS ({_settle_row(schema)}), {_log_settled(schema)} SELECT app_name FROM settled"


def _settle_row(schema: str) -> str:
    """A success that has been stored before (dates, the job's own transaction) is newer than NULL: keep it."""
    return f"""
UPDATE {_in(schema)}crontabber SET
    next_run = %(next_run)s, first_run = COALESCE(first_run, %(first_run)s), last_run = %(last_run)s,
    last_success = COALESCE(%(success)s, last_success), error_count = %(error_count)s,
    depends_on = %(depends_on)s, last_error = %(last_error)s, ongoing = NULL, owner = NULL
WHERE {_OURS}
RETURNING app_name"""


# Was it stored all the same: by the job's own transaction, or by a statement whose answer was lost?
WAS_SETTLED = """
SELECT app_name FROM crontabber
WHERE app_name = %(app_name)s AND owner IS NULL AND last_run = %(last_run)s AND next_run = %(next_run)s
"""


def _log_settled(schema: str) -> str:
    """Whether a row appears here does not tell whether the run is settled: a trigger may have put it elsewhere."""
    return f"""
logged AS (
    INSERT INTO {_in(schema)}crontabber_log (app_name, log_time, duration, success, exc_type, exc_value, exc_traceback)
    SELECT app_name, clock_timestamp(), %(duration)s, %(success)s, %(exc_type)s, %(exc_value)s, %(exc_traceback)s
    FROM settled
    RETURNING 1
)"""


def _in(schema: str) -> str:
    """`schema` is an identifier, quoted as PostgreSQL wants it; the driver wants its percent signs doubled."""
    return schema.replace("%", "%%") + "." if schema else ""
