"""psycopg 3: prepared statements, pipelines, COPY, cursors, notifications, cancelling.

tests/drivers/run psycopg runs it.
"""

import datetime
import sys
import threading
import time
import uuid
from decimal import Decimal
from pathlib import Path

import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
from checks import DSN, PATIENCE, check, same  # noqa: E402

ITEMS = "create table psycopg_items (id int primary key, name text)"


def one(connection, query, parameters=None, **options):
    return connection.execute(query, parameters, **options).fetchone()[0]


def backend(connection):
    return one(connection, "select pg_backend_pid()")



def check_queries():
    with psycopg.connect(DSN, autocommit=True) as connection:
        with check("prepared statements, before and after prepare_threshold"):
            for number in range(3 * connection.prepare_threshold):
                same(number + 1, one(connection, "select %s::int + 1 as psycopg_prepared", [number]))
        with check("more statements than prepared_max, so that some are deallocated"):
            connection.prepared_max = 5
            for number in range(40):
                for _ in range(2):
                    same(number, one(connection, f"select %s::int as column_{number}", [number], prepare=True))
        with check("a table that changes beneath a prepared statement"):
            connection.execute("create table psycopg_changing (a int)")
            for _ in range(8):
                connection.execute("select * from psycopg_changing", prepare=True)
            for column, prepare in [("b", True), ("c", False), ("d", None)]:
                connection.execute(f"alter table psycopg_changing add {column} int")
                with psycopg.connect(DSN, autocommit=True) as other:
                    other.execute("select * from psycopg_changing")
                cursor = connection.execute("select * from psycopg_changing", prepare=prepare)
                same(column, cursor.description[-1].name)
            connection.execute("drop table psycopg_changing")
        with check("binary parameters and results of many types"):
            values = [7, 2**40, 1.5, Decimal("12345.6789"), "naïve ☃", b"\x00\xff\x10", True, None,
                      uuid.UUID(int=1), datetime.date(2024, 2, 29), datetime.timedelta(days=2, seconds=3),
                      datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc), [1, None, 3], ["a", 'b"c']]
            kinds = ["int", "bigint", "float8", "numeric", "text", "bytea", "bool", "text", "uuid", "date",
                     "interval", "timestamptz", "int[]", "text[]"]
            query = "select " + ", ".join(f"%b::{kind}" for kind in kinds)
            with connection.cursor(binary=True) as cursor:
                same(tuple(values), cursor.execute(query, values).fetchone())
            same({"a": [1]}, one(connection, "select %s::jsonb", [Jsonb({"a": [1]})]))
        with check("five megabytes there and back, as text and as bytes"):
            text, data = "é" * 2_500_000, bytes(range(256)) * 20_000
            same(text, one(connection, "select %s::text", [text]))
            with connection.cursor(binary=True) as cursor:
                same(data, cursor.execute("select %b::bytea", [data]).fetchone()[0])
        with check("many rows"):
            rows = connection.execute("select n, repeat('x', 100) from generate_series(1, 50000) n").fetchall()
            same(50000, len(rows))
        with check("several statements in one simple query"):
            cursor = connection.execute("select 1; select 2", prepare=False)
            same((1,), cursor.fetchone())
            cursor.nextset()
            same((2,), cursor.fetchone())
        with check("errors have their code, their words and their position"):
            try:
                connection.execute("select nope")
            except errors.UndefinedColumn as error:
                same(("42703", "8"), (error.sqlstate, error.diag.statement_position))
            same(1, one(connection, "select 1"))
        with check("executemany, which psycopg sends as a pipeline"):
            connection.execute(ITEMS)
            with connection.cursor() as cursor:
                cursor.executemany("insert into psycopg_items values (%s, %s) returning id",
                                   [(n, f"item {n}") for n in range(500)], returning=True)
                returned = [cursor.fetchone()[0]]
                while cursor.nextset():
                    returned.append(cursor.fetchone()[0])
            same(list(range(500)), returned)


