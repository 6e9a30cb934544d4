# psql: its own commands, COPY, errors and ctrl-C. tests/drivers/run psql runs it.
set -eu
. "$(dirname "$0")/../checks.sh"

# Statements from standard input; unaligned rows on standard output.
sql() { psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 "$@" "$TENANTRY_DSN"; }

psql --version
sql 2>/dev/null <<'SQL'
drop table if exists psql_items;
create table psql_items (id int primary key, name text not null default 'none');
comment on column psql_items.name is 'what it is called';
SQL

# An older psql looks for columns of pg_database that newer servers have renamed.
list='\l'
[ "$(printf '%s\n' '\echo :VERSION_NUM' | sql)" -ge "$(sql --command "select current_setting('server_version_num')::int / 10000 * 10000")" ] || list=
printf '%s\n' '\d psql_items' '\d+ psql_items' '\dt' '\di' '\du' "$list" '\df' '\dn+' '\conninfo' | sql >"$scratch/described"
contains 'backslash commands describe what is there' "$scratch/described" psql_items psql_items_pkey 'what it is called'

seq 1 20000 | sed 's/.*/&\titem &/' >"$scratch/in"
sql --command "\\copy psql_items from '$scratch/in'"
sql --command "\\copy (select * from psql_items order by id) to '$scratch/out'"
cmp "$scratch/in" "$scratch/out" || failed 'what \copy brings in it takes out again'
passed 'what \copy brings in it takes out again'

same 'copy from stdin within a script' 2 "$(sql <<'SQL'
begin;
copy psql_items (id, name) from stdin;
-1	one
-2	two
\.
select count(*) from psql_items where id < 0;
rollback;
SQL
)"

printf '1\tagain\n' | sql --command '\copy psql_items from stdin' 2>"$scratch/refused" && failed 'a duplicate key was copied in'
contains 'a COPY that is refused says why and where' "$scratch/refused" psql_items_pkey 'CONTEXT:  COPY psql_items, line 1'

same '\gset keeps a row for the next statement' '42 later' "$(sql <<'SQL'
select 40 + 2 as answer, 'later' as word \gset
select :answer || ' ' || :'word';
SQL
)"

same '\gdesc describes without running' 'a|integer
b|text' "$(printf '%s\n' "select 1 as a, 'x'::text as b \\gdesc" | sql)"

same '\gexec runs what was selected' '1
2' "$(printf '%s\n' "select 'select ' || n from generate_series(1, 2) n \\gexec" | sql)"

same 'FETCH_COUNT reads by cursor' 20000 "$(
    printf '%s\n' '\set FETCH_COUNT 700' 'select id from psql_items order by id;' | sql | wc -l | tr -d ' '
)"

same 'ON_ERROR_ROLLBACK goes on after an error' 3 "$(sql 2>/dev/null <<'SQL'
\set ON_ERROR_STOP 0
\set ON_ERROR_ROLLBACK on
begin;
insert into psql_items values (-3, 'kept');
insert into psql_items values (-3, 'refused');
select abs(min(id)) from psql_items;
rollback;
SQL
)"

same 'several statements of one -c are one transaction' 0 "$(
    sql --command "insert into psql_items values (-4, 'undone'); select 1 / 0" >/dev/null 2>&1 || true
    sql --command 'select count(*) from psql_items where id = -4'
)"

same '\c connects again' "$(sql --command 'select current_database()')" "$(printf '%s\n' '\c -' 'select current_database();' | sql)"

same 'SET of a reported setting stays' 'Asia/Tokyo' "$(printf '%s\n' "set timezone = 'Asia/Tokyo';" 'show timezone;' | sql)"

printf '%s\n' '\set VERBOSITY verbose' 'select nope' 'from psql_items;' | sql >/dev/null 2>"$scratch/error" && failed 'an unknown column was found'
contains 'an error has its code and its position' "$scratch/error" 'ERROR:  42703: column "nope" does not exist' \
    'LINE 1: select nope' '               ^'

same 'five megabytes in one value' 5000000 "$(sql --command "select repeat('x', 5000000)" | tr -d '\n' | wc -c | tr -d ' ')"

# Ctrl-C, as a terminal sends it.
printf '%s\n' '\set VERBOSITY verbose' 'select pg_sleep(300) /* psql check */;' >"$scratch/sleep.sql"
PGAPPNAME='psql check' psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --file "$scratch/sleep.sql" "$TENANTRY_DSN" \
    >/dev/null 2>"$scratch/cancelled" &
sleeper=$!
waited=0
until [ "$(sql --command "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(300) /* psql check%' and pid <> pg_backend_pid()")" = 1 ]; do
    waited=$((waited + 1))
    [ "$waited" -lt "$patience" ] || failed 'the statement to cancel never ran' "$scratch/cancelled"
    sleep 0.1
done
kill -INT "$sleeper"
code=0
wait "$sleeper" || code=$?
same 'ctrl-C ends the statement, and psql goes on to its own end' 3 "$code"
contains 'ctrl-C gives the code for it' "$scratch/cancelled" 'ERROR:  57014: canceling statement due to user request'

sql --command 'drop table psql_items'
