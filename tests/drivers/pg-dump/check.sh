# pg_dump and pg_restore, whole and in parallel, and the rest of libpq's tools; and that their sessions, which change
# every setting that a dump depends on, leave nothing behind for others. tests/drivers/run pg-dump runs it.
set -eu
. "$(dirname "$0")/../checks.sh"

sql() { psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 "$@" "$TENANTRY_DSN"; }

# What a dump sets for itself, and with it how a new session begins.
show_settings() {
    sql <<'SQL'
select name || ' = ' || setting from pg_settings where name in (
    'search_path', 'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'row_security',
    'extra_float_digits', 'synchronize_seqscans', 'quote_all_identifiers', 'default_transaction_isolation',
    'default_transaction_read_only', 'DateStyle', 'IntervalStyle', 'client_encoding', 'client_min_messages',
    'standard_conforming_strings', 'check_function_bodies', 'default_table_access_method', 'bytea_output'
) order by name;
select 'cursors ' || count(*) from pg_cursors;
SQL
}

# all_are_clean WHAT: more clients at once than there are connections, so that every connection is seen.
all_are_clean() {
    clients=
    for number in 1 2 3 4 5 6 7 8 9 10 11 12; do
        show_settings >"$scratch/settings.$number" 2>&1 &
        clients="$clients $!"
    done
    for client in $clients; do
        wait "$client" || failed "$1: a session failed" "$scratch"/settings.*
    done
    for number in 1 2 3 4 5 6 7 8 9 10 11 12; do
        cmp -s "$scratch/settings" "$scratch/settings.$number" ||
            failed "$1: a session is not as it was before" "$scratch/settings" "$scratch/settings.$number"
    done
    passed "$1"
}

# Newer dumps protect themselves by a word that is another each time.
plain() { grep -v -e '^\\restrict ' -e '^\\unrestrict '; }

dump() { pg_dump --no-owner --no-privileges "$@" "$TENANTRY_DSN"; }

pg_dump --version
show_settings >"$scratch/settings"

sql 2>/dev/null <<'SQL'
drop schema if exists dump_check cascade;
create schema dump_check;
set search_path = dump_check;
create type mood as enum ('good', 'bad');
create table authors (id int generated always as identity primary key, name text not null unique, mood mood default 'good');
create table books (id bigserial primary key, author int references authors, title text not null, price float8,
    written timestamptz, raw bytea, tags text[], words int generated always as (length(title)) stored);
create index on books (title);
insert into authors (name) select 'author ☃ ' || n from generate_series(1, 500) n;
insert into books (author, title, price, written, raw, tags)
    select 1 + n % 500, e'book\t' || n || e'\\', 1 / n::float8, timestamptz '2024-02-29' + n * interval '1 s',
        decode(md5(n::text), 'hex'), array['a', null, n::text] from generate_series(1, 20000) n;
create view titles as select a.name, b.title from authors a join books b on b.author = a.id;
create function double(n int) returns int language sql as 'select 2 * n';
create function touch() returns trigger language plpgsql as $$ begin new.written = now(); return new; end $$;
create trigger touch before update on books for each row execute function touch();
comment on table books is 'what was written';
SQL

dump >"$scratch/whole" || failed 'pg_dump of the whole database'
contains 'pg_dump of the whole database' "$scratch/whole" 'CREATE SCHEMA dump_check' 'CREATE VIEW dump_check.titles' \
    'COPY dump_check.books' 'PostgreSQL database dump complete'
all_are_clean 'sessions are clean after a dump'

dump --schema dump_check --format custom --file "$scratch/custom" || failed 'pg_dump in the custom format'
dump --schema dump_check --format directory --jobs 3 --file "$scratch/parallel" || failed 'pg_dump with three jobs'
dump --schema dump_check | plain >"$scratch/before"
passed 'pg_dump in the custom format, and with three jobs that share a snapshot'

restore() { pg_restore --exit-on-error --no-owner --no-privileges --dbname "$TENANTRY_DSN" "$@"; }
same_again() {
    dump --schema dump_check | plain >"$scratch/after"
    cmp "$scratch/before" "$scratch/after" || failed "$1"
    passed "$1"
}

restore --clean --if-exists "$scratch/custom" || failed 'pg_restore'
same_again 'pg_restore in place of what was there makes the same again'

sql --command 'drop schema dump_check cascade' 2>/dev/null
restore --single-transaction "$scratch/custom" || failed 'pg_restore in one transaction'
same_again 'pg_restore in one transaction makes the same again'

sql --command 'drop schema dump_check cascade' 2>/dev/null
restore --jobs 3 "$scratch/parallel" || failed 'pg_restore with three jobs'
same_again 'pg_restore with three jobs makes the same again'

sql --command 'drop schema dump_check cascade' 2>/dev/null
psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 --file "$scratch/before" "$TENANTRY_DSN" || failed 'psql reads a plain dump'
same_again 'psql makes the same again from a plain dump'
dump --schema dump_check --inserts --rows-per-insert 100 --table 'dump_check.authors' >"$scratch/inserts"
contains 'pg_dump --inserts' "$scratch/inserts" 'INSERT INTO dump_check.authors'
all_are_clean 'sessions are clean after all of these'

dump --schema dump_check --format custom >"$scratch/beside" &
dumping=$!
all_are_clean 'sessions are clean beside a dump'
wait "$dumping" || failed 'pg_dump beside other sessions'

dump --table no_such_table >"$scratch/log" 2>&1 && failed 'what is not there was dumped'
contains 'pg_dump of what is not there says so' "$scratch/log" 'no matching tables were found'

# Dumping holds a lock on every table; the pipe breaks off in the midst of it.
dump --schema dump_check 2>/dev/null | head -c 1000 >/dev/null
PGOPTIONS='-c lock_timeout=60s' sql --command 'alter table dump_check.books add more int' ||
    failed 'a dump that was broken off keeps its locks'
passed 'a dump that is broken off releases its locks'
all_are_clean 'sessions are clean after a dump that was broken off'

pg_isready --quiet --dbname "$TENANTRY_DSN" || failed 'pg_isready'
vacuumdb --quiet --analyze --jobs 2 --table dump_check.books --table dump_check.authors "$TENANTRY_DSN" || failed 'vacuumdb'
reindexdb --quiet --table dump_check.books "$TENANTRY_DSN" || failed 'reindexdb'
passed 'pg_isready, vacuumdb and reindexdb'
all_are_clean 'sessions are clean after them'

sql --command 'drop schema dump_check cascade' 2>/dev/null