def check_transactions():
    with psycopg.connect(DSN) as connection:
        with check("a rollback undoes, a commit keeps"):
            connection.execute("insert into psycopg_items values (-1, 'undone')")
            connection.rollback()
            connection.execute("insert into psycopg_items values (-2, 'kept')")
            connection.commit()
            same([(-2,)], connection.execute("select id from psycopg_items where id < 0").fetchall())
            connection.rollback()
        with check("a savepoint is rolled back, its transaction is not"):
            with connection.transaction():
                connection.execute("insert into psycopg_items values (-3, 'kept')")
                try:
                    with connection.transaction():
                        connection.execute("insert into psycopg_items values (-3, 'again')")
                except errors.UniqueViolation:
                    pass
                connection.execute("insert into psycopg_items values (-4, 'kept')")
            same(2, one(connection, "select count(*) from psycopg_items where id in (-3, -4)"))
            connection.rollback()
        with check("one transaction has one backend, and after an error nothing but a rollback will do"):
            same(backend(connection), backend(connection))
            for query, error in [("select 1 / 0", errors.DivisionByZero), ("select 1", errors.InFailedSqlTransaction)]:
                try:
                    connection.execute(query)
                    raise AssertionError(f"{query} succeeded")
                except error:
                    pass
            connection.rollback()
            same(1, one(connection, "select 1"))
            connection.rollback()
        with check("isolation level and read-only mode"):
            connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
            connection.read_only = True
            same("serializable", one(connection, "show transaction_isolation"))
            try:
                connection.execute("delete from psycopg_items")
                raise AssertionError("a read-only transaction wrote")
            except errors.ReadOnlySqlTransaction:
                connection.rollback()


def check_pipelines():
    with psycopg.connect(DSN, autocommit=True) as connection:
        with check("a pipeline of hundreds of statements answers each with its own"):
            with connection.pipeline():
                cursors = [connection.execute("select %s::int", [n]) for n in range(300)]
                same(list(range(300)), [cursor.fetchone()[0] for cursor in cursors])
        with check("statements deallocated within a pipeline"):
            connection.prepared_max = 3
            for _ in range(3):
                with connection.pipeline():
                    cursors = [connection.execute(f"select %s::int as piped_{n}", [n], prepare=True) for n in range(12)]
                    same(list(range(12)), [cursor.fetchone()[0] for cursor in cursors])
        with check("statements deallocated in SQL, by a driver that does not close them"):
            for query in ["deallocate \"_pg3_own\"", "deallocate all"]:
                for ask in [connection.pgconn.exec_, lambda sql: connection.pgconn.exec_params(sql, [])]:
                    connection.pgconn.prepare(b"_pg3_own", b"select 'own'")
                    same(b"own", connection.pgconn.exec_prepared(b"_pg3_own", []).get_value(0, 0))
                    result = ask(query.encode())
                    same((psycopg.pq.ExecStatus.COMMAND_OK, query.upper().split(" \"")[0].encode()),
                         (result.status, result.command_status))
                    same(psycopg.pq.ExecStatus.FATAL_ERROR, connection.pgconn.exec_prepared(b"_pg3_own", []).status)
            # The driver has not heard of it.
            connection.prepare_threshold = None
        with check("results fetched before the pipeline's sync"):
            with connection.pipeline() as pipeline:
                first = connection.execute("select pg_backend_pid()").fetchone()[0]
                # Its transaction is open until the sync: nobody else may come upon its connection.
                with psycopg.connect(DSN, autocommit=True) as other:
                    same(False, backend(other) == first)
                same(first, backend(connection))
                pipeline.sync()
        with check("an error aborts a pipeline up to its sync and no further"):
            with connection.pipeline() as pipeline:
                connection.execute("insert into psycopg_items values (-10, 'undone')")
                skipped = None
                try:
                    failing = connection.execute("select 1 / %s", [0])
                    # The driver may hear of the error as early as here.
                    skipped = connection.execute("select 'skipped'")
                    pipeline.sync()
                    failing.fetchone()
                    raise AssertionError("a division by zero succeeded")
                except errors.DivisionByZero:
                    pass
                try:
                    if skipped:
                        skipped.fetchone()
                        raise AssertionError("a statement behind an error ran")
                    pipeline.sync()
                except psycopg.Error:
                    pass
                same("after", connection.execute("select 'after'").fetchone()[0])
            same(0, one(connection, "select count(*) from psycopg_items where id = -10"))
        with check("an error at the head of a pipeline that is long in coming"):
            try:
                with connection.pipeline():
                    connection.execute("select 1 / %s", [0])
                    for n in range(3000):
                        connection.execute("select %s::int, %s::text", [n, "x" * 100])
                raise AssertionError("a division by zero succeeded")
            except errors.DivisionByZero:
                pass
            same(1, one(connection, "select 1"))
        with check("a transaction within a pipeline"):
            with connection.pipeline(), connection.transaction():
                connection.execute("insert into psycopg_items values (-11, 'kept')")
                connection.execute("insert into psycopg_items values (-12, 'kept')")
            same(2, one(connection, "select count(*) from psycopg_items where id in (-11, -12)"))


