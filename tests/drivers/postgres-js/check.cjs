// postgres.js: its automatic statements and pipelines, transactions, COPY, cursors, LISTEN, cancelling.
// tests/drivers/run postgres-js runs it.

const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const postgres = require('postgres')
const { assert, check, dsn, eventually, refused, run, upTo, version } = require('../node/checks.cjs')

const quiet = { onnotice: () => {} }

async function checkQueries(sql, kind) {
  await check(`queries and types, ${kind}`, async () => {
    const [row] = await sql`select ${7}::int as a, ${'naïve ☃'}::text as b, ${sql.json({ x: [1] })}::jsonb as c, ${[1, 2]}::int[] as d, ${null}::text as e`
    assert.deepEqual({ ...row }, { a: 7, b: 'naïve ☃', c: { x: [1] }, d: [1, 2], e: null })
  })
  await check(`hundreds of queries at once, ${kind}`, async () => {
    const answers = await Promise.all(upTo(400).map((number) => sql`select ${number}::int as n`))
    assert.deepEqual(answers.map(([row]) => row.n), upTo(400))
  })
  await check(`errors among them are their own only, ${kind}`, async () => {
    const outcomes = await Promise.allSettled(upTo(60).map((number) => sql`select 10 / ${number % 10}::int as n`))
    outcomes.forEach((outcome, number) => {
      if (number % 10 === 0) assert.equal(outcome.reason.code, '22012')
      else assert.equal(outcome.value[0].n, Math.trunc(10 / (number % 10)))
    })
    const same = await Promise.allSettled(upTo(20).map(() => sql`selec 1`))
    same.forEach((outcome) => assert.equal(outcome.reason.code, '42601', outcome.reason))
    await refused('42P01', sql`select * from postgres_js_nothing`)
  })
  await check(`transactions and savepoints, ${kind}`, async () => {
    await sql`truncate postgres_js_items`
    await sql.begin(async (sql) => {
      await sql`insert into postgres_js_items values (1, 'kept')`
      await sql.savepoint((sql) => sql`insert into postgres_js_items values (1, 'again')`).catch((error) => assert.equal(error.code, '23505'))
      await Promise.all(upTo(20).map((number) => sql`insert into postgres_js_items values (${number + 2}, 'kept')`))
    })
    await sql.begin((sql) => [sql`insert into postgres_js_items values (100, 'undone')`, sql`select 1 / 0`]).catch(() => {})
    assert.equal((await sql`select count(*)::int as n from postgres_js_items`)[0].n, 21)
  })
  await check(`a cursor, ${kind}`, async () => {
    const sizes = []
    for await (const rows of sql`select n from generate_series(1, 250) n`.cursor(100)) sizes.push(rows.length)
    assert.deepEqual(sizes, [100, 100, 50])
  })
}

run(async () => {
  console.log(version('postgres'))
  for (const [kind, options] of [['prepared', {}], ['unprepared', { prepare: false }], ['one connection', { max: 1 }]]) {
    const sql = postgres(dsn, { ...quiet, ...options })
    await sql`create table if not exists postgres_js_items (id int primary key, name text)`
    await checkQueries(sql, kind)
    await sql.end()
  }
  const sql = postgres(dsn, quiet)
  await check('COPY in and out', async () => {
    // More rows than its stream buffers, and postgres.js stops reading its connection, whatever the server.
    const lines = upTo(500).map((number) => `${number}\titem ${number}\n`)
    await sql`truncate postgres_js_items`
    await pipeline(Readable.from(lines), await sql`copy postgres_js_items from stdin`.writable())
    const pieces = []
    for await (const piece of await sql`copy (select * from postgres_js_items order by id) to stdout`.readable()) pieces.push(piece)
    assert.equal(Buffer.concat(pieces).toString(), lines.join(''))
  })
  await check('LISTEN hears what others say', async () => {
    const heard = []
    const listening = await sql.listen('postgres_js_channel', (payload) => heard.push(payload))
    for (const number of upTo(3)) await sql.notify('postgres_js_channel', String(number))
    await eventually('all is heard', () => heard.length === 3)
    assert.deepEqual(heard, ['0', '1', '2'])
    await listening.unlisten()
  })
  await check('a cancelled query, and what follows it', async () => {
    const sleeping = sql`select pg_sleep(300)`
    const outcome = sleeping.execute().then(() => assert.fail('not cancelled'), (error) => error)
    const sleepers = () => sql`select count(*)::int as n from pg_stat_activity where wait_event = 'PgSleep' and pid <> pg_backend_pid()`
    await eventually('the statement to cancel runs', async () => (await sleepers())[0].n === 1)
    sleeping.cancel()
    assert.equal((await outcome).code, '57014')
    assert.equal((await Promise.all(upTo(50).map(() => sql`select 1 as n`))).length, 50)
  })
  await sql`drop table postgres_js_items`
  await sql.end()
})
