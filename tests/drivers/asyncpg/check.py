"""asyncpg: statement cache on and off, executemany, COPY, a pool, cursors, notifications, timeouts.

tests/drivers/run asyncpg runs it.
"""

import asyncio
import datetime
import sys
import time
import uuid
from decimal import Decimal
from pathlib import Path

import asyncpg
from asyncpg import exceptions

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
from checks import DSN, PATIENCE, check, same  # noqa: E402


async def refused(error, awaitable):
    try:
        await awaitable
    except error as refusal:
        return refusal
    raise AssertionError(f"no {error.__name__}")


async def check_queries(cache_size):
    connection = await asyncpg.connect(DSN, statement_cache_size=cache_size)
    kind = f"statement cache of {cache_size}"
    with check(f"queries again and again, {kind}"):
        for number in range(10):
            same(number + 1, await connection.fetchval("select $1::int + 1", number))
        for number in range(30):
            same(number, await connection.fetchval(f"select $1::int as column_{number}", number))
    with check(f"many types, {kind}"):
        values = [7, 2**40, 1.5, Decimal("12345.6789"), "naïve ☃", b"\x00\xff\x10", True, None, uuid.UUID(int=1),
                  datetime.date(2024, 2, 29), datetime.timedelta(days=2, seconds=3), [1, None, 3], ["a", 'b"c']]
        kinds = ["int", "bigint", "float8", "numeric", "text", "bytea", "bool", "text", "uuid", "date", "interval",
                 "int[]", "text[]"]
        query = "select " + ", ".join(f"${index + 1}::{kind}" for index, kind in enumerate(kinds))
        same(values, list(await connection.fetchrow(query, *values)))
    with check(f"a type that asyncpg has to look up, {kind}"):
        await connection.execute("drop type if exists asyncpg_mood; create type asyncpg_mood as enum ('good', 'bad')")
        same(["good", "bad"], await connection.fetchval("select array['good', 'bad']::asyncpg_mood[]"))
        await connection.execute("drop type asyncpg_mood")
    with check(f"errors, and what follows them, {kind}"):
        error = await refused(exceptions.PostgresSyntaxError, connection.fetch("selec 1"))
        same("42601", error.sqlstate)
        await refused(exceptions.UndefinedTableError, connection.fetch("select * from asyncpg_nothing"))
        await refused(exceptions.DivisionByZeroError, connection.fetch("select 1 / $1::int", 0))
        await refused(exceptions.DataError, connection.fetch("select $1::int", "no number"))
        same(1, await connection.fetchval("select 1"))
    with check(f"explicit statements, {kind}"):
        statement = await connection.prepare("select $1::int * 2 as double")
        same("double", statement.get_attributes()[0].name)
        same([0, 2, 4], [await statement.fetchval(number) for number in range(3)])
        # Prepared by Flush alone: the next request ends what that left open.
        await connection.prepare("select 'never run'")
        same("SELECT 1", await connection.execute("select 1"))
        unused = await connection.prepare("select 'run later'")
        other = await asyncpg.connect(DSN)
        same("other", await other.fetchval("select 'other'"))
        await other.close()
        same("run later", await unused.fetchval())
    with check(f"a table that changes beneath a statement, {kind}"):
        await connection.execute("drop table if exists asyncpg_changing; create table asyncpg_changing (a int)")
        await connection.execute("insert into asyncpg_changing values (1)")
        for _ in range(3):
            same([1], list(await connection.fetchrow("select * from asyncpg_changing")))
        await connection.execute("alter table asyncpg_changing add b int default 2")
        # asyncpg prepares again when it is told that what it knew of the rows has changed.
        same([1, 2], list(await connection.fetchrow("select * from asyncpg_changing")))
        async with connection.transaction():
            await connection.execute("alter table asyncpg_changing add c int default 3")
            same([1, 2, 3], list(await connection.fetchrow("select *, $1::int as x from asyncpg_changing", 4))[:3])
        await connection.execute("drop table asyncpg_changing")
    with check(f"five megabytes there and back, {kind}"):
        text = "é" * 2_500_000
        same(text, await connection.fetchval("select $1::text", text))
    await connection.close()


async def check_bulk(connection):
    await connection.execute("drop table if exists asyncpg_items; create table asyncpg_items (id int primary key, name text)")
    items = [(number, f"item {number}") for number in range(5000)]
    with check("executemany"):
        await connection.executemany("insert into asyncpg_items values ($1, $2)", items)
        same(items, [tuple(row) for row in await connection.fetch("select * from asyncpg_items order by id")])
    with check("executemany undoes everything after an error"):
        more = [(number, "more") for number in (10001, 10002, 1)]
        await refused(exceptions.UniqueViolationError, connection.executemany("insert into asyncpg_items values ($1, $2)", more))
        same(5000, await connection.fetchval("select count(*) from asyncpg_items"))
    with check("copy_records_to_table and copy_from_query"):
        await connection.execute("truncate asyncpg_items")
        same("COPY 5000", await connection.copy_records_to_table("asyncpg_items", records=items))
        pieces = []

        async def keep(piece):
            pieces.append(piece)

        same("COPY 5000", await connection.copy_from_query("select * from asyncpg_items order by id", output=keep))
        same("".join(f"{number}\t{name}\n" for number, name in items), b"".join(pieces).decode())
    with check("a COPY that the server refuses"):
        await refused(exceptions.UniqueViolationError, connection.copy_records_to_table("asyncpg_items", records=items))
        same(5000, await connection.fetchval("select count(*) from asyncpg_items"))