def check_copy():
    with psycopg.connect(DSN) as connection, connection.cursor() as cursor:
        cursor.execute("truncate psycopg_items")
        with check("COPY in by rows, and out again, in both formats"):
            for format in ("text", "binary"):
                cursor.execute("truncate psycopg_items")
                with cursor.copy(f"copy psycopg_items from stdin (format {format})") as copy:
                    copy.set_types(["int4", "text"])
                    for n in range(10000):
                        copy.write_row((n, f"item {n}\t\\"))
                with cursor.copy(f"copy (select * from psycopg_items order by id) to stdout (format {format})") as copy:
                    copy.set_types(["int4", "text"])
                    rows = list(copy.rows())
                same([(n, f"item {n}\t\\") for n in range(10000)], rows)
            connection.commit()
        with check("COPY of five megabytes in one row"):
            with cursor.copy("copy psycopg_items from stdin") as copy:
                copy.write("-1\t" + "y" * 5_000_000 + "\n")
            same(5_000_000, one(connection, "select length(name) from psycopg_items where id = -1"))
            connection.rollback()
        with check("a COPY that fails at the server, and one that the client breaks off"):
            try:
                with cursor.copy("copy psycopg_items from stdin") as copy:
                    for n in range(50000):
                        copy.write(f"{n}\tagain\n")
                raise AssertionError("a duplicate key was copied in")
            except errors.UniqueViolation:
                connection.rollback()
            try:
                with cursor.copy("copy psycopg_items from stdin") as copy:
                    copy.write("-5\tnever\n")
                    raise KeyError("the client's own mistake")
            except KeyError:
                connection.rollback()
            same(10000, one(connection, "select count(*) from psycopg_items"))
            connection.rollback()
        with check("a COPY out that the client leaves early"):
            try:
                with cursor.copy("copy (select repeat('z', 1000) from generate_series(1, 20000)) to stdout") as copy:
                    next(iter(copy))
                    raise KeyError("enough")
            except KeyError:
                connection.rollback()
            same(1, one(connection, "select 1"))
            connection.rollback()


def check_cursors():
    with psycopg.connect(DSN) as connection:
        with check("a server-side cursor"):
            with connection.cursor("psycopg_cursor") as cursor:
                cursor.itersize = 100
                cursor.execute("select n from generate_series(1, 2500) n")
                same(list(range(1, 2501)), [row[0] for row in cursor])
            connection.commit()
        with check("a scrollable cursor WITH HOLD outlives its transaction"):
            cursor = connection.cursor("psycopg_held", scrollable=True, withhold=True)
            cursor.execute("select n from generate_series(1, 10) n")
            connection.commit()
            cursor.scroll(5)
            same((6,), cursor.fetchone())
            cursor.close()
            connection.commit()
        with check("rows streamed one by one"):
            with connection.cursor() as cursor:
                rows = cursor.stream("select n from generate_series(1, 3000) n")
                same(sum(range(1, 3001)), sum(row[0] for row in rows))


def check_session_state():
    with psycopg.connect(DSN, autocommit=True) as listener, psycopg.connect(DSN, autocommit=True) as speaker:
        with check("LISTEN stays with its connection and hears what others say"):
            listener.execute("listen psycopg_channel")
            for number in range(3):
                speaker.execute("select pg_notify('psycopg_channel', %s)", [str(number)])
            heard = [notice.payload for notice in listener.notifies(timeout=PATIENCE, stop_after=3)]
            same(["0", "1", "2"], heard)
            same(1, one(listener, "select 1"))
        with check("temporary tables and settings stay with their connection"):
            speaker.execute("create temporary table psycopg_temporary as select 1 as a")
            speaker.execute("set statement_timeout = '77s'")
            speaker.execute("set timezone = 'Asia/Tokyo'")
            with psycopg.connect(DSN, autocommit=True) as other:
                same(None, one(other, "select to_regclass('pg_temp.psycopg_temporary')"))
                same("0", one(other, "show statement_timeout"))
                same(False, "Tokyo" in one(other, "show timezone"))
            same(1, one(speaker, "select a from psycopg_temporary"))
            same("77s", one(speaker, "show statement_timeout"))
            same("Asia/Tokyo", speaker.info.timezone.key)
        with check("DISCARD ALL forgets them"):
            speaker.execute("discard all")
            same(None, one(speaker, "select to_regclass('pg_temp.psycopg_temporary')", prepare=False))
            same("0", one(speaker, "show statement_timeout", prepare=False))
    with check("settings of the connection string hold everywhere"):
        with psycopg.connect(DSN, autocommit=True, application_name="psycopg check",
                             options="-c statement_timeout=66s -c search_path=pg_catalog") as connection:
            same("psycopg check", connection.info.parameter_status("application_name"))
            for setting, value in [("statement_timeout", "66s"), ("search_path", "pg_catalog"), ("application_name", "psycopg check")]:
                same(value, one(connection, f"show {setting}"))
    with check("a warning arrives as a notice"):
        with psycopg.connect(DSN, autocommit=True) as connection:
            notices = []
            connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
            connection.execute("do $$ begin raise notice 'psycopg hears %', 1; end $$")
            same(["psycopg hears 1"], notices)


