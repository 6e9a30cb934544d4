# SQL over HTTP as anybody has it at hand: curl. tests/drivers/run curl runs it.
set -eu
# shellcheck source=tests/drivers/checks.sh
. "$(dirname "$0")/../checks.sh"

: "${TENANTRY_HTTP:?}" "${TENANTRY_API_KEY:?}"

# ask BODY [OPTION...]: with the key; the answer goes to $scratch/body, its headers to $scratch/headers.
ask() {
    body=$1
    shift
    status=$(curl --silent --show-error --max-time 60 --output "$scratch/body" --dump-header "$scratch/headers" \
        --write-out '%{http_code}' --header "Authorization: Bearer $TENANTRY_API_KEY" --data-binary "$body" "$@" "$TENANTRY_HTTP") ||
        failed 'curl has an answer'
}

curl --version | head -n 1

ask '{"query": "select $1::int + 1 as n, $2::text as t", "params": [41, "naïve ☃"]}'
same 'a query' 200 "$status"
contains 'its result' "$scratch/body" '"rows":[{"n":42,"t":"naïve ☃"}]' '"command":"SELECT"'

ask '{"queries": [{"query": "create temp table t (n int) on commit drop"}, {"query": "insert into t values (1), (2)"}, {"query": "select sum(n)::int as n from t"}]}'
same 'a batch' 200 "$status"
contains 'its results' "$scratch/body" '"rows":[{"n":3}]' '"rowCount":2'

ask '{"query": "select nope"}'
same 'an error' 400 "$status"
contains 'what PostgreSQL says of it' "$scratch/body" '"code":"42703"' '"position":"8"'

status=$(curl --silent --max-time 60 --output "$scratch/body" --write-out '%{http_code}' \
    --header 'Authorization: Bearer tnt_nobody' --data '{"query": "select 1"}' "$TENANTRY_HTTP")
same 'nobody' 401 "$status"

ask '{"query": "select 1 as n"}' --http1.1
contains 'HTTP/1.1' "$scratch/headers" 'HTTP/1.1 200'
case $TENANTRY_HTTP in
    https:*) ask '{"query": "select 1 as n"}' --http2 && contains 'HTTP/2, as TLS has agreed on' "$scratch/headers" 'HTTP/2 200' ;;
    *) ask '{"query": "select 1 as n"}' --http2-prior-knowledge && contains 'HTTP/2 in clear' "$scratch/headers" 'HTTP/2 200' ;;
esac

ask "{\"query\": \"select repeat('x', 100000) as t\"}" --compressed
same 'a long answer' 200 "$status"
contains 'all of it' "$scratch/body" '"rowCount":1'

status=$(curl --silent --max-time 60 --output "$scratch/body" --dump-header "$scratch/headers" --write-out '%{http_code}' \
    --request OPTIONS --header 'Origin: https://app.example.com' --header 'Access-Control-Request-Method: POST' "$TENANTRY_HTTP")
same 'a preflight' 200 "$status"
contains 'what browsers may do' "$scratch/headers" 'access-control-allow-origin: *'

root=${TENANTRY_HTTP%/sql}
for path in /healthz /readyz /openapi.json; do
    status=$(curl --silent --max-time 60 --output "$scratch/body" --write-out '%{http_code}' "$root$path")
    same "$path" 200 "$status"
done
contains 'the document' "$scratch/body" '"openapi"' '"/sql"'