async def check_transactions(connection):
    with check("transactions and savepoints"):
        async with connection.transaction():
            await connection.execute("insert into asyncpg_items values (-1, 'kept')")
            try:
                async with connection.transaction():
                    await connection.execute("insert into asyncpg_items values (-2, 'undone')")
                    raise KeyError
            except KeyError:
                pass
        same(1, await connection.fetchval("select count(*) from asyncpg_items where id < 0"))
    with check("isolation levels"):
        async with connection.transaction(isolation="serializable", readonly=True, deferrable=True):
            same("serializable", await connection.fetchval("show transaction_isolation"))
    with check("cursors"):
        async with connection.transaction():
            numbers = [row[0] async for row in connection.cursor("select n from generate_series(1, 1000) n", prefetch=70)]
            same(list(range(1, 1001)), numbers)
            cursor = await connection.cursor("select n from generate_series(1, 100) n")
            await cursor.forward(10)
            same([11, 12], [row[0] for row in await cursor.fetch(2)])


async def check_notifications():
    listener, speaker = await asyncpg.connect(DSN), await asyncpg.connect(DSN)
    with check("LISTEN hears what others say"):
        heard = asyncio.Queue()
        await listener.add_listener("asyncpg_channel", lambda _connection, _pid, _channel, payload: heard.put_nowait(payload))
        for number in range(3):
            await speaker.execute(f"notify asyncpg_channel, '{number}'")
        same(["0", "1", "2"], [await asyncio.wait_for(heard.get(), PATIENCE) for _ in range(3)])
        await listener.reset()
    await listener.close()
    await speaker.close()


async def check_timeouts(connection):
    with check("a timeout cancels its statement, and nothing after it"):
        for _ in range(3):
            await refused(asyncio.TimeoutError, connection.fetch("select pg_sleep(300)", timeout=0.2))
            for number in range(20):
                same(number, await connection.fetchval("select $1::int", number))
        running = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and pid <> pg_backend_pid()"
        same(0, await connection.fetchval(running))
    with check("a task that is cancelled"):
        task = asyncio.create_task(connection.fetch("select pg_sleep(300)"))
        # A request that overtakes its statement cancels nothing, on a direct connection neither.
        watcher = await asyncpg.connect(DSN)
        deadline = time.monotonic() + PATIENCE
        while await watcher.fetchval(running) == 0:
            same(True, time.monotonic() < deadline)
            await asyncio.sleep(0.02)
        await watcher.close()
        task.cancel()
        await refused(asyncio.CancelledError, task)
        same(1, await connection.fetchval("select 1"))


async def check_pool():
    with check("a pool whose connections are reset between their users"):
        async with asyncpg.create_pool(DSN, min_size=2, max_size=8) as pool:
            async def use(number):
                async with pool.acquire() as connection:
                    await connection.execute(f"set timezone = '{'Asia/Tokyo' if number % 2 else 'UTC'}'")
                    async with connection.transaction():
                        return await connection.fetchval("select $1::int + pg_backend_pid() * 0", number)

            same(list(range(200)), await asyncio.gather(*(use(number) for number in range(200))))
            async with pool.acquire() as connection:
                await connection.execute("set statement_timeout = '55s'; create temporary table asyncpg_temporary (a int)")
            for _ in range(8):
                async with pool.acquire() as connection:
                    same("0", await connection.fetchval("show statement_timeout"))
    with check("hundreds of connections on the tenant's few"):
        connections = await asyncio.gather(*(asyncpg.connect(DSN) for _ in range(150)))
        answers = await asyncio.gather(*(connection.fetchval("select $1::int", number) for number, connection in enumerate(connections)))
        same(list(range(150)), answers)
        await asyncio.gather(*(connection.close() for connection in connections))


async def main():
    print("asyncpg", asyncpg.__version__)
    for cache_size in (100, 0, 3):
        await check_queries(cache_size)
    connection = await asyncpg.connect(DSN, server_settings={"application_name": "asyncpg check", "statement_timeout": "66s"})
    with check("settings of the connection string"):
        same("66s", await connection.fetchval("show statement_timeout"))
        same("asyncpg check", await connection.fetchval("show application_name"))
    await check_bulk(connection)
    await check_transactions(connection)
    await connection.close()
    await check_notifications()
    connection = await asyncpg.connect(DSN)
    await check_timeouts(connection)
    await check_pool()
    with check("a wrong password"):
        await refused(exceptions.InvalidPasswordError, asyncpg.connect(DSN, password="wrong"))
    await connection.execute("drop table asyncpg_items")
    await connection.close()


asyncio.run(asyncio.wait_for(main(), 4 * PATIENCE))