def wait_until_it_sleeps(watcher, pid):
    deadline = time.monotonic() + PATIENCE
    sleeping = "select count(*) from pg_stat_activity where pid = %s and wait_event = 'PgSleep'"
    while one(watcher, sleeping, [pid]) == 0:
        if time.monotonic() > deadline:
            raise AssertionError("the statement to cancel never ran")
        time.sleep(0.02)


def cancelled_by(cancel):
    """Cancels a sleeping statement in the way given; what follows on the connection must not notice."""
    with psycopg.connect(DSN) as connection, psycopg.connect(DSN, autocommit=True) as watcher:
        pid = backend(connection)
        failures = []

        def cancel_when_it_sleeps():
            try:
                wait_until_it_sleeps(watcher, pid)
                cancel(connection)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=cancel_when_it_sleeps)
        thread.start()
        try:
            connection.execute("select pg_sleep(300)")
            raise AssertionError("the sleep was not cancelled")
        except errors.QueryCanceled as error:
            same("57014", error.sqlstate)
        thread.join()
        same([], failures)
        connection.rollback()
        for _ in range(20):
            same(1, one(connection, "select 1"))
            connection.commit()


def check_cancelling():
    with check("cancel() ends a statement and nothing after it"):
        cancelled_by(lambda connection: connection.cancel())
    with check("cancel_safe() does too"):
        cancelled_by(lambda connection: connection.cancel_safe(timeout=PATIENCE))
    with check("cancelling an idle connection does nothing"):
        with psycopg.connect(DSN, autocommit=True) as connection:
            connection.cancel()
            same(1, one(connection, "select 1"))
    with check("statement_timeout"):
        with psycopg.connect(DSN) as connection:
            connection.execute("set local statement_timeout = 50")
            try:
                connection.execute("select pg_sleep(300)")
                raise AssertionError("the sleep came to its end")
            except errors.QueryCanceled:
                connection.rollback()
            same("0", one(connection, "show statement_timeout"))


def check_tls():
    for negotiation in ["postgres", "direct"]:
        with check(f"a login bound to the gateway's certificate, sslnegotiation={negotiation}"):
            with psycopg.connect(DSN, autocommit=True, sslnegotiation=negotiation, channel_binding="require") as connection:
                same(True, connection.pgconn.ssl_in_use)
                same(list(range(50)), [one(connection, "select %s::int", [n]) for n in range(50)])
                cancelled = threading.Thread(target=cancel_safely_once_it_sleeps, args=[connection])
                cancelled.start()
                try:
                    connection.execute("select pg_sleep(300)")
                    raise AssertionError("the sleep was not cancelled")
                except errors.QueryCanceled:
                    cancelled.join()
                same(1, one(connection, "select 1"))


def cancel_safely_once_it_sleeps(connection):
    sleepers = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and pid <> pg_backend_pid()"
    deadline = time.monotonic() + PATIENCE
    with psycopg.connect(DSN, autocommit=True) as watcher:
        while one(watcher, sleepers) == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
    # As its session, over TLS and negotiated in the same way.
    connection.cancel_safe(timeout=PATIENCE)


def main():
    print("psycopg", psycopg.__version__, "libpq", psycopg.pq.version())
    with psycopg.connect(DSN, autocommit=True) as connection:
        connection.execute("drop table if exists psycopg_items")
    check_queries()
    check_transactions()
    check_pipelines()
    check_copy()
    check_cursors()
    check_session_state()
    check_cancelling()
    with check("a wrong password"):
        try:
            psycopg.connect(DSN, password="wrong").close()
            raise AssertionError("it was accepted")
        except psycopg.OperationalError as error:
            same(True, "password authentication failed" in str(error))
    if "sslmode=verify-full" in DSN:
        check_tls()
    with psycopg.connect(DSN, autocommit=True) as connection:
        connection.execute("drop table psycopg_items")


main()
