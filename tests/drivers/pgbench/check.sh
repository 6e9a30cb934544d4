# pgbench: its three protocols, pipelines, and a connection for each transaction, with 8 clients.
# tests/drivers/run pgbench runs it.
set -eu
. "$(dirname "$0")/../checks.sh"

sql() { psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 --command "$1" "$TENANTRY_DSN"; }

# bench WHAT TRANSACTIONS OPTIONS...: 8 clients, none of whose transactions may fail.
bench() {
    what=$1 each=$2
    shift 2
    pgbench --no-vacuum --client 8 --jobs 2 --transactions "$each" "$@" "$TENANTRY_DSN" >"$scratch/log" 2>&1 ||
        failed "$what" "$scratch/log"
    contains "$what" "$scratch/log" "transactions actually processed: $((8 * each))/$((8 * each))" \
        'number of failed transactions: 0 '
}

pgbench --version
pgbench --initialize --scale 1 --quiet "$TENANTRY_DSN" >"$scratch/log" 2>&1 || failed 'pgbench -i' "$scratch/log"
same 'pgbench -i makes its tables' 100000 "$(sql 'select count(*) from pgbench_accounts')"

for protocol in simple extended prepared; do
    bench "8 clients, protocol $protocol" 50 --protocol "$protocol"
    bench "8 clients read only, protocol $protocol" 200 --protocol "$protocol" --select-only
done
same 'every transaction was carried out once' $((3 * 8 * 50)) "$(sql 'select count(*) from pgbench_history')"
same 'and nothing of another' t "$(sql 'select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)
    and (select sum(bbalance) from pgbench_branches) = (select sum(tbalance) from pgbench_tellers)')"

cat >"$scratch/pipeline.sql" <<'SQL'
\set aid random(1, 100000)
\startpipeline
begin;
select abalance from pgbench_accounts where aid = :aid;
update pgbench_accounts set abalance = abalance + 1 where aid = :aid;
end;
select :client_id;
\endpipeline
SQL
for protocol in extended prepared; do
    bench "8 clients in pipelines, protocol $protocol" 50 --protocol "$protocol" --file "$scratch/pipeline.sql"
done

bench '8 clients with a connection for each transaction' 10 --connect --select-only

sql 'drop table pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers'
