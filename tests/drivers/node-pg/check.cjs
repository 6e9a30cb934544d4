// node-postgres (`pg`): simple, parametrised and named queries, a pool, cursors, COPY, cancelling.
// tests/drivers/run node-pg runs it.

const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const pg = require('pg')
const copyStreams = require('pg-copy-streams')
const Cursor = require('pg-cursor')
const { assert, check, dsn, eventually, refused, run, upTo, version } = require('../node/checks.cjs')

async function connect(options = {}) {
  const client = new pg.Client({ connectionString: dsn, ...options })
  await client.connect()
  return client
}

const value = async (client, ...query) => Object.values((await client.query(...query)).rows[0])[0]

async function checkQueries(client) {
  await check('simple queries, one and several statements', async () => {
    assert.equal(await value(client, 'select 1 as n'), 1)
    const results = await client.query("select 1 as n; select 'two' as t")
    assert.deepEqual(results.map((result) => result.rows), [[{ n: 1 }], [{ t: 'two' }]])
    assert.equal((await client.query('')).rowCount, null)
  })
  await check('parameters of many types', async () => {
    const { rows } = await client.query(
      'select $1::int as a, $2::text as b, $3::timestamptz as c, $4::jsonb as d, $5::bytea as e, $6::int[] as f, $7::text as g',
      [7, 'naïve ☃', new Date(0), { x: [1] }, Buffer.from([0, 255, 16]), [1, 2], null],
    )
    assert.deepEqual(rows[0], {
      a: 7, b: 'naïve ☃', c: new Date(0), d: { x: [1] }, e: Buffer.from([0, 255, 16]), f: [1, 2], g: null,
    })
  })
  await check('binary results', async () => {
    assert.deepEqual((await client.query({ text: 'select 5::int4 as n', binary: true, values: [] })).rows, [{ n: 5 }])
  })
  await check('named statements, prepared once and used on any connection', async () => {
    for (const number of upTo(10)) {
      assert.equal(await value(client, { name: 'plus one', text: 'select $1::int + 1', values: [number] }), number + 1)
    }
    for (const number of upTo(30)) {
      const query = { name: `column ${number}`, text: `select $1::int as column_${number}`, values: [number] }
      assert.equal(await value(client, query), number)
    }
  })
  await check('a table that changes beneath named and unnamed statements', async () => {
    await client.query('drop table if exists changing; create table changing as select 1 as a')
    const named = { name: 'changing', text: 'select * from changing where a = $1', values: [1] }
    const unnamed = { text: 'select * from changing where a = $1', values: [1] }
    for (const column of ['b', 'c', 'd']) {
      for (const query of [named, unnamed, named, unnamed]) await client.query(query)
      await client.query(`alter table changing add ${column} int`)
      for (const query of [named, unnamed]) {
        assert.equal((await client.query(query)).fields.at(-1).name, column)
      }
    }
    await client.query('drop table changing')
  })
  await check('queries sent ahead are answered in order', async () => {
    const answers = upTo(300).map((number) => value(client, 'select $1::int', [number]))
    assert.deepEqual(await Promise.all(answers), upTo(300))
  })
  await check('five megabytes there and back', async () => {
    const text = 'é'.repeat(2_500_000)
    assert.equal(await value(client, 'select $1::text', [text]), text)
  })
}

async function checkErrors(client) {
  await check('errors have their code and position, and the next query works', async () => {
    const error = await refused('42703', client.query('select nope'))
    assert.equal(error.position, '8')
    await refused('22P02', client.query('select $1::int', ['no number']))
    await refused('42601', client.query({ name: 'broken', text: 'selec 1' }))
    await refused('42601', client.query({ name: 'broken', text: 'selec 1' }))
    const violation = await refused('23505', client.query(
      'create temporary table once (id int primary key) on commit drop; insert into once values (1), (1)'))
    assert.equal(violation.constraint, 'once_pkey')
    assert.equal(await value(client, 'select 1'), 1)
  })
  await check('an error among queries sent ahead is its own only', async () => {
    const outcomes = await Promise.allSettled(
      upTo(50).map((number) => value(client, 'select 10 / $1::int', [number % 10])))
    outcomes.forEach((outcome, number) => {
      if (number % 10 === 0) assert.equal(outcome.reason.code, '22012')
      else assert.equal(outcome.value, Math.trunc(10 / (number % 10)))
    })
  })
  await check('a transaction is undone', async () => {
    await client.query('create table if not exists node_pg_items (id int primary key, name text)')
    await client.query('truncate node_pg_items')
    await client.query('begin')
    await client.query("insert into node_pg_items values ($1, 'undone')", [1])
    await refused('22012', client.query('select 1 / 0'))
    await refused('25P02', client.query('select 1'))
    await client.query('rollback')
    assert.equal(await value(client, 'select count(*)::int from node_pg_items'), 0)
  })
}

