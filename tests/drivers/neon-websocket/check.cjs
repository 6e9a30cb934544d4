// @neondatabase/serverless by WebSocket: Pool and Client, the password sent along or proved. tests/drivers/run neon-websocket runs it.

const { Client, Pool } = require('@neondatabase/serverless')
const { assert, check, dsn, eventually, refused, run, upTo, version } = require('../node/checks.cjs')
const { needEnvironment, pointAtGateway } = require('../node/neon.cjs')

const neonConfig = pointAtGateway()

async function withClient(options, use) {
  const client = new Client({ connectionString: dsn, ...options })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

async function checkLogins() {
  for (const pipelineConnect of ['password', false]) {
    neonConfig.pipelineConnect = pipelineConnect
    const kind = pipelineConnect ? 'sent along' : 'proved by SCRAM'
    await check(`a session, its password ${kind}`, () =>
      withClient({}, async (client) => {
        const { rows } = await client.query('select $1::int as answer, $2::text as word', [42, 'naïve ☃'])
        assert.deepEqual(rows, [{ answer: 42, word: 'naïve ☃' }])
      }))
    await check(`a wrong password, ${kind}`, async () => {
      const wrong = new URL(dsn)
      wrong.password = 'wrong'
      const client = new Client({ connectionString: wrong.href })
      client.on('error', () => {})
      // What was sent along is refused where the first answer is read.
      const attempt = async () => {
        await client.connect()
        await client.query('select 1')
      }
      await assert.rejects(attempt, /password authentication failed|Connection terminated/)
    })
  }
  neonConfig.pipelineConnect = 'password'
}

async function checkSessions() {
  await check('a transaction of several queries, and one that is undone', () =>
    withClient({}, async (client) => {
      await client.query('drop table if exists neon_rows; create table neon_rows (id int primary key, name text)')
      await client.query('begin')
      await client.query('insert into neon_rows values ($1, $2)', [1, 'kept'])
      await client.query('commit')
      await client.query('begin')
      await client.query('insert into neon_rows values (2, $1)', ['undone'])
      await client.query('rollback')
      assert.deepEqual((await client.query('select * from neon_rows')).rows, [{ id: 1, name: 'kept' }])
    }))
  await check('errors have what PostgreSQL says of them, and the session goes on', () =>
    withClient({}, async (client) => {
      const error = await refused('23505', client.query("insert into neon_rows values (1, 'again')"))
      assert.deepEqual([error.constraint, error.table, error.severity], ['neon_rows_pkey', 'neon_rows', 'ERROR'])
      assert.equal((await client.query('select 1 as n')).rows[0].n, 1)
    }))
  await check('named statements and types', () =>
    withClient({}, async (client) => {
      for (const number of upTo(3)) {
        const query = { name: 'typed', text: 'select $1::int as n, $2::jsonb as j, $3::timestamptz as t, $4::int[] as a' }
        const { rows } = await client.query(query, [number, { k: [1, null] }, new Date(0), [1, 2]])
        assert.deepEqual(rows, [{ n: number, j: { k: [1, null] }, t: new Date(0), a: [1, 2] }])
      }
    }))
  await check('notifications reach who listens', () =>
    withClient({}, async (client) => {
      const heard = []
      client.on('notification', (message) => heard.push(message.payload))
      await client.query('listen neon_channel')
      await withClient({}, (other) => other.query("select pg_notify('neon_channel', 'hello')"))
      await eventually('the notification is there', () => heard.length > 0)
      assert.deepEqual(heard, ['hello'])
    }))
  await check('a hundred thousand rows, and megabytes in one value', () =>
    withClient({}, async (client) => {
      const { rows } = await client.query('select n from generate_series(1, 100000) n')
      assert.equal(rows.length, 100_000)
      const text = 'é'.repeat(2_000_000)
      assert.equal((await client.query('select $1::text as t', [text])).rows[0].t, text)
    }))
}

async function checkPool() {
  await check('a pool, with more to do than it has sessions', async () => {
    const pool = new Pool({ connectionString: dsn, max: 5 })
    const answers = await Promise.all(upTo(200).map((number) => pool.query('select $1::int as n', [number])))
    assert.deepEqual(answers.map(({ rows }) => rows[0].n), upTo(200))
    await pool.end()
  })
}

run(async () => {
  needEnvironment()
  console.log(version('@neondatabase/serverless'))
  await checkLogins()
  await checkSessions()
  await checkPool()
  await withClient({}, (client) => client.query('drop table neon_rows'))
})
