"""The statements that look at our tables and create what is missing, named."""

from crontabber.store.sql import LOCK_CLASS, SESSION


def _columns_of(table: str) -> str:
    return f"""ARRAY(SELECT attname::text FROM pg_attribute
             WHERE attrelid = to_regclass('{table}') AND attnum > 0 AND NOT attisdropped)"""


def _may_alter(table: str) -> str:
    return f"""COALESCE((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class
                 WHERE oid = to_regclass('{table}')), true)"""


def _may_use(table: str) -> str:
    """Ask for all rights on a table of our own; NULL if there is no such table."""
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE")
    return " AND ".join(f"has_table_privilege(to_regclass('{table}'), '{right}')" for right in rights)


_MAY_NOTE, _MAY_BEAT = _may_use("crontabber_job"), _may_use("crontabber_host")

# PostgreSQL finds the tables through search_path: a table of the same name in another schema is not ours. `now` is
# compared with the host's clock.
CHECK_SCHEMA = f"""
SELECT clock_timestamp() AS now,
       to_regclass('crontabber') IS NOT NULL AS has_table,
       to_regclass('crontabber_log') IS NOT NULL AS has_log,
       {_columns_of('crontabber')} AS columns,
       {_columns_of('crontabber_job')} AS note_columns,
       {_columns_of('crontabber_log')} AS log_columns,
       EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
               WHERE i.indrelid = to_regclass('crontabber') AND i.indisunique AND i.indpred IS NULL
                 AND i.indnatts = 1 AND a.attname = 'app_name') AS has_index,
       current_setting('transaction_read_only') = 'on' AS read_only,
       current_setting('server_version_num')::int AS version,
       (SELECT quote_ident(nspname) FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
        WHERE c.oid = to_regclass('crontabber')) AS schema,
       {_may_alter('crontabber')} AS may_alter,
       COALESCE({_MAY_NOTE}, false) AS may_note,
       COALESCE((SELECT has_schema_privilege(relnamespace, 'CREATE') FROM pg_class
                 WHERE oid = to_regclass('crontabber')), true) AS may_create,
       {_may_alter('crontabber_log')} AS may_alter_log,
       to_regclass('crontabber_host') IS NOT NULL AS has_hosts,
       COALESCE({_MAY_BEAT}, false) AS may_beat,
       COALESCE(has_table_privilege(to_regclass('crontabber'), 'UPDATE'), true) AS may_run,
       quote_ident(current_user) AS role,
       {SESSION}
"""

# The same facts for the usual case that nothing is missing: without a join over the catalogs, which takes 3 ms on a new
# connection. The index has to be exactly the one that we create; the statement fails if a column is missing.
GLANCE = f"""
SELECT clock_timestamp() AS now,
       to_regclass('crontabber_log') IS NOT NULL
       AND pg_get_indexdef(to_regclass('crontabber_unique_app_name_idx'))
           = 'CREATE UNIQUE INDEX crontabber_unique_app_name_idx ON ' || identity || ' USING btree (app_name)'
       AND COALESCE({_MAY_NOTE}, false) AND COALESCE({_MAY_BEAT}, false)
       AND has_column_privilege(to_regclass('crontabber_job'), 'paused_at', 'SELECT')
       AND has_column_privilege(to_regclass('crontabber_log'), 'slot', 'INSERT')
       AND has_column_privilege(to_regclass('crontabber_log'), 'host', 'INSERT')
       AS complete,
       current_setting('transaction_read_only') = 'on' AS read_only,
       current_setting('server_version_num')::int AS version,
       left(identity, -length('.crontabber')) AS schema,
       (SELECT ongoing FROM crontabber WHERE false AND owner = '') AS no_time,
       {SESSION}
FROM pg_identify_object('pg_class'::regclass, to_regclass('crontabber'), 0)
"""

# Held until the transaction ends: of two first starts at once, the second waits and must see what the first created.
LOCK_SCHEMA = f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({LOCK_CLASS}, 0)"
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"  # A long transaction must not hold up the tick.

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
    exc_traceback text,
    slot timestamptz,
    host text
)
"""
# In the schema of the table crontabber, which need not be the first one in search_path.
NOTE_COLUMNS = {
    "first_slot": "timestamptz",
    "last_date": "date",
    "last_date_for": "timestamptz",
    "paused_at": "timestamptz",
    "paused_by": "text",
    "pause_reason": "text",
}
_NOTE_COLUMNS = "".join(f",\n    {name} {type_}" for name, type_ in NOTE_COLUMNS.items())
CREATE_NOTES = f"""
CREATE TABLE {{schema}}crontabber_job (
    app_name text PRIMARY KEY{_NOTE_COLUMNS}
)
"""
CREATE_HOSTS = """
CREATE TABLE {schema}crontabber_host (
    host text PRIMARY KEY,
    last_tick timestamptz,
    version text
)
"""
ADD_ONGOING = "ALTER TABLE crontabber ADD COLUMN ongoing timestamptz"
ADD_OWNER = "ALTER TABLE crontabber ADD COLUMN owner text"
ADD_SLOT = "ALTER TABLE crontabber_log ADD COLUMN slot timestamptz"
ADD_HOST = "ALTER TABLE crontabber_log ADD COLUMN host text"
CREATE_INDEX = "CREATE UNIQUE INDEX crontabber_unique_app_name_idx ON crontabber (app_name)"
GRANT = "GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}"

# Of a table that is not there, has_table_privilege tells nothing.
UNREADABLE = """
SELECT name, quote_ident(current_user) FROM (
    VALUES ('crontabber_job', has_table_privilege(to_regclass('crontabber_job')::oid, 'SELECT')),
           ('crontabber_host', has_table_privilege(to_regclass('crontabber_host')::oid, 'SELECT'))
) AS ours (name, may_read) WHERE NOT may_read ORDER BY name DESC
"""