async function checkStreams(client) {
  const lines = upTo(20000).map((number) => `${number}\titem ${number}\n`)
  await check('COPY in and out by streams', async () => {
    await pipeline(Readable.from(lines), client.query(copyStreams.from('copy node_pg_items from stdin')))
    const pieces = []
    for await (const piece of client.query(copyStreams.to('copy (select * from node_pg_items order by id) to stdout'))) {
      pieces.push(piece)
    }
    assert.equal(Buffer.concat(pieces).toString(), lines.join(''))
  })
  await check('a COPY that the server refuses', async () => {
    await refused('23505', pipeline(Readable.from(lines), client.query(copyStreams.from('copy node_pg_items from stdin'))))
    assert.equal(await value(client, 'select 1'), 1)
  })
  await check('a cursor, read in portions and left early', async () => {
    await client.query('begin')
    const cursor = client.query(new Cursor('select n from generate_series(1, $1::int) n', [1000]))
    assert.equal((await cursor.read(100)).length, 100)
    assert.equal((await cursor.read(100))[0].n, 101)
    await cursor.close()
    await client.query('commit')
  })
  await check('a cursor outside of a transaction, read to its end', async () => {
    const cursor = client.query(new Cursor('select n from generate_series(1, 250) n'))
    const sizes = []
    do sizes.push((await cursor.read(100)).length)
    while (sizes.at(-1) > 0)
    assert.deepEqual(sizes, [100, 100, 50, 0])
    await cursor.close()
    assert.equal(await value(client, 'select 1'), 1)
  })
}

async function checkPool() {
  await check('a pool of clients, each with its own answers', async () => {
    const pool = new pg.Pool({ connectionString: dsn, max: 8 })
    const answers = upTo(400).map(async (number) => {
      const query = number % 2 ? { name: 'pooled', text: 'select $1::int as n' } : { text: 'select $1::int as n' }
      return (await pool.query({ ...query, values: [number] })).rows[0].n
    })
    assert.deepEqual(await Promise.all(answers), upTo(400))
    await pool.end()
  })
}

async function checkCancelling(client) {
  await check('statement_timeout of the connection ends a statement', async () => {
    const hasty = await connect({ statement_timeout: 100 })
    await refused('57014', hasty.query('select pg_sleep(300)'))
    assert.equal(await value(hasty, 'select 1'), 1)
    await hasty.end()
  })
  await check('a cancel request ends the statement it is for, and nothing after it', async () => {
    const sleeping = client.query('select pg_sleep(300)').then(() => assert.fail('not cancelled'), (error) => error)
    const watcher = await connect()
    const sleepers = "select count(*)::int from pg_stat_activity where wait_event = 'PgSleep' and pid <> pg_backend_pid()"
    await eventually('the statement to cancel runs', async () => (await value(watcher, sleepers)) === 1)
    const request = new pg.Connection({})
    request.on('connect', () => request.cancel(client.processID, client.secretKey))
    request.connect(client.port, client.host)
    assert.equal((await sleeping).code, '57014')
    for (const number of upTo(20)) {
      assert.equal(await value(client, 'select $1::int', [number]), number)
    }
    await watcher.end()
  })
  await check('a client that goes away leaves nothing running', async () => {
    const watcher = await connect()
    const leaving = new pg.Client({ connectionString: dsn, query_timeout: 100 })
    leaving.on('error', () => {})
    await leaving.connect()
    await leaving.query('begin')
    await leaving.query('select pg_advisory_xact_lock(4711)')
    await assert.rejects(leaving.query('select pg_sleep(300)'), /timeout/)
    leaving.connection.stream.destroy()
    const locked = "select count(*)::int from pg_locks where locktype = 'advisory' and objid = 4711"
    await eventually('the lock is released', async () => (await value(watcher, locked)) === 0)
    await watcher.end()
  })
}

async function checkSession() {
  await check('LISTEN hears what others say', async () => {
    const [listener, speaker] = [await connect(), await connect()]
    const heard = []
    listener.on('notification', (notification) => heard.push(notification.payload))
    await listener.query('listen node_pg_channel')
    for (const number of upTo(3)) await speaker.query("select pg_notify('node_pg_channel', $1)", [String(number)])
    await eventually('all is heard', () => heard.length === 3)
    assert.deepEqual(heard, ['0', '1', '2'])
    await listener.end()
    await speaker.end()
  })
  await check('settings of the connection hold, and notices arrive', async () => {
    const client = await connect({ application_name: 'node check', options: '-c search_path=pg_catalog' })
    assert.equal(await value(client, 'show application_name'), 'node check')
    assert.equal(await value(client, 'show search_path'), 'pg_catalog')
    const notices = []
    client.on('notice', (notice) => notices.push(notice.message))
    await client.query("do $$ begin raise notice 'node hears'; end $$")
    assert.deepEqual(notices, ['node hears'])
    await client.end()
  })
  await check('a wrong password', () => refused('28P01', connect({ connectionString: undefined, ...wrongPassword() })))
}

function wrongPassword() {
  const url = new URL(dsn)
  const ssl = url.searchParams.has('sslmode')
  return { ssl, host: url.hostname, port: Number(url.port), user: url.username, database: url.pathname.slice(1), password: 'wrong' }
}

run(async () => {
  console.log(version('pg'))
  const client = await connect()
  await checkQueries(client)
  await checkErrors(client)
  await checkStreams(client)
  await checkPool()
  await checkCancelling(client)
  await checkSession()
  await client.query('drop table node_pg_items')
  await client.end()
})
